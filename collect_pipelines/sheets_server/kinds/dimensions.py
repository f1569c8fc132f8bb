"""Rows and columns: insert, append, delete, move, resize, hide, group."""

from __future__ import annotations

from typing import Any

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.cells import only_style
from collect_pipelines.sheets_server.errors import RequestRefused
from collect_pipelines.sheets_server.field_mask import parse_mask, update_by_mask
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.ranges import dimension, integer
from collect_pipelines.sheets_server.rows import Row
from collect_pipelines.sheets_server.shift_rules import deleted, inserted, moved
from collect_pipelines.sheets_server.shifts import shift_everything


def insert_dimension(book: Book, body: Json) -> Json:
    """Insert blank rows or columns; they take over the formats of the line before, or after, them."""
    sheet, on_rows, start, end = dimension(book, body.get("range") or {})
    from_before = bool(body.get("inheritFromBefore"))
    size = sheet.row_count if on_rows else sheet.column_count
    if start > size:
        raise RequestRefused(f"range.startIndex is larger than current grid size ({size})")
    if start == size and not from_before:
        raise RequestRefused(
            f"range.startIndex must be less than the grid size ({size}) if inheritFromBefore is false."
        )
    if start == 0 and from_before:
        raise RequestRefused("inheritFromBefore cannot be true when inserting at the beginning of the sheet.")
    insert_lines(book, sheet, on_rows, start, end - start, start - 1 if from_before else start)
    return {}


def insert_lines(book: Book, sheet: Sheet, on_rows: bool, at: int, count: int, like: int) -> None:
    """Insert `count` rows or columns before line `at`, formatted like line `like`."""
    _check_room(book, sheet, on_rows, count)
    if on_rows:
        sheet.grid.insert(at, count, _blank_like(sheet.grid.row(like)))
    else:
        before = sheet.columns[like]
        made = sheet.new_columns(count, before)
        _copy_styles(sheet, before.slot, [column.slot for column in made])
        sheet.columns[at:at] = made
    shift_everything(book, sheet, on_rows, inserted(at, count))


def append_dimension(book: Book, body: Json) -> Json:
    """Add blank rows or columns at the end."""
    sheet = book.grid_sheet(integer(body, "sheetId"))
    on_rows, count = body.get("dimension") == "ROWS", integer(body, "length")
    if count <= 0:
        raise RequestRefused("length must be greater than 0")
    size = sheet.row_count if on_rows else sheet.column_count
    insert_lines(book, sheet, on_rows, size, count, size - 1)
    return {}


def _check_room(book: Book, sheet: Sheet, on_rows: bool, count: int) -> None:
    if not on_rows and sheet.column_count + count > limits.COLUMNS:
        raise RequestRefused(f"This action would increase the number of columns above the limit of {limits.COLUMNS}.")
    book.check_size(count * (sheet.column_count if on_rows else sheet.row_count))


def _blank_like(row: Row) -> Row:
    blank = Row()
    for slot, cell in enumerate(row.cells):
        if cell is not None:
            blank.put(slot, only_style(cell))
    return blank


def _copy_styles(sheet: Sheet, source: int, slots: list[int]) -> None:
    """A new column takes over the formats of the one beside it, where there are any."""
    if not any(only_style(row.get(source)) for rows, _ in sheet.grid.stretches(0, sheet.row_count) for row in rows):
        return
    for row in sheet.grid.edit_alike(0, sheet.row_count):
        style = only_style(row.get(source))
        if style is not None:
            for slot in slots:
                row.put(slot, style)


def delete_dimension(book: Book, body: Json) -> Json:
    """Delete rows or columns and what lies on them."""
    sheet, on_rows, start, end = dimension(book, body.get("range") or {})
    what, size = ("row", sheet.row_count) if on_rows else ("column", sheet.column_count)
    if end > size:
        missing = max(start, size)
        raise RequestRefused(
            f"Cannot delete a {what} that doesn't exist. Tried to delete {what} index {missing} "
            f"but there are only {size} {what}s."
        )
    if end - start == size:
        raise RequestRefused(f"You can't delete all the {what}s on the sheet.")
    _check_frozen(sheet, what, start, end, size)
    delete_lines(book, sheet, on_rows, start, end)
    return {}


def _check_frozen(sheet: Sheet, what: str, start: int, end: int, size: int) -> None:
    name = f"frozen{what.capitalize()}Count"
    grid: Json = sheet.properties.get("gridProperties", {})
    frozen = grid.get(name, 0)
    if frozen and start <= frozen and end >= size:
        raise RequestRefused(f"Sorry, it is not possible to delete all non-frozen {what}s.")
    lost = max(0, min(end, frozen) - start)
    if lost:
        sheet.properties["gridProperties"] = {**grid, name: frozen - lost}
        sheet.changed = True


def delete_lines(book: Book, sheet: Sheet, on_rows: bool, start: int, end: int) -> None:
    """Delete the rows or columns start…end-1."""
    if on_rows:
        sheet.grid.delete(start, end)
    else:
        del sheet.columns[start:end]
        sheet.changed = True
    shift_everything(book, sheet, on_rows, deleted(start, end))


def move_dimension(book: Book, body: Json) -> Json:
    """Move rows or columns before another line, counted before the move."""
    sheet, on_rows, start, end = dimension(book, body.get("source") or {})
    size = sheet.row_count if on_rows else sheet.column_count
    to = integer(body, "destinationIndex")
    if end > size or not 0 <= to <= size:
        raise RequestRefused(f"Cannot move lines beyond the grid size ({size})")
    if start < to < end:
        raise RequestRefused("The destination cannot be inside the source.")
    if to in (start, end):
        return {}
    if on_rows:
        sheet.grid.move(start, end, to)
    else:
        taken = sheet.columns[start:end]
        del sheet.columns[start:end]
        target = to if to <= start else to - (end - start)
        sheet.columns[target:target] = taken
        sheet.changed = True
    shift_everything(book, sheet, on_rows, moved(start, end, to))
    return {}


def update_dimension_properties(book: Book, body: Json) -> Json:
    """Set the size of rows or columns, or hide them."""
    sheet, on_rows, start, end = dimension(book, body.get("range") or {})
    mask = parse_mask(body.get("fields", ""))
    wished: Json = {name: value for name, value in (body.get("properties") or {}).items() if value is not False}
    size = sheet.row_count if on_rows else sheet.column_count
    if end > size:
        raise RequestRefused(f"range.endIndex is larger than current grid size ({size})")
    _set_properties(sheet, on_rows, start, end, lambda props: update_by_mask(props, wished, mask))
    return {}


def _set_properties(sheet: Sheet, on_rows: bool, start: int, end: int, change: Any) -> None:
    if on_rows:
        for row in sheet.grid.edit_alike(start, end):
            row.props = change(row.props or {}) or None
        return
    for column in sheet.columns[start:end]:
        column.props = change(column.props)
    sheet.changed = True


def auto_resize(book: Book, body: Json) -> Json:
    """Fit columns to their text, at seven pixels a letter; row heights stay."""
    sheet, on_rows, start, end = dimension(book, body.get("dimensions") or {})
    if on_rows:
        return {}
    for column in sheet.columns[start:end]:
        longest = max((_letters(row, column.slot) for row in sheet.grid.rows(0, sheet.row_count)), default=0)
        if longest:
            column.props["pixelSize"] = longest * 7 + 10
    sheet.changed = True
    return {}


def _letters(row: Row, slot: int) -> int:
    cell = row.get(slot)
    return 0 if cell is None else len(str(cell))


def add_group(book: Book, body: Json) -> Json:
    """Group rows or columns, one level deeper than the groups around."""
    sheet, on_rows, start, end = dimension(book, body.get("range") or {})
    groups = sheet.listed("rowGroups" if on_rows else "columnGroups")
    around = [g for g in groups if g["range"]["startIndex"] <= start and end <= g["range"]["endIndex"]]
    place = {"dimension": "ROWS" if on_rows else "COLUMNS", "startIndex": start, "endIndex": end}
    if sheet.sheet_id:
        place["sheetId"] = sheet.sheet_id
    control = "rowGroupControlAfter" if on_rows else "columnGroupControlAfter"
    sheet.properties["gridProperties"] = {**sheet.properties.get("gridProperties", {}), control: True}
    groups.append({"range": place, "depth": 1 + max((g["depth"] for g in around), default=0)})
    sheet.changed = True
    return {"dimensionGroups": list(groups)}


def delete_group(book: Book, body: Json) -> Json:
    """Delete the deepest group on these rows or columns."""
    sheet, on_rows, start, end = dimension(book, body.get("range") or {})
    name = "rowGroups" if on_rows else "columnGroups"
    groups = sheet.listed(name)
    here = [g for g in groups if g["range"]["startIndex"] >= start and g["range"]["endIndex"] <= end]
    if not here:
        raise RequestRefused("There is no group on the given range.")
    groups.remove(max(here, key=lambda g: g["depth"]))
    sheet.changed = True
    if groups:
        return {"dimensionGroups": list(groups)}
    del sheet.extras[name]
    return {}
