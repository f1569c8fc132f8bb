"""The calls that our own delivery rests on."""

from __future__ import annotations

import requests

from tests.sheets_server.conftest import Spreadsheet
from tests.sheets_server.requests_of import column, delete, fence, insert, lines, metadata, update

FIELDS = "?fields=replies,updatedSpreadsheet(sheets(data(startRow,rowData(values(userEnteredValue)))))"


def test_a_batch_sent_twice_is_applied_once(book: Spreadsheet) -> None:
    batch = [fence(1), insert("ROWS", 1, 3), update(1, 0, [["k1", 1.5], ["k2", True]])]
    book.batch(*batch)
    message = book.refused(*batch)
    assert message == (
        "Invalid requests[0].createDeveloperMetadata: Cannot add developer metadata with ID [1] "
        "because developer metadata with that ID already exists."
    )
    assert book.values() == [[], ["k1", 1.5], ["k2", True]]


def test_the_answer_shows_where_the_rows_landed(book: Spreadsheet) -> None:
    batch = [fence(1), insert("ROWS", 1, 3), update(1, 0, [["k1", 1], ["k2", 2]])]
    more = {"includeSpreadsheetInResponse": True, "responseRanges": ["Data!A2:A2", "Data!A3:A3"]}
    answer = book.batch(*batch, query=FIELDS, **more)
    landed = [
        {"startRow": 1, "rowData": [{"values": [{"userEnteredValue": {"stringValue": "k1"}}]}]},
        {"startRow": 2, "rowData": [{"values": [{"userEnteredValue": {"stringValue": "k2"}}]}]},
    ]
    assert answer["updatedSpreadsheet"] == {"sheets": [{"data": landed}]}
    assert answer["replies"][1:] == [{}, {}]
    assert "spreadsheetId" not in answer


def test_a_refused_request_takes_the_whole_batch_back(book: Spreadsheet) -> None:
    book.batch(update(0, 0, [["head"]]))
    before = book.send("GET", "?includeGridData=true").json()
    text = "x" * 50_001
    message = book.refused(
        fence(2),
        insert("COLUMNS", 0, 1, before=False),
        delete("ROWS", 0, 1),
        insert("ROWS", 1, 99),
        update(0, 0, [[text]]),
    )
    assert message.startswith("Invalid requests[4].updateCells: ")
    assert message.endswith("Your input contains more than the maximum of 50000 characters in a single cell.")
    assert book.send("GET", "?includeGridData=true").json() == before
    book.batch(fence(2))


def test_a_refused_batch_does_not_count_as_a_change(book: Spreadsheet) -> None:
    address = f"{book.server.url}/drive/v3/files/{book.id}?fields=modifiedTime,version"
    before = requests.get(address, timeout=10).json()
    book.refused(fence(2), delete("ROWS", 5, 99))
    assert requests.get(address, timeout=10).json() == before
    book.batch(fence(2))
    assert requests.get(address, timeout=10).json()["version"] != before["version"]


def test_column_metadata_moves_with_its_column(book: Spreadsheet) -> None:
    book.batch(metadata(5, "q", "age", column(1)), metadata(6, "q", "name", column(2)))
    book.batch(insert("COLUMNS", 0, 2, before=False))
    move = {"moveDimension": {"source": lines("COLUMNS", 3, 4), "destinationIndex": 0}}
    book.batch(move)
    assert places(book) == {"age": 0, "name": 4}


def places(book: Spreadsheet) -> dict[str, int]:
    body = {"dataFilters": [{"developerMetadataLookup": {"metadataKey": "q", "locationType": "COLUMN"}}]}
    answer = book.send("POST", "/developerMetadata:search", body).json()
    found = [item["developerMetadata"] for item in answer.get("matchedDeveloperMetadata", [])]
    return {item["metadataValue"]: item["location"]["dimensionRange"]["startIndex"] for item in found}


def test_column_metadata_goes_with_its_deleted_column(book: Spreadsheet) -> None:
    book.batch(metadata(5, "q", "age", column(1)), metadata(6, "q", "name", column(2)))
    book.batch(delete("COLUMNS", 1, 2))
    assert places(book) == {"name": 1}
    assert book.send("GET", "/developerMetadata/5").status_code == 404
    assert book.send("GET", "/developerMetadata/6").json()["metadataValue"] == "name"


def test_metadata_is_updated_and_deleted_by_exact_id(book: Spreadsheet) -> None:
    book.batch(fence(1, "a"), fence(2, "b"))
    wanted = {"dataFilters": [{"developerMetadataLookup": {"metadataId": 1}}]}
    change = {**wanted, "developerMetadata": {"metadataValue": "c"}, "fields": "metadataValue"}
    book.batch({"updateDeveloperMetadata": change})
    assert book.send("GET", "/developerMetadata/1").json()["metadataValue"] == "c"
    gone = {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": {"metadataId": 1}}}}
    reply = book.batch(gone)["replies"][0]["deleteDeveloperMetadata"]
    assert [item["metadataId"] for item in reply["deletedDeveloperMetadata"]] == [1]
    assert book.batch(gone)["replies"] == [{}]
    book.batch(fence(1))


def test_metadata_is_limited_to_30000_characters_per_sheet(book: Spreadsheet) -> None:
    book.batch(fence(1, "x" * 29_900))
    assert "30000 characters" in book.refused(fence(2, "x" * 200))


def test_inserting_beyond_the_grid_is_refused_in_googles_words(book: Spreadsheet) -> None:
    start = "Invalid requests[0].insertDimension: range.startIndex"
    assert book.refused(insert("ROWS", 11, 12)) == f"{start} is larger than current grid size (10)"
    at_the_end = book.refused(insert("ROWS", 10, 12, before=False))
    assert at_the_end == f"{start} must be less than the grid size (10) if inheritFromBefore is false."
    book.batch(insert("ROWS", 10, 12))
    assert book.sheet()["properties"]["gridProperties"]["rowCount"] == 12


def test_inserted_rows_inherit_formats_and_not_values(book: Spreadsheet) -> None:
    shape = {"userEnteredFormat": {"numberFormat": {"type": "DATE", "pattern": "yyyy-mm-dd"}}}
    whole_row = {"sheetId": 7, "startRowIndex": 1, "endRowIndex": 2}
    book.batch({"repeatCell": {"range": whole_row, "cell": shape, "fields": "userEnteredFormat.numberFormat"}})
    book.batch(update(1, 0, [[46000]]), insert("ROWS", 2, 5), update(4, 0, [[46001]]))
    assert book.values(render="FORMATTED_VALUE") == [[], ["2025-12-09"], [], [], ["2025-12-10"]]


def test_reading_by_sheet_id_and_by_metadata_survives_a_rename(book: Spreadsheet) -> None:
    book.batch(update(0, 0, [["a", "b"], ["c", "d"]]), metadata(9, "q", "second", column(1)))
    book.server.act(book.id, "rename_tab", title="Anders")
    filters = [{"gridRange": {"sheetId": 7, "endRowIndex": 1}}, {"developerMetadataLookup": {"metadataId": 9}}]
    answer = book.send("POST", "/values:batchGetByDataFilter", {"dataFilters": filters}).json()
    values = [item["valueRange"]["values"] for item in answer["valueRanges"]]
    assert values == [[["a", "b"]], [["b"], ["d"]]]
    assert answer["valueRanges"][0]["valueRange"]["range"] == "Anders!A1:E1"
    body = {"dataFilters": [{"developerMetadataLookup": {"metadataId": 9}}], "includeGridData": True}
    found = book.send(
        "POST", ":getByDataFilter?fields=sheets.data(startColumn,rowData.values.formattedValue)", body
    ).json()
    rows = [{"values": [{"formattedValue": "b"}]}, {"values": [{"formattedValue": "d"}]}]
    assert found == {"sheets": [{"data": [{"startColumn": 1, "rowData": rows}]}]}


def test_appended_cells_land_under_the_last_row_with_data(book: Spreadsheet) -> None:
    book.batch(update(3, 2, [["somebody's remark"]]))
    rows = [{"values": [{"userEnteredValue": {"stringValue": "k"}}] * 7}] * 8
    book.batch({"appendCells": {"sheetId": 7, "rows": rows, "fields": "userEnteredValue"}})
    grid = book.sheet()["properties"]["gridProperties"]
    assert (grid["rowCount"], grid["columnCount"]) == (12, 7)
    assert book.values("Data!A4:A5") == [[], ["k"]]
