"""What is laid over ranges: named and protected ranges, basic filters, merges."""

from __future__ import annotations

from collect_pipelines.sheets_server.a1 import Area
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.cells import only_style
from collect_pipelines.sheets_server.errors import RequestRefused
from collect_pipelines.sheets_server.field_mask import parse_mask, wants
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.kinds.developer_metadata import new_id
from collect_pipelines.sheets_server.ranges import grid_range, integer, to_grid_range
from collect_pipelines.sheets_server.render import without_zero_sheet


def _full(book: Book, body: Json | None) -> Json:
    sheet, area = grid_range(book, body)
    return to_grid_range(sheet.sheet_id, area)


def add_named_range(book: Book, body: Json) -> Json:
    """Name a range."""
    wished: Json = body.get("namedRange") or {}
    name = wished.get("name") or ""
    if any(named["name"].lower() == name.lower() for named in book.named_ranges):
        raise RequestRefused(f'A named range with the name "{name}" already exists. Please enter another name.')
    taken = {named["namedRangeId"] for named in book.named_ranges}
    number = wished.get("namedRangeId") or str(new_id(taken))
    named = {"namedRangeId": number, "name": name, "range": _full(book, wished.get("range"))}
    book.named_ranges.append(named)
    book.changed = True
    return {"namedRange": without_zero_sheet(named)}


def _find_named(book: Book, number: object) -> Json:
    for named in book.named_ranges:
        if named["namedRangeId"] == number:
            return named
    raise RequestRefused(f"No named range with id: {number}")


def update_named_range(book: Book, body: Json) -> Json:
    """Rename or move a named range."""
    wished: Json = body.get("namedRange") or {}
    named = _find_named(book, wished.get("namedRangeId"))
    mask = parse_mask(body.get("fields", ""))
    if wants(mask, "name") and "name" in wished:
        named["name"] = wished["name"]
    if wants(mask, "range") and "range" in wished:
        named["range"] = _full(book, wished["range"])
    book.changed = True
    return {}


def delete_named_range(book: Book, body: Json) -> Json:
    """Take a name away; the cells stay."""
    book.named_ranges.remove(_find_named(book, body.get("namedRangeId")))
    book.changed = True
    return {}


def add_protected_range(book: Book, body: Json) -> Json:
    """Protect a range. The local server only remembers it: everybody who may edit still may."""
    wished: Json = body.get("protectedRange") or {}
    sheet, area = grid_range(book, wished.get("range"))
    taken = {item["protectedRangeId"] for each in book.sheets for item in each.extras.get("protectedRanges", [])}
    number = integer(wished, "protectedRangeId") or new_id(taken)
    item: Json = {"protectedRangeId": number, "range": to_grid_range(sheet.sheet_id, area)}
    for name in ("description", "warningOnly"):
        if wished.get(name):
            item[name] = wished[name]
    item["requestingUserCanEdit"] = True
    sheet.listed("protectedRanges").append({**item, "editors": {"users": ["owner@local.invalid"]}})
    sheet.changed = True
    return {"protectedRange": without_zero_sheet({**item, "editors": {}})}


def _find_protected(book: Book, number: int) -> tuple[Sheet, Json]:
    for sheet in book.sheets:
        for item in sheet.extras.get("protectedRanges", []):
            if item["protectedRangeId"] == number:
                return sheet, item
    raise RequestRefused(f"No protected range with id: {number}")


def update_protected_range(book: Book, body: Json) -> Json:
    """Change a protected range."""
    wished: Json = body.get("protectedRange") or {}
    sheet, item = _find_protected(book, integer(wished, "protectedRangeId"))
    mask = parse_mask(body.get("fields", ""))
    for name in ("description", "warningOnly", "range"):
        if wants(mask, name) and name in wished:
            item[name] = _full(book, wished[name]) if name == "range" else wished[name]
    sheet.changed = True
    return {}


def delete_protected_range(book: Book, body: Json) -> Json:
    """Take a protection away."""
    sheet, item = _find_protected(book, integer(body, "protectedRangeId"))
    sheet.listed("protectedRanges").remove(item)
    if not sheet.listed("protectedRanges"):
        del sheet.extras["protectedRanges"]
    sheet.changed = True
    return {}


def set_basic_filter(book: Book, body: Json) -> Json:
    """Set the sheet's basic filter in place of the one before. It hides no rows here."""
    wished: Json = body.get("filter") or {}
    sheet, area = grid_range(book, wished.get("range"))
    sheet.extras["basicFilter"] = {**wished, "range": to_grid_range(sheet.sheet_id, area)}
    sheet.changed = True
    return {}


def clear_basic_filter(book: Book, body: Json) -> Json:
    """Take the basic filter away."""
    sheet = book.grid_sheet(integer(body, "sheetId"))
    sheet.changed = sheet.extras.pop("basicFilter", None) is not None or sheet.changed
    return {}


def merge_cells(book: Book, body: Json) -> Json:
    """Merge a range, its rows or its columns. Only the first cell of a merge keeps its value."""
    sheet, area = grid_range(book, body.get("range"))
    for piece in _pieces(area, body.get("mergeType", "MERGE_ALL")):
        touched = [other for other in sheet.extras.get("merges", []) if _overlap(piece, other)]
        if not all(_inside(other, piece) for other in touched):
            raise RequestRefused("You must select all cells in a merged range to merge or unmerge them.")
        sheet.extras["merges"] = [other for other in sheet.listed("merges") if other not in touched]
        _clear_all_but_first(sheet, piece)
        sheet.listed("merges").append(to_grid_range(sheet.sheet_id, piece))
    sheet.changed = True
    return {}


def _pieces(area: Area, kind: str) -> list[Area]:
    top, left, bottom, right = area.top, area.left, area.bottom or 0, area.right or 0
    if kind == "MERGE_ROWS":
        return [Area(row, left, row + 1, right) for row in range(top, bottom)]
    if kind == "MERGE_COLUMNS":
        return [Area(top, column, bottom, column + 1) for column in range(left, right)]
    return [area]


def _overlap(area: Area, other: Json) -> bool:
    return (
        area.top < other["endRowIndex"]
        and other["startRowIndex"] < (area.bottom or 0)
        and area.left < other["endColumnIndex"]
        and other["startColumnIndex"] < (area.right or 0)
    )


def _inside(other: Json, area: Area) -> bool:
    return (
        area.top <= other["startRowIndex"]
        and other["endRowIndex"] <= (area.bottom or 0)
        and area.left <= other["startColumnIndex"]
        and other["endColumnIndex"] <= (area.right or 0)
    )


def _clear_all_but_first(sheet: Sheet, area: Area) -> None:
    slots = sheet.slots(area.left, area.right or 0)
    for number, row in enumerate(sheet.grid.edit(area.top, area.bottom or 0)):
        for slot in slots if number else slots[1:]:
            row.put(slot, only_style(row.get(slot)))


def unmerge_cells(book: Book, body: Json) -> Json:
    """Undo every merge that the range touches."""
    sheet, area = grid_range(book, body.get("range"))
    sheet.extras["merges"] = [other for other in sheet.extras.get("merges", []) if not _overlap(area, other)]
    if not sheet.extras["merges"]:
        del sheet.extras["merges"]
    sheet.changed = True
    return {}
