"""Cell contents: update, append, repeat, clear."""

from __future__ import annotations

from typing import Any

from collect_pipelines.sheets_server.a1 import Area
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.cells import has_value
from collect_pipelines.sheets_server.entered_values import is_too_long
from collect_pipelines.sheets_server.errors import RequestRefused
from collect_pipelines.sheets_server.field_mask import Mask, parse_mask
from collect_pipelines.sheets_server.grid_data import changed_cell
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.kinds.dimensions import insert_lines
from collect_pipelines.sheets_server.ranges import coordinate, grid_range, integer

_TOO_LONG = "Your input contains more than the maximum of 50000 characters in a single cell."


def update_cells(book: Book, body: Json) -> Json:
    """Set cells from a start, or within a range, whose other cells lose the named fields."""
    mask = _mask(body)
    rows: list[Json] = body.get("rows") or []
    if body.get("range") is not None:
        sheet, area = grid_range(book, body["range"])
        _update_range(book, sheet, area, rows, mask)
        return {}
    sheet, top, left = coordinate(book, body.get("start") or {})
    widest = max((len(row.get("values") or ()) for row in rows), default=0)
    _check_edges(top + len(rows), left + widest, sheet.row_count, sheet.column_count)
    write_rows(book, sheet, top, left, rows, mask)
    return {}


def _update_range(book: Book, sheet: Sheet, area: Area, rows: list[Json], mask: Mask) -> None:
    top, left, bottom, right = area.top, area.left, area.bottom or 0, area.right or 0
    widest = max((len(row.get("values") or ()) for row in rows), default=0)
    _check_edges(top + len(rows), left + widest, bottom, right)
    slots = sheet.slots(left, right)
    for row, wished in zip(sheet.grid.edit(top, top + len(rows)), rows, strict=True):
        values: list[Json] = wished.get("values") or []
        for number, slot in enumerate(slots):
            data = values[number] if number < len(values) else {}
            row.put(slot, _checked(book, row.get(slot), data, mask))
    for row in sheet.grid.edit_alike(top + len(rows), bottom):
        for slot in slots:
            row.put(slot, changed_cell(book, row.get(slot), {}, mask))


def write_rows(book: Book, sheet: Sheet, top: int, left: int, rows: list[Json], mask: Mask) -> None:
    """Write RowData from a corner on; cells that no CellData names stay as they are."""
    slots = sheet.slots(left, sheet.column_count)
    for row, wished in zip(sheet.grid.edit(top, top + len(rows)), rows, strict=True):
        for slot, data in zip(slots, wished.get("values") or (), strict=False):
            row.put(slot, _checked(book, row.get(slot), data, mask))


def _checked(book: Book, cell: Any, data: Json, mask: Mask) -> Any:
    value: Json | None = data.get("userEnteredValue")
    if value and (is_too_long(value.get("stringValue")) or is_too_long(value.get("formulaValue"))):
        raise RequestRefused(_TOO_LONG)
    return changed_cell(book, cell, data, mask)


def _check_edges(bottom: int, right: int, last_row: int, last_column: int) -> None:
    if bottom > last_row:
        text = f"Attempting to write row: {last_row}, beyond the last requested row of: {last_row - 1}"
        raise RequestRefused(text)
    if right > last_column:
        text = f"Attempting to write column: {last_column}, beyond the last requested column of: {last_column - 1}"
        raise RequestRefused(text)


def _mask(body: Json) -> Mask:
    fields = body.get("fields")
    if not fields:
        raise RequestRefused("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
    return parse_mask(fields)


def append_cells(book: Book, body: Json) -> Json:
    """Write rows under the last row with data, whoever wrote that, and add rows where the grid ends."""
    sheet = book.grid_sheet(integer(body, "sheetId"))
    rows: list[Json] = body.get("rows") or []
    top = last_row_with_data(sheet) + 1
    widest = max((len(row.get("values") or ()) for row in rows), default=0)
    if widest > sheet.column_count:
        size = sheet.column_count
        insert_lines(book, sheet, False, size, widest - size, size - 1)
    missing = top + len(rows) - sheet.row_count
    if missing > 0:
        insert_lines(book, sheet, True, sheet.row_count, missing, sheet.row_count - 1)
    write_rows(book, sheet, top, 0, rows, _mask(body))
    return {}


def last_row_with_data(sheet: Sheet) -> int:
    """The index of the last row in which a cell has a value; -1 if there is none."""
    slots = set(sheet.slots(0, sheet.column_count))
    for first, row, count in sheet.grid.backwards(sheet.row_count):
        if any(slot in slots and has_value(cell) for slot, cell in enumerate(row.cells)):
            return first + count - 1
    return -1


def repeat_cell(book: Book, body: Json) -> Json:
    """Set the named fields of every cell of a range alike."""
    sheet, area = grid_range(book, body.get("range"))
    mask, data = _mask(body), body.get("cell") or {}
    slots = sheet.slots(area.left, area.right or 0)
    for row in sheet.grid.edit_alike(area.top, area.bottom or 0):
        for slot in slots:
            row.put(slot, _checked(book, row.get(slot), data, mask))
    return {}


def set_data_validation(book: Book, body: Json) -> Json:
    """Set or take away the validation rule of a range."""
    rule = body.get("rule")
    cell = {"dataValidation": rule} if rule else {}
    return repeat_cell(book, {"range": body.get("range"), "cell": cell, "fields": "dataValidation"})
