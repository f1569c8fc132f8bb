"""Turning what a file says into the value the store keeps for a question's type. Pure; ValueError means: no fit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from bson.decimal128 import Decimal128
from bson.int64 import Int64

from collect_pipelines.model import QuestionType

TRUE, FALSE = frozenset({"true", "yes", "y", "1"}), frozenset({"false", "no", "n", "0"})
INT64 = range(-(2**63), 2**63)
SEPARATORS = (";", "|")
"""What separates the choices of one answer in one cell."""

_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")
_WHOLE = re.compile(r"[+-]?\d{1,19}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,4})?")

Choices = Mapping[str, str]
"""Option ids by the text that stands for them: the id itself and its titles."""


def from_text(kind: QuestionType, text: str, choices: Choices) -> Any:
    """Convert a cell. Raises ValueError when the text is no such value."""
    if kind is QuestionType.SINGLE_CHOICE:
        return _choice(text, choices)
    if kind is QuestionType.MULTI_CHOICE:
        return [_choice(part, choices) for part in split(text)]
    return _TEXT[kind](text)


def from_json(kind: QuestionType, value: Any, choices: Choices) -> Any:
    """Convert a JSON value; one that is no such value raises ValueError."""
    if isinstance(value, str):
        return from_text(kind, value, choices)
    if kind is QuestionType.MULTI_CHOICE and isinstance(value, list):
        return [_choice(part, choices) if isinstance(part, str) else storable(part) for part in cast(list[Any], value)]
    if kind is QuestionType.DECIMAL and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return decimal(Decimal(value))
    return storable(value)


def storable(value: Any) -> Any:
    """Return a JSON value as BSON can hold it, unchanged in meaning: numbers too large for it become text."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return (value if abs(value) < 2**31 else Int64(value)) if value in INT64 else str(value)
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else _exact(value)
    if isinstance(value, list):
        return [storable(item) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        return {str(key): storable(item) for key, item in cast(dict[Any, Any], value).items()}
    return value


def decimal(value: Decimal) -> Decimal128:
    """Return the number exactly; ValueError beyond 34 digits or when it is not finite."""
    if not value.is_finite():
        raise ValueError("not a finite number")
    try:
        return Decimal128(value)
    except (InvalidOperation, ArithmeticError) as error:
        raise ValueError("more digits than the store can hold") from error


def split(text: str) -> list[str]:
    """Split a cell that holds several choices."""
    separator = next((mark for mark in SEPARATORS if mark in text), None)
    parts = text.split(separator) if separator else [text]
    return [part.strip() for part in parts if part.strip()]


def _exact(value: Decimal) -> Decimal128 | str:
    try:
        return decimal(value)
    except ValueError:
        return str(value)


def _choice(text: str, choices: Choices) -> str:
    if text.strip() not in choices:
        raise ValueError("not one of the options")
    return choices[text.strip()]


def _integer(text: str) -> int:
    if not _WHOLE.fullmatch(text) or int(text) not in INT64:
        raise ValueError("not a whole number")
    value = int(text)
    return value if abs(value) < 2**31 else Int64(value)


def _decimal(text: str) -> Decimal128:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    return decimal(Decimal(text))


def _boolean(text: str) -> bool:
    if text.lower() not in TRUE | FALSE:
        raise ValueError("neither yes nor no")
    return text.lower() in TRUE


def _date(text: str) -> str:
    if dotted := _DOTTED.fullmatch(text):
        return date(int(dotted[3]), int(dotted[2]), int(dotted[1])).isoformat()
    if not _ISO_DATE.fullmatch(text):
        raise ValueError("not a date like 2026-01-31 or 31.1.2026")
    return date.fromisoformat(text).isoformat()


def _datetime(text: str) -> datetime:
    if not _ISO_TIME.match(text):
        raise ValueError("not a time like 2026-01-31T12:00:00Z")
    value = datetime.fromisoformat(text)
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("beyond the calendar") from error


def _point(text: str) -> dict[str, Any]:
    """Read "latitude longitude [altitude [accuracy]]", as survey tools write it, or "latitude, longitude"."""
    parts = text.replace(",", " ").split()
    if not 2 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise ValueError("not a point like 27.17 78.04")
    latitude, longitude, *more = (float(part) for part in parts)
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise ValueError("not on the globe")
    return {"type": "Point", "coordinates": [longitude, latitude, *more[:1]]}


def _file(text: str) -> dict[str, Any]:
    return {"name": text.rstrip("/").rpartition("/")[2] or text, "url": text}


def _group(text: str) -> list[Any]:
    value: Any = json.loads(text)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in cast(list[Any], value)):
        raise ValueError("not a JSON list of objects")
    return storable(value)


_TEXT: Mapping[QuestionType, Callable[[str], Any]] = {
    QuestionType.TEXT: str,
    QuestionType.EMAIL: str.strip,
    QuestionType.PHONE: str.strip,
    QuestionType.INTEGER: lambda text: _integer(text.strip()),
    QuestionType.RATING: lambda text: _integer(text.strip()),
    QuestionType.DECIMAL: lambda text: _decimal(text.strip()),
    QuestionType.BOOLEAN: lambda text: _boolean(text.strip()),
    QuestionType.DATE: lambda text: _date(text.strip()),
    QuestionType.DATETIME: lambda text: _datetime(text.strip()),
    QuestionType.GEO_POINT: lambda text: _point(text.strip()),
    QuestionType.FILE: lambda text: _file(text.strip()),
    QuestionType.REPEAT_GROUP: _group,
}
