"""How values look to people: answers, times, sizes. Everything comes back as plain text; the templates escape it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from collect_pipelines.model import Form, Option, Question, QuestionType, pick

LONGEST_TEXT = 20_000

_YEAR_SECONDS = 365.25 * 86400
_UNITS: tuple[tuple[float, float, str], ...] = (
    (2 * _YEAR_SECONDS, _YEAR_SECONDS, "years"),
    (2 * 86400, 86400, "days"),
    (2 * 3600, 3600, "h"),
    (60, 60, "min"),
)
"""From how many seconds, seconds in one, name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as a person reads it."""

    question_id: str
    title: str
    type: str
    text: str
    value: Any
    """The stored value, for programs."""
    note: str = ""
    link: str | None = None
    at: datetime | None = None
    groups: tuple[tuple[Answer, ...], ...] = ()
    """The repetitions of a repeat group."""


def shown_answers(form: Form, answers: object, language: str) -> list[Answer]:
    """Lay out a response's answers: the form's questions in order, then what belongs to no question."""
    given: dict[str, Any] = {str(key): value for key, value in _mapping(answers).items()}
    listed = sorted(form.questions, key=lambda question: question.archived)
    shown = [
        _shown(question, given.get(question.id), form, language)
        for question in listed
        if not question.archived or given.get(question.id) is not None
    ]
    known = {question.id for question in form.questions}
    unknown = [
        Answer(question_id, question_id, "", plain(value), value, note="belongs to no question of this form")
        for question_id, value in given.items()
        if question_id not in known
    ]
    return shown + unknown


def _shown(question: Question, value: Any, form: Form, language: str) -> Answer:
    titles = {option.id: _option_title(option, form, language) for option in question.options}
    text, groups = _text(question, value, titles), _groups(question, value, form, language)
    return Answer(
        question.id,
        pick(question.titles, language, form.default_language, question.id),
        question.type.value,
        "" if groups else text,
        value,
        note="no longer asked" if question.archived else "",
        link=_link(value) if question.type is QuestionType.FILE else None,
        at=value if question.type is QuestionType.DATETIME and isinstance(value, datetime) else None,
        groups=groups,
    )


def _text(question: Question, value: Any, titles: Mapping[str, str]) -> str:
    if isinstance(value, str):
        return titles.get(value, shortened(value))
    if isinstance(value, datetime) and question.type is QuestionType.DATE:
        return value.date().isoformat()
    if isinstance(value, list) and question.options:
        return "; ".join(titles.get(item, item) if isinstance(item, str) else plain(item) for item in value)
    if isinstance(value, Mapping) and question.type is QuestionType.GEO_POINT:
        return place(cast(Mapping[str, Any], value))
    if isinstance(value, Mapping) and question.type is QuestionType.FILE:
        file = cast(Mapping[str, Any], value)
        return plain(file.get("name") or file.get("url"))
    return plain(value)


def _groups(question: Question, value: Any, form: Form, language: str) -> tuple[tuple[Answer, ...], ...]:
    if question.type is not QuestionType.REPEAT_GROUP or not isinstance(value, list):
        return ()
    inner = Form(form.id, {}, question.questions, default_language=form.default_language)
    items = cast(list[Any], value)
    if not all(isinstance(item, Mapping) for item in items):
        return ()
    return tuple(tuple(shown_answers(inner, item, language)) for item in items)


def _option_title(option: Option, form: Form, language: str) -> str:
    return pick(option.titles, language, form.default_language, option.id)


def place(point: Mapping[str, Any]) -> str:
    """A place as latitude, longitude; GeoJSON is understood too.

    >>> place({"latitude": 48.2, "longitude": 16.37}), place({"type": "Point", "coordinates": [16.37, 48.2]})
    ('48.2, 16.37', '48.2, 16.37')
    """
    coordinates = point.get("coordinates")
    if isinstance(coordinates, list) and len(cast(list[Any], coordinates)) >= 2:
        longitude, latitude = cast(list[Any], coordinates)[:2]
        return f"{plain(latitude)}, {plain(longitude)}"
    if "latitude" in point and "longitude" in point:
        return f"{plain(point['latitude'])}, {plain(point['longitude'])}"
    return plain(point)


def plain(value: Any) -> str:
    """Any stored value as text; never an error.

    >>> plain(None), plain(True), plain(1e21), plain({"a": [1, "x"]})
    ('', 'yes', '1e+21', 'a: 1; x')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds").replace("+00:00", " UTC")
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return shortened("; ".join(f"{k}: {plain(v)}" for k, v in cast(Mapping[str, Any], value).items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return shortened("; ".join(plain(item) for item in cast(Sequence[Any], value)))
    return shortened(str(value))


def for_programs(value: object) -> Any:
    """What JSON does not know, as text (`default=` of the encoder)."""
    if isinstance(value, Decimal128 | DatetimeMS):
        return str(value) if isinstance(value, Decimal128) else int(value)
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def shortened(value: str) -> str:
    """A text of bearable length, that says so."""
    return value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]} … ({len(value):,} characters)"


def web_link(value: object) -> str | None:
    """An address that is safe to follow: http or https; None for all others (`javascript:` …)."""
    if not isinstance(value, str):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in ("http", "https") and parts.netloc else None


def _link(value: Any) -> str | None:
    return web_link(cast(Mapping[str, Any], value).get("url")) if isinstance(value, Mapping) else None


def ago(then: datetime, now: datetime) -> str:
    """How long ago something was, or in how long it will be.

    >>> ago(datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 3))
    '3 min ago'
    """
    seconds = (now - then).total_seconds()
    return f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"


def duration(seconds: float) -> str:
    """A length of time in one round unit.

    >>> duration(0.2), duration(59), duration(3600), duration(90_000), duration(400_000)
    ('0 s', '59 s', '60 min', '25 h', '4 days')
    """
    size, unit = next(((size, unit) for least, size, unit in _UNITS if seconds >= least), (1.0, "s"))
    return f"{int(seconds / size):,} {unit}"


def _mapping(value: object) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}
