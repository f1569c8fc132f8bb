"""Sorting, formulas and what lies on ranges, when people and programs move rows and columns."""

from __future__ import annotations

import pytest

from collect_pipelines.sheets_server.formula_references import shift_formula
from collect_pipelines.sheets_server.shift_rules import Shift, deleted, inserted, moved
from tests.sheets_server.conftest import Spreadsheet
from tests.sheets_server.requests_of import area, delete, insert, lines, update


def test_a_sort_moves_contents_and_leaves_hidden_rows_and_other_columns(book: Spreadsheet) -> None:
    book.batch(update(0, 0, [["b", 2, "p"], ["hidden", 9, "q"], [None, None, "r"], ["A", 1, "s"], ["c", 3, "t"]]))
    hide = {"range": lines("ROWS", 1, 2), "properties": {"hiddenByUser": True}, "fields": "hiddenByUser"}
    book.batch({"updateDimensionProperties": hide})
    sort = {"range": area(0, 0, 5, 2), "sortSpecs": [{"dimensionIndex": 0, "sortOrder": "ASCENDING"}]}
    book.batch({"sortRange": sort})
    assert book.values() == [["A", 1, "p"], ["hidden", 9, "q"], ["b", 2, "r"], ["c", 3, "s"], ["", "", "t"]]


def test_a_sort_by_two_columns_keeps_the_order_of_equals(book: Spreadsheet) -> None:
    book.batch(update(0, 0, [["x", 2, 1], ["y", 1, 2], ["z", 2, 3], ["w", 1, 4]]))
    specs = [{"dimensionIndex": 1, "sortOrder": "DESCENDING"}]
    book.batch({"sortRange": {"range": area(0, 0, 4, 3), "sortSpecs": specs}})
    assert [row[0] for row in book.values()] == ["x", "z", "y", "w"]


def test_numbers_sort_before_texts_before_booleans_and_blanks_last(book: Spreadsheet) -> None:
    book.write("Data!A1", [[True], ["b"], [""], [2], ["A"], [10]])
    book.server.act(book.id, "sort", column=0)
    assert [row[0] for row in book.values()] == [2, 10, "A", "b", True]


def test_a_sort_over_a_vertical_merge_is_refused(book: Spreadsheet) -> None:
    book.batch({"mergeCells": {"range": area(0, 0, 2, 1), "mergeType": "MERGE_ALL"}})
    assert "vertical merges" in book.refused({"sortRange": {"range": area(0, 0, 5, 2), "sortSpecs": []}})


def test_formulas_follow_their_cells(book: Spreadsheet) -> None:
    book.write("Data!A1", [[1], [2], ["=SUM(A1:A2)*$A$1"]], "USER_ENTERED")
    book.batch(insert("ROWS", 1, 3), insert("COLUMNS", 0, 1, before=False))
    assert book.values("Data!B5", "FORMULA") == [["=SUM(B1:B4)*$B$1"]]
    assert book.values("Data!B5") == [[3]]
    book.batch(delete("ROWS", 0, 1))
    assert book.values("Data!B4", "FORMULA") == [["=SUM(B1:B3)*#REF!"]]
    assert book.values("Data!B4") == [["#REF!"]]


@pytest.mark.parametrize(
    ("formula", "shift", "on_rows", "after"),
    [
        ("=A5+B$2", inserted(2, 3), True, "=A8+B$2"),
        ('="A5"&LOG10(A5)', inserted(0, 1), True, '="A5"&LOG10(A6)'),
        ("=SUM(A:C)", inserted(1, 2), False, "=SUM(A:E)"),
        ("=Other!A5", inserted(0, 1), True, "=Other!A5"),
        ("='My tab'!A5", inserted(0, 1), True, "='My tab'!A6"),
        ("=A5", deleted(4, 5), True, "=#REF!"),
        ("=SUM(B2:B9)", deleted(3, 5), True, "=SUM(B2:B7)"),
        ("=C1", moved(2, 3, 0), False, "=A1"),
        ("=SUM(2)", inserted(0, 1), True, "=SUM(2)"),
    ],
)
def test_references_are_rewritten(formula: str, shift: Shift, on_rows: bool, after: str) -> None:
    assert shift_formula(formula, True, "My tab", on_rows, shift) == after


def test_a_formula_that_needs_itself_ends(book: Spreadsheet) -> None:
    book.write("Data!A1", [["=B1", "=A1"]], "USER_ENTERED")
    assert book.values() == [["#REF!", "#REF!"]]


def test_filters_merges_and_names_move_with_their_rows(book: Spreadsheet) -> None:
    named = {"name": "Zone", "range": area(2, 0, 4, 2)}
    protected = {"range": area(2, 0, 4, 2), "warningOnly": True}
    book.batch(
        {"setBasicFilter": {"filter": {"range": area(0, 0, 5, 3)}}},
        {"mergeCells": {"range": area(2, 0, 3, 2), "mergeType": "MERGE_ALL"}},
        {"addNamedRange": {"namedRange": named}},
        {"addProtectedRange": {"protectedRange": protected}},
    )
    book.batch(insert("ROWS", 1, 2))
    sheet = book.sheet()
    assert sheet["basicFilter"]["range"]["endRowIndex"] == 6
    assert (sheet["merges"][0]["startRowIndex"], sheet["merges"][0]["endRowIndex"]) == (3, 4)
    assert sheet["protectedRanges"][0]["range"]["startRowIndex"] == 3
    book.write("Data!A4", [["in the zone"]])
    assert book.values("Zone") == [["in the zone"]]
    book.batch(delete("ROWS", 3, 4), {"clearBasicFilter": {"sheetId": 7}})
    assert "merges" not in book.sheet() and "basicFilter" not in book.sheet()


def test_deleting_all_rows_or_absent_ones_is_refused(book: Spreadsheet) -> None:
    assert "delete all the rows" in book.refused(delete("ROWS", 0, 10))
    missing = "Cannot delete a row that doesn't exist. Tried to delete row index 10 but there are only 10 rows."
    assert missing in book.refused(delete("ROWS", 9, 11))


def test_copies_cuts_and_replacements(book: Spreadsheet) -> None:
    book.write("Data!A1", [["cat", "category"], [1, 2]])
    book.batch({"copyPaste": {"source": area(0, 0, 1, 2), "destination": area(4, 0, 6, 2)}})
    book.batch(
        {"cutPaste": {"source": area(1, 0, 2, 2), "destination": {"sheetId": 7, "rowIndex": 8, "columnIndex": 1}}}
    )
    reply = book.batch({"findReplace": {"find": "CAT", "replacement": "dog", "range": area(4, 0, 5, 5)}})["replies"][0]
    assert reply["findReplace"]["occurrencesChanged"] == 2
    wanted = [["cat", "category"], [], [], [], ["dog", "dogegory"], ["cat", "category"], [], [], ["", 1, 2]]
    assert book.values() == wanted


def test_a_duplicated_tab_is_a_copy_of_its_own(book: Spreadsheet) -> None:
    book.write("Data!A1", [["x"]])
    copy = {"sourceSheetId": 7, "insertSheetIndex": 1, "newSheetName": "Second", "newSheetId": 8}
    reply = book.batch({"duplicateSheet": copy})["replies"][0]["duplicateSheet"]["properties"]
    assert (reply["sheetId"], reply["index"], reply["gridProperties"]["rowCount"]) == (8, 1, 10)
    book.write("Second!A1", [["y"]])
    assert (book.values(), book.values("Second")) == ([["x"]], [["y"]])
    book.batch({"deleteSheet": {"sheetId": 7}})
    assert "remove all the visible sheets" in book.refused({"deleteSheet": {"sheetId": 8}})
