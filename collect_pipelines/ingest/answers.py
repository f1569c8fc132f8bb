"""Random answers, one maker per question type, and the responses made of them. Deterministic by their Random."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from bson.decimal128 import Decimal128

from collect_pipelines.ingest.words import COLLECTORS, DEVICES, NAMES, PLACES, PREFIXES, SENTENCES, ZONES
from collect_pipelines.model import Form, Question, QuestionType
from collect_pipelines.source.documents import response_document

Maker = Callable[[Random, str, datetime], Any]

MISSING_SHARE = 0.08
LATE_SHARE = 0.1
"""Share of responses that were filled offline and arrive up to 45 days later."""

_PRICES = [Decimal128(Decimal(cents).scaleb(-2)) for cents in range(0, 10_000_000, 4_999)]


def name(random: Random, language: str) -> str:
    """A person's name in the language's script."""
    first, last = NAMES[language]
    space = "" if language == "zh" else " "
    return f"{random.choice(first)}{space}{random.choice(last)}"


def remark(random: Random, language: str) -> str:
    """A sentence or two; one in 50 is a long story of several thousand characters with line breaks."""
    sentences = SENTENCES[language]
    if random.random() < 0.02:
        return "\n".join(random.choice(sentences) for _ in range(random.randrange(60, 200)))
    return " ".join(random.choice(sentences) for _ in range(random.randrange(1, 3)))


def _text(question: Question) -> Maker:
    if question.id == "name":
        return lambda random, language, _: name(random, language)
    if question.id == "village":
        return lambda random, language, _: random.choice(PLACES[language])
    return lambda random, language, _: remark(random, language)


def _phone(random: Random, _language: str, _now: datetime) -> str:
    return f"{random.choice(PREFIXES)}{random.randrange(10**8, 10**9)}"


def _email(random: Random, _language: str, _now: datetime) -> str:
    return f"person{random.randrange(10**5)}@example.org"


def _point(random: Random, _language: str, _now: datetime) -> dict[str, Any]:
    coordinates = [round(random.uniform(-180, 180), 6), round(random.uniform(-60, 70), 6)]
    if random.random() < 0.3:
        coordinates.append(round(random.uniform(0, 3000), 1))
    return {"type": "Point", "coordinates": coordinates}


def _file(random: Random, _language: str, _now: datetime) -> dict[str, Any]:
    number = random.randrange(10**6)
    url = f"https://files.example.org/{number:06}.jpg"
    return {"name": f"IMG_{number:06}.jpg", "url": url, "media_type": "image/jpeg", "bytes": 40_000 + number}


def _date(random: Random, _language: str, now: datetime) -> str:
    return (now - timedelta(days=random.randrange(60))).date().isoformat()


def _datetime(random: Random, _language: str, now: datetime) -> datetime:
    return now - timedelta(minutes=random.randrange(60 * 24 * 60))


def _single(question: Question) -> Maker:
    ids = [option.id for option in question.options]
    return lambda random, _language, _now: random.choice(ids)


def _multi(question: Question) -> Maker:
    ids = [option.id for option in question.options]
    return lambda random, _language, _now: [choice for choice in ids if random.random() < 0.4]


def _group(question: Question) -> Maker:
    makers = [(inner.id, maker(inner)) for inner in question.questions]
    return lambda random, language, now: [
        {inner: make(random, language, now) for inner, make in makers} for _ in range(random.randrange(5))
    ]


_PLAIN: Mapping[QuestionType, Maker] = {
    QuestionType.INTEGER: lambda random, _language, _now: random.randrange(100),
    QuestionType.DECIMAL: lambda random, _language, _now: random.choice(_PRICES),
    QuestionType.BOOLEAN: lambda random, _language, _now: random.random() < 0.5,
    QuestionType.DATE: _date,
    QuestionType.DATETIME: _datetime,
    QuestionType.GEO_POINT: _point,
    QuestionType.FILE: _file,
    QuestionType.EMAIL: _email,
    QuestionType.PHONE: _phone,
    QuestionType.RATING: lambda random, _language, _now: random.randrange(1, 6),
}
_BUILT: Mapping[QuestionType, Callable[[Question], Maker]] = {
    QuestionType.TEXT: _text,
    QuestionType.SINGLE_CHOICE: _single,
    QuestionType.MULTI_CHOICE: _multi,
    QuestionType.REPEAT_GROUP: _group,
}


def maker(question: Question) -> Maker:
    """Return the function that answers this question: (random, language, now) -> stored value."""
    return _PLAIN.get(question.type) or _BUILT[question.type](question)


def responses(form: Form, random: Random, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield response documents of the form without end. Ids are 64 random bits."""
    makers = [(question.id, maker(question), MISSING_SHARE) for question in form.asked]
    languages = [language for language in form.titles if language in NAMES] or ["en"]
    while True:
        language = random.choice(languages)
        answers = {
            question_id: make(random, language, now)
            for question_id, make, missing in makers
            if random.random() >= missing
        }
        yield _response(form, random, now, language, answers)


def _response(form: Form, random: Random, now: datetime, language: str, answers: dict[str, Any]) -> dict[str, Any]:
    late = random.random() < LATE_SHARE
    finished = now - timedelta(minutes=random.randrange(60 * 24 * 45) if late else random.randrange(3))
    finished = finished.replace(microsecond=0)
    return response_document(
        form.id,
        f"{random.getrandbits(64):016x}",
        answers,
        form_version=form.version,
        status="complete" if random.random() < 0.95 else "partial",
        collector=random.choice(COLLECTORS),
        language=language,
        started_at=finished - timedelta(seconds=random.randrange(30, 1800)),
        finished_at=finished,
        time_zone=random.choice(ZONES),
        device=random.choice(DEVICES),
        metadata={"offline": True} if late else {},
        answer_metadata={"location": {"accuracy_metres": 4.5}} if "location" in answers else {},
    )
