"""The values.* calls: read, update, append and clear plain values by A1 range or data filter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.a1 import Area, format_range
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.cells import Cell, formula_of, pack, unpack, without_value
from collect_pipelines.sheets_server.entered_values import Entered, is_too_long, raw, typed
from collect_pipelines.sheets_server.errors import ApiError, bad_request
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.kinds.dimensions import insert_lines
from collect_pipelines.sheets_server.looks import number_format, plain, shown_text, shown_value, text_of
from collect_pipelines.sheets_server.number_formats import is_date
from collect_pipelines.sheets_server.ranges import resolved
from collect_pipelines.sheets_server.rows import Row
from collect_pipelines.sheets_server.tables import find_table

Show = Callable[[Cell], Any]


@dataclass(frozen=True, slots=True)
class Rendering:
    """How values are read."""

    values: str = "FORMATTED_VALUE"
    dates: str = "SERIAL_NUMBER"
    by_columns: bool = False


def read_values(book: Book, sheet: Sheet, area: Area, how: Rendering) -> Json:
    """A ValueRange, without trailing blanks."""
    area = resolved(sheet, area)
    lines = read_rows(book, sheet, area, how)
    if how.by_columns:
        lines = _turned(lines)
    result: Json = {
        "range": format_range(sheet.title, area),
        "majorDimension": "COLUMNS" if how.by_columns else "ROWS",
    }
    return {**result, "values": lines} if lines else result


def read_rows(book: Book, sheet: Sheet, area: Area, how: Rendering) -> list[list[Any]]:
    """The values of an area, row by row, without trailing blanks."""
    slots = sheet.slots(area.left, area.right or 0)
    show = _show(book, sheet, how)
    lines: list[list[Any]] = []
    used = 0
    for rows, count in sheet.grid.stretches(area.top, area.bottom or 0):
        for row in rows:
            line = _line(row, slots, show)
            lines.append(line)
            if line:
                used = len(lines)
        if len(rows) < count:
            lines.extend(repeat(lines[-1], count - 1))
            used = len(lines) if lines[-1] else used
    del lines[used:]
    return lines


def _line(row: Row, slots: list[int], show: Show) -> list[Any]:
    cells = row.cells
    size = len(cells)
    line = [show(cells[slot]) if slot < size else "" for slot in slots]
    while line and line[-1] == "" and type(line[-1]) is str:
        line.pop()
    return line


def _show(book: Book, sheet: Sheet, how: Rendering) -> Show:
    if how.values == "FORMATTED_VALUE":
        return lambda cell: "" if cell is None else shown_text(book, sheet, cell)

    def unformatted(cell: Cell) -> Any:
        if cell is None or type(cell) is str:
            return cell or ""
        if how.values == "FORMULA" and (formula := formula_of(cell)):
            return formula
        value = shown_value(book, sheet, cell)
        if how.dates == "FORMATTED_STRING" and isinstance(value, int | float):
            kind = number_format(book, cell)
            if is_date(kind):
                return text_of(value, kind)
        return "" if value is None else plain(value)

    return unformatted


def _turned(lines: list[list[Any]]) -> list[list[Any]]:
    width = max((len(line) for line in lines), default=0)
    turned: list[list[Any]] = []
    for at in range(width):
        column = [line[at] if at < len(line) else "" for line in lines]
        while column and column[-1] == "" and type(column[-1]) is str:
            column.pop()
        turned.append(column)
    return turned


@dataclass(frozen=True, slots=True)
class Written:
    """What an update touched."""

    sheet: Sheet
    area: Area
    rows: int
    columns: int
    cells: int

    def json(self, book: Book) -> Json:
        """An UpdateValuesResponse."""
        counts = {"updatedRows": self.rows, "updatedColumns": self.columns, "updatedCells": self.cells}
        shown = format_range(self.sheet.title, self.area)
        kept = {name: count for name, count in counts.items() if count}
        return {"spreadsheetId": book.spreadsheet_id, "updatedRange": shown, **kept}


def write_values(book: Book, sheet: Sheet, area: Area, body: Json, option: str, prefix: str = "") -> Written:
    """Write the values of a ValueRange from the range's first cell on. Nulls leave their cell as it is."""
    lines = lines_of(body)
    enter = _entering(option)
    height, width = len(lines), max((len(line) for line in lines), default=0)
    _check_fits(sheet, area, height, width, prefix)
    where = Area(area.top, area.left, area.top + max(height, 1), area.left + max(width, 1))
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    cells = 0
    slots = sheet.slots(area.left, area.left + width)
    for number, (row, line) in enumerate(zip(sheet.grid.edit(area.top, area.top + height), lines, strict=True)):
        for at, value in enumerate(line):
            if value is None:
                continue
            _put(book, row, slots[at], _checked(enter, value, prefix))
            used_rows.add(number)
            used_columns.add(at)
            cells += 1
    return Written(sheet, where, len(used_rows), len(used_columns), cells)


def lines_of(body: Json) -> list[list[Any]]:
    """The values of a ValueRange row by row."""
    lines: list[list[Any]] = body.get("values") or []
    if body.get("majorDimension") != "COLUMNS":
        return lines
    height = max((len(line) for line in lines), default=0)
    return [[line[at] if at < len(line) else None for line in lines] for at in range(height)]


def _entering(option: str) -> Callable[[Any], Entered]:
    if option == "RAW":
        return raw
    if option == "USER_ENTERED":
        return typed
    raise bad_request("'valueInputOption' is required but not specified")


def _checked(enter: Callable[[Any], Entered], value: Any, prefix: str) -> Entered:
    if is_too_long(value):
        limit = limits.CELL_CHARACTERS
        text = f"Your input contains more than the maximum of {limit} characters in a single cell."
        raise bad_request(f"Invalid {prefix}: {text}" if prefix else text)
    if isinstance(value, list | dict):
        raise bad_request(f"Invalid {prefix or 'values'}: a cell takes a text, a number or a boolean")
    return enter(value)


def _put(book: Book, row: Row, slot: int, entered: Entered) -> None:
    old = row.get(slot)
    if (old is None or type(old) in (str, int, float, bool)) and not entered.formula and not entered.number_format:
        row.put(slot, entered.value if entered.value != "" else None)
        return
    parts = unpack(old)
    more = {name: value for name, value in parts.more.items() if name != "formula"}
    if entered.formula:
        more["formula"] = entered.formula
    style = parts.style
    if entered.number_format and not book.styles[style].get("numberFormat"):
        style = book.style_number({**book.styles[style], "numberFormat": entered.number_format})
    row.put(slot, pack(entered.value, style, more))


def _check_fits(sheet: Sheet, area: Area, height: int, width: int, prefix: str) -> None:
    if not area.is_one_cell:
        _check_within(sheet, area, height, width, prefix)
    bottom, right = area.top + height, area.left + width
    if bottom > sheet.row_count or right > sheet.column_count:
        shown = format_range(sheet.title, Area(area.top, area.left, max(bottom, 1), max(right, 1)))
        raise _refused(
            prefix,
            f"Range ({shown}) exceeds grid limits. Max rows: {sheet.row_count}, max columns: {sheet.column_count}",
        )


def _check_within(sheet: Sheet, area: Area, height: int, width: int, prefix: str) -> None:
    whole = area.within(sheet.row_count, sheet.column_count)
    shown = format_range(sheet.title, whole)
    if area.bottom is not None and area.top + height > area.bottom:
        raise _refused(
            prefix, f"Requested writing within range [{shown}], but tried writing to row [{area.bottom + 1}]"
        )
    if area.right is not None and area.left + width > area.right:
        letters = format_range("A", Area(0, area.right, 1, area.right + 1)).partition("!")[2].rstrip("1")
        raise _refused(prefix, f"Requested writing within range [{shown}], but tried writing to column [{letters}]")


def _refused(prefix: str, text: str) -> ApiError:
    return bad_request(f"Invalid {prefix}: {text}" if prefix else text)


def append_values(book: Book, sheet: Sheet, area: Area, body: Json, option: str, *, insert_rows: bool) -> Json:
    """Append after the table that Google's rule finds in the range. Use a fenced batchUpdate where it matters."""
    area = resolved(sheet, area)
    table = find_table(sheet, area)
    lines = lines_of(body)
    top, left = (table.bottom or 0, table.left) if table else (area.top, area.left)
    height, width = len(lines), max((len(line) for line in lines), default=0)
    if insert_rows and table and top < sheet.row_count and height:
        insert_lines(book, sheet, True, top, height, max(top - 1, 0))
    for on_rows, size, wanted in ((True, sheet.row_count, top + height), (False, sheet.column_count, left + width)):
        if wanted > size:
            insert_lines(book, sheet, on_rows, size, wanted - size, size - 1)
    one = Area(top, left, top + 1, left + 1)
    written = write_values(book, sheet, one, {"values": lines}, option)
    answer: Json = {"spreadsheetId": book.spreadsheet_id}
    if table:
        answer["tableRange"] = format_range(sheet.title, table)
    return {**answer, "updates": written.json(book)}


def clear_values(sheet: Sheet, area: Area) -> str:
    """Clear values, keep formats and notes. Returns the range in A1."""
    area = resolved(sheet, area)
    slots = sheet.slots(area.left, area.right or 0)
    for row in sheet.grid.edit_alike(area.top, area.bottom or 0):
        for slot in slots:
            if slot < len(row.cells) and row.cells[slot] is not None:
                row.put(slot, without_value(row.cells[slot]))
    return format_range(sheet.title, area)
