"""Cells: what a spreadsheet program could take for a formula is text, numbers and phones stay what they are."""

from __future__ import annotations

import csv
import io
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect_pipelines.delivery.csv_export.cells import (
    datetime_cells,
    file_cells,
    geo_cells,
    plain_decimal,
    text_cell,
    text_cells,
)
from collect_pipelines.model import QuestionType
from collect_pipelines.schema import FILE, GEO_POINT, TIMESTAMP

HOSTILE = [
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\nx",
    "＝1+1",
    "＋1",
    "－1",
    "＠A1",
    "﹢1",
    "  =1+1",
    "\u00a0=1",
    "\u200b=1",
    "\ufeff=1",
    "\u2060=1",
    "\u3000=1",
    "\u202e=1",
    '"=1+1"',
    "'=1+1",
    "\x00=1",
    "\x1b=1",
    ' \u200b \'"=HYPERLINK("https://evil.example")',
    "=cmd|' /C calc'!A0",
]


def read_back(cell: str) -> str:
    ((value,),) = csv.reader(io.StringIO(cell + "\r\n", newline=""), strict=True)
    return value


@pytest.mark.parametrize("text", HOSTILE)
def test_what_looks_like_a_formula_is_made_text(text: str) -> None:
    assert read_back(text_cell(text)).startswith("'")


@pytest.mark.parametrize(
    "text",
    ["Ann", "a=b", "5 - 3", "ann@example.org", "100 %", "", "’n Boek", "“quoted”", "آیا", "🙂", "−5 °C", "0123", "| x"],
)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert read_back(text_cell(text) or '""') == text


@pytest.mark.parametrize("phone", ["+49 170 1234567", "+1 (555) 010-9999", "0049/30.12", "(030) 1234", "+491701234567"])
def test_a_phone_number_keeps_its_plus(phone: str) -> None:
    assert text_cell(phone, QuestionType.PHONE) == phone


@pytest.mark.parametrize("text", ["+1+cmd|x", "=123456", "-1-2-3", "+", "+1234567\n", "+1@A1", "+1,SUM(A1)", "@12345"])
def test_only_what_really_is_a_phone_number_keeps_its_sign(text: str) -> None:
    assert read_back(text_cell(text, QuestionType.PHONE)).startswith("'")


def test_a_number_that_did_not_fit_stays_a_number() -> None:
    assert text_cell("-12.5", QuestionType.INTEGER) == "-12.5"
    assert text_cell("-12.5") == "'-12.5"
    assert text_cell("-12+1", QuestionType.INTEGER) == "'-12+1"


@given(st.text(), st.sampled_from(list(QuestionType)))
def test_any_text_is_one_cell_that_reads_back_as_itself(text: str, kind: QuestionType) -> None:
    found = read_back(text_cell(text, kind) or '""').removeprefix("'")
    expected = "".join("\ufffd" if ord(c) < 32 and c not in "\t\r\n" else c for c in text).removeprefix("'")
    assert found == expected


@given(st.text(alphabet=st.sampled_from(" \t\r\n\"'=+-@＝＋\u200b\ufeff\x00a1"), max_size=6))
def test_no_text_begins_like_a_formula_however_it_is_wrapped(text: str) -> None:
    found = read_back(text_cell(text) or '""')
    bare = unicodedata.normalize("NFKC", found.lstrip(' \t\r\n"\u200b\ufeff\ufffd'))
    assert not bare.startswith(("=", "+", "-", "@"))


@given(st.lists(st.one_of(st.none(), st.text(max_size=5))))
def test_a_cell_does_not_depend_on_its_neighbours(texts: list[str | None]) -> None:
    together = text_cells(pa.array(texts, pa.string())).to_pylist()
    assert together == [None if text is None else text_cell(text) for text in texts]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**19), max_value=10**19))
def test_a_decimal_is_exact_and_in_full(value: Decimal) -> None:
    spelled = plain_decimal(value)
    assert spelled is not None and Decimal(spelled) == value
    assert "E" not in spelled and not spelled.endswith(".")
    assert "." not in spelled or not spelled.endswith("0")


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_iso_8601_in_utc(value: datetime) -> None:
    (cell,) = datetime_cells(pa.array([value], TIMESTAMP)).to_pylist()
    assert cell.endswith("Z") and datetime.fromisoformat(cell) == value


def test_places_and_files_have_one_cell() -> None:
    places = [{"longitude": 1e-7, "latitude": -90.0, "altitude": 12.5}, {"longitude": 2.0, "latitude": 1.0}, None]
    assert geo_cells(pa.array(places, GEO_POINT)).to_pylist() == ['"-90,0.0000001,12.5"', '"1,2"', None]
    files = [{"url": "=x"}, {"name": "a.jpg"}, {"name": "a", "url": "https://f.example/a,b"}, None]
    assert file_cells(pa.array(files, FILE)).to_pylist() == ["'=x", "a.jpg", '"https://f.example/a,b"', None]
