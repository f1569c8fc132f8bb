"""What every import source yields: records and rejected lines, with ids that are the same each time. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

ID_COLUMNS = ("_id", "id", "response_id", "responseid", "uuid", "_uuid", "instanceid", "meta/instanceid", "key")
"""Headers that name a response's own id in the exports of common survey tools, lower case, the likeliest first."""

MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """One response as it was found: answers by question id, still in the file's own types."""

    form_id: str
    unique: str
    answers: Mapping[str, Any]
    line: int
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Arguments for `documents.response_document` beside the answers."""


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """Something in the file that is no response, where it is and why."""

    line: int
    reason: str


@dataclass(slots=True)
class Rejects:
    """Rejected lines: all are counted, the first MAX_LISTED kept with their reasons."""

    count: int = 0
    lines: list[RejectedLine] = field(default_factory=list[RejectedLine])

    def add(self, line: RejectedLine) -> None:
        """Take one more."""
        self.count += 1
        if len(self.lines) < MAX_LISTED:
            self.lines.append(line)


class Source(Protocol):
    """A file of responses. It is read twice: once to learn its questions, once to load it."""

    def records(self) -> Iterator[Record | RejectedLine]:
        """Yield everything in the file, in order; memory stays bounded by one record."""
        ...

    @property
    def description(self) -> str:
        """What is read and how, and where the ids come from, for people."""
        ...

    def declared(self) -> Mapping[str, Sequence[str]]:
        """Question ids, in order, by form: those known without looking at records."""
        ...

    def title(self, form_id: str) -> str:
        """The title of a form that is not in the store yet."""
        ...

    def question_title(self, form_id: str, question_id: str) -> str:
        """The title of a question of that form; known once all records were read."""
        ...


def slug(text: str) -> str:
    """Make a short ASCII id of a text; empty when nothing of it can be kept.

    >>> slug("Wie alt sind Sie (Jahre)?"), slug("आयु")
    ('wie_alt_sind_sie_jahre', '')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:60].strip("_")


class Ids:
    """Question ids for the columns of a file: made of their titles, unique, the same for the same file."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}
        self._of: dict[object, str] = {}

    def of(self, column: object, title: str, number: int) -> str:
        """Return the id of a column; `number` (from 1) names it when its title has no ASCII letters or digits."""
        if column not in self._of:
            start = slug(title) or f"column_{number}"
            chosen, attempt = start, 1
            while chosen in self._taken:
                attempt += 1
                chosen = f"{start}_{attempt}"
            self._taken[chosen] = title
            self._of[column] = chosen
        return self._of[column]

    def reserve(self, taken: str) -> None:
        """Never give out this id."""
        self._taken[taken] = taken

    def title(self, question_id: str) -> str:
        """The title that the id was made of."""
        return self._taken.get(question_id, question_id)


def usable_id(value: object) -> str | None:
    """Return the value as an id inside a form, or None when it cannot be one."""
    text = value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    return text if text and len(text) <= 250 and "\0" not in text else None
