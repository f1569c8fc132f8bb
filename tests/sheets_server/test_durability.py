"""What was acknowledged is there after kill -9; what was not is there whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from collect_pipelines.embedded.mongod import free_port
from collect_pipelines.errors import ConfigurationError
from collect_pipelines.sheets_server.in_thread import running_server
from collect_pipelines.sheets_server.service import SheetsService
from tests.sheets_server.requests_of import fence, insert, update

ROOT = Path(__file__).parents[2]


@contextmanager
def server_process(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    command = [sys.executable, "-m", "collect_pipelines.sheets_server", "--folder", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 20
        while not is_healthy(url):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        yield url, process
    finally:
        process.kill()
        process.wait()


def is_healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=1).status_code == 200
    except requests.ConnectionError:
        return False


def append_row(url: str, spreadsheet_id: str, number: int) -> bool:
    """Whether the row was acknowledged."""
    batch = [fence(number), insert("ROWS", number, number + 1), update(number, 0, [[number, "x"]])]
    try:
        body = {"requests": batch}
        answer = requests.post(f"{url}/v4/spreadsheets/{spreadsheet_id}:batchUpdate", json=body, timeout=10)
    except requests.ConnectionError:
        return False
    assert answer.status_code == 200
    return True


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    acknowledged = 0
    with server_process(tmp_path) as (url, process):
        body = {
            "sheets": [
                {"properties": {"sheetId": 7, "title": "Data", "gridProperties": {"rowCount": 1, "columnCount": 2}}}
            ]
        }
        spreadsheet_id = requests.post(f"{url}/v4/spreadsheets", json=body, timeout=10).json()["spreadsheetId"]
        threading.Timer(0.7, process.kill).start()
        while append_row(url, spreadsheet_id, acknowledged + 1):
            acknowledged += 1
    with running_server(tmp_path) as server:
        read = f"{server.url}/v4/spreadsheets/{spreadsheet_id}/values/Data!A2:B?valueRenderOption=UNFORMATTED_VALUE"
        rows = requests.get(read, timeout=10).json()["values"]
        assert acknowledged > 3
        assert rows in ([[n, "x"] for n in range(1, acknowledged + extra + 1)] for extra in (0, 1))
        last = f"{server.url}/v4/spreadsheets/{spreadsheet_id}/developerMetadata"
        assert requests.get(f"{last}/{len(rows)}", timeout=10).status_code == 200
        assert requests.get(f"{last}/{len(rows) + 1}", timeout=10).status_code == 404


def test_everything_is_as_it_was_after_a_restart(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        body = {
            "properties": {"title": "Keep", "timeZone": "Europe/Paris"},
            "sheets": [{"properties": {"sheetId": 7}}, {}],
        }
        spreadsheet_id = requests.post(f"{server.url}/v4/spreadsheets", json=body, timeout=10).json()["spreadsheetId"]
        for action, details in (
            ("edit_cell", {"row": 2, "column": 3, "value": "12%"}),
            ("edit_cell", {"row": 2, "column": 4, "value": "=D3*2"}),
            ("set_note", {"row": 5, "column": 0, "note": "remember"}),
            ("add_column", {"title": "mine"}),
            ("insert_columns", {"column": 1}),
            ("insert_rows", {"row": 700, "count": 100}),
            ("rename_tab", {"title": "Other name"}),
        ):
            server.act(spreadsheet_id, action, **details)
        address = f"/v4/spreadsheets/{spreadsheet_id}?includeGridData=true&fields=properties,sheets"
        before = requests.get(server.url + address, timeout=10).json()
    with running_server(tmp_path) as server:
        assert requests.get(server.url + address, timeout=10).json() == before


def test_a_folder_is_served_once(tmp_path: Path) -> None:
    with running_server(tmp_path), pytest.raises(ConfigurationError, match="already serves"):
        SheetsService(tmp_path)
