"""uvicorn, set up for this server: on the loopback interface, quiet, and letting go of open pages when it stops."""

from __future__ import annotations

import socket

import uvicorn

from collect_pipelines.sheets_server.app import build_app
from collect_pipelines.sheets_server.service import SheetsService
from collect_pipelines.sheets_server.switches import Switches


class WebServer(uvicorn.Server):
    """A uvicorn server that ends the event streams of open pages first; else it would wait for them, and complain."""

    def __init__(self, service: SheetsService, switches: Switches, port: int) -> None:
        config = uvicorn.Config(
            build_app(service, switches),
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking requests, finish those under way, close."""
        for stop in self._service.stoppers:
            stop()
        await super().shutdown(sockets)
