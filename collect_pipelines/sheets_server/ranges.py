"""Ranges as requests name them (GridRange, GridCoordinate, DimensionRange, A1), checked against the spreadsheet."""

from __future__ import annotations

from typing import Any

from collect_pipelines.sheets_server.a1 import Area, format_range, parse_cells, split_title, unquote_title
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.errors import RequestRefused, bad_request
from collect_pipelines.sheets_server.json_types import Json

ROWS, COLUMNS = "ROWS", "COLUMNS"


def integer(body: Json, name: str, default: int = 0) -> int:
    """An integer field; JSON may carry it as a text or a float."""
    value: Any = body.get(name)
    return default if value is None else int(value)


def grid_range(book: Book, body: Json | None) -> tuple[Sheet, Area]:
    """The sheet and the area of a GridRange, with its open ends set. Raises RequestRefused if it leaves the grid."""
    if body is None:
        raise RequestRefused("range is required")
    sheet = book.grid_sheet(integer(body, "sheetId"))
    top, left = integer(body, "startRowIndex"), integer(body, "startColumnIndex")
    bottom = integer(body, "endRowIndex", sheet.row_count)
    right = integer(body, "endColumnIndex", sheet.column_count)
    for name, value, limit, what in (
        ("startRowIndex", top, sheet.row_count, "row"),
        ("endRowIndex", bottom, sheet.row_count, "row"),
        ("startColumnIndex", left, sheet.column_count, "column"),
        ("endColumnIndex", right, sheet.column_count, "column"),
    ):
        if value < 0:
            raise RequestRefused(f"GridRange.{name} cannot be negative")
        if value > limit:
            raise RequestRefused(f"GridRange.{name}[{value}] is after last {what} in grid[{limit}]")
    if bottom < top or right < left:
        raise RequestRefused("GridRange end must be after its start")
    return sheet, Area(top, left, bottom, right)


def coordinate(book: Book, body: Json) -> tuple[Sheet, int, int]:
    """The sheet, row and column of a GridCoordinate."""
    sheet = book.grid_sheet(integer(body, "sheetId"))
    row, column = integer(body, "rowIndex"), integer(body, "columnIndex")
    if not 0 <= row < sheet.row_count:
        raise RequestRefused(f"GridCoordinate.rowIndex[{row}] is after last row in grid[{sheet.row_count - 1}]")
    if not 0 <= column < sheet.column_count:
        last = sheet.column_count - 1
        raise RequestRefused(f"GridCoordinate.columnIndex[{column}] is after last column in grid[{last}]")
    return sheet, row, column


def dimension(book: Book, body: Json) -> tuple[Sheet, bool, int, int]:
    """(sheet, whether it is about rows, start, end) of a DimensionRange; its size is not checked here."""
    sheet = book.grid_sheet(integer(body, "sheetId"))
    kind = body.get("dimension")
    if kind not in (ROWS, COLUMNS):
        raise RequestRefused("dimension is required.")
    size = sheet.row_count if kind == ROWS else sheet.column_count
    start, end = integer(body, "startIndex"), integer(body, "endIndex", size)
    if start < 0 or end <= start:
        raise RequestRefused(f"endIndex ({end}) must be greater than startIndex ({start})")
    return sheet, kind == ROWS, start, end


def to_grid_range(sheet_id: int, area: Area) -> Json:
    """A GridRange as it is kept: every field set."""
    return {
        "sheetId": sheet_id,
        "startRowIndex": area.top,
        "endRowIndex": area.bottom,
        "startColumnIndex": area.left,
        "endColumnIndex": area.right,
    }


def find_area(book: Book, text: str) -> tuple[Sheet, Area]:
    """The sheet and area of an A1 reference, a title, a named range or R1C1. Raises ApiError (400)."""
    title, cells = split_title(text)
    if title is None:
        return _find_without_title(book, text)
    sheet = book.sheet_titled(title)
    area = parse_cells(cells)
    if sheet is None or area is None:
        if sheet and (named := _named(book, cells)):
            return named
        raise bad_request(f"Unable to parse range: {text}")
    return sheet, area


def _find_without_title(book: Book, text: str) -> tuple[Sheet, Area]:
    sheet = book.sheet_titled(unquote_title(text))
    if sheet is not None:
        return sheet, Area()
    if named := _named(book, text):
        return named
    area = parse_cells(text)
    if area is None:
        raise bad_request(f"Unable to parse range: {text}")
    return book.sheets[0], area


def _named(book: Book, name: str) -> tuple[Sheet, Area] | None:
    for named in book.named_ranges:
        if named["name"].lower() == name.lower():
            return grid_range(book, named["range"])
    return None


def resolved(sheet: Sheet, area: Area) -> Area:
    """The area cut to the sheet's size. Raises ApiError (400) if it begins outside."""
    rows, columns = sheet.row_count, sheet.column_count
    if area.top >= rows or area.left >= columns:
        shown = format_range(sheet.title, Area(area.top, area.left, area.bottom or rows, area.right or columns))
        raise bad_request(f"Range ({shown}) exceeds grid limits. Max rows: {rows}, max columns: {columns}")
    return area.within(rows, columns)
