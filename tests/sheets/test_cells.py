"""Answers as cells."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect_pipelines.delivery.google_sheet.cells import CELL_UNITS, Rendering, cell, is_cut, serial, text_cell
from collect_pipelines.delivery.google_sheet.changes import ROW_BYTES, change_of
from collect_pipelines.delivery.google_sheet.layout import wanted_columns
from collect_pipelines.delivery.rows import Column, Row, Unfit
from collect_pipelines.model import QuestionType
from tests.sheets.responses import choices, question

ENGLISH = Rendering("en", "en", UTC)


def shown(value: Any, kind: QuestionType = QuestionType.TEXT, **more: Any) -> Any:
    asked = question("q", kind, **more)
    return cell(Column("q", "Q", kind, asked), value, ENGLISH)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {}),
        ("", {}),
        ("=1+1", {"stringValue": "=1+1"}),
        ("0042", {"stringValue": "0042"}),
        ("a\x00b\x1f\tc\r\nd\r", {"stringValue": "ab\tc\nd\n"}),
        (True, {"boolValue": True}),
        (7, {"numberValue": 7}),
        (10**15, {"stringValue": "1000000000000000"}),
        (math.nan, {"stringValue": "nan"}),
        (-math.inf, {"stringValue": "-inf"}),
        (Decimal("1.500000000000000000"), {"numberValue": 1.5}),
        (Decimal("3.000"), {"numberValue": 3}),
        (Decimal("0.1234567890123456"), {"stringValue": "0.1234567890123456"}),
        (Decimal("NaN"), {"stringValue": "NaN"}),
        (date(2020, 1, 1), {"numberValue": 43831}),
        (datetime(2020, 1, 1, 12, tzinfo=UTC), {"numberValue": 43831.5}),
        ({"latitude": 1.5, "longitude": -2.25, "altitude": None}, {"stringValue": "1.5, -2.25"}),
        ({"name": "a.jpg", "url": "https://x/a", "media_type": None}, {"stringValue": "https://x/a"}),
        ({"name": "a.jpg", "url": None}, {"stringValue": "a.jpg"}),
        (Unfit("=bad"), {"stringValue": "=bad"}),
    ],
)
def test_a_value_becomes_a_typed_cell(value: Any, expected: Any) -> None:
    assert shown(value) == expected


def test_choices_are_shown_by_title_and_unknown_ones_by_id() -> None:
    options = choices(("r", "Red"), ("g", "Green"))
    assert shown("r", QuestionType.SINGLE_CHOICE, options=options) == {"stringValue": "Red"}
    assert shown("x", QuestionType.SINGLE_CHOICE, options=options) == {"stringValue": "x"}
    assert shown(["g", "x", "r"], QuestionType.MULTI_CHOICE, options=options) == {"stringValue": "Green; x; Red"}


def test_a_time_is_shown_in_the_zone_of_the_spreadsheet() -> None:
    column = Column("q", "Q", QuestionType.DATETIME)
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert cell(column, noon, Rendering("en", "en", ZoneInfo("Asia/Kolkata"))) == {"numberValue": 43831.729166667}


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year >= 1000))
def test_a_serial_number_means_the_same_moment(moment: datetime) -> None:
    back = datetime(1899, 12, 30, tzinfo=UTC) + timedelta(days=serial(moment))
    assert abs(back - moment) < timedelta(milliseconds=1)


@given(st.text())
def test_any_text_is_one_string_without_control_characters(text: str) -> None:
    (value,) = text_cell(text).values() or ("",)
    assert isinstance(value, str) and "\x00" not in value
    value.encode()


@given(st.integers(-3, 3), st.sampled_from(["x", "é", "😀"]))
def test_a_text_is_cut_at_the_limit_of_a_cell_with_a_mark(beyond: int, sign: str) -> None:
    width = len(sign.encode("utf-16-le")) // 2
    text = sign * (CELL_UNITS // width + beyond)
    value = text_cell(text)["stringValue"]
    assert len(value.encode("utf-16-le")) // 2 <= CELL_UNITS
    assert (value != text) == is_cut(text) == (beyond > 0)
    assert ("[cut:" in value) == (beyond > 0)


def test_a_row_too_long_for_one_request_is_shortened_evenly() -> None:
    columns = [Column(f"q{n}", f"Q{n}", QuestionType.TEXT) for n in range(400)]
    wanted = {item.tag: item for item in wanted_columns(columns)}
    row = Row("r", 1, False, "", None, {column.id: "é" * 20_000 for column in columns})
    change, cut = change_of(row, wanted, ENGLISH)
    assert change.size_bytes <= ROW_BYTES and cut == 400
    assert all("[cut: 20,000" in value["stringValue"] for value in change.cells.values())
