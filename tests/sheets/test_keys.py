"""Row keys, tags, fences and settings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect_pipelines.delivery.google_sheet.config import DeletedRows, Deletes, SheetConfig, sheet_config
from collect_pipelines.delivery.google_sheet.keys import (
    Fence,
    column_tag,
    fence_id,
    read_fence,
    row_id,
    row_key,
    split_key,
    tab_id,
)
from collect_pipelines.errors import ConfigurationError
from collect_pipelines.model import Position
from tests.sheets.responses import form, question


@given(st.text(), st.text())
def test_two_responses_never_share_a_row_id(one: str, other: str) -> None:
    assert (row_id(one) == row_id(other)) == (one == other)


@given(st.text(max_size=400))
def test_a_key_is_never_a_formula_and_is_read_back(response_id: str) -> None:
    row = row_id(response_id)
    assert row and row[0] not in "=+-@'" and row == row.strip() and "\x00" not in row
    assert split_key(row_key(row, "0123abcd")) == (row, "0123abcd")


@pytest.mark.parametrize("text", [None, 5, "", "a note", "a|b", "|0123abcd", "a|0123ABCD"])
def test_what_people_write_is_not_a_key(text: object) -> None:
    assert split_key(text) is None


def test_ids_in_the_sheet_are_positive_32_bit_numbers() -> None:
    ids = [fence_id(7, n) for n in range(1000)] + [tab_id("fair", n) for n in range(1000)]
    assert all(0 < number < 2**31 for number in ids) and len(set(ids)) == 2000


def test_a_fence_is_read_back() -> None:
    fence = Fence(3, "tok-en", 1_790_000_000, 4, 9, Position("a table id", 5))
    assert read_fence(str(fence)) == fence
    assert read_fence("something else") is None
    assert len(str(Fence(10**6, "x" * 12, 1_790_000_000, 10**6, 10**6, Position("f" * 32, 10**6)))) + 13 <= 120


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_questions_never_share_a_tag(one: str, other: str) -> None:
    assert (column_tag(one) == column_tag(other)) == (one == other)
    assert len(column_tag(one)) <= 60 and len(column_tag(one, short=True)) == 8


def test_settings_have_defaults() -> None:
    assert sheet_config(form()) == SheetConfig()


def test_settings_of_a_form_are_read() -> None:
    url = "https://docs.google.com/spreadsheets/d/1AbC-def_GHIjklmnopqrstuvwxyz0123456789/edit#gid=0"
    asked = form(question("a"), spreadsheet_url=url, tab=" T ", deletes="remove", deleted_rows="restore", enabled=True)
    expected = SheetConfig(
        True, "1AbC-def_GHIjklmnopqrstuvwxyz0123456789", "T", None, Deletes.REMOVE, DeletedRows.RESTORE
    )
    assert sheet_config(asked) == expected


def test_all_faults_of_the_settings_are_named_at_once() -> None:
    asked = form(question("a"), spreadsheet_url="nonsense", tab="", deletes="burn", enabled=3, colour="red")
    with pytest.raises(ConfigurationError) as told:
        sheet_config(asked)
    for fault in (
        "'fair'",
        "spreadsheet_url",
        "tab",
        "deletes: must be one of strike, remove, keep",
        "enabled",
        "colour",
    ):
        assert fault in str(told.value)
