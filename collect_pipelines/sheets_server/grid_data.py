"""Cells as the API's GridData, CellData and ExtendedValue, and back."""

from __future__ import annotations

from itertools import repeat
from typing import Any

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.a1 import Area
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.cells import Cell, Parts, Scalar, formula_of, pack, style_of, unpack, value_of
from collect_pipelines.sheets_server.field_mask import Mask, apply_mask, update_by_mask, wants
from collect_pipelines.sheets_server.formulas import Failure, Value
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.looks import number_format, plain, shown_value, text_of
from collect_pipelines.sheets_server.rows import Row
from collect_pipelines.sheets_server.styles import clean_style, effective_style

KEPT = ("note", "dataValidation", "textFormatRuns", "pivotTable", "hyperlink")
"""Fields of CellData that are kept as they come."""


def grid_data(book: Book, sheet: Sheet, area: Area, mask: Mask) -> Json:
    """The GridData of an area whose ends are set. Rows and cells after the last one with contents are left out."""
    data: Json = {}
    if area.top and wants(mask, "startRow"):
        data["startRow"] = area.top
    if area.left and wants(mask, "startColumn"):
        data["startColumn"] = area.left
    bottom, right = area.bottom or 0, area.right or 0
    if wants(mask, "rowData"):
        rows = _row_data(book, sheet, Area(area.top, area.left, bottom, right), mask.get("rowData", {}))
        if rows:
            data["rowData"] = rows
    if wants(mask, "rowMetadata"):
        data["rowMetadata"] = [
            apply_mask(_properties(row.props, limits.ROW_PIXELS), mask.get("rowMetadata", {}))
            for row in sheet.grid.rows(area.top, bottom)
        ]
    if wants(mask, "columnMetadata"):
        data["columnMetadata"] = [
            apply_mask(_properties(column.props, limits.COLUMN_PIXELS), mask.get("columnMetadata", {}))
            for column in sheet.columns[area.left : right]
        ]
    return data


def _properties(props: Json | None, pixels: int) -> Json:
    return {**(props or {}), "pixelSize": (props or {}).get("pixelSize", pixels)}


def _row_data(book: Book, sheet: Sheet, area: Area, mask: Mask) -> list[Json]:
    cell_mask: Mask = mask.get("values", {})
    slots = sheet.slots(area.left, area.right or 0)
    rows: list[Json] = []
    used = 0
    for stretch, count in sheet.grid.stretches(area.top, area.bottom or 0):
        made = [_values(book, sheet, row, slots, cell_mask) for row in stretch]
        rows.extend(made if len(made) == count else repeat(made[0], count))
        if any(made):
            used = len(rows)
    del rows[used:]
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _values(book: Book, sheet: Sheet, row: Row, slots: list[int], mask: Mask) -> Json:
    cells = [row.get(slot) for slot in slots]
    while cells and cells[-1] is None:
        cells.pop()
    return {"values": [cell_data(book, sheet, cell, mask) for cell in cells]} if cells else {}


def cell_data(book: Book, sheet: Sheet, cell: Cell, mask: Mask) -> Json:
    """The CellData of one cell, as far as the mask asks for it."""
    if cell is None:
        return {}
    if len(mask) == 1 and "userEnteredValue" in mask:
        entered = entered_value(cell)
        return {"userEnteredValue": apply_mask(entered, mask["userEnteredValue"])} if entered else {}
    return apply_mask(_full_cell(book, sheet, cell, mask), mask)


def _full_cell(book: Book, sheet: Sheet, cell: Cell, mask: Mask) -> Json:
    data: Json = {}
    entered = entered_value(cell)
    style = book.styles[style_of(cell)]
    if entered:
        data["userEnteredValue"] = entered
        if wants(mask, "effectiveValue") or wants(mask, "formattedValue"):
            value = shown_value(book, sheet, cell)
            if value is not None:
                data["effectiveValue"] = extended_value(value)
                data["formattedValue"] = text_of(value, number_format(book, cell))
    if style:
        data["userEnteredFormat"] = style
    if entered or style:
        data["effectiveFormat"] = effective_style(style)
    data.update((name, value) for name, value in unpack(cell).more.items() if name in KEPT)
    return data


def entered_value(cell: Cell) -> Json:
    """The ExtendedValue that was entered; empty when there is none."""
    if formula := formula_of(cell):
        return {"formulaValue": formula}
    value = value_of(cell)
    return {} if value is None else extended_value(value)


def extended_value(value: Value) -> Json:
    """A value as an ExtendedValue."""
    if isinstance(value, Failure):
        return {"errorValue": {"type": value.kind, "message": value.code}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    return {"numberValue": plain(value)}


def from_extended_value(value: Json | None) -> tuple[Scalar, str | None]:
    """(value, formula) of an ExtendedValue."""
    if not value:
        return None, None
    if (formula := value.get("formulaValue")) is not None:
        return None, formula
    for name in ("stringValue", "boolValue"):
        if value.get(name) is not None:
            return value[name], None
    number: Any = value.get("numberValue")
    if isinstance(number, float) and number.is_integer() and abs(number) < 2**53:
        number = int(number)
    return number, None


def changed_cell(book: Book, cell: Cell, data: Json, mask: Mask) -> Cell:
    """The cell after an update with this CellData under this mask; everything when the mask is empty."""
    if len(mask) == 1 and "userEnteredValue" in mask and type(cell) is not dict:
        value, formula = from_extended_value(data.get("userEnteredValue"))
        return pack(value, style_of(cell), {"formula": formula} if formula else {})
    parts = unpack(cell)
    more = dict(parts.more)
    value, style = parts.value, parts.style
    if wants(mask, "userEnteredValue"):
        value, formula = from_extended_value(data.get("userEnteredValue"))
        more.pop("formula", None)
        if formula:
            more["formula"] = formula
    if wants(mask, "userEnteredFormat"):
        style = _changed_style(book, Parts(value, style, more), data, mask)
    for name in KEPT:
        if wants(mask, name) and (mask or name in data or name in more):
            more.pop(name, None)
            if data.get(name):
                more[name] = data[name]
    return pack(value, style, more)


def _changed_style(book: Book, parts: Parts, data: Json, mask: Mask) -> int:
    asked: Mask = mask.get("userEnteredFormat", {})
    wished = clean_style(data.get("userEnteredFormat") or {})
    if not asked:
        return book.style_number(wished)
    return book.style_number(clean_style(update_by_mask(book.styles[parts.style], wished, asked)))
