"""Which columns of the tab are ours, and how they follow the form. Pure.

People may move, rename and delete our columns and add their own. A column of ours is the one that carries our
metadata, wherever it stands; everything else in the tab belongs to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from collect_pipelines.delivery.google_sheet.cells import NUMBER_FORMATS, clean
from collect_pipelines.delivery.google_sheet.keys import (
    COLUMN_KEY,
    DROPPED_KEY,
    KEY_HEADER,
    LONG_TAGS_CHARACTERS,
    SHORT_COLUMN_KEY,
    column_tag,
)
from collect_pipelines.delivery.rows import RESPONSE_ID, Column
from collect_pipelines.model import QuestionType

Json = dict[str, Any]

KEY_TAG = RESPONSE_ID.id
_TITLE_UNITS = 1_000
_KEY_COLUMN_PIXELS = 70
RETIRED_NOTE = "no longer asked"


@dataclass(frozen=True, slots=True)
class Managed:
    """A column of ours. `written` is the header we wrote last (None: not known); a retired one is no longer asked."""

    tag: str
    index: int
    written: str | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Our columns in the order of the sheet, the whole header row as last seen, and tags that people deleted.

    The sheet itself remembers the `recorded` ones of these.
    """

    columns: tuple[Managed, ...] = ()
    header: tuple[str, ...] = ()
    width: int = 0
    dropped: frozenset[str] = frozenset()
    recorded: frozenset[str] = frozenset()

    @property
    def key_index(self) -> int | None:
        """Where the key column stands; None when it is gone."""
        return next((column.index for column in self.columns if column.tag == KEY_TAG), None)

    @property
    def places(self) -> dict[str, int]:
        """The place of every column that we write, by tag."""
        return {column.tag: column.index for column in self.columns if not column.retired}

    def runs(self, *, with_key: bool) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield (first index, tags) of every stretch of neighbouring columns that we write."""
        written = [c for c in self.columns if not c.retired and (with_key or c.tag != KEY_TAG)]
        starts = [0, *(n for n, (a, b) in enumerate(pairwise(written), 1) if b.index != a.index + 1), len(written)]
        for start, end in pairwise(starts):
            if start < end:
                yield written[start].index, tuple(column.tag for column in written[start:end])


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column as the form wants it. Its tag in the sheet may be the short one."""

    tag: str
    short: str
    title: str
    type: QuestionType
    column: Column


def wanted_columns(columns: Sequence[Column]) -> tuple[Wanted, ...]:
    """Return the columns a form's sheet should have; the key column comes first."""
    listed = (Column(KEY_TAG, KEY_HEADER, QuestionType.TEXT), *columns)
    return tuple(
        Wanted(column_tag(c.id), f"c:{column_tag(c.id, short=True)}", clean(c.title, _TITLE_UNITS), c.type, c)
        for c in listed
    )


def present(wanted: Sequence[Wanted], layout: Layout) -> dict[str, Wanted]:
    """Return the wanted columns that are in the sheet and written, by the tag they have there."""
    places = layout.places
    return {tag: item for item in wanted for tag in (item.tag, item.short) if tag in places}


def first_layout(wanted: Sequence[Wanted]) -> Layout:
    """Return the layout of a new tab."""
    used, columns = 0, list[Managed]()
    for index, item in enumerate(wanted):
        tag = _choose_tag(item, used)
        used += _characters(tag)
        columns.append(Managed(tag, index, item.title))
    return Layout(tuple(columns), tuple(item.title for item in wanted), len(columns))


def metadata_characters(layout: Layout) -> int:
    """Estimate what our columns take of the tab's room for metadata."""
    return sum(_characters(column.tag) for column in layout.columns) + 100


@dataclass(frozen=True, slots=True)
class Reshape:
    """The requests that bring the columns in line with the form, and the layout afterwards."""

    requests: tuple[Json, ...]
    layout: Layout


def reshape(sheet_id: int, layout: Layout, wanted: Sequence[Wanted]) -> Reshape:
    """Plan new columns, headers that changed, and notes on questions that are no longer asked.

    Existing columns stay where people put them; a new one comes right after the one before it in the form.
    """
    slots, fresh = _inserted(layout, wanted)
    requests = [
        *(create_metadata(DROPPED_KEY, tag, {"sheetId": sheet_id}) for tag in sorted(layout.dropped - layout.recorded)),
        *_insert_requests(sheet_id, fresh, slots),
    ]
    titles = {tag: item for item in wanted for tag in (item.tag, item.short)}
    header = [text for text, _ in slots]
    columns: list[Managed] = []
    for index, (text, managed) in enumerate(slots):
        if managed is None:
            continue
        item = titles.get(managed.tag)
        moved = replace(managed, index=index)
        if managed.tag in fresh:
            header[index] = fresh[managed.tag].title
        elif item is None:
            moved = _retire(sheet_id, moved, requests)
        else:
            moved, header[index] = _settle(sheet_id, moved, text, item, requests)
        columns.append(moved)
    while header and not header[-1]:
        header.pop()
    width = layout.width + len(fresh)
    changed = Layout(tuple(columns), tuple(header), width, layout.dropped, layout.dropped)
    return Reshape(tuple(requests), changed)


def create_metadata(key: str, value: str, location: Json, metadata_id: int | None = None) -> Json:
    """Return the request that makes one piece of developer metadata, visible to all of our accounts."""
    metadata: Json = {"metadataKey": key, "metadataValue": value, "location": location, "visibility": "DOCUMENT"}
    if metadata_id is not None:
        metadata["metadataId"] = metadata_id
    return {"createDeveloperMetadata": {"developerMetadata": metadata}}


def tag_column(sheet_id: int, index: int, tag: str) -> Json:
    """Return the request that marks a column as ours."""
    key, value = (SHORT_COLUMN_KEY, tag[2:]) if tag.startswith("c:") else (COLUMN_KEY, tag)
    span = {"sheetId": sheet_id, "dimension": "COLUMNS", "startIndex": index, "endIndex": index + 1}
    return create_metadata(key, value, {"dimensionRange": span})


def header_cells(sheet_id: int, index: int, titles: Sequence[str], *, bold: bool = True) -> Json:
    """Return the request that writes neighbouring headers."""
    style: Json = {"userEnteredFormat": {"textFormat": {"bold": True}}} if bold else {}
    values = [{"userEnteredValue": {"stringValue": title}, **style} for title in titles]
    fields = "userEnteredValue,userEnteredFormat.textFormat.bold" if bold else "userEnteredValue"
    start = {"sheetId": sheet_id, "rowIndex": 0, "columnIndex": index}
    return {"updateCells": {"start": start, "rows": [{"values": values}], "fields": fields}}


def column_format(sheet_id: int, index: int, kind: QuestionType) -> Json:
    """Return the request that sets (or resets) the number format of a column's body."""
    style: Json = {"numberFormat": dict(NUMBER_FORMATS[kind])} if kind in NUMBER_FORMATS else {}
    area = {"sheetId": sheet_id, "startRowIndex": 1, "startColumnIndex": index, "endColumnIndex": index + 1}
    fields = "userEnteredFormat.numberFormat,userEnteredFormat.textFormat.strikethrough"
    return {"repeatCell": {"range": area, "cell": {"userEnteredFormat": style}, "fields": fields}}


def narrow_key_column(sheet_id: int, index: int) -> Json:
    """Return the request that makes the key column narrow."""
    span = {"sheetId": sheet_id, "dimension": "COLUMNS", "startIndex": index, "endIndex": index + 1}
    size = {"range": span, "properties": {"pixelSize": _KEY_COLUMN_PIXELS}, "fields": "pixelSize"}
    return {"updateDimensionProperties": size}


_Slot = tuple[str, Managed | None]


def _inserted(layout: Layout, wanted: Sequence[Wanted]) -> tuple[list[_Slot], dict[str, Wanted]]:
    """Put the new columns between the present ones; a column that people deleted is not new."""
    here = {column.index: column for column in layout.columns}
    width = max(layout.width, len(layout.header))
    slots: list[_Slot] = [(layout.header[n] if n < len(layout.header) else "", here.get(n)) for n in range(width)]
    tags, used = {c.tag for c in layout.columns}, metadata_characters(layout)
    fresh: dict[str, Wanted] = {}
    anchor = layout.key_index or 0
    for item in wanted:
        if tag := next((t for t in (item.tag, item.short) if t in tags), None):
            anchor = next(n for n, (_, managed) in enumerate(slots) if managed and managed.tag == tag)
        elif item.tag not in layout.dropped and item.short not in layout.dropped and item.tag != KEY_TAG:
            tag = _choose_tag(item, used)
            used, anchor = used + _characters(tag), anchor + 1
            slots.insert(anchor, (item.title, Managed(tag, anchor, item.title)))
            fresh[tag] = item
    return slots, fresh


def _insert_requests(sheet_id: int, fresh: dict[str, Wanted], slots: Sequence[_Slot]) -> Iterator[Json]:
    """From left to right, each place is final: what comes later only moves what stands to its right."""
    for index, (_, managed) in enumerate(slots):
        if managed is None or managed.tag not in fresh:
            continue
        item = fresh[managed.tag]
        span = {"sheetId": sheet_id, "dimension": "COLUMNS", "startIndex": index, "endIndex": index + 1}
        yield {"insertDimension": {"range": span, "inheritFromBefore": True}}
        yield tag_column(sheet_id, index, managed.tag)
        yield header_cells(sheet_id, index, [item.title])
        yield column_format(sheet_id, index, item.type)


def _settle(sheet_id: int, managed: Managed, text: str, item: Wanted, requests: list[Json]) -> tuple[Managed, str]:
    if managed.retired:
        requests.append(_note(sheet_id, managed.index, ""))
        managed = replace(managed, retired=False)
    if text == item.title:
        return replace(managed, written=text), text
    if managed.written is None or managed.written != text:
        return managed, text  # people renamed it: theirs stays
    requests.append(header_cells(sheet_id, managed.index, [item.title], bold=False))
    return replace(managed, written=item.title), item.title


def _retire(sheet_id: int, managed: Managed, requests: list[Json]) -> Managed:
    if not managed.retired:
        requests.append(_note(sheet_id, managed.index, RETIRED_NOTE))
    return replace(managed, retired=True)


def _note(sheet_id: int, index: int, note: str) -> Json:
    start = {"sheetId": sheet_id, "rowIndex": 0, "columnIndex": index}
    return {"updateCells": {"start": start, "rows": [{"values": [{"note": note}]}], "fields": "note"}}


def _choose_tag(item: Wanted, used: int) -> str:
    return item.tag if used + _characters(item.tag) <= LONG_TAGS_CHARACTERS else item.short


def _characters(tag: str) -> int:
    return len(SHORT_COLUMN_KEY) + len(tag) - 2 if tag.startswith("c:") else len(COLUMN_KEY) + len(tag)
