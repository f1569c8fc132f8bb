"""The web application: which address goes where, and what becomes of an API request on its way."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from urllib.parse import parse_qs, unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as WebRoute
from starlette.types import ASGIApp

from collect_pipelines.sheets_server import drive_routes, limits, sheets_routes
from collect_pipelines.sheets_server.api_request import Answer, ApiRequest, Route, error_answer, json_answer
from collect_pipelines.sheets_server.errors import ApiError, bad_request
from collect_pipelines.sheets_server.hanging_up import CanHangUp, NoAnswer
from collect_pipelines.sheets_server.identity import issue_token, principal_of
from collect_pipelines.sheets_server.local_only import LocalOnly
from collect_pipelines.sheets_server.owner import owner_routes
from collect_pipelines.sheets_server.page import Pages
from collect_pipelines.sheets_server.service import SheetsService
from collect_pipelines.sheets_server.switches import Switches

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
Finder = Callable[[str, tuple[str, ...]], Route]


def build_app(service: SheetsService, switches: Switches) -> ASGIApp:
    """The whole server as an ASGI application."""

    async def sheets(request: Request) -> Response:
        return await _serve(service, switches, request, "/v4/spreadsheets", sheets_routes.find_route)

    async def files(request: Request) -> Response:
        return await _serve(service, switches, request, "/drive/v3", drive_routes.find_route)

    async def upload(request: Request) -> Response:
        return await _serve(service, switches, request, "/upload/drive/v2", _upload_route)

    routes: list[BaseRoute] = [
        WebRoute("/v4/spreadsheets{rest:path}", sheets, methods=_METHODS),
        WebRoute("/drive/v3/{rest:path}", files, methods=_METHODS),
        WebRoute("/upload/drive/v2/{rest:path}", upload, methods=["PUT"]),
        WebRoute("/token", _token, methods=["POST"]),
        WebRoute("/healthz", _healthz),
        *owner_routes(service, switches),
        *Pages(service).routes(),
    ]
    return LocalOnly(CanHangUp(Starlette(routes=routes)))


def _upload_route(_method: str, _segments: tuple[str, ...]) -> Route:
    return Route(drive_routes.import_csv, is_write=True, name="drive.upload")


async def _token(request: Request) -> Response:
    try:
        return to_response(json_answer(issue_token(await request.body())))
    except ApiError as error:
        return to_response(json_answer({"error": "invalid_grant", "error_description": error.message}, 400))


async def _healthz(_request: Request) -> Response:
    return Response("ok\n", media_type="text/plain")


async def _serve(service: SheetsService, switches: Switches, web: Request, prefix: str, find: Finder) -> Response:
    """Read, find, refuse, delay, apply, drop: in this order."""
    try:
        segments = _segments(web, prefix)
        route = find(web.method, segments)
        body = await read_body(web)
        request = _api_request(service, switches, web, segments, body)
        if switches.settings.latency_seconds:
            await asyncio.sleep(switches.settings.latency_seconds)
        switches.count(route.name)
        switches.count("writes" if route.is_write else "reads")
        switches.check_quota(request.principal, is_write=route.is_write)
        return await _fulfil(route, request)
    except ApiError as error:
        return to_response(error_answer(error))


async def _fulfil(route: Route, request: ApiRequest) -> Response:
    if not route.is_write:
        return to_response(await run_in_threadpool(_answer, route, request))
    fate = request.switches.fate_of_write()
    answer = await run_in_threadpool(_answer, route, request) if fate.applied else None
    if fate.error:
        raise fate.error
    return to_response(answer) if answer and fate.answered else NoAnswer()


def _answer(route: Route, request: ApiRequest) -> Answer:
    try:
        return route.serve(request)
    except ApiError as error:
        return error_answer(error)


def _segments(web: Request, prefix: str) -> tuple[str, ...]:
    """The path below the prefix, cut before it is decoded, so that `%2F` in a range is no slash."""
    raw: bytes = web.scope.get("raw_path") or web.url.path.encode()
    path = raw.decode("ascii", "replace").partition("?")[0].removeprefix(prefix)
    return tuple(unquote(part) for part in path.strip("/").split("/") if part)


def _api_request(
    service: SheetsService, switches: Switches, web: Request, segments: tuple[str, ...], body: bytes
) -> ApiRequest:
    query = parse_qs(web.url.query, keep_blank_values=True)
    principal = principal_of(web.headers.get("authorization", ""))
    home = f"{web.url.scheme}://{web.url.netloc}"
    return ApiRequest(service, switches, principal, home, web.method, segments, query, body)


async def read_body(web: Request) -> bytes:
    """The body, unpacked if it came gzipped. Raises ApiError over Google's 10 MiB."""
    data = bytearray()
    async for chunk in web.stream():
        data += chunk
        if len(data) > limits.BODY_BYTES:
            raise bad_request(f"Request payload size exceeds the limit: {limits.BODY_BYTES} bytes.")
    if web.headers.get("content-encoding", "").lower() != "gzip":
        return bytes(data)
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(bytes(data), limits.BODY_BYTES + 1)
    except (gzip.BadGzipFile, zlib.error):
        raise bad_request("The request body is not valid gzip.") from None
    if len(unpacked) > limits.BODY_BYTES:
        raise bad_request(f"Request payload size exceeds the limit: {limits.BODY_BYTES} bytes.")
    return unpacked


def to_response(answer: Answer) -> Response:
    """The web framework's answer."""
    return Response(answer.body, answer.status, answer.headers, media_type=answer.content_type)
