"""The domain's words: forms, questions, options, and how a response is tied to its form. No I/O."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple, cast

UNROUTED = "_unrouted"
"""The form of responses whose id names no form. They are kept there, whole."""


class QuestionType(StrEnum):
    """What kind of answer a question takes."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    SINGLE_CHOICE = "single_choice"
    MULTI_CHOICE = "multi_choice"
    GEO_POINT = "geo_point"
    FILE = "file"
    EMAIL = "email"
    PHONE = "phone"
    RATING = "rating"
    REPEAT_GROUP = "repeat_group"


Titles = Mapping[str, str]
"""Text per language code, e.g. {"en": "Age", "hi": "आयु"}."""


def pick(titles: Titles, language: str, default_language: str, otherwise: str) -> str:
    """Return the title in the language, else in the default language, else any, else `otherwise`."""
    for key in (language, default_language):
        if titles.get(key):
            return titles[key]
    return next((title for title in titles.values() if title), otherwise)


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a choice question; answers store its id."""

    id: str
    titles: Titles


@dataclass(frozen=True, slots=True)
class Question:
    """One question. Its id is for ever; its titles, position and archived state may change."""

    id: str
    type: QuestionType
    titles: Titles
    position: int = 0
    options: tuple[Option, ...] = ()
    archived: bool = False
    questions: tuple[Question, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it is now. `problems` lists parts of the document that could not be read."""

    id: str
    titles: Titles
    questions: tuple[Question, ...] = ()
    version: int = 1
    status: str = "published"
    default_language: str = "en"
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    problems: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The form's partition key, folder name and metric label."""
        return safe_key(self.id)

    @property
    def asked(self) -> tuple[Question, ...]:
        """The questions that are still asked, in order."""
        return tuple(question for question in self.questions if not question.archived)

    def remembering(self, columns: Mapping[str, QuestionType]) -> Form:
        """This form with the questions that its table has and its document no longer names, as archived ones.

        Without them, answers given meanwhile would find no column, not even when the question is back.
        """
        ours = {question.id for question in self.questions}
        gone = [Question(name, kind, {}, archived=True) for name, kind in columns.items() if name not in ours]
        return replace(self, questions=(*self.questions, *gone)) if gone else self

    def title(self, language: str) -> str:
        """The form's title in the language, else the next best, else its id."""
        return pick(self.titles, language, self.default_language, self.id)

    def integration(self, name: str) -> Mapping[str, Any]:
        """Settings of one integration for this form; empty when there are none."""
        integrations: Any = self.settings.get("integrations")
        block: Any = cast(Any, integrations).get(name) if isinstance(integrations, Mapping) else None
        return cast(Mapping[str, Any], block) if isinstance(block, Mapping) else {}


class Position(NamedTuple):
    """How far a destination has come: every commit of this table up to `sequence`, inclusive.

    A table that was made anew has another id; everything of it is then delivered again.
    """

    table_id: str
    sequence: int


def form_of(store_id: object) -> str:
    """Name the form of a response from its `_id` alone, as a delete event carries nothing else.

    >>> form_of("fair:000123"), form_of(42)
    ('fair', '_unrouted')
    """
    form, separator, rest = store_id.partition(":") if isinstance(store_id, str) else ("", "", "")
    return form if form and separator and rest else UNROUTED


def id_range(form_id: str) -> tuple[str, str]:
    """Bounds [low, high) of the `_id`s of a form: a range scan of the primary index, no extra index."""
    return f"{form_id}:", f"{form_id};"


_PLAIN_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(10))}


def safe_key(form_id: str) -> str:
    """Map any form id to a short key for partitions, folders and labels; injective and stable.

    Plain lower-case ids stay as they are; all others become `x--<slug>-<24 hex>`.
    """
    if _PLAIN_KEY.fullmatch(form_id) and form_id not in _RESERVED and not form_id.startswith("x--"):
        return form_id
    plain = unicodedata.normalize("NFKD", form_id).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:20].strip("-")
    digest = hashlib.blake2b(form_id.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return "-".join(part for part in ("x-", slug, digest) if part)


def form_from_document(document: Mapping[str, Any]) -> Form:
    """Read a form document, leaving out what cannot be read and saying so in `problems`."""
    problems: list[str] = []
    form_id = str(document.get("_id", ""))
    questions = _questions(document.get("questions"), problems, "questions")
    version, settings = document.get("version"), document.get("settings")
    return Form(
        id=form_id,
        titles=_titles(document.get("titles")),
        questions=questions,
        version=version if isinstance(version, int) else 1,
        status=str(document.get("status", "published")),
        default_language=str(document.get("default_language", "en")),
        settings=cast(Mapping[str, Any], settings) if isinstance(settings, Mapping) else {},
        problems=tuple(problems),
    )


def _titles(value: object) -> Titles:
    if isinstance(value, str):
        return {"en": value}
    if not isinstance(value, Mapping):
        return {}
    return {str(k): v for k, v in cast(Mapping[object, object], value).items() if isinstance(v, str)}


def _questions(value: object, problems: list[str], where: str) -> tuple[Question, ...]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        problems.append(f"{where} is not a list")
        return ()
    read: dict[str, Question] = {}
    for number, item in enumerate(cast(Sequence[object], value)):
        question = _question(item, number, problems, f"{where}[{number}]")
        if question is None:
            continue
        if question.id in read:
            problems.append(f"{where}[{number}]: a second question has the id {question.id!r}")
            continue
        read[question.id] = question
    return tuple(sorted(read.values(), key=lambda question: question.position))


def _question(item: object, number: int, problems: list[str], where: str) -> Question | None:
    if not isinstance(item, Mapping):
        problems.append(f"{where} is not a document")
        return None
    document = cast(Mapping[str, Any], item)
    question_id, position = document.get("id"), document.get("position")
    if not isinstance(question_id, str) or not question_id or question_id.startswith("_"):
        problems.append(f"{where} has no usable id (a text that does not begin with an underscore)")
        return None
    try:
        kind = QuestionType(document.get("type"))
    except ValueError:
        problems.append(f"{where} ({question_id}) has no known type; its answers are kept as text")
        kind = QuestionType.TEXT
    metadata = document.get("metadata")
    return Question(
        id=question_id,
        type=kind,
        titles=_titles(document.get("titles")),
        position=position if isinstance(position, int) else number,
        options=_options(document.get("options")),
        archived=document.get("archived") is True,
        questions=_questions(document.get("questions"), problems, f"{where}.questions"),
        metadata=cast(Mapping[str, Any], metadata) if isinstance(metadata, Mapping) else {},
    )


def _options(value: object) -> tuple[Option, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return ()
    documents = [cast(Mapping[str, Any], item) for item in cast(Sequence[object], value) if isinstance(item, Mapping)]
    return tuple(Option(d["id"], _titles(d.get("titles"))) for d in documents if isinstance(d.get("id"), str))
