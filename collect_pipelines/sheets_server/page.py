"""The pages: a list of the spreadsheets, and one page per spreadsheet that shows its grid and follows its changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from collect_pipelines.sheets_server.book import Book
from collect_pipelines.sheets_server.drive import export_csv
from collect_pipelines.sheets_server.errors import ApiError
from collect_pipelines.sheets_server.files import OWNER, SPREADSHEET
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.page_data import book_state, row_window
from collect_pipelines.sheets_server.service import SheetsService
from collect_pipelines.sheets_server.spreadsheet_calls import Call

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_PING_SECONDS = 15.0


class Pages:
    """The pages of one service."""

    def __init__(self, service: SheetsService) -> None:
        self._service = service
        self._templates = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True)
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        service.watchers.append(self._changed)
        service.stoppers.append(self._stop)

    def routes(self) -> list[BaseRoute]:
        """Their routes."""
        return [
            Route("/", self.index),
            Route("/spreadsheets/d/{spreadsheet_id}", self.to_edit),
            Route("/spreadsheets/d/{spreadsheet_id}/edit", self.edit),
            Route("/spreadsheets/d/{spreadsheet_id}/export", self.export),
            Route("/_page/{spreadsheet_id}/state", self.state),
            Route("/_page/{spreadsheet_id}/rows", self.rows),
            Route("/_page/{spreadsheet_id}/events", self.events),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ]

    async def index(self, _request: Request) -> Response:
        """The list of spreadsheets."""
        return self._page("index.html", files=await run_in_threadpool(self._files))

    def _files(self) -> list[Json]:
        with self._service.reading():
            files = [file for file in self._service.files.all() if file.mime_type == SPREADSHEET]
            return [{"id": file.id, "name": file.name, "modified": file.modified} for file in files]

    async def to_edit(self, request: Request) -> Response:
        """The address that people paste."""
        return RedirectResponse(f"/spreadsheets/d/{request.path_params['spreadsheet_id']}/edit")

    async def edit(self, request: Request) -> Response:
        """The page of a spreadsheet; its script fills the grid."""
        book = await run_in_threadpool(self._find, request)
        if book is None:
            return self._missing()
        return self._page("sheet.html", title=book.title, spreadsheet_id=book.spreadsheet_id)

    async def export(self, request: Request) -> Response:
        """One sheet as CSV, as the menu File › Download gives it."""
        gid = request.query_params.get("gid", "")
        book = await run_in_threadpool(self._find, request)
        sheet = book and (book.sheet(int(gid)) if gid.isdigit() else book.sheets[0])
        if book is None or sheet is None:
            return self._missing()
        call = Call(self._service, OWNER, "", book.spreadsheet_id)
        text = await run_in_threadpool(export_csv, call, book.spreadsheet_id, sheet.sheet_id)
        headers = {**_HEADERS, "Content-Disposition": 'attachment; filename="sheet.csv"'}
        return Response(text.encode("utf-8", "replace"), headers=headers, media_type="text/csv; charset=utf-8")

    async def state(self, request: Request) -> Response:
        """Title, tabs and their sizes."""
        return await self._json(request, book_state)

    async def rows(self, request: Request) -> Response:
        """A window of rows as the grid shows them."""
        query = request.query_params
        numbers = [query.get(name, "") for name in ("sheet", "start", "end")]
        if not all(number.isdigit() for number in numbers):
            return Response("sheet, start and end must be numbers\n", 400)
        sheet_id, start, end = map(int, numbers)
        return await self._json(request, lambda book: row_window(book, sheet_id, start, end))

    async def _json(self, request: Request, make: Any) -> Response:
        def answer() -> Json | None:
            with self._service.reading():
                book = self._find(request)
                return make(book) if book else None

        value = await run_in_threadpool(answer)
        if value is None:
            return Response(b"{}", 404, _HEADERS, "application/json")
        return Response(orjson.dumps(value), headers=_HEADERS, media_type="application/json")

    async def events(self, request: Request) -> Response:
        """Server-sent events: the version, whenever it changes."""
        if await run_in_threadpool(self._find, request) is None:
            return self._missing()
        self._loop = asyncio.get_running_loop()
        stream = self._versions(request.path_params["spreadsheet_id"])
        return StreamingResponse(stream, headers=_HEADERS, media_type="text/event-stream")

    async def _versions(self, spreadsheet_id: str) -> AsyncIterator[bytes]:
        changed = asyncio.Event()
        waiting = self._waiting.setdefault(spreadsheet_id, set())
        waiting.add(changed)
        try:
            yield b"retry: 1000\n\n"
            while not self._stopping:
                yield b"data: changed\n\n" if changed.is_set() else b": still here\n\n"
                changed.clear()
                try:
                    await asyncio.wait_for(changed.wait(), _PING_SECONDS)
                except TimeoutError:
                    continue
        finally:
            waiting.discard(changed)

    def _changed(self, spreadsheet_id: str, _version: int) -> None:
        if self._loop is None or self._loop.is_closed() or not self._waiting.get(spreadsheet_id):
            return
        self._loop.call_soon_threadsafe(self._wake, spreadsheet_id)

    def _stop(self) -> None:
        self._stopping = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    def _wake(self, spreadsheet_id: str) -> None:
        for event in self._waiting.get(spreadsheet_id, ()):
            event.set()

    def _find(self, request: Request) -> Book | None:
        with self._service.reading():
            try:
                return self._service.find(request.path_params["spreadsheet_id"])
            except ApiError:
                return None

    def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(name).render(**values)
        return Response(text.encode("utf-8", "replace"), status, _HEADERS, "text/html; charset=utf-8")

    def _missing(self) -> Response:
        return self._page("missing.html", 404)
