"""The columns of a response table, and how the questions of a form become columns. No I/O.

A column is named by its question id (for ever; titles change), typed by the question. Columns whose name begins with
an underscore are ours. An answer that does not fit its column, or whose question is unknown, is kept in `_other`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute

from collect_pipelines.model import Question, QuestionType

pc: Any = pyarrow.compute
"""Arrow's functions; they are made at run time, so type checkers do not see them."""

DECIMAL = pa.decimal128(38, 18)
TIMESTAMP = pa.timestamp("us", tz="UTC")
GEO_POINT = pa.struct([("longitude", pa.float64()), ("latitude", pa.float64()), ("altitude", pa.float64())])
FILE = pa.struct([("name", pa.string()), ("url", pa.string()), ("media_type", pa.string()), ("bytes", pa.int64())])

ANSWER_TYPES: dict[QuestionType, pa.DataType] = {
    QuestionType.TEXT: pa.string(),
    QuestionType.INTEGER: pa.int64(),
    QuestionType.DECIMAL: DECIMAL,
    QuestionType.BOOLEAN: pa.bool_(),
    QuestionType.DATE: pa.date32(),
    QuestionType.DATETIME: TIMESTAMP,
    QuestionType.SINGLE_CHOICE: pa.string(),  # option id
    QuestionType.MULTI_CHOICE: pa.list_(pa.string()),  # option ids
    QuestionType.GEO_POINT: GEO_POINT,
    QuestionType.FILE: FILE,
    QuestionType.EMAIL: pa.string(),
    QuestionType.PHONE: pa.string(),
    QuestionType.RATING: pa.int64(),
    QuestionType.REPEAT_GROUP: pa.string(),  # JSON: its questions change more freely than a nested column can
}

OURS = pa.schema(
    [
        pa.field("_id", pa.string(), nullable=False),  # the response's `_id` in the store, as text
        pa.field("_sequence", pa.int64(), nullable=False),  # the commit that brought this row; 1, 2, 3 …
        pa.field("_deleted", pa.bool_(), nullable=False),  # a tombstone: everything below is null
        pa.field("_read_at", pa.int64(), nullable=False),  # cluster time of the read: seconds << 32 | increment
        pa.field("_hash", pa.string()),  # 16 hex digits over the response's content
        pa.field("_revision", pa.int64()),
        pa.field("_form_version", pa.int64()),
        pa.field("_status", pa.string()),
        pa.field("_submitted_at", TIMESTAMP),  # server time of submission
        pa.field("_updated_at", TIMESTAMP),
        pa.field("_started_at", TIMESTAMP),  # client time
        pa.field("_finished_at", TIMESTAMP),  # client time
        pa.field("_collector", pa.string()),
        pa.field("_language", pa.string()),
        pa.field("_flags", pa.string()),  # JSON list
        pa.field("_metadata", pa.string()),  # JSON
        pa.field("_answer_metadata", pa.string()),  # JSON by question id
        pa.field("_other", pa.string()),  # JSON {question id: {"value": …, "reason": "…"}}
    ]
)


def table_schema(questions: Iterable[Question]) -> pa.Schema:
    """Return our columns followed by one column per question (archived ones too), by question id."""
    fields = [pa.field(question.id, ANSWER_TYPES[question.type]) for question in questions]
    return pa.schema([*OURS, *fields])
