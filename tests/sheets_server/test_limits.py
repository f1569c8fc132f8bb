"""What is refused, and in which words."""

from __future__ import annotations

import gzip

import orjson
import requests

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.in_thread import RunningServer
from tests.sheets_server.conftest import Spreadsheet, make_spreadsheet
from tests.sheets_server.requests_of import insert, update

CELLS = "This action would increase the number of cells in the workbook above the limit of 10000000 cells."


def test_an_unknown_field_is_refused_with_its_place(book: Spreadsheet) -> None:
    body = {"requests": [{"updateCells": {"fieldz": "*", "start": {"sheetId": 7, "row": 1}}}]}
    error = book.send("POST", ":batchUpdate", body).json()["error"]
    first = "Invalid JSON payload received. Unknown name \"fieldz\" at 'requests[0].update_cells': Cannot find field."
    second = (
        "Invalid JSON payload received. Unknown name \"row\" at 'requests[0].update_cells.start': Cannot find field."
    )
    assert error["message"] == f"{first}\n{second}"
    violations = error["details"][0]["fieldViolations"]
    assert [each["field"] for each in violations] == ["requests[0].update_cells", "requests[0].update_cells.start"]


def test_a_wrong_type_is_refused(book: Spreadsheet) -> None:
    for value in ("seven", 2**31, 1.5, True):
        answer = book.send("POST", ":batchUpdate", {"requests": [{"deleteSheet": {"sheetId": value}}]})
        shown = orjson.dumps(value).decode()
        text = f"Invalid value at 'requests[0].delete_sheet.sheet_id' (TYPE_INT32), {shown}"
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, text)
    answer = book.send("PUT", "/values/Data!A1?valueInputOption=RAW", {"values": ["x"]})
    assert "at 'data.values[0]' (type.googleapis.com/google.protobuf.ListValue)" in answer.json()["error"]["message"]


def test_an_unknown_kind_of_request_is_refused_and_no_request_too(book: Spreadsheet) -> None:
    assert "Unknown name \"paintCells\" at 'requests[0]'" in book.refused({"paintCells": {}})
    assert "does not know this request" in book.refused({"addChart": {}})
    assert book.refused() == "Must specify at least one request."
    assert "No grid with id: 99" in book.refused({"appendDimension": {"sheetId": 99, "dimension": "ROWS", "length": 1}})


def test_bodies_that_are_no_json_objects_are_refused(book: Spreadsheet) -> None:
    url = f"{book.server.url}/v4/spreadsheets/{book.id}:batchUpdate"
    for data in (b"{", b"[]", b'"x"', b"\xff\xfe", b'{"requests": [NaN]}'):
        assert requests.post(url, data=data, timeout=10).status_code == 400


def test_an_unknown_field_of_the_answer_is_refused(book: Spreadsheet) -> None:
    answer = book.send("GET", "?fields=sheetz")
    text = "Error expanding 'fields' parameter. Cannot find matching fields for path 'sheetz'."
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, text)
    assert book.send("GET", "?fields=sheets(properties").status_code == 400


def test_ten_million_cells_are_the_end(book: Spreadsheet) -> None:
    added = {"addSheet": {"properties": {"gridProperties": {"rowCount": 999_995, "columnCount": 10}}}}
    book.batch(added)
    assert book.refused(insert("ROWS", 1, 2)) == f"Invalid requests[0].insertDimension: {CELLS}"
    assert book.refused(added) == f"Invalid requests[0].addSheet: {CELLS}"


def test_a_body_over_ten_mebibytes_is_refused_packed_or_not(book: Spreadsheet) -> None:
    url = f"{book.server.url}/v4/spreadsheets/{book.id}:batchUpdate"
    data = orjson.dumps({"requests": [], "responseRanges": ["x" * limits.BODY_BYTES]})
    packed = gzip.compress(data, 1)
    for body, headers in ((data, {}), (packed, {"Content-Encoding": "gzip"})):
        answer = requests.post(url, data=body, headers=headers, timeout=30)
        text = "Request payload size exceeds the limit: 10485760 bytes."
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, text)


def test_a_gzipped_body_is_read(book: Spreadsheet) -> None:
    url = f"{book.server.url}/v4/spreadsheets/{book.id}:batchUpdate"
    data = gzip.compress(orjson.dumps({"requests": [update(0, 0, [["packed"]])]}))
    answer = requests.post(url, data=data, headers={"Content-Encoding": "gzip"}, timeout=30)
    assert answer.status_code == 200
    assert book.values() == [["packed"]]


def test_more_than_100000_requests_are_refused(book: Spreadsheet) -> None:
    assert book.refused(*[{"clearBasicFilter": {"sheetId": 7}}] * 100_001) == (
        "Cannot exceed 100000 requests in a single batch."
    )


def test_what_does_not_exist_is_404(server: RunningServer) -> None:
    answer = requests.get(f"{server.url}/v4/spreadsheets/nope", timeout=10)
    error = {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}
    assert (answer.status_code, answer.json()) == (404, {"error": error})
    assert requests.get(f"{server.url}/v4/other", timeout=10).status_code == 404
    assert (
        requests.get(f"{server.url}/drive/v3/files/nope", timeout=10).json()["error"]["message"].startswith("File not")
    )


def test_titles_are_unique_without_regard_to_case(book: Spreadsheet) -> None:
    message = book.refused({"addSheet": {"properties": {"title": "DATA"}}})
    assert message.endswith('A sheet with the name "DATA" already exists. Please enter another name.')
    assert "100 characters" in book.refused({"addSheet": {"properties": {"title": "x" * 101}}})


def test_two_thousand_columns_are_no_trouble(server: RunningServer) -> None:
    wide = make_spreadsheet(server, 3, 2_000)
    wide.batch(update(1, 1_990, [list(range(10))]), insert("COLUMNS", 5, 10), insert("ROWS", 1, 2))
    assert wide.values("Data!3:3")[0][-10:] == list(range(10))
