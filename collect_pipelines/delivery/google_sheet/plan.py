"""From rows to one atomic batch of requests, and from its answer to what became of each row. Pure.

New rows are inserted, so they can never cover anything. A row that exists is changed in place, and its key is swapped
by `findReplace` in that one cell: the reply tells whether it still was the right row when the batch was applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from collect_pipelines.delivery.google_sheet.cells import Cell
from collect_pipelines.delivery.google_sheet.keys import DELETED, row_key
from collect_pipelines.delivery.google_sheet.layout import KEY_TAG, Json, Layout

STATUS_TAG = "_status"
_GAP_ROWS = 20
"""Rows between two touched ones that are cheaper to read along than to name a further range."""


@dataclass(frozen=True, slots=True)
class Change:
    """One response as its row should be. `cells` is keyed by column tag; it is empty when the response was deleted."""

    response_id: str
    row: str
    content: str
    sequence: int
    cells: Mapping[str, Cell]
    size_bytes: int = 0

    @property
    def deleted(self) -> bool:
        """Whether the response was deleted at the source."""
        return self.content == DELETED


Strays = Sequence[tuple[int, Cell]]


class Act(Enum):
    """What is done to a row."""

    ADD = "add"
    UPDATE = "update"
    STRIKE = "strike"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One change and how it is made. `at` is the row's place from 0 (the header) and `old` the content it shows.

    `strays` are values of this row that stand in columns of people, by column.
    """

    act: Act
    change: Change
    at: int = -1
    old: str | None = None
    strays: Strays = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The row work of one batch and what its answer must show. Places are those after the batch."""

    requests: tuple[Json, ...]
    added: Mapping[int, Change] = field(default_factory=dict[int, Change])
    swaps: Mapping[int, Step] = field(default_factory=dict[int, Step])
    """By number of the request whose reply tells."""
    places: Mapping[str, int] = field(default_factory=dict[str, int])
    """Where the row of each update stands after the batch, by row id."""
    removed: tuple[int, ...] = ()
    """Places of removed rows, before the batch, ascending."""

    def key_rows(self) -> list[int]:
        """List the rows whose keys the answer should show."""
        return sorted({*self.added, *self.places.values()})


def plan_rows(sheet_id: int, layout: Layout, tail: int, row_count: int, steps: Sequence[Step]) -> Plan:
    """Plan one batch. `tail` is the place of the last row with a key (0: none), `row_count` the grid's size.

    First rows are changed in place, then new ones inserted below the tail, last rows are removed from the bottom up.
    """
    requests: list[Json] = []
    swaps: dict[int, Step] = {}
    removed = tuple(sorted(step.at for step in steps if step.act is Act.REMOVE))
    places: dict[str, int] = {}
    for step in steps:
        if step.act in (Act.UPDATE, Act.STRIKE):
            requests.extend(_in_place(sheet_id, layout, step))
            places[step.change.row] = step.at - sum(at < step.at for at in removed)
            swaps[len(requests)] = step
            requests.extend(_swap(sheet_id, layout, step))
    new = [step.change for step in steps if step.act is Act.ADD]
    requests.extend(_insert(sheet_id, layout, tail, row_count, new))
    for step in sorted((s for s in steps if s.act is Act.REMOVE), key=lambda s: -s.at):
        swaps[len(requests)] = step
        requests.extend(_remove(sheet_id, layout, step))
    first = tail + 1 - len(removed)
    return Plan(tuple(requests), dict(enumerate(new, first)), swaps, places, removed)


def key_ranges(rows: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of stretches that hold all rows, closing small gaps."""
    start = end = -1
    for row in sorted(rows):
        if start < 0:
            start = row
        elif row > end + _GAP_ROWS:
            yield start, end
            start = row
        end = row + 1
    if start >= 0:
        yield start, end


def a1_ranges(title: str, key_index: int, rows: Iterable[int]) -> list[str]:
    """Name the header row and the key cells of rows, as the answer's ranges want it."""
    tab, letters = f"'{title.replace(chr(39), chr(39) * 2)}'", column_letters(key_index)
    return [f"{tab}!1:1", *(f"{tab}!{letters}{start + 1}:{letters}{end}" for start, end in key_ranges(rows))]


def column_letters(index: int) -> str:
    """Return a column's letters.

    >>> column_letters(0), column_letters(26), column_letters(701), column_letters(702)
    ('A', 'AA', 'ZZ', 'AAA')
    """
    letters, index = "", index + 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def row_values(layout: Layout, change: Change, tags: Sequence[str]) -> list[Json]:
    """Return the cell data of a row for neighbouring columns."""
    key: Cell = {"stringValue": row_key(change.row, change.content)}
    cells = (key if tag == KEY_TAG else change.cells.get(tag) for tag in tags)
    return [{"userEnteredValue": cell} if cell else {} for cell in cells]


def _insert(sheet_id: int, layout: Layout, tail: int, row_count: int, new: Sequence[Change]) -> Iterator[Json]:
    if not new:
        return
    first, last = tail + 1, tail + 1 + len(new)
    # Below the header we take the format of the blank row that is pushed down, not the header's bold.
    from_before = tail > 0 or first >= row_count
    span = {"sheetId": sheet_id, "dimension": "ROWS", "startIndex": first, "endIndex": last}
    yield {"insertDimension": {"range": span, "inheritFromBefore": from_before}}
    yield _text_format(sheet_id, first, last, None, strikethrough=False, bold=False if first >= row_count else None)
    for index, tags in layout.runs(with_key=True):
        rows = [{"values": row_values(layout, change, tags)} for change in new]
        yield _update_cells(sheet_id, first, index, rows)


def _in_place(sheet_id: int, layout: Layout, step: Step) -> Iterator[Json]:
    at, change = step.at, step.change
    if step.act is Act.STRIKE:
        yield from _strike(sheet_id, layout, at, struck=True)
        if (status := layout.places.get(STATUS_TAG)) is not None:
            yield _update_cells(sheet_id, at, status, [{"values": [{"userEnteredValue": {"stringValue": "deleted"}}]}])
        return
    if step.old == DELETED:
        yield from _strike(sheet_id, layout, at, struck=False)
    yield from _take_back(sheet_id, at, step.strays)
    for index, tags in layout.runs(with_key=False):
        yield _update_cells(sheet_id, at, index, [{"values": row_values(layout, change, tags)}])


def plan_withdrawal(sheet_id: int, old: Layout, rows: Sequence[tuple[Change, int]]) -> list[Json]:
    """Empty rows that got their key into the wrong column, which then tie to nothing.

    The replies of the first requests, one per row, tell whether it still stood there.
    """
    requests = [
        _replace_in_cell(sheet_id, at, old.key_index or 0, row_key(change.row, change.content), "")
        for change, at in rows
    ]
    for change, at in rows:
        filled = [(index, change.cells[tag]) for tag, index in old.places.items() if change.cells.get(tag)]
        requests.extend(_take_back(sheet_id, at, filled))
    return requests


def strays_of(change: Change, old: Layout, new: Layout) -> Strays:
    """List what a row that was written with the old layout has in columns that are not ours in the new one."""
    ours = set(new.places.values())
    return [(i, change.cells[tag]) for tag, i in old.places.items() if i not in ours and change.cells.get(tag)]


def _take_back(sheet_id: int, at: int, strays: Strays) -> Iterator[Json]:
    """Empty cells that we filled by mistake, each only if nobody has put something else there since."""
    for index, value in strays:
        if text := value.get("stringValue"):
            yield _replace_in_cell(sheet_id, at, index, text, "")
        elif (number := value.get("numberValue")) is not None:  # found as it is shown, so by its whole part
            yield _replace_in_cell(sheet_id, at, index, rf"-?{abs(int(number))}\b.*", "", regex=True)
        else:
            yield _replace_in_cell(sheet_id, at, index, str(value.get("boolValue")).upper(), "")


def _swap(sheet_id: int, layout: Layout, step: Step) -> Iterator[Json]:
    """Swap the key from its old to its new content. When both are the same, by way of another one."""
    old, new = str(step.old), step.change.content
    between = [] if old != new else [_other(old)]
    for before, after in zip([old, *between], [*between, new], strict=True):
        yield _find_replace(sheet_id, layout, step, before, after)


def _remove(sheet_id: int, layout: Layout, step: Step) -> Iterator[Json]:
    """The swap proves that this row goes and no other."""
    yield _find_replace(sheet_id, layout, step, str(step.old), _other(str(step.old)))
    span = {"sheetId": sheet_id, "dimension": "ROWS", "startIndex": step.at, "endIndex": step.at + 1}
    yield {"deleteDimension": {"range": span}}


def _find_replace(sheet_id: int, layout: Layout, step: Step, before: str, after: str) -> Json:
    row = step.change.row
    return _replace_in_cell(sheet_id, step.at, layout.key_index or 0, row_key(row, before), row_key(row, after))


def _replace_in_cell(sheet_id: int, row: int, column: int, find: str, replacement: str, *, regex: bool = False) -> Json:
    area = {
        "sheetId": sheet_id,
        "startRowIndex": row,
        "endRowIndex": row + 1,
        "startColumnIndex": column,
        "endColumnIndex": column + 1,
    }
    asked: Json = {"find": find, "replacement": replacement, "range": area, "matchCase": True, "matchEntireCell": True}
    return {"findReplace": asked | ({"searchByRegex": True} if regex else {})}


def _other(content: str) -> str:
    return f"{int(content, 16) ^ 1:08x}"


def _strike(sheet_id: int, layout: Layout, at: int, *, struck: bool) -> Iterator[Json]:
    for index, tags in layout.runs(with_key=True):
        yield _text_format(sheet_id, at, at + 1, (index, index + len(tags)), strikethrough=struck, bold=None)


def _text_format(
    sheet_id: int, first: int, last: int, columns: tuple[int, int] | None, *, strikethrough: bool, bold: bool | None
) -> Json:
    area: Json = {"sheetId": sheet_id, "startRowIndex": first, "endRowIndex": last}
    if columns:
        area |= {"startColumnIndex": columns[0], "endColumnIndex": columns[1]}
    style: Json = {"strikethrough": strikethrough} | ({"bold": bold} if bold is not None else {})
    fields = ",".join(f"userEnteredFormat.textFormat.{name}" for name in style)
    return {"repeatCell": {"range": area, "cell": {"userEnteredFormat": {"textFormat": style}}, "fields": fields}}


def _update_cells(sheet_id: int, row: int, column: int, rows: Sequence[Json]) -> Json:
    start = {"sheetId": sheet_id, "rowIndex": row, "columnIndex": column}
    return {"updateCells": {"start": start, "rows": list(rows), "fields": "userEnteredValue"}}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a batch's answer shows of the tab."""

    header: tuple[str, ...]
    keys: Mapping[int, Any]
    swapped: Mapping[int, bool]
    title: str | None
    row_count: int | None
    column_count: int | None


def read_answer(answer: Json, sheet_id: int, key_index: int, offset: int) -> Answer:
    """Read an answer. `offset` is the number of requests before the planned ones."""
    sheets: list[Json] = answer.get("updatedSpreadsheet", {}).get("sheets", [])
    sheet = next((s for s in sheets if s.get("properties", {}).get("sheetId", 0) == sheet_id), {})
    cells = dict(_cells(sheet))
    width = max((column for row, column in cells if row == 0), default=-1) + 1
    properties: Json = sheet.get("properties", {})
    grid: Json = properties.get("gridProperties", {})
    return Answer(
        header=header_texts([cells.get((0, column)) for column in range(width)]),
        keys={row: value for (row, column), value in cells.items() if column == key_index},
        swapped={
            number - offset: reply["findReplace"].get("occurrencesChanged", 0) == 1
            for number, reply in enumerate(answer.get("replies", []))
            if "findReplace" in reply
        },
        title=properties.get("title"),
        row_count=grid.get("rowCount"),
        column_count=grid.get("columnCount"),
    )


def header_texts(values: Iterable[Any]) -> tuple[str, ...]:
    """Return a header row as comparable texts, without the blanks at its end."""
    texts = ["" if value is None else str(value) for value in values]
    while texts and not texts[-1]:
        texts.pop()
    return tuple(texts)


def _cells(sheet: Json) -> Iterator[tuple[tuple[int, int], Any]]:
    for block in sheet.get("data", []):
        top, left = block.get("startRow", 0), block.get("startColumn", 0)
        for down, row in enumerate(block.get("rowData", [])):
            for across, cell in enumerate(row.get("values", [])):
                if entered := cell.get("userEnteredValue"):
                    yield (top + down, left + across), next(iter(entered.values()))
