"""Decoding: what was stored is in its column or in `_other`, never nowhere."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import bson
import orjson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collect_pipelines.model import Form, Question, QuestionType
from collect_pipelines.schema import table_schema
from collect_pipelines.source.decode import ASSIGNED, decode, tombstones

FORM = Form("f", {}, tuple(Question(kind.value, kind, {}) for kind in QuestionType))
POINT = {"type": "Point", "coordinates": [77.6, 12.9]}
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 31, tzinfo=UTC)


def rows(*documents: dict[str, Any] | bytes, form: Form = FORM) -> list[dict[str, Any]]:
    """Decode documents and read `_other` of each row."""
    raw = b"".join(one if isinstance(one, bytes) else bson.encode(one) for one in documents)
    table = decode(raw, form).table
    table.validate(full=True)
    listed = table.to_pylist()
    for row in listed:
        row["_other"] = orjson.loads(row["_other"]) if row["_other"] else {}
    return listed


def answer(kind: str, value: Any) -> tuple[Any, Any]:
    """Decode one answer; return what is in its column and what is in `_other`."""
    (row,) = rows({"_id": "f:1", "answers": {kind: value}})
    assert (row[kind] is None) == (kind in row["_other"])
    return row[kind], row["_other"].get(kind)


@pytest.mark.parametrize(
    ("kind", "stored", "shown"),
    [
        ("text", "=1+1 \0 🙂", "=1+1 \0 🙂"),
        ("text", "", ""),
        ("integer", 5, 5),
        ("integer", Int64(2**63 - 1), 2**63 - 1),
        ("integer", 3.0, 3),
        ("rating", -0.0, 0),
        ("decimal", Decimal128("1.50"), Decimal("1.5")),
        ("decimal", Decimal128("1E+5"), Decimal(100000)),
        (
            "decimal",
            Decimal128("-9999999999999999.999999999999999999"),
            Decimal("-9999999999999999.999999999999999999"),
        ),
        ("decimal", 0.1, Decimal("0.1")),
        ("decimal", 7, Decimal(7)),
        ("decimal", Int64(2**53 + 1), Decimal(2**53 + 1)),
        ("boolean", False, False),
        ("date", "2026-01-31", date(2026, 1, 31)),
        ("date", MIDNIGHT, date(2026, 1, 31)),
        ("datetime", NOON, NOON),
        ("datetime", datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)),
        ("datetime", datetime(9999, 12, 31, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
        ("single_choice", "a", "a"),
        ("multi_choice", ["b", "a"], ["b", "a"]),
        ("multi_choice", [], []),
        ("geo_point", POINT, {"longitude": 77.6, "latitude": 12.9, "altitude": None}),
        (
            "geo_point",
            {"type": "Point", "coordinates": [1, Int64(2), 3.5]},
            {"longitude": 1.0, "latitude": 2.0, "altitude": 3.5},
        ),
        ("file", {"name": "a.jpg"}, {"name": "a.jpg", "url": None, "media_type": None, "bytes": None}),
        ("file", {"bytes": Int64(2**40)}, {"name": None, "url": None, "media_type": None, "bytes": 2**40}),
        ("email", "a@b", "a@b"),
        ("phone", "+91", "+91"),
        ("repeat_group", [{"b": 1, "a": NOON}], '[{"b":1,"a":"2026-01-31T12:00:00Z"}]'),
        ("repeat_group", [{"x": float("nan")}], '[{"x":{"$numberDouble":"NaN"}}]'),
        ("repeat_group", [], "[]"),
    ],
    ids=repr,
)
def test_an_answer_of_its_type_is_in_its_column(kind: str, stored: Any, shown: Any) -> None:
    assert answer(kind, stored) == (shown, None)


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("text", 5),
        ("text", ["a"]),
        ("text", Code("a")),
        ("integer", True),
        ("integer", 1.5),
        ("integer", 1e300),
        ("integer", float("nan")),
        ("integer", "12"),
        ("integer", Decimal128("1")),
        ("integer", float(2**53)),
        ("decimal", True),
        ("decimal", float("inf")),
        ("decimal", Decimal128("NaN")),
        ("decimal", Decimal128("1E+6000")),
        ("decimal", Decimal128("1E-19")),
        ("decimal", 1e-19),
        ("decimal", Decimal128("1E+20")),
        ("decimal", "1"),
        ("boolean", 1),
        ("date", "20260131"),
        ("date", "2026-W01-1"),
        ("date", "2026-02-30"),
        ("date", "२०२६-०१-३१"),
        ("date", NOON),
        ("date", 5),
        ("datetime", "2026-01-31T12:00:00Z"),
        ("datetime", DatetimeMS(2**62)),
        ("datetime", Timestamp(1, 2)),
        ("single_choice", ["a"]),
        ("multi_choice", "solo"),
        ("multi_choice", ["a", 1]),
        ("multi_choice", ["a", None]),
        ("geo_point", {"type": "Point", "coordinates": [181, 0]}),
        ("geo_point", {"type": "Point", "coordinates": [float("nan"), 0]}),
        ("geo_point", {"type": "Point", "coordinates": [True, 0]}),
        ("geo_point", {"type": "Point", "coordinates": [1]}),
        ("geo_point", POINT | {"crs": "x"}),
        ("geo_point", {"type": "Polygon", "coordinates": [1, 2]}),
        ("geo_point", [1.0, 2.0]),
        ("file", {"name": 5}),
        ("file", {"name": "a", "size": 5}),
        ("file", {"bytes": 1.5}),
        ("file", "a.jpg"),
        ("repeat_group", [{"a": 1}, 5]),
        ("repeat_group", {"a": 1}),
        ("repeat_group", "[]"),
        *[(kind.value, ObjectId("0" * 24)) for kind in QuestionType],
    ],
    ids=repr,
)
def test_an_answer_that_does_not_fit_is_kept_with_its_reason(kind: str, stored: Any) -> None:
    shown, kept = answer(kind, stored)
    assert shown is None
    assert kept["reason"]
    assert kept["value"] is not None


@given(
    st.lists(
        st.none()
        | st.builds(
            lambda sign, coefficient, exponent: Decimal((sign, coefficient, exponent)),
            st.integers(0, 1),
            st.lists(st.integers(0, 9), min_size=1, max_size=34).map(tuple),
            st.integers(-40, 20),
        )
        | st.decimals(places=2, min_value=-(10**6), max_value=10**6),
        max_size=5,
    )
)
@example([Decimal(9 * 10**18), Decimal("1E-18"), None, Decimal("-0.5")])
@example([Decimal(2**63), Decimal(2**63 - 1), Decimal(-(2**63))])
def test_decimals_are_exact_or_kept(numbers: list[Decimal | None]) -> None:
    documents = [
        {"_id": f"f:{place}", "answers": {} if number is None else {"decimal": Decimal128(number)}}
        for place, number in enumerate(numbers)
    ]
    for row, number in zip(rows(*documents), numbers, strict=True):
        assert row["decimal"] == number or row["_other"]["decimal"]["value"] == {
            "$numberDecimal": str(Decimal128(number or "0"))
        }
        if number is not None and abs(number) < 10**6 and number == round(number, 6):
            assert row["decimal"] == number


def test_one_unfit_answer_leaves_the_others_of_its_column_alone() -> None:
    documents = [{"_id": f"f:{n}", "answers": {"integer": n, "geo_point": POINT}} for n in range(5)]
    documents[2]["answers"] = {"integer": "two", "geo_point": 5}
    listed = rows(*documents)
    assert [row["integer"] for row in listed] == [0, 1, None, 3, 4]
    assert [row["geo_point"] is None for row in listed] == [False, False, True, False, False]
    assert listed[2]["_other"]["integer"] == {"value": "two", "reason": "not an integer"}


def test_the_response_itself_is_in_our_columns() -> None:
    (row,) = rows(
        {
            "_id": "f:1",
            "form_id": "f",
            "form_version": 3,
            "revision": Int64(7),
            "status": "submitted",
            "submitted_at": NOON,
            "updated_at": MIDNIGHT,
            "client": {"started_at": NOON, "finished_at": MIDNIGHT, "app": "1.2"},
            "collector": "asha",
            "language": "hi",
            "flags": ["late"],
            "metadata": {"device": "x", "client": 5},
            "answers": {},
            "answer_metadata": {"text": {"at": NOON}},
        }
    )
    assert row["_other"] == {}
    ours = {name: value for name, value in row.items() if name.startswith("_") and name not in ("_other", "_hash")}
    assert ours == {
        "_id": "f:1",
        "_deleted": False,
        "_revision": 7,
        "_form_version": 3,
        "_status": "submitted",
        "_submitted_at": NOON,
        "_updated_at": MIDNIGHT,
        "_started_at": NOON,
        "_finished_at": MIDNIGHT,
        "_collector": "asha",
        "_language": "hi",
        "_flags": '["late"]',
        "_metadata": '{"device":"x","client":5,"client (2)":{"app":"1.2"}}',
        "_answer_metadata": '{"text":{"at":"2026-01-31T12:00:00Z"}}',
    }


def test_fields_of_another_type_and_unknown_fields_are_kept() -> None:
    odd = {
        "form_id": "g",
        "form_version": "3",
        "revision": 1.5,
        "status": 5,
        "submitted_at": "yesterday",
        "updated_at": 5,
        "client": [1],
        "collector": {"id": 5},
        "language": 5,
        "flags": "late",
        "metadata": "x",
        "answers": [{"q": 1}],
        "answer_metadata": 5,
        "extra": {"a": 1},
    }
    raw = bson.encode({"_id": "f:1", **odd})
    (row,) = rows(raw)
    kept = {key.removeprefix("_").removeprefix("response."): value["value"] for key, value in row["_other"].items()}
    assert kept == odd
    decoded = decode(raw, FORM)
    assert (decoded.unfit, decoded.unknown) == (13, 1)


def test_answers_to_unknown_questions_are_kept_and_counted() -> None:
    document = {"_id": "f:1", "status": 5, "answers": {"shoe": 42, "_status": "x", "nothing": None}}
    (row,) = rows(document)
    assert {key: kept["value"] for key, kept in row["_other"].items()} == {
        "shoe": 42,
        "_answers._status": "x",
        "_status": 5,
    }
    assert decode(bson.encode(document), FORM)[1:] == (1, 2)


def element(kind: int, name: bytes, value: bytes) -> bytes:
    return bytes([kind]) + name + b"\0" + value


def text(value: bytes) -> bytes:
    return struct.pack("<i", len(value) + 1) + value + b"\0"


def body(*elements: bytes) -> bytes:
    whole = b"".join(elements)
    return struct.pack("<i", len(whole) + 5) + whole + b"\0"


ID = element(2, b"_id", text(b"f:1"))


def test_of_a_repeated_answer_the_last_counts_and_the_others_are_kept() -> None:
    answers = body(*(element(16, b"integer", struct.pack("<i", number)) for number in (1, 2, 3)))
    (row,) = rows(body(ID, element(3, b"answers", answers)))
    assert row["integer"] == 3
    assert {key: kept["value"] for key, kept in row["_other"].items()} == {"integer (2)": 1, "integer (3)": 2}


def test_a_key_repeated_deep_inside_an_answer_is_kept_with_its_bytes() -> None:
    group = body(element(10, b"a", b""), element(8, b"a", b"\1"))
    answers = body(element(4, b"repeat_group", body(element(3, b"0", group))), element(2, b"text", text(b"x")))
    (row,) = rows(body(ID, element(3, b"answers", answers)))
    assert (row["text"], row["repeat_group"]) == ("x", None)
    assert set(row["_other"]["repeat_group"]) == {"value", "reason", "bytes"}


def test_bad_utf8_is_shown_with_replacements_and_kept_as_bytes() -> None:
    answers = body(
        element(2, b"text", text(b"caf\xe9")), element(2, b"\xff", text(b"x")), element(8, b"boolean", b"\1")
    )
    (row, other) = rows(body(ID, element(3, b"answers", answers)), {"_id": "f:2", "answers": {"text": "ok"}})
    assert row["_other"]["text"]["value"] == "caf\ufffd"
    assert row["_other"]["text"]["bytes"]
    assert row["_other"]["\ufffd"]["value"] == "x"
    assert (row["boolean"], other["text"]) == (True, "ok")


def test_a_broken_document_becomes_a_row_with_its_bytes() -> None:
    good = bson.encode({"_id": "f:2", "answers": {"text": "ok"}})
    broken = body(ID, element(99, b"status", b"??"))
    listed = rows(good, broken, good, broken[:-3])
    assert [row["text"] for row in listed] == ["ok", None, "ok", None]
    assert [row["_id"] for row in listed] == ["f:2", "f:1", "f:2", listed[3]["_id"]]
    assert listed[1]["_other"]["_document"]["reason"].startswith("cannot be decoded")


@given(st.binary(max_size=300))
def test_no_bytes_whatsoever_raise(raw: bytes) -> None:
    decode(raw, FORM).table.validate(full=True)


@settings(max_examples=200)
@given(st.data())
def test_no_damage_to_a_document_raises_or_takes_its_row(data: st.DataObject) -> None:
    raw = bytearray(bson.encode({"_id": "f:1", "client": {"a": 1}, "answers": {"text": "é", "geo_point": POINT}}))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    decoded = decode(bytes(raw), FORM)
    decoded.table.validate(full=True)
    assert decoded.table.num_rows == 1


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.datetimes().map(lambda moment: moment.replace(microsecond=0)),
    st.dates().map(str),
    st.sampled_from(
        [
            Decimal128("1.5"),
            Decimal128("-Infinity"),
            Decimal128("1E+6000"),
            DatetimeMS(2**62),
            ObjectId("0" * 24),
            MinKey(),
            MaxKey(),
            Regex("a", 2),
            Code("x", {"a": 1}),
            DBRef("a", 1),
            Timestamp(1, 2),
            Binary(b"x", 4),
            POINT,
            {"name": "a"},
        ]
    ),
)
KEYS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=5
)
QUESTIONS = st.sampled_from([kind.value for kind in QuestionType]) | KEYS


@settings(max_examples=100)
@given(st.lists(st.dictionaries(QUESTIONS, VALUES, max_size=8), max_size=4))
def test_every_answer_that_goes_in_comes_out_typed_or_beside(given_answers: list[dict[str, Any]]) -> None:
    listed = rows(*({"_id": f"f:{n}", "answers": answers} for n, answers in enumerate(given_answers)))
    assert len(listed) == len(given_answers)
    for row, answers in zip(listed, given_answers, strict=True):
        typed = sum(row[question.id] is not None for question in FORM.questions)
        assert typed + len(row["_other"]) == sum(value is not None for value in answers.values())


def test_the_hash_follows_the_content_and_not_the_form() -> None:
    document = {"_id": "f:1", "answers": {"text": "a"}}
    changed = {"_id": "f:1", "answers": {"text": "b"}}
    hashes = [row["_hash"] for row in rows(document, changed, document)]
    assert hashes[0] == hashes[2] != hashes[1]
    assert rows(document, form=Form("g", {}))[0]["_hash"] == hashes[0]
    assert len(hashes[0]) == 16


def test_columns_are_those_of_the_schema_without_what_the_commit_adds() -> None:
    for raw in (b"", bson.encode({"_id": "f:1"})):
        names = decode(raw, FORM).table.schema.names
        assert names == [name for name in table_schema(FORM.questions).names if name not in ASSIGNED]


def test_a_form_of_two_thousand_questions_and_one_of_none_are_read() -> None:
    many = Form("f", {}, tuple(Question(f"q{n}", QuestionType.INTEGER, {}) for n in range(2000)))
    document = {"_id": "f:1", "answers": {f"q{n}": n for n in range(2000)}}
    assert rows(document, form=many)[0]["q1999"] == 1999
    assert len(rows(document, form=Form("f", {}))[0]["_other"]) == 2000


def test_tombstones_carry_the_id_alone() -> None:
    (row,) = tombstones(["f:1"]).to_pylist()
    assert row.pop("_id") == "f:1"
    assert row.pop("_deleted") is True
    assert set(row.values()) == {None}
