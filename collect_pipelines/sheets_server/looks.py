"""What a cell shows: its value once formulas are computed, and its text under its format."""

from __future__ import annotations

from collections.abc import Iterator

from collect_pipelines.sheets_server.a1 import Area
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.cells import Cell, formula_of, style_of, value_of
from collect_pipelines.sheets_server.formulas import Failure, Lookup, Value, evaluate
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.number_formats import format_number


def shown_value(book: Book, sheet: Sheet, cell: Cell, depth: int = 0) -> Value:
    """The cell's value; a formula is computed."""
    formula = formula_of(cell) if type(cell) is dict else None
    return evaluate(formula, _lookup(book, sheet), depth) if formula else value_of(cell)


def shown_text(book: Book, sheet: Sheet, cell: Cell) -> str:
    """The text that stands in the cell."""
    if type(cell) is str:
        return cell
    return text_of(shown_value(book, sheet, cell), number_format(book, cell))


def text_of(value: Value, number_format: Json | None) -> str:
    """The text of a value under a NumberFormat."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, Failure):
        return value.code
    return format_number(value, number_format)


def number_format(book: Book, cell: Cell) -> Json | None:
    """The cell's NumberFormat, if it has one."""
    style = style_of(cell)
    return book.styles[style].get("numberFormat") if style else None


def plain(value: Value) -> str | int | float | bool | None:
    """A value as JSON carries it: whole numbers without `.0`, errors as their code."""
    if isinstance(value, Failure):
        return value.code
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _lookup(book: Book, home: Sheet) -> Lookup:
    def find(title: str | None, area: Area, depth: int) -> Iterator[Value] | None:
        sheet = home if title is None else book.sheet_titled(title)
        return None if sheet is None else _values(book, sheet, area.within(sheet.row_count, sheet.column_count), depth)

    return find


def _values(book: Book, sheet: Sheet, area: Area, depth: int) -> Iterator[Value]:
    slots = sheet.slots(area.left, area.right or area.left)
    for row in sheet.grid.rows(area.top, area.bottom or area.top):
        for slot in slots:
            yield shown_value(book, sheet, row.get(slot), depth)
