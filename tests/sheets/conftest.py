"""The local Sheets server, over HTTP, and a delivery that talks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from collect_pipelines.clients.quota import Quota
from collect_pipelines.delivery.contract import Delivered
from collect_pipelines.delivery.google_sheet import GoogleSheets, open_google_sheets
from collect_pipelines.delivery.google_sheet.keys import split_key
from collect_pipelines.delivery.google_sheet.opening import Clockwork
from collect_pipelines.model import Form
from collect_pipelines.settings import Settings
from collect_pipelines.sheets_server.in_thread import RunningServer, running_server
from tests.sheets.responses import Table


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests of this worker process; every test has spreadsheets of its own."""
    with running_server(tmp_path_factory.mktemp("sheets")) as server:
        yield server


@pytest.fixture
def server(shared_server: RunningServer) -> Iterator[RunningServer]:
    """The server with all switches off."""
    shared_server.control(reset=True)
    yield shared_server
    shared_server.control(reset=True)


@dataclass
class Desk:
    """A form with its table, its sheet and its owner."""

    server: RunningServer
    home: Path
    table: Table
    quota: Quota | None = None

    def __post_init__(self) -> None:
        self.sheets = self.open()

    def open(self, home: Path | None = None, endpoint: str | None = None) -> GoogleSheets:
        settings = Settings(home=home or self.home, sheets_endpoint=endpoint or self.server.url)
        return open_google_sheets(settings, None, quota=self.quota, clockwork=Clockwork(sleep=lambda _: None))

    def deliver(self, *, rebuild: bool = False, **more: Any) -> Delivered:
        return self.sheets.deliver(self.table.form, self.table.snapshot(), rebuild=rebuild, **more)

    def lose_state(self) -> None:
        for file in (self.home / "sheet_rows").iterdir():
            file.unlink()

    @property
    def spreadsheet_id(self) -> str:
        query = f"appProperties has {{ key='collect_form' and value='{self.table.form.key}' }}"
        answer = requests.get(
            f"{self.server.url}/drive/v3/files", params={"q": query, "fields": "files(id,createdTime)"}, timeout=10
        ).json()
        return str(min((file["createdTime"], file["id"]) for file in answer["files"])[1])

    def grid(self, render: str = "FORMULA") -> list[list[Any]]:
        tab = self.describe()["sheets"][0]["properties"]["title"]
        address = f"{self.server.url}/v4/spreadsheets/{self.spreadsheet_id}/values/'{tab}'"
        answer = requests.get(address, params={"valueRenderOption": render}, timeout=10)
        answer.raise_for_status()
        return answer.json().get("values", [])

    def describe(self) -> dict[str, Any]:
        return requests.get(f"{self.server.url}/v4/spreadsheets/{self.spreadsheet_id}", timeout=10).json()

    def act(self, action: str, **arguments: Any) -> None:
        self.server.act(self.spreadsheet_id, action, **arguments)

    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows that have a key, by response id; each by header. A key that stands twice is an error."""
        header, *body = self.grid()
        index = header.index("_response")
        found: dict[str, dict[str, Any]] = {}
        for row in body:
            if key := split_key(row[index] if len(row) > index else None):
                assert key[0] not in found, f"{key[0]} stands in the sheet twice"
                found[key[0]] = {name: cell for name, cell in zip(header, row, strict=False) if cell != ""}
        return found


@pytest.fixture
def desk(server: RunningServer, tmp_path: Path) -> Callable[..., Desk]:
    """Make a desk for a form; its id is made unique."""

    def make(form: Form, **more: Any) -> Desk:
        own = Form(f"{form.id}-{uuid4().hex[:8]}", form.titles, form.questions, settings=form.settings)
        return Desk(server, tmp_path / own.id, Table(own), **more)

    return make
