"""Reading a tab as it is, and the batch that makes a new one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from collect_pipelines.delivery.google_sheet.index import Tab
from collect_pipelines.delivery.google_sheet.keys import (
    COLUMN_KEY,
    DROPPED_KEY,
    FENCE_KEY,
    FORM_KEY,
    SHORT_COLUMN_KEY,
    Fence,
    fence_id,
    read_fence,
    split_key,
    tab_id,
)
from collect_pipelines.delivery.google_sheet.layout import (
    Json,
    Layout,
    Managed,
    Wanted,
    column_format,
    create_metadata,
    header_cells,
    narrow_key_column,
    tag_column,
)
from collect_pipelines.model import Position

_TABS_TRIED = 50
_NEW_SHEET = {"rowCount": 1000, "columnCount": 26}
"""The size of the one tab that a new spreadsheet has."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Our developer metadata in a spreadsheet."""

    forms: dict[int, str]
    """Form key by sheet id."""
    columns: dict[int, dict[int, str]]
    """Per sheet id, tag by column index."""
    fences: dict[int, list[Fence]]
    """Per sheet id, oldest first."""
    dropped: dict[int, frozenset[str]]


def read_marks(metadata: Iterable[Json]) -> Marks:
    """Sort out what a search for our metadata has found."""
    marks = Marks({}, {}, {}, {})
    for item in metadata:
        key, value, location = item.get("metadataKey"), str(item.get("metadataValue", "")), item.get("location", {})
        span = location.get("dimensionRange")
        sheet_id = int((span or location).get("sheetId", 0))
        if key == FORM_KEY:
            marks.forms[sheet_id] = value
        elif key in (COLUMN_KEY, SHORT_COLUMN_KEY) and span:
            tag = value if key == COLUMN_KEY else f"c:{value}"
            marks.columns.setdefault(sheet_id, {})[int(span.get("startIndex", 0))] = tag
        elif key == FENCE_KEY and (fence := read_fence(value)):
            marks.fences.setdefault(sheet_id, []).append(fence)
        elif key == DROPPED_KEY:
            marks.dropped[sheet_id] = marks.dropped.get(sheet_id, frozenset()) | {value}
    for fences in marks.fences.values():
        fences.sort(key=lambda fence: fence.sequence)
    return marks


def find_tab(form_key: str, marks: Marks, described: Json) -> int | None:
    """Return the sheet id of the form's tab: the newest one we made, else a copy people made of it."""
    here = {int(s["properties"].get("sheetId", 0)) for s in described.get("sheets", [])}
    ours = [sheet_id for sheet_id, form in marks.forms.items() if form == form_key and sheet_id in here]
    made = [tab_id(form_key, number) for number in range(_TABS_TRIED)]
    return max(ours, key=lambda sheet_id: (made.index(sheet_id) if sheet_id in made else -1, -sheet_id), default=None)


def read_tab(
    spreadsheet_id: str, sheet_id: int, marks: Marks, described: Json, known: Tab | None, *, given: bool
) -> Tab:
    """Put the tab together from metadata and description; headers and rows are still to be read.

    `known` is what we knew before: the headers we wrote last are not in the sheet.
    """
    properties = {int(s["properties"].get("sheetId", 0)): s["properties"] for s in described["sheets"]}
    cells = {number: _cells(p) for number, p in properties.items()}
    mine, grid = properties[sheet_id], properties[sheet_id].get("gridProperties", {})
    fences = marks.fences.get(sheet_id, [])
    same = known if known and (known.spreadsheet_id, known.sheet_id) == (spreadsheet_id, sheet_id) else None
    return Tab(
        spreadsheet_id=spreadsheet_id,
        sheet_id=sheet_id,
        title=str(mine.get("title", "")),
        url=f"{described.get('spreadsheetUrl', '')}#gid={sheet_id}",
        time_zone=str(described.get("properties", {}).get("timeZone", "Etc/UTC")),
        given=given,
        row_count=int(grid.get("rowCount", 0)),
        column_count=int(grid.get("columnCount", 0)),
        other_cells=sum(cells.values()) - cells[sheet_id],
        layout=_layout(sheet_id, marks, same, int(grid.get("columnCount", 0))),
        sequence=fences[-1].sequence if fences else 0,
        position=_proven(fences, same),
        fences=tuple((fence.sequence, fence.at_seconds) for fence in fences),
        suspects=bool(same and same.suspects),
    )


def _layout(sheet_id: int, marks: Marks, same: Tab | None, width: int) -> Layout:
    before = {column.tag: column for column in same.layout.columns} if same else {}
    columns: list[Managed] = []
    for index, tag in sorted(marks.columns.get(sheet_id, {}).items()):
        if tag not in {column.tag for column in columns}:  # a column that people copied counts once
            columns.append(replace(before[tag], index=index) if tag in before else Managed(tag, index))
    recorded = marks.dropped.get(sheet_id, frozenset())
    gone = set(before) - {column.tag for column in columns}
    dropped = recorded | gone | (same.layout.dropped if same else frozenset())
    return Layout(tuple(columns), (), width, dropped, recorded)


def _proven(fences: Sequence[Fence], same: Tab | None) -> Position:
    """How far the tab is for certain: what we know of the last batch ourselves, else what was proven before it."""
    if not fences:
        return Position("", 0)
    last = fences[-1]
    if same and same.sequence == last.sequence:
        return same.position
    return Position(last.position.table_id, min(last.verified, last.position.sequence))


def read_keys(column: Sequence[Sequence[Any]], first: int = 1) -> Iterator[tuple[str, int, str]]:
    """Yield (row id, place, content) of every key in the values of the key column, from the place `first` on."""
    for place, row in enumerate(column, first):
        if row and (key := split_key(row[0])):
            yield key[0], place, key[1]


def untouched_sheet(described: Json, marks: Marks) -> int | None:
    """Return the sheet id of the one tab of a spreadsheet that was just made; None when anybody has used it."""
    sheets = described.get("sheets", [])
    if len(sheets) != 1 or marks.forms or marks.columns:
        return None
    properties = sheets[0]["properties"]
    return int(properties.get("sheetId", 0)) if properties.get("gridProperties") == _NEW_SHEET else None


def free_tab(form_key: str, described: Json, title: str, lost: set[int]) -> tuple[int, str]:
    """Choose id and title of a new tab; the title is made unique, and a lost tab's id is not used again."""
    properties = [s["properties"] for s in described.get("sheets", [])]
    taken = lost | {int(p.get("sheetId", 0)) for p in properties}
    titles = {str(p.get("title", "")).casefold() for p in properties}
    sheet_id = next(i for number in range(10_000) if (i := tab_id(form_key, number)) not in taken)
    name, number = title[:100], 1
    while name.casefold() in titles:
        number += 1
        name = f"{title[:90]} ({number})"
    return sheet_id, name


def setup_requests(
    form_key: str, sheet_id: int, title: str, wanted: Sequence[Wanted], layout: Layout, fence: Fence
) -> list[Json]:
    """Return the batch that makes a form's tab: a header and one blank row, exactly as wide as needed."""
    count = len(wanted)
    grid = {"rowCount": 2, "columnCount": count, "frozenRowCount": 1}
    properties = {"sheetId": sheet_id, "title": title, "index": 0, "gridProperties": grid}
    area = {"sheetId": sheet_id, "startRowIndex": 0, "startColumnIndex": 0, "endColumnIndex": count}
    return [
        {"addSheet": {"properties": properties}},
        fence_request(sheet_id, fence),
        create_metadata(FORM_KEY, form_key, {"sheetId": sheet_id}),
        header_cells(sheet_id, 0, [item.title for item in wanted]),
        *(tag_column(sheet_id, column.index, column.tag) for column in layout.columns),
        *(column_format(sheet_id, n, item.type) for n, item in enumerate(wanted)),
        narrow_key_column(sheet_id, 0),
        {"setBasicFilter": {"filter": {"range": area}}},
    ]


def fence_request(sheet_id: int, fence: Fence) -> Json:
    """Return the request that makes a batch refuse to be applied twice, or after another one with its number."""
    return create_metadata(FENCE_KEY, str(fence), {"sheetId": sheet_id}, fence_id(sheet_id, fence.sequence))


def _cells(properties: Json) -> int:
    grid = properties.get("gridProperties", {})
    return int(grid.get("rowCount", 0)) * int(grid.get("columnCount", 0))
