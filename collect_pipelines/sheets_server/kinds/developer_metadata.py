"""Developer metadata: create at a given id (or be refused), update, delete, search."""

from __future__ import annotations

import random

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.a1 import Area
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.errors import RequestRefused
from collect_pipelines.sheets_server.field_mask import parse_mask, wants
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.ranges import dimension, find_area, grid_range, integer
from collect_pipelines.sheets_server.render import metadata_json

_CREATE_ID_TAKEN = "Cannot add developer metadata with ID [{}] because developer metadata with that ID already exists."


def new_id(taken: object) -> int:
    """A random positive 31-bit id that is not in `taken` (a dict or a set)."""
    while (number := random.randrange(1, 2**31)) in taken:  # type: ignore[operator]
        pass
    return number


def create_metadata(book: Book, body: Json) -> Json:
    """Create metadata. An id that exists is refused, and with it the whole batch: the fence of our deliveries."""
    wished: Json = body.get("developerMetadata") or {}
    wished_id = integer(wished, "metadataId")
    if wished_id < 0:
        raise RequestRefused("developerMetadata.metadataId must be positive.")
    if wished_id in book.metadata:
        raise RequestRefused(_CREATE_ID_TAKEN.format(wished_id))
    if not wished.get("metadataKey"):
        raise RequestRefused("developerMetadata.metadataKey must be specified.")
    if not wished.get("visibility"):
        raise RequestRefused("developerMetadata.visibility must be specified.")
    item: Json = {"metadataId": wished_id or new_id(book.metadata), "metadataKey": wished["metadataKey"]}
    if "metadataValue" in wished:
        item["metadataValue"] = wished["metadataValue"]
    item["location"] = _location(book, wished.get("location") or {})
    item["visibility"] = wished["visibility"]
    _check_room(book, item)
    _put(book, item)
    return {"developerMetadata": metadata_json(item)}


def _location(book: Book, location: Json) -> Json:
    if (place := location.get("dimensionRange")) is not None:
        sheet, on_rows, start, end = dimension(book, place)
        if end != start + 1:
            raise RequestRefused("Developer metadata can only be added to a single row or column.")
        if end > (sheet.row_count if on_rows else sheet.column_count):
            raise RequestRefused("developerMetadata.location.dimensionRange is outside of the grid.")
        kept = {"sheetId": sheet.sheet_id, "dimension": place["dimension"], "startIndex": start, "endIndex": end}
        return {"locationType": "ROW" if on_rows else "COLUMN", "dimensionRange": kept}
    if location.get("sheetId") is not None:
        return {"locationType": "SHEET", "sheetId": book.grid_sheet(integer(location, "sheetId")).sheet_id}
    if location.get("spreadsheet"):
        return {"locationType": "SPREADSHEET", "spreadsheet": True}
    raise RequestRefused("developerMetadata.location must be specified.")


def _sheet_of(item: Json) -> int | None:
    location = item["location"]
    return location["dimensionRange"]["sheetId"] if "dimensionRange" in location else location.get("sheetId")


def _check_room(book: Book, item: Json) -> None:
    """30,000 characters for the spreadsheet itself and for each sheet (Google's guide to metadata)."""
    sheet_id = _sheet_of(item)
    beside = [other for other in book.metadata.values() if _sheet_of(other) == sheet_id]
    characters = sum(len(each["metadataKey"]) + len(each.get("metadataValue", "")) for each in [*beside, item])
    if characters > limits.METADATA_CHARACTERS:
        raise RequestRefused(
            f"Cannot add developer metadata because the limit of {limits.METADATA_CHARACTERS} characters is exceeded."
        )


def _put(book: Book, item: Json) -> None:
    book.metadata[item["metadataId"]] = item
    book.changed_metadata.add(item["metadataId"])


def update_metadata(book: Book, body: Json) -> Json:
    """Change what the filters find."""
    mask = parse_mask(body.get("fields", ""))
    wished: Json = body.get("developerMetadata") or {}
    changed: list[Json] = []
    for item in find_metadata(book, body.get("dataFilters") or []):
        now = dict(item)
        for name in ("metadataKey", "metadataValue", "visibility"):
            if wants(mask, name) and name in wished:
                now[name] = wished[name]
        if mask.get("location") is not None and wished.get("location"):
            now["location"] = _location(book, wished["location"])
        _put(book, now)
        changed.append(metadata_json(now))
    return {"developerMetadata": changed} if changed else {}


def delete_metadata(book: Book, body: Json) -> Json:
    """Delete what the filter finds; nothing found is no error."""
    found = find_metadata(book, [body.get("dataFilter") or {}])
    for item in found:
        del book.metadata[item["metadataId"]]
        book.changed_metadata.add(item["metadataId"])
    return {"deletedDeveloperMetadata": [metadata_json(item) for item in found]} if found else {}


def find_metadata(book: Book, data_filters: list[Json]) -> list[Json]:
    """All metadata that any of the filters matches, by id."""
    found = {item["metadataId"]: item for each in data_filters for item in matches(book, each)}
    return [found[key] for key in sorted(found)]


def matches(book: Book, data_filter: Json) -> list[Json]:
    """The metadata that one DataFilter matches."""
    if (lookup := data_filter.get("developerMetadataLookup")) is not None:
        known = integer(lookup, "metadataId")
        some = [book.metadata[known]] if known in book.metadata else [] if known else list(book.metadata.values())
        return [item for item in some if _lookup_matches(book, item, lookup)]
    sheet, area = _filter_area(book, data_filter)
    return [item for item in book.metadata.values() if _lies_on(item, sheet, area)]


def _filter_area(book: Book, data_filter: Json) -> tuple[Sheet, Area]:
    if (grid := data_filter.get("gridRange")) is not None:
        return grid_range(book, grid)
    sheet, area = find_area(book, data_filter.get("a1Range") or "")
    return sheet, area.within(sheet.row_count, sheet.column_count)


def _lies_on(item: Json, sheet: Sheet, area: Area) -> bool:
    location = item["location"]
    place = location.get("dimensionRange")
    if not place or place["sheetId"] != sheet.sheet_id:
        return location.get("sheetId") == sheet.sheet_id
    first, last = (area.top, area.bottom) if place["dimension"] == "ROWS" else (area.left, area.right)
    return place["startIndex"] < (last or 0) and first < place["endIndex"]


def _lookup_matches(book: Book, item: Json, lookup: Json) -> bool:
    for name in ("metadataKey", "metadataValue", "visibility"):
        if lookup.get(name) is not None and item.get(name) != lookup[name]:
            return False
    location = item["location"]
    kind = lookup.get("locationType")
    if kind and location["locationType"] != kind:
        return False
    place = lookup.get("metadataLocation")
    return place is None or _location_matches(book, item, _location(book, place), lookup)


def _location_matches(book: Book, item: Json, place: Json, lookup: Json) -> bool:
    if lookup.get("locationMatchingStrategy") != "INTERSECTING_LOCATION":
        return item["location"] == place
    if place["locationType"] == "SPREADSHEET":
        return True
    if place["locationType"] == "SHEET":
        return _sheet_of(item) == place["sheetId"]
    its = item["location"].get("dimensionRange")
    if its is None or its["sheetId"] != place["dimensionRange"]["sheetId"]:
        return its is None
    return its == place["dimensionRange"] or its["dimension"] != place["dimensionRange"]["dimension"]
