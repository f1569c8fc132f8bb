"""What destinations see: the columns of a form as a person wants them, and rows of Python values. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from collect_pipelines.model import Form, Question, QuestionType, pick


class Unfit(NamedTuple):
    """An answer that does not fit its question's type; people still see its text."""

    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a destination. `question` is None for the columns about the response itself."""

    id: str
    title: str
    type: QuestionType
    question: Question | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One response as destinations get it. `values` is keyed by column id; a missing key is an empty answer.

    Values are None, str, int, float, Decimal, bool, date, datetime, list[str], dict (geo point, file) or Unfit.
    """

    response_id: str
    sequence: int
    deleted: bool
    hash: str
    submitted_at: datetime | None
    values: Mapping[str, Any]


RESPONSE_ID = Column("_id", "Response", QuestionType.TEXT)
SUBMITTED_AT = Column("_submitted_at", "Submitted at", QuestionType.DATETIME)
COLLECTOR = Column("_collector", "Collector", QuestionType.TEXT)
STATUS = Column("_status", "Status", QuestionType.TEXT)
OTHER = Column("_other", "Other answers", QuestionType.TEXT)


def columns(form: Form, language: str, *, archived: bool = False, response_id: bool = False) -> tuple[Column, ...]:
    """List a form's columns in order: when, who, status, the questions, and answers that have no question.

    Titles are made unique ("Age", "Age (2)"). `archived` adds the questions that are no longer asked, after the
    others; `response_id` adds the response's id in front.
    """
    no_longer_asked = [question for question in form.questions if question.archived] if archived else []
    listed = [Column(q.id, _clean(_title(q, language, form)), q.type, q) for q in (*form.asked, *no_longer_asked)]
    key = (RESPONSE_ID,) if response_id else ()
    return _unique((*key, SUBMITTED_AT, COLLECTOR, STATUS, *listed, OTHER))


def rows(batch: pa.RecordBatch) -> Iterator[Row]:
    """Turn a batch of the response table into rows; unfit answers take their question's place as text."""
    for values in batch.to_pylist():
        other = values.pop("_other")
        rest = place_unfit(values, orjson.loads(other)) if other else {}
        values["_other"] = orjson.dumps(rest).decode() if rest else None
        yield Row(
            response_id=values["_id"],
            sequence=values["_sequence"],
            deleted=values["_deleted"],
            hash=values["_hash"] or "",
            submitted_at=values["_submitted_at"],
            values=values,
        )


def place_unfit(values: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Put unfit answers into the columns of their questions; return the answers that have no column."""
    rest: dict[str, Any] = {}
    for question_id, kept in other.items():
        value = kept["value"]
        if question_id in values and not question_id.startswith("_"):
            values[question_id] = Unfit(value if isinstance(value, str) else orjson.dumps(value).decode())
        else:
            rest[question_id] = value
    return rest


def _title(question: Question, language: str, form: Form) -> str:
    return pick(question.titles, language, form.default_language, question.id)


def _clean(title: str) -> str:
    return " ".join(title.split()) or "(no title)"


def _unique(listed: tuple[Column, ...]) -> tuple[Column, ...]:
    taken: set[str] = set()
    named: list[Column] = []
    for column in listed:
        title, number = column.title, 1
        while title.casefold() in taken:
            number += 1
            title = f"{column.title} ({number})"
        taken.add(title.casefold())
        named.append(Column(column.id, title, column.type, column.question))
    return tuple(named)
