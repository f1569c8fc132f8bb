"""Tabs and the spreadsheet itself: add, delete, duplicate, rename, reorder, resize, hide."""

from __future__ import annotations

from typing import Any

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.book import Book, Column, Sheet
from collect_pipelines.sheets_server.errors import RequestRefused
from collect_pipelines.sheets_server.field_mask import Mask, parse_mask, update_by_mask, wants
from collect_pipelines.sheets_server.grid import Grid
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.kinds.developer_metadata import new_id
from collect_pipelines.sheets_server.kinds.dimensions import delete_lines, insert_lines
from collect_pipelines.sheets_server.ranges import integer
from collect_pipelines.sheets_server.render import sheet_properties
from collect_pipelines.sheets_server.rows import Block, Row, block_of, run_of
from collect_pipelines.sheets_server.styles import clean_color

_COUNTS = ("rowCount", "columnCount")
_KEPT_GRID = (
    "frozenRowCount",
    "frozenColumnCount",
    "hideGridlines",
    "rowGroupControlAfter",
    "columnGroupControlAfter",
)


def never_loaded(block: Block) -> list[Row]:
    """Loader of a grid that was made in memory: all its blocks are there until they are stored."""
    raise AssertionError(f"block {block.id} is not in memory")


def new_sheet(book: Book, wished: Json, load: Any = None) -> Sheet:
    """Make a sheet as the properties wish, with Google's defaults, and put it in its place."""
    sheet_id = wished.get("sheetId")
    taken = {sheet.sheet_id for sheet in book.sheets}
    if sheet_id is not None and int(sheet_id) in taken:
        raise RequestRefused(f"A sheet with the ID {sheet_id} already exists. Please enter another ID.")
    grid: Json = wished.get("gridProperties") or {}
    rows = integer(grid, "rowCount", limits.DEFAULT_ROWS)
    columns = integer(grid, "columnCount", limits.DEFAULT_COLUMNS)
    _check_size(book, rows, columns)
    number = int(sheet_id) if sheet_id is not None else (new_id(taken) if book.sheets else 0)
    title = _free_title(book, wished.get("title") or "", None)
    grid_of = Grid([run_of(rows)], load or _loader(book))
    sheet = Sheet(number, {"title": title}, [Column(slot) for slot in range(columns)], columns, grid_of, changed=True)
    _set_properties(sheet, wished)
    index = integer(wished, "index", len(book.sheets))
    book.sheets.insert(min(max(index, 0), len(book.sheets)), sheet)
    book.changed = True
    return sheet


def _loader(book: Book) -> Any:
    return book.sheets[0].grid.load if book.sheets else never_loaded


def _check_size(book: Book, rows: int, columns: int) -> None:
    if rows < 1 or columns < 1:
        raise RequestRefused("gridProperties.rowCount and columnCount must be at least 1.")
    if columns > limits.COLUMNS:
        raise RequestRefused(f"This action would increase the number of columns above the limit of {limits.COLUMNS}.")
    book.check_size(rows * columns)


def _free_title(book: Book, title: str, sheet: Sheet | None) -> str:
    titles = {other.title.lower() for other in book.sheets if other is not sheet}
    if not title:
        number = len(book.sheets) + 1
        while f"sheet{number}" in titles:
            number += 1
        return f"Sheet{number}"
    if len(title) > limits.TITLE_CHARACTERS:
        raise RequestRefused(f"The sheet name cannot be greater than {limits.TITLE_CHARACTERS} characters.")
    if title.lower() in titles:
        raise RequestRefused(f'A sheet with the name "{title}" already exists. Please enter another name.')
    return title


def _set_properties(sheet: Sheet, wished: Json) -> None:
    grid: Json = wished.get("gridProperties") or {}
    kept = {name: grid[name] for name in _KEPT_GRID if grid.get(name)}
    if kept:
        sheet.properties["gridProperties"] = kept
    for name in ("hidden", "rightToLeft"):
        if wished.get(name):
            sheet.properties[name] = True
    _set_tab_color(sheet, wished)


def _set_tab_color(sheet: Sheet, wished: Json) -> None:
    newer: Json = wished.get("tabColorStyle") or {}
    color = newer.get("rgbColor") or wished.get("tabColor")
    if color:
        sheet.properties["tabColor"] = clean_color(color)
        sheet.properties["tabColorStyle"] = {"rgbColor": clean_color(color)}
    else:
        sheet.properties.pop("tabColor", None)
        sheet.properties.pop("tabColorStyle", None)


def add_sheet(book: Book, body: Json) -> Json:
    """Add a tab."""
    return {"properties": sheet_properties(book, new_sheet(book, body.get("properties") or {}))}


def _sheet(book: Book, sheet_id: int) -> Sheet:
    sheet = book.sheet(sheet_id)
    if sheet is None:
        raise RequestRefused(f"No sheet with id: {sheet_id}")
    return sheet


def delete_sheet(book: Book, body: Json) -> Json:
    """Delete a tab with its metadata and named ranges."""
    sheet = _sheet(book, integer(body, "sheetId"))
    if not [other for other in book.sheets if other is not sheet and not other.properties.get("hidden")]:
        raise RequestRefused("You can't remove all the visible sheets in a document.")
    book.sheets.remove(sheet)
    if sheet.key is not None:
        book.removed_sheets.append(sheet.key)
    book.named_ranges = [named for named in book.named_ranges if named["range"]["sheetId"] != sheet.sheet_id]
    for metadata_id, item in list(book.metadata.items()):
        location = item["location"]
        if sheet.sheet_id in (location.get("sheetId"), location.get("dimensionRange", {}).get("sheetId")):
            del book.metadata[metadata_id]
            book.changed_metadata.add(metadata_id)
    book.changed = True
    return {}


def duplicate_sheet(book: Book, body: Json) -> Json:
    """Copy a tab beside itself."""
    source = _sheet(book, integer(body, "sourceSheetId"))
    title = body.get("newSheetName") or f"Copy of {source.title}"
    wished: Json = {"title": title, "index": integer(body, "insertSheetIndex")}
    if body.get("newSheetId") is not None:
        wished["sheetId"] = body["newSheetId"]
    return {"properties": sheet_properties(book, copy_sheet(book, source, book, wished))}


def copy_sheet(book: Book, source: Sheet, target: Book, wished: Json) -> Sheet:
    """Copy a sheet of `book` into `target`, its formats renumbered."""
    size = {"rowCount": source.row_count, "columnCount": source.column_count}
    kept: Json = source.properties.get("gridProperties", {})
    made = new_sheet(target, {**source.properties, "gridProperties": {**kept, **size}, **wished})
    made.columns = [Column(column.slot, dict(column.props)) for column in source.columns]
    made.next_slot = source.next_slot
    made.extras = {name: _readdressed(value, made.sheet_id) for name, value in source.extras.items()}
    blocks: list[Block] = []
    for rows, count in source.grid.stretches(0, source.row_count):
        copies = [_copy_row(book, target, row) for row in rows]
        blocks.append(block_of(copies) if len(copies) == count else run_of(count, copies[0]))
    made.grid = Grid(blocks, made.grid.load)
    return made


def _copy_row(book: Book, target: Book, row: Row) -> Row:
    copy = row.copy()
    if target is not book:
        copy.cells = [_restyled(book, target, cell) for cell in copy.cells]
    return copy


def _restyled(book: Book, target: Book, cell: Any) -> Any:
    if type(cell) is list:
        return [cell[0], target.style_number(book.styles[cell[1]])]
    if type(cell) is dict and cell.get("s"):
        return {**cell, "s": target.style_number(book.styles[cell["s"]])}
    return cell


def _readdressed(value: Any, sheet_id: int) -> Any:
    if isinstance(value, list):
        return [_readdressed(item, sheet_id) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: sheet_id if name == "sheetId" else _readdressed(item, sheet_id) for name, item in value.items()}


def update_sheet_properties(book: Book, body: Json) -> Json:
    """Rename, reorder, resize, freeze, hide or color a tab."""
    wished: Json = body.get("properties") or {}
    sheet = _sheet(book, integer(wished, "sheetId"))
    if not body.get("fields"):
        raise RequestRefused("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
    mask = parse_mask(body["fields"])
    if not mask:
        mask = {name: {} for name in wished if name != "sheetId"}
    if "title" in mask:
        sheet.properties["title"] = _free_title(book, wished.get("title") or "", sheet)
    if "gridProperties" in mask:
        _update_grid(book, sheet, wished.get("gridProperties") or {}, mask["gridProperties"])
    if "hidden" in mask:
        _hide(book, sheet, hidden=bool(wished.get("hidden")))
    if "tabColor" in mask or "tabColorStyle" in mask:
        _set_tab_color(sheet, wished)
    if "rightToLeft" in mask:
        sheet.properties["rightToLeft"] = bool(wished.get("rightToLeft"))
    if "index" in mask:
        _reorder(book, sheet, integer(wished, "index"))
    sheet.changed = book.changed = True
    return {}


def _hide(book: Book, sheet: Sheet, *, hidden: bool) -> None:
    if hidden and not [s for s in book.sheets if s is not sheet and not s.properties.get("hidden")]:
        raise RequestRefused("You can't hide all the sheets in a document.")
    sheet.properties.pop("hidden", None)
    if hidden:
        sheet.properties["hidden"] = True


def _reorder(book: Book, sheet: Sheet, index: int) -> None:
    """The index counts the places before the move."""
    if not 0 <= index <= len(book.sheets):
        raise RequestRefused(f"Invalid sheet index: {index}")
    before = book.sheets.index(sheet)
    book.sheets.remove(sheet)
    book.sheets.insert(index - 1 if index > before else index, sheet)


def _update_grid(book: Book, sheet: Sheet, wished: Json, mask: Mask) -> None:
    for name, on_rows in (("rowCount", True), ("columnCount", False)):
        if wants(mask, name) and name in wished:
            _resize(book, sheet, on_rows, integer(wished, name))
    flags = {name: lower for name, lower in (mask or {key: {} for key in wished}).items() if name not in _COUNTS}
    truthy = {name: value for name, value in wished.items() if value}
    grid = update_by_mask(sheet.properties.get("gridProperties", {}), truthy, flags) if flags else None
    if grid is None:
        return
    for name, size in (("frozenRowCount", sheet.row_count), ("frozenColumnCount", sheet.column_count)):
        if grid.get(name, 0) >= size:
            what = "rows" if "Row" in name else "columns"
            raise RequestRefused(f"You can't freeze all visible {what} on the sheet.")
    sheet.properties["gridProperties"] = grid


def _resize(book: Book, sheet: Sheet, on_rows: bool, size: int) -> None:
    now = sheet.row_count if on_rows else sheet.column_count
    if size < 1:
        raise RequestRefused(f"You can't delete all the {'rows' if on_rows else 'columns'} on the sheet.")
    if size > now:
        insert_lines(book, sheet, on_rows, now, size - now, now - 1)
    elif size < now:
        delete_lines(book, sheet, on_rows, size, now)


def update_spreadsheet_properties(book: Book, body: Json) -> Json:
    """Rename the spreadsheet, set its locale, time zone or recalculation."""
    wished: Json = body.get("properties") or {}
    mask = parse_mask(body.get("fields", ""))
    for name in ("title", "locale", "timeZone", "autoRecalc"):
        if wants(mask, name) and name in wished:
            book.properties[name] = wished[name]
    book.changed = True
    return {}
