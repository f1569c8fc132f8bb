"""The server in a thread of this process: for tests, and for whoever embeds it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import uvicorn

from collect_pipelines.sheets_server.service import SheetsService
from collect_pipelines.sheets_server.switches import Switches
from collect_pipelines.sheets_server.web_server import WebServer

_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers at `url` (`http://127.0.0.1:<port>`) until the context is left."""

    url: str
    port: int
    service: SheetsService
    switches: Switches

    def control(self, **switches: Any) -> dict[str, Any]:
        """Set switches as `POST /_control` does and return the state; without any, only return it."""
        if not switches:
            return self.switches.state()
        return self._post("/_control", switches)

    def act(self, spreadsheet_id: str, action: str, **arguments: Any) -> dict[str, Any]:
        """Act as the sheet's owner: sort, edit_cell, insert_rows, … (see owner.ACTIONS)."""
        return self._post(f"/_user/{spreadsheet_id}/{action}", arguments)

    def page(self, spreadsheet_id: str) -> str:
        """The address of a spreadsheet's page."""
        return f"{self.url}/spreadsheets/d/{spreadsheet_id}/edit"

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(self.url + path, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def running_server(folder: Path, port: int = 0, *, power_safe: bool = False) -> Generator[RunningServer]:
    """Run a server on the folder, on a free port by default. `power_safe` also fsyncs every write."""
    service = SheetsService(folder, power_safe=power_safe)
    switches = Switches()
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    port = int(listener.getsockname()[1])
    server = WebServer(service, switches, port)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sheets-server", daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield RunningServer(f"http://127.0.0.1:{port}", port, service, switches)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        service.close()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise RuntimeError("the Sheets server did not start")
        time.sleep(0.005)
