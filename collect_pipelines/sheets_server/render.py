"""Spreadsheets, sheets and developer metadata as the API's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collect_pipelines.sheets_server.a1 import Area
from collect_pipelines.sheets_server.book import RANGED, Book, Sheet
from collect_pipelines.sheets_server.field_mask import Mask, below, wants
from collect_pipelines.sheets_server.grid_data import grid_data
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.styles import DEFAULT_STYLE, SPREADSHEET_THEME

Ranges = Sequence[tuple[Sheet, Area]]
"""Which parts of which sheets an answer is about; empty: all of all sheets."""


def spreadsheet_json(book: Book, url: str, ranges: Ranges, mask: Mask, *, with_cells: bool) -> Json:
    """The Spreadsheet resource, as far as the mask asks for it. `url` is the page of the spreadsheet."""
    data: Json = {}
    if wants(mask, "spreadsheetId"):
        data["spreadsheetId"] = book.spreadsheet_id
    if wants(mask, "properties"):
        defaults = {"defaultFormat": DEFAULT_STYLE, "spreadsheetTheme": SPREADSHEET_THEME}
        data["properties"] = {**book.properties, **defaults}
    if wants(mask, "sheets"):
        data["sheets"] = _sheets(book, ranges, below(mask, "sheets"), with_cells=with_cells)
    if wants(mask, "namedRanges") and book.named_ranges:
        data["namedRanges"] = [without_zero_sheet(named) for named in book.named_ranges]
    if wants(mask, "spreadsheetUrl"):
        data["spreadsheetUrl"] = url
    if wants(mask, "developerMetadata") and (found := _metadata_at(book, "SPREADSHEET", None)):
        data["developerMetadata"] = found
    return data


def _sheets(book: Book, ranges: Ranges, mask: Mask, *, with_cells: bool) -> list[Json]:
    chosen: dict[int, list[Area]] = {}
    for sheet, area in ranges:
        chosen.setdefault(sheet.sheet_id, []).append(area)
    listed = [sheet for sheet in book.sheets if not ranges or sheet.sheet_id in chosen]
    cells = with_cells or (bool(mask) and "data" in mask)
    return [_sheet(book, sheet, chosen.get(sheet.sheet_id, [Area()]), mask, with_cells=cells) for sheet in listed]


def _sheet(book: Book, sheet: Sheet, areas: list[Area], mask: Mask, *, with_cells: bool) -> Json:
    data: Json = {}
    if wants(mask, "properties"):
        data["properties"] = sheet_properties(book, sheet)
    if with_cells and wants(mask, "data"):
        rows, columns = sheet.row_count, sheet.column_count
        data["data"] = [grid_data(book, sheet, area.within(rows, columns), below(mask, "data")) for area in areas]
    for name in RANGED:
        if name in sheet.extras and wants(mask, name):
            data[name] = without_zero_sheet(sheet.extras[name])
    if wants(mask, "developerMetadata") and (found := _metadata_at(book, "SHEET", sheet.sheet_id)):
        data["developerMetadata"] = found
    return data


def sheet_properties(book: Book, sheet: Sheet) -> Json:
    """SheetProperties with the index and the size of the grid."""
    properties = dict(sheet.properties)
    grid: Json = {
        "rowCount": sheet.row_count,
        "columnCount": sheet.column_count,
        **properties.pop("gridProperties", {}),
    }
    first = {"sheetId": sheet.sheet_id, "title": properties.pop("title"), "index": book.sheets.index(sheet)}
    return {**first, "sheetType": "GRID", "gridProperties": grid, **properties}


def _metadata_at(book: Book, kind: str, sheet_id: int | None) -> list[Json]:
    found: list[Json] = []
    for item in book.metadata.values():
        location = item["location"]
        if location["locationType"] == kind and location.get("sheetId") == sheet_id:
            found.append(metadata_json(item))
    return found


def metadata_json(item: Json) -> Json:
    """A DeveloperMetadata as the API returns it."""
    location: Json = item["location"]
    place = location.get("dimensionRange")
    return {**item, "location": {**location, "dimensionRange": without_zero_sheet(place)}} if place else item


def without_zero_sheet(value: Any) -> Any:
    """Ranges lose their sheetId when it is 0: protocol buffers leave default values out."""
    if isinstance(value, list):
        return [without_zero_sheet(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_zero_sheet(item) for name, item in value.items() if name != "sheetId" or item != 0}
