"""Which Drive call a path below `/drive/v3` means."""

from __future__ import annotations

from collections.abc import Callable

from collect_pipelines.sheets_server import drive
from collect_pipelines.sheets_server.api_request import Answer, ApiRequest, Route, json_answer
from collect_pipelines.sheets_server.errors import ApiError

_EXPORTS = {"text/csv": ",", "text/tab-separated-values": "\t"}
_EMPTY = Answer(b"", 204)


def find_route(method: str, segments: tuple[str, ...]) -> Route:
    """The call of a path below `/drive/v3`, cut at its slashes. Raises ApiError (404)."""
    pattern = tuple("*" if at in (1, 3) else part for at, part in enumerate(segments))
    known = _CALLS.get((method, pattern))
    if known is None:
        raise ApiError(404, "Method not found.")
    return Route(known, method != "GET", "drive." + ".".join(part for part in pattern if part != "*"))


def _create(request: ApiRequest) -> Answer:
    full = request.switches.settings.storage_full
    return json_answer(drive.create_file(request.call(), request.plain_json(), storage_is_full=full))


def _list(request: ApiRequest) -> Answer:
    size = request.text("pageSize", "100")
    page_size = max(1, min(int(size), 1000)) if size.isdigit() else 100
    return json_answer(drive.list_files(request.call(), request.text("q"), page_size, request.text("pageToken")))


def _update(request: ApiRequest) -> Answer:
    added, removed = request.text("addParents"), request.text("removeParents")
    return json_answer(drive.update_file(request.call(), request.segments[1], request.plain_json(), added, removed))


def _delete(request: ApiRequest) -> Answer:
    drive.delete_file(request.call(), request.segments[1])
    return _EMPTY


def _export(request: ApiRequest) -> Answer:
    kind = request.text("mimeType")
    if kind not in _EXPORTS:
        raise ApiError(400, "The requested conversion is not supported.", drive_reason="badRequest")
    text = drive.export_csv(request.call(), request.segments[1], delimiter=_EXPORTS[kind])
    return Answer(text.encode("utf-8", "replace"), content_type=f"{kind}; charset=utf-8")


def _delete_permission(request: ApiRequest) -> Answer:
    drive.delete_permission(request.call(), request.segments[1], request.segments[3])
    return _EMPTY


def import_csv(request: ApiRequest) -> Answer:
    """The upload of gspread's import_csv: `PUT /upload/drive/v2/files/{id}?uploadType=media&convert=True`."""
    return json_answer(drive.import_csv(request.call(), request.segments[-1], request.body.decode("utf-8", "replace")))


_CALLS: dict[tuple[str, tuple[str, ...]], Callable[[ApiRequest], Answer]] = {
    ("GET", ("about",)): lambda r: json_answer(drive.about(r.call())),
    ("POST", ("files",)): _create,
    ("GET", ("files",)): _list,
    ("GET", ("files", "*")): lambda r: json_answer(drive.get_file(r.call(), r.segments[1])),
    ("PATCH", ("files", "*")): _update,
    ("DELETE", ("files", "*")): _delete,
    ("POST", ("files", "*", "copy")): lambda r: json_answer(drive.copy_file(r.call(), r.segments[1], r.plain_json())),
    ("GET", ("files", "*", "export")): _export,
    ("GET", ("files", "*", "comments")): lambda _: json_answer({"comments": []}),
    ("GET", ("files", "*", "permissions")): lambda r: json_answer(drive.list_permissions(r.call(), r.segments[1])),
    ("POST", ("files", "*", "permissions")): lambda r: json_answer(
        drive.create_permission(r.call(), r.segments[1], r.plain_json())
    ),
    ("DELETE", ("files", "*", "permissions", "*")): _delete_permission,
}
