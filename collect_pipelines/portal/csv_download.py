"""The CSV of a form over HTTP, streamed from one consistent state with bounded memory."""

from __future__ import annotations

from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from collect_pipelines.delivery.csv_export import CsvDownload


class CsvResponse(StreamingResponse):
    """Sends the file and closes the export, also when the reader goes away half-way."""

    def __init__(self, download: CsvDownload, headers: dict[str, str]) -> None:
        super().__init__(iter(download), 200, headers, media_type="text/csv")
        self._download = download

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if scope["method"] == "HEAD":
                await Response(status_code=200, headers=dict(self.headers))(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._download.close()


def csv_response(request: Request, download: CsvDownload) -> Response:
    """Answer with the file, or with 304 when the reader has these bytes already."""
    tag = f'"{download.tag}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Last-Modified": format_datetime(download.updated_at, usegmt=True),
    }
    if tag in request.headers.get("if-none-match", ""):
        download.close()
        return Response(status_code=304, headers=headers)
    watermark = download.manifest["watermark"]
    described = {
        "Content-Disposition": f'attachment; filename="{download.filename}"',
        "Content-Length": str(download.bytes),
        "X-Content-Rows": str(download.rows),
        "X-Content-Watermark": f"{watermark['table_id']}:{watermark['sequence']}",
    }
    return CsvResponse(download, {**headers, **described})


def byte_order_mark(request: Request) -> bool | None:
    """What `?bom=` asks for; None leaves it to the form's settings."""
    return {"1": True, "true": True, "0": False, "false": False}.get(request.query_params.get("bom", ""))
