"""What happens to things that lie on rows or columns when rows or columns are inserted, deleted or moved."""

from __future__ import annotations

from typing import Any

from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.formula_references import shift_formulas
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.shift_rules import Shift


def shift_everything(book: Book, sheet: Sheet, on_rows: bool, shift: Shift) -> None:
    """Shift merges, filters, protected and named ranges, groups, metadata and formulas of a sheet."""
    names = ("startRowIndex", "endRowIndex") if on_rows else ("startColumnIndex", "endColumnIndex")
    for key, kept in list(sheet.extras.items()):
        if key in ("rowGroups", "columnGroups"):
            if (key == "rowGroups") == on_rows:
                _put_extra(sheet, key, _shift_groups(kept, shift))
        elif isinstance(kept, list):
            _put_extra(sheet, key, _shift_list(kept, names, shift))
        else:
            _put_extra(sheet, key, _shift_item(kept, names, shift))
    ours = [named for named in book.named_ranges if named["range"]["sheetId"] == sheet.sheet_id]
    for named in ours:
        now = _shift_item(named, names, shift)
        if now != named:
            book.changed = True
            position = book.named_ranges.index(named)
            book.named_ranges[position : position + 1] = [now] if now else []
    _shift_metadata(book, sheet, on_rows, shift)
    shift_formulas(book, sheet, on_rows, shift)


def _put_extra(sheet: Sheet, key: str, now: Any) -> None:
    if now == sheet.extras[key]:
        return
    sheet.changed = True
    if now:
        sheet.extras[key] = now
    else:
        del sheet.extras[key]


def _shift_list(items: list[Json], names: tuple[str, str], shift: Shift) -> list[Json]:
    return [now for item in items if (now := _shift_item(item, names, shift))]


def _shift_item(item: Json, names: tuple[str, str], shift: Shift) -> Json | None:
    """A merge is a range itself; the others have `range`, a conditional format `ranges`."""
    if "ranges" in item:
        ranges = _shift_list(item["ranges"], names, shift)
        return {**item, "ranges": ranges} if ranges else None
    if "range" in item:
        now = _shift_range(item["range"], names, shift)
        return {**item, "range": now} if now else None
    return _shift_range(item, names, shift)


def _shift_range(area: Json, names: tuple[str, str], shift: Shift) -> Json | None:
    if names[0] not in area:
        return area
    now = shift(area[names[0]], area[names[1]])
    return {**area, names[0]: now[0], names[1]: now[1]} if now else None


def _shift_groups(groups: list[Json], shift: Shift) -> list[Json]:
    kept: list[Json] = []
    for group in groups:
        if now := shift(group["range"]["startIndex"], group["range"]["endIndex"]):
            kept.append({**group, "range": {**group["range"], "startIndex": now[0], "endIndex": now[1]}})
    return kept


def _shift_metadata(book: Book, sheet: Sheet, on_rows: bool, shift: Shift) -> None:
    dimension = "ROWS" if on_rows else "COLUMNS"
    for metadata_id, item in list(book.metadata.items()):
        place = item["location"].get("dimensionRange")
        if not place or place["sheetId"] != sheet.sheet_id or place["dimension"] != dimension:
            continue
        now = shift(place["startIndex"], place["endIndex"])
        if now == (place["startIndex"], place["endIndex"]):
            continue
        book.changed_metadata.add(metadata_id)
        if now is None:
            del book.metadata[metadata_id]
            continue
        moved_place = {**place, "startIndex": now[0], "endIndex": now[1]}
        book.metadata[metadata_id] = {**item, "location": {**item["location"], "dimensionRange": moved_place}}
