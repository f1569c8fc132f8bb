"""Which Sheets v4 call a path means: `/v4/spreadsheets/{id}/values/{range}:append` and its siblings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from collect_pipelines.sheets_server import spreadsheet_calls as calls
from collect_pipelines.sheets_server.api_request import Answer, ApiRequest, Route, json_answer
from collect_pipelines.sheets_server.errors import ApiError, bad_request, storage_full
from collect_pipelines.sheets_server.field_mask import apply_mask
from collect_pipelines.sheets_server.files import ANONYMOUS
from collect_pipelines.sheets_server.value_ranges import Rendering

Serve = Callable[[ApiRequest, str, str], Any]
"""(request, spreadsheet id, the rest of the path) → JSON value."""

_RANGE_VERBS = ("append", "clear")


def find_route(method: str, segments: tuple[str, ...]) -> Route:
    """The call of a path below `/v4/spreadsheets`, cut at its slashes. Raises ApiError (404)."""
    name, spreadsheet_id, rest = _name(segments)
    known = _CALLS.get((method, name))
    if known is None:
        raise ApiError(404, "Method not found.")
    serve, schema, is_write = known

    def answer(request: ApiRequest) -> Answer:
        value = serve(request, spreadsheet_id, rest)
        call = request.call(schema, spreadsheet_id)
        return json_answer(apply_mask(value, call.mask))

    return Route(answer, is_write, name)


def _name(segments: tuple[str, ...]) -> tuple[str, str, str]:
    """(call, spreadsheet id, range or number)."""
    if not segments:
        return "spreadsheets", "", ""
    head, tail = segments[0], segments[1:]
    spreadsheet_id, _, verb = head.partition(":")
    if not tail:
        return (f"spreadsheet:{verb}" if verb else "spreadsheet"), spreadsheet_id, ""
    kind, rest = tail[0], "/".join(tail[1:])
    if kind == "values" and rest:
        cells, colon, verb = rest.rpartition(":")
        if colon and verb in _RANGE_VERBS:
            return f"range:{verb}", spreadsheet_id, cells
        return "range", spreadsheet_id, rest
    if kind == "sheets" and rest.endswith(":copyTo"):
        return "sheet:copyTo", spreadsheet_id, rest.removesuffix(":copyTo")
    return (f"{kind}/" if rest else kind), spreadsheet_id, rest


def _rendering(request: ApiRequest) -> Rendering:
    values = request.text("valueRenderOption") or "FORMATTED_VALUE"
    dates = request.text("dateTimeRenderOption") or "SERIAL_NUMBER"
    return _checked_rendering(values, dates, request.text("majorDimension"))


def _checked_rendering(values: str, dates: str, major: str) -> Rendering:
    kind = "type.googleapis.com/google.apps.sheets.v4"
    if values not in ("FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"):
        raise bad_request(f"Invalid value at 'value_render_option' ({kind}.ValueRenderOption), \"{values}\"")
    if dates not in ("SERIAL_NUMBER", "FORMATTED_STRING"):
        raise bad_request(f"Invalid value at 'date_time_render_option' ({kind}.DateTimeRenderOption), \"{dates}\"")
    if major not in ("", "ROWS", "COLUMNS", "DIMENSION_UNSPECIFIED"):
        raise bad_request(f"Invalid value at 'major_dimension' ({kind}.Dimension), \"{major}\"")
    return Rendering(values, dates, major == "COLUMNS")


def _echo(request: ApiRequest) -> Rendering | None:
    if not request.flag("includeValuesInResponse"):
        return None
    values = request.text("responseValueRenderOption") or "FORMATTED_VALUE"
    dates = request.text("responseDateTimeRenderOption") or "SERIAL_NUMBER"
    return _checked_rendering(values, dates, "")


def _create(request: ApiRequest, _id: str, _rest: str) -> Any:
    body = request.json("Spreadsheet", "spreadsheet")
    if request.switches.settings.storage_full:
        raise storage_full() if request.principal == ANONYMOUS else ApiError(403, "The caller does not have permission")
    return calls.create(request.call(), body)


def _get(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    call = request.call("Spreadsheet", spreadsheet_id)
    return calls.get(call, request.query.get("ranges", []), with_cells=request.flag("includeGridData"))


def _get_by_filter(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    body = request.json("GetSpreadsheetByDataFilterRequest")
    return calls.get_by_data_filter(request.call("Spreadsheet", spreadsheet_id), body)


def _batch_update(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    body = request.json("BatchUpdateSpreadsheetRequest")
    return calls.batch_update(request.call("BatchUpdateSpreadsheetResponse", spreadsheet_id), body)


def _search(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    return calls.search_metadata(request.call("", spreadsheet_id), request.json("SearchDeveloperMetadataRequest"))


def _get_metadata(request: ApiRequest, spreadsheet_id: str, rest: str) -> Any:
    if not rest.isdigit():
        raise bad_request(f"Invalid value at 'metadata_id' (TYPE_INT32), \"{rest}\"")
    return calls.get_metadata(request.call("", spreadsheet_id), int(rest))


def _copy_to(request: ApiRequest, spreadsheet_id: str, rest: str) -> Any:
    if not rest.isdigit():
        raise bad_request(f"Invalid value at 'sheet_id' (TYPE_INT32), \"{rest}\"")
    body = request.json("CopySheetToAnotherSpreadsheetRequest")
    return calls.copy_to(request.call("", spreadsheet_id), int(rest), body)


def _values_get(request: ApiRequest, spreadsheet_id: str, rest: str) -> Any:
    return calls.values_get(request.call("", spreadsheet_id), rest, _rendering(request))


def _values_batch_get(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    ranges = request.query.get("ranges", [])
    return calls.values_batch_get(request.call("", spreadsheet_id), ranges, _rendering(request))


def _values_by_filter(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    body = request.json("BatchGetValuesByDataFilterRequest")
    return calls.values_batch_get_by_filter(request.call("", spreadsheet_id), body)


def _values_update(request: ApiRequest, spreadsheet_id: str, rest: str) -> Any:
    body = request.json("ValueRange", "data")
    option = request.text("valueInputOption")
    return calls.values_update(request.call("", spreadsheet_id), rest, body, option, _echo(request))


def _values_append(request: ApiRequest, spreadsheet_id: str, rest: str) -> Any:
    body = request.json("ValueRange", "data")
    option, inserts = request.text("valueInputOption"), request.text("insertDataOption") == "INSERT_ROWS"
    return calls.values_append(request.call("", spreadsheet_id), rest, body, option, insert_rows=inserts)


def _values_batch_update(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    return calls.values_batch_update(request.call("", spreadsheet_id), request.json("BatchUpdateValuesRequest"))


def _values_update_by_filter(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    body = request.json("BatchUpdateValuesByDataFilterRequest")
    return calls.values_batch_update_by_filter(request.call("", spreadsheet_id), body)


def _values_clear(request: ApiRequest, spreadsheet_id: str, rest: str) -> Any:
    request.json("ClearValuesRequest")
    return calls.values_clear(request.call("", spreadsheet_id), rest)


def _values_batch_clear(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    return calls.values_batch_clear(request.call("", spreadsheet_id), request.json("BatchClearValuesRequest"))


def _values_clear_by_filter(request: ApiRequest, spreadsheet_id: str, _rest: str) -> Any:
    body = request.json("BatchClearValuesByDataFilterRequest")
    return calls.values_batch_clear_by_filter(request.call("", spreadsheet_id), body)


_CALLS: dict[tuple[str, str], tuple[Serve, str, bool]] = {
    ("POST", "spreadsheets"): (_create, "Spreadsheet", True),
    ("GET", "spreadsheet"): (_get, "Spreadsheet", False),
    ("POST", "spreadsheet:getByDataFilter"): (_get_by_filter, "Spreadsheet", False),
    ("POST", "spreadsheet:batchUpdate"): (_batch_update, "BatchUpdateSpreadsheetResponse", True),
    ("POST", "developerMetadata:search"): (_search, "SearchDeveloperMetadataResponse", False),
    ("GET", "developerMetadata/"): (_get_metadata, "DeveloperMetadata", False),
    ("POST", "sheet:copyTo"): (_copy_to, "SheetProperties", True),
    ("GET", "range"): (_values_get, "ValueRange", False),
    ("PUT", "range"): (_values_update, "UpdateValuesResponse", True),
    ("POST", "range:append"): (_values_append, "AppendValuesResponse", True),
    ("POST", "range:clear"): (_values_clear, "ClearValuesResponse", True),
    ("GET", "values:batchGet"): (_values_batch_get, "BatchGetValuesResponse", False),
    ("POST", "values:batchGetByDataFilter"): (_values_by_filter, "BatchGetValuesByDataFilterResponse", False),
    ("POST", "values:batchUpdate"): (_values_batch_update, "BatchUpdateValuesResponse", True),
    ("POST", "values:batchUpdateByDataFilter"): (
        _values_update_by_filter,
        "BatchUpdateValuesByDataFilterResponse",
        True,
    ),
    ("POST", "values:batchClear"): (_values_batch_clear, "BatchClearValuesResponse", True),
    ("POST", "values:batchClearByDataFilter"): (_values_clear_by_filter, "BatchClearValuesByDataFilterResponse", True),
}
