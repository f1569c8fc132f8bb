"""The names of responses."""

from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import given
from hypothesis import strategies as st

from collect_pipelines.model import UNROUTED, Form, form_of
from collect_pipelines.source.connection import TOLERANT
from collect_pipelines.source.decode import decode
from collect_pipelines.source.ids import response_id

ODD_IDS = [
    None,
    7,
    1.5,
    float("nan"),
    True,
    b"7",
    Binary(b"7", 4),
    ObjectId("0" * 24),
    Decimal128("1E+6000"),
    datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    DatetimeMS(2**62),
    Timestamp(1, 2),
    MinKey(),
    MaxKey(),
    Regex("a"),
    Code("f", {"x": 1}),
    DBRef("forms", 1),
    {"form": "fair", "number": 7},
    {"form": "fair\ud800"},
    "_unrouted:7",
    "\ud800",
]


@given(st.text(min_size=1).filter(lambda text: ":" not in text), st.text(min_size=1))
def test_a_text_is_its_own_name(form: str, rest: str) -> None:
    assert form == UNROUTED or response_id(f"{form}:{rest}") == f"{form}:{rest}"


@pytest.mark.parametrize("store_id", [*ODD_IDS, Int64(7)], ids=repr)
def test_an_id_that_names_no_form_is_unrouted(store_id: Any) -> None:
    name = response_id(store_id)
    name.encode()
    assert form_of(name) == UNROUTED


def test_different_ids_have_different_names() -> None:
    assert len({response_id(store_id) for store_id in ODD_IDS}) == len(ODD_IDS)


def test_ids_with_different_bad_bytes_stay_apart_and_keep_their_form() -> None:
    one, other = response_id("fair:\udcff"), response_id("fair:\udcfe")
    assert one != other
    assert form_of(one) == form_of(other) == "fair"


def test_a_date_names_its_response_equally_however_it_was_read() -> None:
    raw = bson.encode({"_id": datetime(2026, 11, 1, 12, tzinfo=UTC)})
    [decoded] = decode(raw, Form("x", {})).table["_id"].to_pylist()
    assert response_id(bson.decode(raw, TOLERANT)["_id"]) == decoded == '_unrouted:{"$date":"2026-11-01T12:00:00.000Z"}'
