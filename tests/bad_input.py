"""Malformed forms and responses, as other programs may leave them in the store.

Each must be kept; none may stop others. `insert_bad` puts them all into a store, past its validators. The text beside
each says what is expected to become of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import bson
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from collect_pipelines.model import UNROUTED, QuestionType
from collect_pipelines.source.documents import form_document, option_document, question_document
from collect_pipelines.source.pages import decode

FORM_ID = "bad-input"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
KEPT_BESIDE = "kept beside the typed column, with a reason"
TYPED = "fits its column"
SET_ASIDE = f"lands in the form {UNROUTED}, whole"
_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, uuid_representation=4)


class BadResponse(NamedTuple):
    """A malformed response: its BSON as stored, and what is expected. `large` ones are about 16 MB."""

    name: str
    raw_bson: bytes
    expectation: str
    large: bool = False

    @property
    def id(self) -> Any:
        """Its `_id`."""
        return decode(RawBSONDocument(self.raw_bson)).get("_id")

    @property
    def form_id(self) -> str:
        """The form it is expected under."""
        return UNROUTED if self.expectation == SET_ASIDE else FORM_ID


class BadForm(NamedTuple):
    """A malformed or extreme form document and what is expected."""

    name: str
    document: Mapping[str, Any]
    expectation: str


def question_id(kind: QuestionType) -> str:
    """The id of the form's question of this type."""
    return f"q_{kind.value}"


def every_type_form(form_id: str = FORM_ID) -> dict[str, Any]:
    """A sound form with one question of each type, to hold the malformed answers against."""
    options = [option_document("a", "A"), option_document("b", "B")]
    inner = [question_document("inner", QuestionType.INTEGER, "Inner")]
    questions = [
        question_document(question_id(kind), kind, kind.value, options=options, questions=inner)
        for kind in QuestionType
    ]
    return {**form_document(form_id, "Every type", questions), "version": 1, "created_at": NOW, "updated_at": NOW}


# BSON by hand, for what no encoder writes


def element(kind: int, name: bytes, value: bytes) -> bytes:
    """One element of a BSON document."""
    return bytes([kind]) + name + b"\0" + value


def document(*elements: bytes) -> bytes:
    """A BSON document of these elements, in this order, duplicates and all."""
    body = b"".join(elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def text(value: bytes) -> bytes:
    """A BSON string's payload; any bytes."""
    return struct.pack("<i", len(value) + 1) + value + b"\0"


def _envelope(name: str, answers: bytes, *more: bytes) -> bytes:
    """A sound response around raw BSON answers."""
    head = bson.encode({"_id": f"{FORM_ID}:{name}", "form_id": FORM_ID, **_SOUND}, codec_options=_OPTIONS)[4:-1]
    return document(head, element(3, b"answers", answers), *more)


_SOUND = {"form_version": 1, "revision": Int64(1), "status": "complete", "submitted_at": NOW, "updated_at": NOW}


def _answer(name: str, kind: QuestionType, value: Any, expectation: str = KEPT_BESIDE) -> BadResponse:
    answers = bson.encode({question_id(kind): value}, codec_options=_OPTIONS)
    return BadResponse(name, _envelope(name, answers), expectation)


def _raw_answer(name: str, element_of_answers: bytes, expectation: str) -> BadResponse:
    return BadResponse(name, _envelope(name, document(element_of_answers)), expectation)


def _whole(name: str, fields: Mapping[str, Any], expectation: str) -> BadResponse:
    answers = {"answers": {question_id(QuestionType.TEXT): name}}
    stored = {"_id": f"{FORM_ID}:{name}", "form_id": FORM_ID, **_SOUND, **answers, **fields}
    return BadResponse(name, bson.encode({k: v for k, v in stored.items() if v is not ...}), expectation)


def _ids() -> Iterator[BadResponse]:
    yield _whole("form_id-missing", {"form_id": ...}, "the form is what `_id` says")
    yield _whole("form_id-null", {"form_id": None}, "the form is what `_id` says")
    yield _whole("form_id-number", {"form_id": 7}, "the form is what `_id` says")
    yield _whole("form_id-other", {"form_id": "another"}, "the form is what `_id` says")
    yield _whole("form_id-document", {"form_id": {"$ne": 1}}, "the form is what `_id` says")
    yield _whole("id-objectid", {"_id": ObjectId("650000000000000000000001")}, SET_ASIDE)
    yield _whole("id-integer", {"_id": 42}, SET_ASIDE)
    yield _whole("id-long", {"_id": Int64(2**53 + 1)}, SET_ASIDE)
    yield _whole("id-double", {"_id": 1.5}, SET_ASIDE)
    yield _whole("id-document", {"_id": {"f": FORM_ID, "r": 1}}, SET_ASIDE)
    yield _whole("id-binary", {"_id": Binary(b"\x00\xff")}, SET_ASIDE)
    yield _whole("id-uuid", {"_id": Binary.from_uuid(UUID(int=7))}, SET_ASIDE)
    yield _whole("id-boolean", {"_id": True}, SET_ASIDE)
    yield _whole("id-date", {"_id": NOW}, SET_ASIDE)
    yield _whole("id-null", {"_id": None}, SET_ASIDE)
    yield _whole("id-no-colon", {"_id": "no-colon"}, SET_ASIDE)
    yield _whole("id-no-form", {"_id": ":no-form"}, SET_ASIDE)
    yield _whole("id-nothing-after-form", {"_id": f"{FORM_ID}:"}, SET_ASIDE)
    yield _whole("id-empty", {"_id": ""}, SET_ASIDE)
    yield _whole("id-path", {"_id": f"{FORM_ID}:../../etc/passwd"}, "an id like any other; never a path")
    yield _whole("id-long-text", {"_id": f"{FORM_ID}:{'x' * 2000}"}, "an id like any other")
    yield _whole("id-nul-and-newline", {"_id": f"{FORM_ID}:a\0b\nc"}, "an id like any other")
    yield _whole("id-right-to-left", {"_id": f"{FORM_ID}:\u202egnp.exe"}, "an id like any other")
    yield _whole("id-formula", {"_id": f'{FORM_ID}:=HYPERLINK("http://x.invalid","y")'}, "an id like any other")
    yield _whole("id-colons", {"_id": f"{FORM_ID}:a:b:c"}, "the form ends at the first colon")


def _envelopes() -> Iterator[BadResponse]:
    yield _whole("answers-missing", {"answers": ...}, "a row without answers")
    yield _whole("answers-null", {"answers": None}, "a row without answers")
    yield _whole("answers-list", {"answers": [{"q": "q_text", "v": "x"}]}, KEPT_BESIDE)
    yield _whole("answers-text", {"answers": "none"}, KEPT_BESIDE)
    yield _whole("answers-number", {"answers": 3}, KEPT_BESIDE)
    yield _whole("revision-missing", {"revision": ...}, "a row without revision")
    yield _whole("revision-text", {"revision": "1"}, "a row; the revision is kept beside or null")
    yield _whole("revision-nan", {"revision": float("nan")}, "a row; the revision is kept beside or null")
    yield _whole("submitted_at-missing", {"submitted_at": ...}, "a row without time")
    yield _whole("submitted_at-text", {"submitted_at": "yesterday"}, "a row; the time is kept beside or null")
    yield _whole("submitted_at-far", {"submitted_at": DatetimeMS(2**62)}, "a row; the time is kept beside or null")
    yield _whole("status-number", {"status": 5}, "a row")
    yield _whole("client-list", {"client": ["a"]}, "a row")
    yield _whole("client-odd-times", {"client": {"started_at": "noon", "finished_at": DatetimeMS(-(2**62))}}, "a row")
    yield _whole("metadata-text", {"metadata": "x"}, "a row")
    yield _whole("flags-document", {"flags": {"a": 1}}, "a row")
    yield _whole("extra-fields", {"unexpected": {"deep": [1, {"a": MinKey()}]}, "$odd": 1, "a.b": 2}, "a row")


def _wrong_types() -> Iterator[BadResponse]:
    """Each type of question with values of other types."""
    kind = QuestionType
    for name, value in (("number", 12), ("list", ["a", "b"]), ("document", {"a": 1}), ("boolean", True)):
        yield _answer(f"text-is-{name}", kind.TEXT, value)
    yield _answer("text-is-date", kind.TEXT, NOW)
    yield _answer("integer-is-text", kind.INTEGER, "twelve")
    yield _answer("integer-is-digits", kind.INTEGER, "0012")
    yield _answer("integer-is-fraction", kind.INTEGER, 1.5)
    yield _answer("integer-is-huge-double", kind.INTEGER, 1e300)
    yield _answer("integer-is-boolean", kind.INTEGER, True)
    yield _answer("integer-is-list", kind.INTEGER, [1])
    yield _answer("decimal-is-text", kind.DECIMAL, "1,5")
    yield _answer("decimal-is-boolean", kind.DECIMAL, False)
    yield _answer("boolean-is-text", kind.BOOLEAN, "yes")
    yield _answer("boolean-is-number", kind.BOOLEAN, 1)
    yield _answer("date-is-nonsense", kind.DATE, "2026-02-30")
    yield _answer("date-is-local", kind.DATE, "31/12/2026")
    yield _answer("date-is-number", kind.DATE, 20261231)
    yield _answer("date-with-time", kind.DATE, NOW)
    yield _answer("datetime-is-text", kind.DATETIME, "2026-11-01 12:00")
    yield _answer("datetime-is-timestamp", kind.DATETIME, Timestamp(1, 1))
    yield _answer("choice-is-unknown", kind.SINGLE_CHOICE, "zzz", f"{TYPED} or {KEPT_BESIDE}")
    yield _answer("choice-is-list", kind.SINGLE_CHOICE, ["a"])
    yield _answer("choices-is-text", kind.MULTI_CHOICE, "a")
    yield _answer("choices-mixed", kind.MULTI_CHOICE, ["a", 1, None, {"x": 1}])
    yield _answer("point-without-coordinates", kind.GEO_POINT, {"type": "Point"})
    yield _answer("point-of-text", kind.GEO_POINT, {"type": "Point", "coordinates": ["27", "78"]})
    yield _answer("point-of-one", kind.GEO_POINT, {"type": "Point", "coordinates": [1.0]})
    yield _answer("point-of-nan", kind.GEO_POINT, {"type": "Point", "coordinates": [float("nan"), 1.0]})
    yield _answer("point-off-the-globe", kind.GEO_POINT, {"type": "Point", "coordinates": [999.0, -999.0]}, "kept")
    yield _answer("point-is-text", kind.GEO_POINT, "27.1,78.0")
    yield _answer("file-is-text", kind.FILE, "photo.jpg")
    yield _answer(
        "file-with-odd-parts", kind.FILE, {"name": 1, "url": None, "bytes": "many", "path": "../../etc/passwd"}
    )
    yield _answer("email-is-number", kind.EMAIL, 5)
    yield _answer("phone-is-number", kind.PHONE, Int64(987654321))
    yield _answer("rating-is-text", kind.RATING, "five")
    yield _answer("group-is-document", kind.REPEAT_GROUP, {"inner": 1}, "kept")
    yield _answer("group-of-scalars", kind.REPEAT_GROUP, [1, "x", None], "kept")


def _extreme_values() -> Iterator[BadResponse]:
    kind = QuestionType
    yield _answer("nan-integer", kind.INTEGER, float("nan"))
    yield _answer("nan-decimal", kind.DECIMAL, float("nan"))
    yield _answer("infinity", kind.DECIMAL, float("inf"))
    yield _answer("minus-infinity", kind.DECIMAL, float("-inf"))
    yield _answer("minus-zero", kind.DECIMAL, -0.0, "kept")
    yield _answer("decimal128-nan", kind.DECIMAL, Decimal128("NaN"))
    yield _answer("decimal128-infinity", kind.DECIMAL, Decimal128("-Infinity"))
    yield _answer("decimal128-1E+6000", kind.DECIMAL, Decimal128("1E+6000"))
    yield _answer("decimal128-1E-6000", kind.DECIMAL, Decimal128("1E-6000"))
    yield _answer("decimal128-34-digits", kind.DECIMAL, Decimal128("1234567890123456789012345678901234"))
    yield _answer("integer-2^53+1", kind.INTEGER, Int64(2**53 + 1), TYPED)
    yield _answer("integer-2^63-1", kind.INTEGER, Int64(2**63 - 1), TYPED)
    yield _answer("integer--2^63", kind.INTEGER, Int64(-(2**63)), TYPED)
    yield _answer("rating-2^63-1", kind.RATING, Int64(2**63 - 1), TYPED)
    yield _answer("integer-is-decimal128", kind.INTEGER, Decimal128("12"), f"{TYPED} or {KEPT_BESIDE}")
    yield _answer("datetime-year-1", kind.DATETIME, DatetimeMS(-62135596800000), TYPED)
    yield _answer("datetime-year-9999", kind.DATETIME, DatetimeMS(253402300799999), TYPED)
    yield _answer("datetime-year-10000", kind.DATETIME, DatetimeMS(253402300800000))
    yield _answer("datetime-2^62", kind.DATETIME, DatetimeMS(2**62))
    yield _answer("datetime--2^63", kind.DATETIME, DatetimeMS(-(2**63)))
    yield _answer("date-far", kind.DATE, DatetimeMS(2**62))
    yield _answer("date-year-0", kind.DATE, "0000-01-01")
    yield _answer("null-answer", kind.INTEGER, None, "an empty answer")
    yield _answer("empty-text", kind.TEXT, "", TYPED)
    yield _answer("empty-choices", kind.MULTI_CHOICE, [], TYPED)
    for odd in (ObjectId(), Binary(b"\xff\x00", 128), Regex("a(", "im"), Code("x", {"y": 1}), MinKey(), MaxKey()):
        yield _answer(f"text-is-{type(odd).__name__.lower()}", kind.TEXT, odd)


def _texts() -> Iterator[BadResponse]:
    kind = QuestionType
    yield _answer("nul", kind.TEXT, "a\0b", TYPED)
    yield _answer("control-characters", kind.TEXT, "a\x01\x07\x1b[31m\x7f\r\n\t", TYPED)
    yield _answer("right-to-left-override", kind.TEXT, "\u202egnp.exe\u202c", TYPED)
    yield _answer("byte-order-mark-formula", kind.TEXT, "\ufeff=1+1", TYPED)
    yield _answer("zero-width-formula", kind.TEXT, "\u200b=1+1", TYPED)
    yield _answer("noncharacters", kind.TEXT, "\ufffe\uffff\U0010ffff", TYPED)
    yield _answer("combining-flood", kind.TEXT, "Z" + "\u0300" * 5000, TYPED)
    yield _answer("50001-characters", kind.TEXT, "x" * 50_001, TYPED)
    yield _answer("50001-emoji", kind.TEXT, "😀" * 50_001, TYPED)
    yield _answer("million-characters", kind.TEXT, "ї" * 1_000_000, TYPED)
    for name, formula in (
        ("hyperlink", '=HYPERLINK("http://x.invalid/?"&A1,"click")'),
        ("plus", "+1+1|cmd"),
        ("minus", "-2+3"),
        ("at", "@SUM(A1)"),
        ("tab", "\t=1"),
        ("return", "\r=1"),
        ("full-width", "＝1+1"),
        ("markup", "<script>alert(1)</script><img src=x onerror=alert(1)>"),
        ("template", "{{7*7}}${7*7}"),
    ):
        yield _answer(f"formula-{name}", kind.TEXT, formula, f"{TYPED}, and stays text everywhere")


def _raw() -> Iterator[BadResponse]:
    """What no driver writes but a store may hold."""
    replaced = "invalid bytes become U+FFFD; the row is kept"
    yield _raw_answer("utf8-invalid", element(2, b"q_text", text(b"abc\xff\xfe")), replaced)
    yield _raw_answer("utf8-surrogate", element(2, b"q_text", text(b"\xed\xa0\x80")), replaced)
    yield _raw_answer("utf8-overlong", element(2, b"q_text", text(b"\xc0\xaf")), replaced)
    yield _raw_answer("utf8-cut", element(2, b"q_text", text(b"caf\xc3")), replaced)
    yield _raw_answer("utf8-invalid-question", element(2, b"q_\xff", text(b"x")), "kept as an unknown question")
    twice = element(2, b"q_text", text(b"first")) + element(2, b"q_text", text(b"second"))
    yield BadResponse("question-twice", _envelope("question-twice", document(twice)), "one of them at least is kept")
    again = element(3, b"answers", bson.encode({"q_text": "again"}))
    yield BadResponse("answers-twice", _envelope("answers-twice", bson.encode({"q_text": "x"}), again), "a row")
    yield _raw_answer("uuid-of-5-bytes", element(5, b"q_text", struct.pack("<i", 5) + b"\x04abcde"), KEPT_BESIDE)
    yield _raw_answer("old-binary-wrong-length", element(5, b"q_text", struct.pack("<i", 4) + b"\x02abcd"), "a row")
    yield _raw_answer("undefined", element(6, b"q_text", b""), "a row")
    yield _raw_answer("symbol", element(14, b"q_text", text(b"sym\xff")), "a row")
    yield _raw_answer("dbpointer", element(12, b"q_text", text(b"db.c") + b"\1" * 12), "a row")
    yield _raw_answer("regex-odd-flags", element(11, b"q_text", b"a(\0zq\0"), "a row")


def _questions() -> Iterator[BadResponse]:
    unknown = "kept with the reason that the question is unknown"
    names = (
        "never_asked",
        "",
        ".",
        "a.b",
        "$where",
        "_id",
        "_other",
        "__proto__",
        "../../etc/passwd",
        "=1+1",
        "Q_TEXT",
    )
    for name in names:
        answers = bson.encode({name: "x"})
        label = f"question-{name or 'without-name'}"
        yield BadResponse(label, _envelope(label, answers), unknown)
    many = bson.encode({f"unknown_{number}": number for number in range(5000)})
    yield BadResponse("questions-5000-unknown", _envelope("questions-5000-unknown", many), unknown)
    deep: Any = "bottom"
    for _ in range(80):
        deep = {"deeper": [deep]}
    yield _answer("nesting-160", QuestionType.TEXT, deep)
    yield _answer("group-nesting-160", QuestionType.REPEAT_GROUP, [{"inner": deep}], "kept")


def _large() -> Iterator[BadResponse]:
    room = (16 << 20) - 4096
    for name, value in (("16mb-text", "x" * room), ("16mb-list", ["y" * 1000] * (room // 1012))):
        answers = bson.encode({question_id(QuestionType.TEXT): value})
        yield BadResponse(name, _envelope(name, answers), "kept, in memory bounded by bytes", large=True)
    answers = bson.encode({question_id(QuestionType.INTEGER): "z" * (room // 2)})
    yield BadResponse("8mb-misfit", _envelope("8mb-misfit", answers), KEPT_BESIDE, large=True)


BAD_RESPONSES: list[BadResponse] = [
    *_ids(),
    *_envelopes(),
    *_wrong_types(),
    *_extreme_values(),
    *_texts(),
    *_raw(),
    *_questions(),
    *_large(),
]


def _titled(form_id: str, titles: Any, questions: Any) -> dict[str, Any]:
    return {**every_type_form(form_id), "titles": titles, "questions": questions}


def _text_questions(titles: list[str]) -> list[dict[str, Any]]:
    return [question_document(f"q{at}", QuestionType.TEXT, title, position=at) for at, title in enumerate(titles)]


def _bad_forms() -> Iterator[BadForm]:
    hostile = [
        '=HYPERLINK("http://x.invalid","y")',
        "<script>alert(1)</script>",
        "\u202egnp",
        "a\0b\nc\td",
        " ",
        "x" * 60_000,
    ]
    yield BadForm("no-questions", _titled("bad-no-questions", {"en": "None"}, []), "a table with our columns only")
    yield BadForm("2000-questions", _titled("bad-2000", {"en": "Many"}, _text_questions([f"T{n}" for n in range(2000)])), "2,000 columns")  # fmt: skip  # noqa: E501
    yield BadForm("equal-titles", _titled("bad-equal", {"en": "Equal"}, _text_questions(["Age", "Age", "age", ""])), "titles made unique")  # fmt: skip  # noqa: E501
    yield BadForm(
        "hostile-titles", _titled("bad-titles", {"en": hostile[0]}, _text_questions(hostile)), "text, escaped"
    )
    for at, form_id in enumerate(
        ("../../etc/passwd", "a/b\\c", "=1+1", "\u202egnp", "CON", "Ünï", "x" * 500, " ", "<b>")
    ):
        yield BadForm(f"id-{at}", _titled(form_id, {"en": form_id}, _text_questions(["Q"])), "a safe key")
    yield BadForm("id-number", {**every_type_form(), "_id": 5}, "readable or left out, never a stop")
    yield BadForm("titles-text", _titled("bad-titles-text", "Just text", []), "the title is the text")
    yield BadForm("titles-list", _titled("bad-titles-list", ["x"], []), "the title is the id")
    yield BadForm("questions-document", _titled("bad-questions", {"en": "x"}, {"q": 1}), "a problem is listed")
    odd = [None, "q", 5, {}, {"id": 7}, {"id": "_id", "type": "text"}, {"id": "ok", "type": "telepathy"}, {"id": "ok"}]
    yield BadForm(
        "questions-odd", _titled("bad-odd-questions", {"en": "x"}, odd), "problems are listed, the rest is kept"
    )
    empty = {"_id": "bad-empty"}
    yield BadForm("nothing-but-an-id", empty, "a form without questions")


BAD_FORMS: list[BadForm] = list(_bad_forms())


def insert_bad(client: MongoClient[Any], database: str, *, large: bool = False) -> list[BadResponse]:
    """Put the form, all malformed forms and responses into the store, past its validators; return the responses.

    `large` adds those of about 16 MB. Inserting again replaces them.
    """
    forms, stored = client[database]["forms"], client[database]["responses"]
    for form in (every_type_form(), *(bad.document for bad in BAD_FORMS)):
        forms.replace_one({"_id": form["_id"]}, form, upsert=True, bypass_document_validation=True)
    chosen = [bad for bad in BAD_RESPONSES if large or not bad.large]
    for bad in chosen:
        raw: Any = RawBSONDocument(bad.raw_bson)
        stored.delete_one({"_id": bad.id})
        stored.insert_one(raw, bypass_document_validation=True)
    return chosen
