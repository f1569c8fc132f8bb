"""Reading a form's sheet as it stands, to hold it against what it should hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collect_pipelines.clients.sheets import Spreadsheet
from collect_pipelines.delivery.google_sheet.cells import Cell, Rendering
from collect_pipelines.delivery.google_sheet.changes import change_of
from collect_pipelines.delivery.google_sheet.discover import read_marks
from collect_pipelines.delivery.google_sheet.index import Tab
from collect_pipelines.delivery.google_sheet.keys import ALL_KEYS, DELETED, content_hash, row_id, split_key
from collect_pipelines.delivery.google_sheet.layout import KEY_TAG, Layout, Managed, Wanted, present
from collect_pipelines.delivery.rows import Row

PAGE_ROWS = 5_000

Values = dict[str, Any]
"""Entered values by column tag; empty cells are left out."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """The rows of one tab, and what a row should look like there."""

    book: Spreadsheet
    tab: Tab
    wanted: Sequence[Wanted]
    rendering: Rendering

    def rows(self) -> Iterator[tuple[str, Values]]:
        """Yield (row id, values) of every row that is ours and not marked as deleted, page by page."""
        return ((row, values) for row, content, values in self._shown() if content != DELETED)

    def altered(self) -> Iterator[str]:
        """Yield the ids of rows that show something else than their key says: people wrote over our cells."""
        for row, content, values in self._shown():
            if content not in (DELETED, content_hash({tag: _cell(value) for tag, value in values.items()})):
                yield row

    def _shown(self) -> Iterator[tuple[str, str, Values]]:
        """Yield (row id, content of its key, values) of every row that is ours."""
        layout = self._layout()
        place = {column.tag: column.index for column in layout.columns}
        key, end = place.get(KEY_TAG), self._row_count()
        if key is None:
            return
        for start in range(1, end, PAGE_ROWS):
            for values in self._page(start, min(start + PAGE_ROWS, end)):
                found = split_key(values[key]) if len(values) > key else None
                if found:
                    yield *found, {t: values[n] for t, n in place.items() if _filled(values, n) and t != KEY_TAG}

    def expected(self, row: Row) -> tuple[str, Values]:
        """Return what the sheet should hold for a response: its row id and values."""
        change, _ = change_of(row, self._columns(), self.rendering)
        return row_id(row.response_id), {tag: _entered(cell) for tag, cell in change.cells.items() if cell}

    def _columns(self) -> Mapping[str, Wanted]:
        return present(self.wanted, self.tab.layout)

    def _layout(self) -> Layout:
        """Where our columns stand now: people may have moved them."""
        here = read_marks(self.book.metadata(ALL_KEYS)).columns.get(self.tab.sheet_id, {})
        tags = set(self._columns()) | {KEY_TAG}
        return Layout(tuple(Managed(tag, index) for index, tag in sorted(here.items()) if tag in tags))

    def _row_count(self) -> int:
        sheets = (sheet["properties"] for sheet in self.book.describe().get("sheets", []))
        sizes = {int(one.get("sheetId", 0)): int(one.get("gridProperties", {}).get("rowCount", 0)) for one in sheets}
        return sizes.get(self.tab.sheet_id, 0)

    def _page(self, start: int, end: int) -> list[list[Any]]:
        span = {"sheetId": self.tab.sheet_id, "startRowIndex": start, "endRowIndex": end}
        return self.book.values([span | {"startColumnIndex": 0}])[0]


def _filled(values: Sequence[Any], place: int) -> bool:
    return place < len(values) and values[place] != ""


def _entered(cell: Mapping[str, Any]) -> Any:
    return next(iter(cell.values()))


def _cell(value: Any) -> Cell:
    """The cell that is read back as this value."""
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"stringValue": value} if isinstance(value, str) else {"numberValue": value}
