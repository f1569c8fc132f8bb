"""What moves contents between cells: sort, copy and cut, find and replace, duplicates, white space."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from collect_pipelines.sheets_server.a1 import Area
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.cells import Cell, formula_of, only_style, pack, unpack, value_of
from collect_pipelines.sheets_server.errors import RequestRefused
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.kinds.dimensions import insert_lines
from collect_pipelines.sheets_server.looks import shown_text, shown_value
from collect_pipelines.sheets_server.ranges import coordinate, grid_range, integer
from collect_pipelines.sheets_server.rows import Row


def sort_range(book: Book, body: Json) -> Json:
    """Sort the contents of the rows of a range. Hidden rows stay; row properties and metadata stay in place."""
    sheet, area = grid_range(book, body.get("range"))
    specs: list[Json] = body.get("sortSpecs") or []
    _refuse_vertical_merges(sheet, area)
    slots = sheet.slots(area.left, area.right or 0)
    rows = list(sheet.grid.rows(area.top, area.bottom or 0))
    places = [number for number, row in enumerate(rows) if not (row.props or {}).get("hiddenByUser")]
    order = list(places)
    for spec in reversed(specs):
        _sort_by(book, sheet, rows, order, spec)
    result = list(rows)
    for place, source in zip(places, order, strict=True):
        result[place] = rows[source]
    if result == rows:
        return {}
    sheet.grid.replace(area.top, [_merged(old, new, slots) for old, new in zip(rows, result, strict=True)])
    return {}


def _sort_by(book: Book, sheet: Sheet, rows: list[Row], order: list[int], spec: Json) -> None:
    column = integer(spec, "dimensionIndex")
    if column >= sheet.column_count:
        raise RequestRefused(f"sortSpecs.dimensionIndex {column} is outside of the grid.")
    slot = sheet.columns[column].slot
    descending = spec.get("sortOrder") == "DESCENDING"
    keys = {number: _sort_key(shown_value(book, sheet, rows[number].get(slot))) for number in order}
    blank = [number for number in order if keys[number] is None]
    filled = [number for number in order if keys[number] is not None]
    filled.sort(key=keys.__getitem__, reverse=descending)  # type: ignore[arg-type]
    order[:] = filled + blank


def _sort_key(value: Any) -> Any:
    """Numbers, then texts without regard to case, then booleans; blanks are last in either order."""
    if value is None:
        return None
    if isinstance(value, bool):
        return 2, value, ""
    if isinstance(value, int | float):
        return 0, value, ""
    text = value if isinstance(value, str) else value.code
    return 1, 0, text.casefold()


def _merged(old: Row, new: Row, slots: list[int]) -> Row:
    """The row at a place after the sort: the sorted columns from the new row, the others its own."""
    row = old.copy()
    for slot in slots:
        row.put(slot, new.get(slot))
    return row


def _refuse_vertical_merges(sheet: Sheet, area: Area) -> None:
    for merge in sheet.extras.get("merges", []):
        tall = merge["endRowIndex"] - merge["startRowIndex"] > 1
        if tall and merge["startRowIndex"] < (area.bottom or 0) and area.top < merge["endRowIndex"]:
            raise RequestRefused("You can't sort a range that has vertical merges.")


def copy_paste(book: Book, body: Json) -> Json:
    """Copy a range; a larger destination is filled by repeating it."""
    sheet, area = grid_range(book, body.get("source"))
    target, where = grid_range(book, body.get("destination"))
    block = _taken(sheet, area)
    if body.get("pasteOrientation") == "TRANSPOSE":
        block = [list(line) for line in zip(*block, strict=True)]
    height = _repeated((where.bottom or 0) - where.top, len(block))
    width = _repeated((where.right or 0) - where.left, len(block[0]))
    _paste(target, where.top, where.left, block, (height, width), body.get("pasteType") or "PASTE_NORMAL")
    return {}


def cut_paste(book: Book, body: Json) -> Json:
    """Move a range; nothing stays behind."""
    sheet, area = grid_range(book, body.get("source"))
    target, top, left = coordinate(book, body.get("destination") or {})
    block = _taken(sheet, area)
    for row in sheet.grid.edit(area.top, area.bottom or 0):
        for slot in sheet.slots(area.left, area.right or 0):
            row.put(slot, None)
    _paste(target, top, left, block, (len(block), len(block[0])), body.get("pasteType") or "PASTE_NORMAL")
    return {}


def _taken(sheet: Sheet, area: Area) -> list[list[Cell]]:
    slots = sheet.slots(area.left, area.right or 0)
    block = [[row.get(slot) for slot in slots] for row in sheet.grid.rows(area.top, area.bottom or 0)]
    if not block or not slots:
        raise RequestRefused("The source range is empty.")
    return block


def _repeated(room: int, size: int) -> int:
    return room if room > size and room % size == 0 else size


def _paste(target: Sheet, top: int, left: int, block: list[list[Cell]], size: tuple[int, int], kind: str) -> None:
    height, width = size
    if top + height > target.row_count or left + width > target.column_count:
        raise RequestRefused("The destination does not fit into the grid.")
    slots = target.slots(left, left + width)
    for number, row in enumerate(target.grid.edit(top, top + height)):
        for at, slot in enumerate(slots):
            row.put(slot, _pasted(row.get(slot), block[number % len(block)][at % len(block[0])], kind))


def _pasted(old: Cell, new: Cell, kind: str) -> Cell:
    if kind == "PASTE_VALUES":
        return pack(unpack(new).value, unpack(old).style, {})
    if kind == "PASTE_FORMAT":
        parts = unpack(old)
        return pack(parts.value, unpack(new).style, parts.more)
    return new


def find_replace(book: Book, body: Json) -> Json:
    """Replace text in values (not in formulas)."""
    areas = _search_areas(book, body)
    pattern = body.get("find") or ""
    if not body.get("searchByRegex"):
        pattern = re.escape(pattern)
    if body.get("matchEntireCell"):
        pattern = f"^(?:{pattern})$"
    try:
        search = re.compile(pattern, 0 if body.get("matchCase") else re.IGNORECASE)
    except re.error as error:
        raise RequestRefused(f"Invalid regular expression: {error}") from None
    counts = {"valuesChanged": 0, "occurrencesChanged": 0, "rowsChanged": 0, "sheetsChanged": 0}
    for sheet, area in areas:
        before = counts["valuesChanged"]
        _replace_in(book, sheet, area, search, body.get("replacement") or "", counts)
        counts["sheetsChanged"] += counts["valuesChanged"] > before
    return {name: count for name, count in counts.items() if count}


def _search_areas(book: Book, body: Json) -> list[tuple[Sheet, Area]]:
    if body.get("range"):
        return [grid_range(book, body["range"])]
    sheets = book.sheets if body.get("allSheets") else [book.grid_sheet(integer(body, "sheetId"))]
    return [(sheet, Area(0, 0, sheet.row_count, sheet.column_count)) for sheet in sheets]


def _replace_in(
    book: Book, sheet: Sheet, area: Area, search: re.Pattern[str], text: str, counts: dict[str, int]
) -> None:
    slots = sheet.slots(area.left, area.right or 0)
    for at, row in enumerate(list(sheet.grid.rows(area.top, area.bottom or 0)), area.top):
        found = {slot: search.subn(lambda _: text, shown_text(book, sheet, row.get(slot))) for slot in slots}
        changed = {s: now for s, (now, times) in found.items() if times and not formula_of(row.get(s))}
        if not changed:
            continue
        counts["rowsChanged"] += 1
        counts["valuesChanged"] += len(changed)
        counts["occurrencesChanged"] += sum(found[slot][1] for slot in changed)
        target = next(islice(sheet.grid.edit(at, at + 1), 1))
        for slot, now in changed.items():
            parts = unpack(target.get(slot))
            target.put(slot, pack(now, parts.style, parts.more))


def trim_whitespace(book: Book, body: Json) -> Json:
    """Trim texts and make one space of several."""
    sheet, area = grid_range(book, body.get("range"))
    changed = 0
    for row in sheet.grid.edit_alike(area.top, area.bottom or 0):
        for slot in sheet.slots(area.left, area.right or 0):
            value = value_of(row.get(slot))
            if isinstance(value, str) and (trimmed := " ".join(value.split())) != value:
                parts = unpack(row.get(slot))
                row.put(slot, pack(trimmed, parts.style, parts.more))
                changed += 1
    return {"cellsChangedCount": changed} if changed else {}


def insert_range(book: Book, body: Json) -> Json:
    """Insert cells: what stood there moves down or to the right, and the grid grows by as much."""
    sheet, area = grid_range(book, body.get("range"))
    down = body.get("shiftDimension") == "ROWS"
    height, width = (area.bottom or 0) - area.top, (area.right or 0) - area.left
    rows, columns = sheet.row_count, sheet.column_count
    insert_lines(
        book, sheet, down, rows if down else columns, height if down else width, (rows if down else columns) - 1
    )
    moving = Area(area.top, area.left, rows if down else area.bottom, area.right if down else columns)
    block = _taken(sheet, moving)
    top, left = (area.top + height, area.left) if down else (area.top, area.left + width)
    for row in sheet.grid.edit(area.top, area.bottom or 0):
        for slot in sheet.slots(area.left, area.right or 0):
            row.put(slot, only_style(row.get(slot)))
    _paste(sheet, top, left, block, (len(block), len(block[0])), "PASTE_NORMAL")
    return {}


def delete_range(book: Book, body: Json) -> Json:
    """Delete cells: what is below moves up, or what is to the right moves left."""
    sheet, area = grid_range(book, body.get("range"))
    up = body.get("shiftDimension") == "ROWS"
    bottom, right = area.bottom or 0, area.right or 0
    first = Area(bottom, area.left, sheet.row_count, right) if up else Area(area.top, right, bottom, sheet.column_count)
    block = _taken(sheet, first) if first.top < (first.bottom or 0) and first.left < (first.right or 0) else []
    for row in sheet.grid.edit(area.top, first.bottom or 0):
        for slot in sheet.slots(area.left, first.right or 0):
            row.put(slot, None)
    if block:
        _paste(sheet, area.top, area.left, block, (len(block), len(block[0])), "PASTE_NORMAL")
    return {}
