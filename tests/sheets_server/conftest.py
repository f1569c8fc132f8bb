"""One running server per worker; every test makes spreadsheets of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import requests

from collect_pipelines.sheets_server.in_thread import RunningServer, running_server


@dataclass(frozen=True)
class Spreadsheet:
    """A spreadsheet of one sheet (id 7, "Data") and plain HTTP calls on it."""

    server: RunningServer
    id: str

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        url = f"{self.server.url}/v4/spreadsheets/{self.id}{path}"
        return requests.request(method, url, json=body, timeout=30, **options)

    def batch(self, *batch: dict[str, Any], query: str = "", **more: Any) -> dict[str, Any]:
        answer = self.send("POST", f":batchUpdate{query}", {"requests": list(batch), **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, *batch: dict[str, Any]) -> str:
        answer = self.send("POST", ":batchUpdate", {"requests": list(batch)})
        assert answer.status_code == 400, answer.text
        return answer.json()["error"]["message"]

    def values(self, cells: str = "Data", render: str = "UNFORMATTED_VALUE") -> list[list[Any]]:
        answer = self.send("GET", f"/values/{quote(cells, safe='')}?valueRenderOption={render}")
        assert answer.status_code == 200, answer.text
        return answer.json().get("values", [])

    def write(self, cells: str, values: list[list[Any]], option: str = "RAW") -> requests.Response:
        return self.send("PUT", f"/values/{quote(cells, safe='')}?valueInputOption={option}", {"values": values})

    def sheet(self) -> dict[str, Any]:
        return self.send("GET", "").json()["sheets"][0]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("sheets")) as running:
        yield running


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of the test's own, for switches and for what is the same for all spreadsheets."""
    with running_server(tmp_path_factory.mktemp("own")) as running:
        yield running


def make_spreadsheet(server: RunningServer, rows: int = 10, columns: int = 5) -> Spreadsheet:
    grid = {"rowCount": rows, "columnCount": columns}
    body = {
        "properties": {"title": "Test"},
        "sheets": [{"properties": {"sheetId": 7, "title": "Data", "gridProperties": grid}}],
    }
    answer = requests.post(f"{server.url}/v4/spreadsheets", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return Spreadsheet(server, answer.json()["spreadsheetId"])


@pytest.fixture
def book(server: RunningServer) -> Spreadsheet:
    return make_spreadsheet(server)


@pytest.fixture
def new_book(server: RunningServer) -> Callable[..., Spreadsheet]:
    return lambda rows=10, columns=5: make_spreadsheet(server, rows, columns)
