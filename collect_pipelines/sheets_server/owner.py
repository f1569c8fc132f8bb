"""Acting as the sheet's owner (`/_user/…`, what the page uses) and the switches (`/_control`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from collect_pipelines.sheets_server.batch_update import apply_requests
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.entered_values import typed
from collect_pipelines.sheets_server.errors import ApiError, bad_request
from collect_pipelines.sheets_server.files import OWNER
from collect_pipelines.sheets_server.grid_data import extended_value
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.service import SheetsService
from collect_pipelines.sheets_server.switches import Switches


def owner_routes(service: SheetsService, switches: Switches) -> list[BaseRoute]:
    """The routes of the owner's actions and of the switches."""

    async def act(request: Request) -> Response:
        return await _answered(request, lambda body: _act(service, request.path_params, body))

    async def control(request: Request) -> Response:
        if request.method == "GET":
            return _json(switches.state())
        return await _answered(request, lambda body: _control(service, switches, body))

    return [
        Route("/_user/{spreadsheet_id}/{action}", act, methods=["POST"]),
        Route("/_control", control, methods=["GET", "POST"]),
    ]


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


async def _answered(request: Request, act: Callable[[Json], Json]) -> Response:
    # A foreign page can post text, but not JSON, without the browser asking first.
    if not request.headers.get("content-type", "").startswith("application/json"):
        return _json({"error": {"code": 415, "message": "Send application/json."}}, 415)
    try:
        body: Any = orjson.loads(await request.body() or b"{}")
        if not isinstance(body, dict):
            raise bad_request("The body is no object.")
        return _json(await run_in_threadpool(act, body))
    except orjson.JSONDecodeError as error:
        return _json(bad_request(f"Invalid JSON: {error}").body(), 400)
    except ApiError as error:
        return _json(error.body(), error.code)


def _control(service: SheetsService, switches: Switches, body: Json) -> Json:
    shared: Json = body.pop("not_shared", None) or {}
    switches.change(body)
    if shared:
        with service.writing():
            for spreadsheet_id, closed in shared.items():
                service.find(spreadsheet_id)
                service.files.restrict(spreadsheet_id, restricted=bool(closed))
    return switches.state()


def _act(service: SheetsService, path: Json, body: Json) -> Json:
    build = ACTIONS.get(path["action"])
    if build is None:
        raise ApiError(404, f"Unknown action {path['action']!r}. Known: {', '.join(sorted(ACTIONS))}")
    with service.editing(path["spreadsheet_id"], OWNER) as book:
        sheet = book.grid_sheet(_number(body, "sheet_id", book.sheets[0].sheet_id))
        apply_requests(book, build(book, sheet, body))
    return {"version": book.version}


def _number(body: Json, name: str, default: int | None = None) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad_request(f"{name} must be a whole number.")
    return value


def _text(body: Json, name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise bad_request(f"{name} must be a text.")
    return value


def _range(sheet: Sheet, top: int, left: int, bottom: int, right: int) -> Json:
    rows = {"startRowIndex": top, "endRowIndex": bottom}
    return {"sheetId": sheet.sheet_id, **rows, "startColumnIndex": left, "endColumnIndex": right}


def _sort(_book: Book, sheet: Sheet, body: Json) -> list[Json]:
    """Sort everything below the frozen rows by one column, as the menu "Sort sheet" does."""
    frozen: int = sheet.properties.get("gridProperties", {}).get("frozenRowCount", 0)
    top = _number(body, "start_row", frozen)
    bottom, right = _number(body, "end_row", sheet.row_count), _number(body, "end_column", sheet.column_count)
    left = _number(body, "start_column", 0)
    order = "DESCENDING" if body.get("descending") else "ASCENDING"
    spec = {"dimensionIndex": _number(body, "column"), "sortOrder": order}
    return [{"sortRange": {"range": _range(sheet, top, left, bottom, right), "sortSpecs": [spec]}}]


def _edit_cell(book: Book, sheet: Sheet, body: Json) -> list[Json]:
    row, column = _number(body, "row"), _number(body, "column")
    value = body.get("value", "")
    entered = typed(value)
    data: Json = {}
    if entered.formula:
        data["userEnteredValue"] = {"formulaValue": entered.formula}
    elif entered.value not in (None, ""):
        data["userEnteredValue"] = extended_value(entered.value)
    fields = "userEnteredValue"
    if entered.number_format:
        data["userEnteredFormat"] = {"numberFormat": entered.number_format}
        fields += ",userEnteredFormat.numberFormat"
    area = _range(sheet, row, column, row + 1, column + 1)
    return [{"updateCells": {"range": area, "rows": [{"values": [data]}], "fields": fields}}]


def _set_note(_book: Book, sheet: Sheet, body: Json) -> list[Json]:
    row, column = _number(body, "row"), _number(body, "column")
    rows = [{"values": [{"note": _text(body, "note")}]}]
    area = _range(sheet, row, column, row + 1, column + 1)
    return [{"updateCells": {"range": area, "rows": rows, "fields": "note"}}]


def _lines(sheet: Sheet, dimension: str, start: int, count: int) -> Json:
    return {"sheetId": sheet.sheet_id, "dimension": dimension, "startIndex": start, "endIndex": start + count}


def _inserting(dimension: str, name: str) -> Callable[[Book, Sheet, Json], list[Json]]:
    def build(_book: Book, sheet: Sheet, body: Json) -> list[Json]:
        start = _number(body, name)
        lines = _lines(sheet, dimension, start, _number(body, "count", 1))
        return [{"insertDimension": {"range": lines, "inheritFromBefore": start > 0}}]

    return build


def _deleting(dimension: str, name: str) -> Callable[[Book, Sheet, Json], list[Json]]:
    def build(_book: Book, sheet: Sheet, body: Json) -> list[Json]:
        lines = _lines(sheet, dimension, _number(body, name), _number(body, "count", 1))
        return [{"deleteDimension": {"range": lines}}]

    return build


def _add_column(book: Book, sheet: Sheet, body: Json) -> list[Json]:
    """A column of one's own at the end, or before `column`, with a title in the first row."""
    at = _number(body, "column", sheet.column_count)
    insert = _inserting("COLUMNS", "column")(book, sheet, {"column": at})
    area = _range(sheet, 0, at, 1, at + 1)
    title: Json = {"userEnteredValue": {"stringValue": _text(body, "title")}} if body.get("title") else {}
    return [*insert, {"repeatCell": {"range": area, "cell": title, "fields": "userEnteredValue"}}]


def _move_column(_book: Book, sheet: Sheet, body: Json) -> list[Json]:
    source = _lines(sheet, "COLUMNS", _number(body, "column"), 1)
    return [{"moveDimension": {"source": source, "destinationIndex": _number(body, "before")}}]


def _rename_tab(_book: Book, sheet: Sheet, body: Json) -> list[Json]:
    properties = {"sheetId": sheet.sheet_id, "title": _text(body, "title")}
    return [{"updateSheetProperties": {"properties": properties, "fields": "title"}}]


def _add_tab(_book: Book, _sheet: Sheet, body: Json) -> list[Json]:
    return [{"addSheet": {"properties": {"title": _text(body, "title")}}}]


def _delete_tab(_book: Book, sheet: Sheet, _body: Json) -> list[Json]:
    return [{"deleteSheet": {"sheetId": sheet.sheet_id}}]


ACTIONS: dict[str, Callable[[Book, Sheet, Json], list[Json]]] = {
    "sort": _sort,
    "edit_cell": _edit_cell,
    "set_note": _set_note,
    "insert_rows": _inserting("ROWS", "row"),
    "delete_rows": _deleting("ROWS", "row"),
    "insert_columns": _inserting("COLUMNS", "column"),
    "delete_columns": _deleting("COLUMNS", "column"),
    "add_column": _add_column,
    "move_column": _move_column,
    "rename_tab": _rename_tab,
    "add_tab": _add_tab,
    "delete_tab": _delete_tab,
}
