from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sheets_server.conftest import Spreadsheet


def test_raw_values_are_stored_as_they_are(book: Spreadsheet) -> None:
    values = [["0042", "=1+1", 42, 1.5, True], ["2020-01-01"]]
    book.write("Data!A1", values)
    assert book.values() == values
    assert book.values(render="FORMATTED_VALUE") == [["0042", "=1+1", "42", "1.5", "TRUE"], ["2020-01-01"]]


@pytest.mark.parametrize(
    ("entered", "value", "shown"),
    [
        ("0042", 42, "42"),
        ("2,000,000.01", 2000000.01, "2,000,000.01"),
        ("12%", 0.12, "12%"),
        ("$1,234.5", 1234.5, "$1,234.50"),
        ("2020-01-01", 43831, "2020-01-01"),
        ("2020-02-30", "2020-02-30", "2020-02-30"),
        ("14:30", 0.6041666666666666, "14:30"),
        ("true", True, "TRUE"),
        ("'0042", "0042", "0042"),
        ("=2^3*(1+1)", 16, "16"),
        ("=1/0", "#DIV/0!", "#DIV/0!"),
        ('="a"&1+1', "a2", "a2"),
        ("=nonsense(1)", "#NAME?", "#NAME?"),
        ("=1+", "#ERROR!", "#ERROR!"),
        ("1e3", 1000, "1.00E+03"),
        ("Ünïcode 🌵", "Ünïcode 🌵", "Ünïcode 🌵"),
    ],
)
def test_entered_values_become_what_typing_makes_of_them(
    book: Spreadsheet, entered: str, value: Any, shown: str
) -> None:
    assert book.write("Data!B2", [[entered]], "USER_ENTERED").status_code == 200
    assert book.values("Data!B2") == [[value]]
    assert book.values("Data!B2", "FORMATTED_VALUE") == [[shown]]


def test_null_leaves_a_cell_and_an_empty_text_clears_it(book: Spreadsheet) -> None:
    book.write("Data!A1", [["a", "b", "c"]])
    counts = book.write("Data!A1:C1", [[None, "", "d"]]).json()
    assert book.values() == [["a", "", "d"]]
    assert (counts["updatedCells"], counts["updatedRange"]) == (2, "Data!A1:C1")


def test_a_write_outside_of_its_range_or_the_grid_changes_nothing(book: Spreadsheet) -> None:
    outside = book.write("Data!A1:B1", [["a", "b", "c"]])
    text = "Requested writing within range [Data!A1:B1], but tried writing to column [C]"
    assert (outside.status_code, outside.json()["error"]["message"]) == (400, text)
    beyond = book.write("Data!A10", [["a"], ["b"]])
    text = "Range (Data!A10:A11) exceeds grid limits. Max rows: 10, max columns: 5"
    assert (beyond.status_code, beyond.json()["error"]["message"]) == (400, text)
    assert book.values() == []


def test_a_batch_of_ranges_is_written_whole_or_not_at_all(book: Spreadsheet) -> None:
    data = [{"range": "Data!A1", "values": [["x"]]}, {"range": "Data!A2", "values": [["y" * 50_001]]}]
    answer = book.send("POST", "/values:batchUpdate", {"valueInputOption": "RAW", "data": data})
    text = "Invalid data[1]: Your input contains more than the maximum of 50000 characters in a single cell."
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, text)
    assert book.values() == []


def test_fifty_thousand_utf16_units_still_fit(book: Spreadsheet) -> None:
    assert book.write("Data!A1", [["🌵" * 25_000]]).status_code == 200
    assert book.write("Data!A1", [["🌵" * 25_000 + "x"]]).status_code == 400


def test_append_continues_the_table_it_finds(book: Spreadsheet) -> None:
    book.write("Data!A1", [["h1", "h2"], [1, 2]])
    path = "/values/Data!A1:append?valueInputOption=RAW"
    answer = book.send("POST", path, {"values": [[3, 4]] * 9}).json()
    assert (answer["tableRange"], answer["updates"]["updatedRange"]) == ("Data!A1:B2", "Data!A3:B11")
    assert len(book.values()) == 11


def test_append_finds_the_whole_of_a_long_table(new_book: Callable[..., Spreadsheet]) -> None:
    book = new_book(rows=400)
    rows: list[list[Any]] = [[n] for n in range(300)]
    rows[150] = [150, "wider", "here"]
    book.write("Data!A1", rows)
    book.write("Data!E5", [["apart"]])
    for cells in ("Data!A1", "Data!A300", "Data!A10:C400"):
        answer = book.send("POST", f"/values/{cells}:append?valueInputOption=RAW", {"values": [["x"]]}).json()
        assert answer["tableRange"].startswith("Data!A1:C3")
    assert len(book.values()) == 303


def test_append_into_blank_cells_begins_where_it_is_told(book: Spreadsheet) -> None:
    book.write("Data!A1", [["a"]])
    answer = book.send("POST", "/values/Data!C4:append?valueInputOption=RAW", {"values": [["x"]]}).json()
    assert (answer.get("tableRange"), answer["updates"]["updatedRange"]) == (None, "Data!C4")


def test_clear_keeps_formats_and_notes(book: Spreadsheet) -> None:
    book.write("Data!A1", [["12%"]], "USER_ENTERED")
    book.server.act(book.id, "set_note", row=0, column=0, note="remember")
    assert book.send("POST", "/values/Data!A1:C3:clear").json()["clearedRange"] == "Data!A1:C3"
    book.write("Data!A1", [[0.5]])
    assert book.values(render="FORMATTED_VALUE") == [["50%"]]
    cell = book.send("GET", "?ranges=Data!A1&fields=sheets.data.rowData.values.note").json()
    assert cell["sheets"][0]["data"][0]["rowData"][0]["values"] == [{"note": "remember"}]


def test_columns_dates_and_formulas_are_rendered_as_asked(book: Spreadsheet) -> None:
    book.write("Data!A1", [["2020-01-01", "=A1+1"], ["x"]], "USER_ENTERED")
    path = "/values/Data!A1:B2?majorDimension=COLUMNS&valueRenderOption="
    assert book.send("GET", f"{path}FORMULA").json()["values"] == [[43831, "x"], ["=A1+1"]]
    dates = f"{path}UNFORMATTED_VALUE&dateTimeRenderOption=FORMATTED_STRING"
    assert book.send("GET", dates).json()["values"] == [["2020-01-01", "x"], [43832]]


def test_a_slash_in_a_title_is_no_path(book: Spreadsheet) -> None:
    book.server.act(book.id, "rename_tab", title="a/b?c#d'")
    assert book.write("'a/b?c#d'''!A1", [["x"]]).status_code == 200
    assert book.values("'a/b?c#d'''!A1") == [["x"]]


@pytest.mark.parametrize("cells", ["Nope!A1", "Data!??", "", "Data!A0"])
def test_a_range_that_means_nothing_is_refused(book: Spreadsheet, cells: str) -> None:
    answer = book.send("GET", f"/values:batchGet?ranges={cells}")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == f"Unable to parse range: {cells}"
