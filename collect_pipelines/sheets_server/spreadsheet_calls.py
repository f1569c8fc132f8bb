"""The Sheets v4 calls: each takes the checked request and returns the answer's JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from collect_pipelines.sheets_server.a1 import Area
from collect_pipelines.sheets_server.batch_update import apply_requests
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.creation import add_file, new_book
from collect_pipelines.sheets_server.errors import ApiError, RequestRefused, bad_request, not_found
from collect_pipelines.sheets_server.field_mask import EVERYTHING, Mask, below
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.kinds.cells import write_rows
from collect_pipelines.sheets_server.kinds.developer_metadata import find_metadata, matches
from collect_pipelines.sheets_server.kinds.sheets import copy_sheet, new_sheet
from collect_pipelines.sheets_server.ranges import find_area, grid_range, integer, resolved
from collect_pipelines.sheets_server.render import Ranges, metadata_json, sheet_properties, spreadsheet_json
from collect_pipelines.sheets_server.service import SheetsService
from collect_pipelines.sheets_server.value_ranges import (
    Rendering,
    append_values,
    clear_values,
    read_values,
    write_values,
)


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, for which spreadsheet, and what he wants to see of the answer."""

    service: SheetsService
    principal: str
    home_url: str
    spreadsheet_id: str = ""
    mask: Mask = field(default_factory=dict)

    def url(self, spreadsheet_id: str) -> str:
        """The page of a spreadsheet."""
        return f"{self.home_url}/spreadsheets/d/{spreadsheet_id}/edit"


def create(call: Call, body: Json) -> Json:
    """spreadsheets.create."""
    book = new_book(body.get("properties") or {})
    try:
        for wished in body.get("sheets") or [{}]:
            _add_wished_sheet(call.service, book, wished)
    except RequestRefused as refused:
        raise bad_request(f"Invalid sheets: {refused}") from None
    with call.service.writing():
        add_file(call.service, book, call.principal)
    return spreadsheet_json(book, call.url(book.spreadsheet_id), [], call.mask, with_cells=False)


def _add_wished_sheet(service: SheetsService, book: Book, wished: Json) -> None:
    sheet = new_sheet(book, wished.get("properties") or {}, service.database.load)
    for data in wished.get("data") or []:
        rows: list[Json] = data.get("rowData") or []
        write_rows(book, sheet, integer(data, "startRow"), integer(data, "startColumn"), rows, EVERYTHING)


def get(call: Call, ranges: list[str], *, with_cells: bool) -> Json:
    """spreadsheets.get."""
    with call.service.viewing(call.spreadsheet_id, call.principal) as book:
        found = _areas(book, ranges)
        return spreadsheet_json(book, call.url(book.spreadsheet_id), found, call.mask, with_cells=with_cells)


def _areas(book: Book, ranges: list[str]) -> list[tuple[Sheet, Area]]:
    found: list[tuple[Sheet, Area]] = []
    for text in ranges:
        sheet, area = find_area(book, text)
        found.append((sheet, resolved(sheet, area)))
    return found


def get_by_data_filter(call: Call, body: Json) -> Json:
    """spreadsheets.getByDataFilter."""
    with call.service.viewing(call.spreadsheet_id, call.principal) as book:
        found = [place for each in body.get("dataFilters") or [] for place in filter_areas(book, each)]
        with_cells = bool(body.get("includeGridData"))
        return spreadsheet_json(book, call.url(book.spreadsheet_id), found, call.mask, with_cells=with_cells)


def filter_areas(book: Book, data_filter: Json) -> list[tuple[Sheet, Area]]:
    """The areas that a DataFilter names: a grid range, an A1 range, or where the metadata lies that it looks up."""
    if data_filter.get("gridRange") is not None:
        return [grid_range(book, data_filter["gridRange"])]
    if data_filter.get("a1Range") is not None:
        return _areas(book, [data_filter["a1Range"]])
    return [_area_of(book, item) for item in matches(book, data_filter)]


def _area_of(book: Book, item: Json) -> tuple[Sheet, Area]:
    location = item["location"]
    place = location.get("dimensionRange")
    if place is None:
        sheet = book.grid_sheet(location["sheetId"]) if "sheetId" in location else book.sheets[0]
        return sheet, Area(0, 0, sheet.row_count, sheet.column_count)
    sheet = book.grid_sheet(place["sheetId"])
    if place["dimension"] == "ROWS":
        return sheet, Area(place["startIndex"], 0, place["endIndex"], sheet.column_count)
    return sheet, Area(0, place["startIndex"], sheet.row_count, place["endIndex"])


def batch_update(call: Call, body: Json) -> Json:
    """spreadsheets.batchUpdate."""
    with call.service.editing(call.spreadsheet_id, call.principal) as book:
        title = book.title
        answer: Json = {"spreadsheetId": book.spreadsheet_id}
        answer["replies"] = apply_requests(book, body.get("requests") or [])
        if book.title != title:
            call.service.files.rename(book.spreadsheet_id, book.title)
        if body.get("includeSpreadsheetInResponse"):
            ranges: Ranges = _areas(book, body.get("responseRanges") or [])
            mask = below(call.mask, "updatedSpreadsheet")
            with_cells = bool(body.get("responseIncludeGridData"))
            url = call.url(book.spreadsheet_id)
            answer["updatedSpreadsheet"] = spreadsheet_json(book, url, ranges, mask, with_cells=with_cells)
        return answer


def copy_to(call: Call, sheet_id: int, body: Json) -> Json:
    """spreadsheets.sheets.copyTo."""
    with call.service.writing():
        source = call.service.find(call.spreadsheet_id)
        target = call.service.to_change(body.get("destinationSpreadsheetId") or "", call.principal)
        try:
            sheet = source.grid_sheet(sheet_id)
            copy = copy_sheet(source, sheet, target, {"title": _copy_title(target, sheet.title)})
        except RequestRefused as refused:
            raise bad_request(str(refused)) from None
        return sheet_properties(target, copy)


def _copy_title(target: Book, title: str) -> str:
    wished, number = f"Copy of {title}", 1
    while target.sheet_titled(wished):
        number += 1
        wished = f"Copy of {title} {number}"
    return wished


def search_metadata(call: Call, body: Json) -> Json:
    """developerMetadata.search."""
    filters: list[Json] = body.get("dataFilters") or []
    with call.service.viewing(call.spreadsheet_id, call.principal) as book:
        found: list[Json] = []
        matched = [(each, {item["metadataId"] for item in matches(book, each)}) for each in filters]
        for item in find_metadata(book, filters):
            which = [each for each, ids in matched if item["metadataId"] in ids]
            found.append({"developerMetadata": metadata_json(item), "dataFilters": which})
        return {"matchedDeveloperMetadata": found} if found else {}


def get_metadata(call: Call, metadata_id: int) -> Json:
    """developerMetadata.get."""
    with call.service.viewing(call.spreadsheet_id, call.principal) as book:
        if metadata_id not in book.metadata:
            raise not_found()
        return metadata_json(book.metadata[metadata_id])


def values_get(call: Call, range_text: str, how: Rendering) -> Json:
    """values.get."""
    with call.service.viewing(call.spreadsheet_id, call.principal) as book:
        return read_values(book, *find_area(book, range_text), how)


def values_batch_get(call: Call, ranges: list[str], how: Rendering) -> Json:
    """values.batchGet."""
    with call.service.viewing(call.spreadsheet_id, call.principal) as book:
        found = [read_values(book, *find_area(book, text), how) for text in ranges]
        return {"spreadsheetId": book.spreadsheet_id, "valueRanges": found}


def values_batch_get_by_filter(call: Call, body: Json) -> Json:
    """values.batchGetByDataFilter: filters that meet the same range share one entry."""
    how = Rendering(
        body.get("valueRenderOption") or "FORMATTED_VALUE",
        body.get("dateTimeRenderOption") or "SERIAL_NUMBER",
        body.get("majorDimension") == "COLUMNS",
    )
    with call.service.viewing(call.spreadsheet_id, call.principal) as book:
        met: dict[tuple[int, Area], list[Json]] = {}
        for each in body.get("dataFilters") or []:
            for sheet, area in filter_areas(book, each):
                met.setdefault((sheet.sheet_id, area), []).append(each)
        found = [
            {"valueRange": read_values(book, book.grid_sheet(sheet_id), area, how), "dataFilters": filters}
            for (sheet_id, area), filters in met.items()
        ]
        return {"spreadsheetId": book.spreadsheet_id, **({"valueRanges": found} if found else {})}


def values_update(call: Call, range_text: str, body: Json, option: str, echo: Rendering | None) -> Json:
    """values.update."""
    with call.service.editing(call.spreadsheet_id, call.principal) as book:
        sheet, area = find_area(book, range_text)
        written = write_values(book, sheet, area, body, option)
        answer = written.json(book)
        return {**answer, "updatedData": read_values(book, sheet, written.area, echo)} if echo else answer


def values_batch_update(call: Call, body: Json) -> Json:
    """values.batchUpdate: all ranges or none."""
    option = body.get("valueInputOption") or ""
    with call.service.editing(call.spreadsheet_id, call.principal) as book:
        places = [(*_found(book, item, number), item) for number, item in enumerate(body.get("data") or [])]
        return _write_all(book, places, option)


def values_batch_update_by_filter(call: Call, body: Json) -> Json:
    """values.batchUpdateByDataFilter."""
    option = body.get("valueInputOption") or ""
    with call.service.editing(call.spreadsheet_id, call.principal) as book:
        data: list[Json] = body.get("data") or []
        places = [(*place, item) for item in data for place in filter_areas(book, item.get("dataFilter") or {})]
        return _write_all(book, places, option)


def _found(book: Book, item: Json, number: int) -> tuple[Sheet, Area]:
    try:
        return find_area(book, item.get("range") or "")
    except ApiError as error:
        raise bad_request(f"Invalid data[{number}]: {error.message}") from None


def _write_all(book: Book, places: list[tuple[Sheet, Area, Json]], option: str) -> Json:
    written = [
        write_values(book, sheet, area, item, option, f"data[{number}]")
        for number, (sheet, area, item) in enumerate(places)
    ]
    answer: Json = {"spreadsheetId": book.spreadsheet_id}
    if written:
        rows = {(w.sheet.sheet_id, w.area.top + at) for w in written for at in range(w.rows)}
        columns = {(w.sheet.sheet_id, w.area.left + at) for w in written for at in range(w.columns)}
        answer["totalUpdatedRows"] = len(rows)
        answer["totalUpdatedColumns"] = len(columns)
        answer["totalUpdatedCells"] = sum(w.cells for w in written)
        answer["totalUpdatedSheets"] = len({w.sheet.sheet_id for w in written})
        answer["responses"] = [w.json(book) for w in written]
    return answer


def values_append(call: Call, range_text: str, body: Json, option: str, *, insert_rows: bool) -> Json:
    """values.append."""
    with call.service.editing(call.spreadsheet_id, call.principal) as book:
        sheet, area = find_area(book, range_text)
        return append_values(book, sheet, area, body, option, insert_rows=insert_rows)


def values_clear(call: Call, range_text: str) -> Json:
    """values.clear."""
    with call.service.editing(call.spreadsheet_id, call.principal) as book:
        cleared = clear_values(*find_area(book, range_text))
        return {"spreadsheetId": book.spreadsheet_id, "clearedRange": cleared}


def values_batch_clear(call: Call, body: Json) -> Json:
    """values.batchClear."""
    with call.service.editing(call.spreadsheet_id, call.principal) as book:
        cleared = [clear_values(*find_area(book, text)) for text in body.get("ranges") or []]
        return {"spreadsheetId": book.spreadsheet_id, **({"clearedRanges": cleared} if cleared else {})}


def values_batch_clear_by_filter(call: Call, body: Json) -> Json:
    """values.batchClearByDataFilter."""
    with call.service.editing(call.spreadsheet_id, call.principal) as book:
        places = [place for each in body.get("dataFilters") or [] for place in filter_areas(book, each)]
        cleared = [clear_values(sheet, area) for sheet, area in places]
        return {"spreadsheetId": book.spreadsheet_id, **({"clearedRanges": cleared} if cleared else {})}
