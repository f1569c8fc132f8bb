"""The pages, and acting as the sheet's owner."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from collect_pipelines.sheets_server.in_thread import running_server
from tests.sheets_server.conftest import Spreadsheet, make_spreadsheet
from tests.sheets_server.requests_of import update

HOSTILE = '<script>alert(1)</script> & "quotes"'


def test_the_address_that_people_paste_leads_to_the_page(book: Spreadsheet) -> None:
    answer = requests.get(f"{book.server.url}/spreadsheets/d/{book.id}", timeout=10)
    assert answer.url == book.server.page(book.id)
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "<script>" not in answer.text and "style=" not in answer.text


def test_user_text_is_escaped_on_every_page(book: Spreadsheet) -> None:
    body = {"properties": {"title": HOSTILE}, "fields": "title"}
    book.batch({"updateSpreadsheetProperties": body})
    for address in (book.server.page(book.id), f"{book.server.url}/"):
        text = requests.get(address, timeout=10).text
        assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text


def test_a_window_of_rows_shows_what_stands_in_the_cells(book: Spreadsheet) -> None:
    book.batch(update(0, 0, [[HOSTILE, 0.5, True, "=B1*2"]]))
    book.server.act(book.id, "edit_cell", row=1, column=0, value="12%")
    book.server.act(book.id, "set_note", row=1, column=0, note="why?")
    window = requests.get(f"{book.server.url}/_page/{book.id}/rows?sheet=7&start=0&end=100", timeout=10).json()
    first = [{"t": HOSTILE}, {"t": "0.5", "k": "n"}, {"t": "TRUE", "k": "b"}, {"t": "1", "k": "n", "f": "=B1*2"}]
    assert window["rows"][:2] == [first, [{"t": "12%", "k": "n", "f": "0.12", "n": "why?"}]]
    assert len(window["rows"]) == 10


def test_the_owner_sorts_inserts_deletes_and_renames(book: Spreadsheet) -> None:
    act = book.server.act
    book.batch(update(0, 0, [["head"], ["b"], ["a"], ["c"]]))
    frozen = {
        "properties": {"sheetId": 7, "gridProperties": {"frozenRowCount": 1}},
        "fields": "gridProperties.frozenRowCount",
    }
    book.batch({"updateSheetProperties": frozen})
    act(book.id, "sort", column=0, descending=True)
    act(book.id, "insert_rows", row=1)
    act(book.id, "delete_rows", row=2)
    act(book.id, "add_column", title="mine")
    act(book.id, "rename_tab", title="Renamed")
    act(book.id, "add_tab", title="Another")
    assert book.values("Renamed") == [["head", "", "", "", "", "mine"], [], ["b"], ["a"]]


def test_an_action_that_means_nothing_is_refused(book: Spreadsheet) -> None:
    for action, body in (("dance", {}), ("sort", {}), ("sort", {"column": "A"}), ("delete_rows", {"row": 99})):
        answer = requests.post(f"{book.server.url}/_user/{book.id}/{action}", json=body, timeout=10)
        assert answer.status_code in (400, 404), answer.text
    answer = requests.post(f"{book.server.url}/_user/{book.id}/sort", data='{"column": 0}', timeout=10)
    assert answer.status_code == 415


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_pages_from_elsewhere_are_turned_away(book: Spreadsheet, headers: dict[str, str]) -> None:
    url = f"{book.server.url}/_user/{book.id}/delete_rows"
    assert requests.post(url, json={"row": 0}, headers=headers, timeout=10).status_code == 403


def test_a_page_hears_of_a_change_at_once(book: Spreadsheet) -> None:
    with requests.get(f"{book.server.url}/_page/{book.id}/events", stream=True, timeout=10) as events:
        lines = events.iter_lines()
        assert next(lines) == b"retry: 1000"
        book.write("Data!A1", [["x"]])
        assert any(line == b"data: changed" for line in lines)


def test_an_open_page_does_not_hold_the_server_up(tmp_path: Path) -> None:
    with ExitStack() as pages:
        with running_server(tmp_path) as server:
            address = f"{server.url}/_page/{make_spreadsheet(server).id}/events"
            events = pages.enter_context(requests.get(address, stream=True, timeout=10))
            assert next(events.iter_lines()) == b"retry: 1000"
            start = time.monotonic()
        assert time.monotonic() - start < 1.5


def test_a_spreadsheet_that_is_gone_has_a_page_that_says_so(book: Spreadsheet) -> None:
    requests.delete(f"{book.server.url}/drive/v3/files/{book.id}", timeout=10)
    answer = requests.get(book.server.page(book.id), timeout=10)
    assert answer.status_code == 404 and "No such spreadsheet" in answer.text
    assert requests.get(f"{book.server.url}/_page/{book.id}/state", timeout=10).status_code == 404
    assert requests.get(f"{book.server.url}/static/../app.py", timeout=10).status_code == 404


def test_one_sheet_is_downloaded_as_csv(book: Spreadsheet) -> None:
    book.batch(update(0, 0, [["a,b", 1], [None, "line\nbreak"]]))
    answer = requests.get(f"{book.server.url}/spreadsheets/d/{book.id}/export?format=csv&gid=7", timeout=10)
    assert answer.content == b'"a,b",1\r\n,"line\nbreak"'


def test_answers_arrive_without_delay_over_one_connection(book: Spreadsheet) -> None:
    """Nagle's algorithm would add 40 ms to each answer."""
    with socket.create_connection(("127.0.0.1", book.server.port)) as connection:
        connection.settimeout(5)
        for _ in range(3):
            connection.sendall(
                f"GET /v4/spreadsheets/{book.id}?fields=spreadsheetId HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
            data = b""
            while not data.endswith(b"}"):
                data += connection.recv(65536)
            assert json.loads(data.partition(b"\r\n\r\n")[2]) == {"spreadsheetId": book.id}
