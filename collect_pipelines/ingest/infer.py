"""Inferring a question's type from its title and values. Pure; memory per column is bounded.

The rule for doubt is text: a wrong number is worse than a right text. Leading zeros and long digit strings are ids,
not numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from collect_pipelines.ingest.convert import SEPARATORS, from_text, split
from collect_pipelines.model import QuestionType

MAX_OPTIONS = 25
MAX_OPTION_LENGTH = 80
REPEATS_PER_OPTION = 3
"""A text is a choice when its values repeat this often on average."""
MAX_TRACKED = 1000

_PHONE_TITLE = re.compile(
    r"mobile|phone|\btel\b|cell|whats ?app|msisdn|móvil|tel[eé]fono|телефон|मोबाइल|फ़ोन|هاتف|جوال|电话|手机", re.I
)
_PLACE_TITLE = re.compile(r"gps|geo|locat|coordinat|lat.?lon|ubicac|मौके|स्थान|موقع|位置", re.I)
_RATING_TITLE = re.compile(r"\brating|\brate\b|\bstars?\b|satisfaction", re.I)
_PHONE = re.compile(r"\+?[\d(][\d\s().-]{4,20}\d")
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]{2,}")
_WHOLE = re.compile(r"0|-?[1-9]\d{0,14}")
_FRACTION = re.compile(r"-?(0|[1-9]\d{0,14})\.\d{1,18}")
_YES_NO = ({"yes", "no"}, {"true", "false"})


@dataclass(frozen=True, slots=True)
class Inferred:
    """A question's type, the texts of its options, and the reason in a few words."""

    type: QuestionType
    options: tuple[str, ...] = ()
    why: str = ""


def _parses(kind: QuestionType) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            from_text(kind, text, {})
        except ValueError:
            return False
        return True

    return fits


def _is_phone(text: str) -> bool:
    return bool(_PHONE.fullmatch(text)) and 6 <= sum(character.isdigit() for character in text) <= 15


_TESTS: Mapping[QuestionType, Callable[[str], bool]] = {
    QuestionType.INTEGER: lambda text: bool(_WHOLE.fullmatch(text)),
    QuestionType.DECIMAL: lambda text: bool(_FRACTION.fullmatch(text) or _WHOLE.fullmatch(text)),
    QuestionType.DATE: _parses(QuestionType.DATE),
    QuestionType.DATETIME: _parses(QuestionType.DATETIME),
    QuestionType.EMAIL: lambda text: bool(_EMAIL.fullmatch(text)),
    QuestionType.PHONE: _is_phone,
    QuestionType.GEO_POINT: _parses(QuestionType.GEO_POINT),
}


class Profile:
    """What one column holds, learnt value by value."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.values = 0
        self._possible = dict(_TESTS)
        self._distinct: dict[str, int] = {}
        self._parts: dict[str, int] = {}
        self._several = 0
        self._plus = 0
        self._overflow = False
        self._kinds: set[QuestionType] = set()  # of JSON values that are no text

    def see(self, value: Any) -> None:
        """Take one value into account; empty ones do not count."""
        if value is None or value == "":
            return
        self.values += 1
        if isinstance(value, str):
            self._see_text(value.strip())
        else:
            self._kinds.add(_json_kind(value))
            if isinstance(value, list):
                for item in cast(list[Any], value):
                    self._remember(self._parts, str(item))

    def _see_text(self, text: str) -> None:
        for kind, fits in list(self._possible.items()):
            if not fits(text):
                del self._possible[kind]
        self._plus += text.startswith("+")
        self._remember(self._distinct, text)
        parts = split(text) if any(mark in text for mark in SEPARATORS) else [text]
        self._several += len(parts) > 1
        for part in parts:
            self._remember(self._parts, part)

    def _remember(self, counts: dict[str, int], text: str) -> None:
        if text in counts or len(counts) < MAX_TRACKED:
            counts[text] = counts.get(text, 0) + 1
        else:
            self._overflow = True

    def options(self, kind: QuestionType) -> tuple[str, ...]:
        """The texts that would be the options, in order of appearance (at most MAX_TRACKED)."""
        return tuple(self._parts if kind is QuestionType.MULTI_CHOICE else self._distinct)

    def infer(self) -> Inferred:
        """Decide, from everything seen so far."""
        if not self.values:
            return Inferred(QuestionType.TEXT, why="no values")
        if self._kinds:
            return self._from_json()
        return self._from_title() or self._from_values() or self._from_repeats() or Inferred(QuestionType.TEXT)

    def _from_json(self) -> Inferred:
        kinds = self._kinds
        if kinds == {QuestionType.INTEGER, QuestionType.DECIMAL}:
            kinds = {QuestionType.DECIMAL}
        if len(kinds) > 1 or self._distinct:
            return Inferred(QuestionType.TEXT, why="values of several kinds")
        kind = next(iter(kinds))
        return Inferred(kind, self.options(kind) if kind is QuestionType.MULTI_CHOICE else (), "by JSON type")

    def _from_title(self) -> Inferred | None:
        if QuestionType.PHONE in self._possible and _PHONE_TITLE.search(self.title):
            return Inferred(QuestionType.PHONE, why="title and values")
        if QuestionType.GEO_POINT in self._possible and _PLACE_TITLE.search(self.title):
            return Inferred(QuestionType.GEO_POINT, why="title and values")
        if QuestionType.INTEGER in self._possible and _RATING_TITLE.search(self.title) and self._within(0, 10):
            return Inferred(QuestionType.RATING, why="title and values")
        return None

    def _within(self, low: int, high: int) -> bool:
        return all(low <= int(value) <= high for value in self._distinct)

    def _from_values(self) -> Inferred | None:
        if {value.lower() for value in self._distinct} in _YES_NO:
            return Inferred(QuestionType.BOOLEAN, why="two opposite values")
        if QuestionType.PHONE in self._possible and self._plus == self.values:
            return Inferred(QuestionType.PHONE, why="international numbers")
        for kind in (QuestionType.INTEGER, QuestionType.DECIMAL, QuestionType.DATE, QuestionType.DATETIME):
            if kind in self._possible:
                return Inferred(kind, why="all values")
        if QuestionType.EMAIL in self._possible:
            return Inferred(QuestionType.EMAIL, why="all values")
        return None

    def _from_repeats(self) -> Inferred | None:
        if self._several >= 0.2 * self.values and self._repeat(self._parts):
            return Inferred(QuestionType.MULTI_CHOICE, tuple(self._parts), "few values, several at once")
        if not self._looks_numeric() and self._repeat(self._distinct):
            return Inferred(QuestionType.SINGLE_CHOICE, tuple(self._distinct), "few values, often repeated")
        return None

    def _repeat(self, counts: dict[str, int]) -> bool:
        few = not self._overflow and 2 <= len(counts) <= MAX_OPTIONS
        short = all(len(text) <= MAX_OPTION_LENGTH for text in counts)
        return few and short and sum(counts.values()) >= REPEATS_PER_OPTION * len(counts)

    def _looks_numeric(self) -> bool:
        return all(text.lstrip("+-").isdigit() for text in self._distinct)


def _json_kind(value: Any) -> QuestionType:
    if isinstance(value, bool):
        return QuestionType.BOOLEAN
    if isinstance(value, int):
        return QuestionType.INTEGER
    if isinstance(value, Decimal):
        return QuestionType.DECIMAL
    if isinstance(value, datetime):
        return QuestionType.DATETIME
    if isinstance(value, list):
        items = cast(list[Any], value)
        if items and all(isinstance(item, dict) for item in items):
            return QuestionType.REPEAT_GROUP
        return QuestionType.MULTI_CHOICE if all(isinstance(item, str) for item in items) else QuestionType.TEXT
    if isinstance(value, dict):
        point = cast(dict[str, Any], value)
        if point.get("type") == "Point" and isinstance(point.get("coordinates"), list):
            return QuestionType.GEO_POINT
        return QuestionType.FILE if "url" in point and "name" in point else QuestionType.TEXT
    return QuestionType.TEXT
