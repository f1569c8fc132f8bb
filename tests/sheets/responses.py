"""Response tables in memory, for the tests of deliveries: every commit is a dict of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from collect_pipelines.model import Form, Option, Position, Question, QuestionType
from collect_pipelines.schema import table_schema

SUBMITTED = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def question(id: str, kind: QuestionType = QuestionType.TEXT, title: str | None = None, **more: Any) -> Question:
    return Question(id, kind, {"en": title or id.title()}, **more)


def form(*questions: Question, id: str = "fair", title: str = "Fair", **settings: Any) -> Form:
    block = {"integrations": {"google_sheet": settings}} if settings else {}
    return Form(
        id, {"en": title}, questions or (question("name"), question("age", QuestionType.INTEGER)), settings=block
    )


def choices(*pairs: tuple[str, str]) -> tuple[Option, ...]:
    return tuple(Option(id, {"en": title}) for id, title in pairs)


class Table:
    """A response table; `commit` adds or changes rows, None deletes one."""

    def __init__(self, form: Form, table_id: str = "t1") -> None:
        self.form = form
        self.table_id = table_id
        self.sequence = 0
        self.rows: dict[str, dict[str, Any]] = {}

    def commit(self, changes: Mapping[str, Mapping[str, Any] | None]) -> None:
        self.sequence += 1
        for response_id, answers in changes.items():
            row: dict[str, Any] = {"_id": response_id, "_sequence": self.sequence, "_deleted": answers is None}
            row |= {"_read_at": self.sequence}
            if answers is not None:
                row |= {"_submitted_at": SUBMITTED, "_status": "submitted", "_collector": "ada", **answers}
                row["_hash"] = hashlib.blake2b(orjson.dumps(row, default=str), digest_size=8).hexdigest()
            self.rows.pop(response_id, None)
            self.rows[response_id] = row

    def snapshot(self) -> MemorySnapshot:
        return MemorySnapshot(
            Position(self.table_id, self.sequence), table_schema(self.form.questions), list(self.rows.values())
        )

    def live(self) -> dict[str, dict[str, Any]]:
        return {id: row for id, row in self.rows.items() if not row["_deleted"]}


class MemorySnapshot:
    """One commit of a table."""

    def __init__(self, position: Position, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
        self._position = position
        self._schema = schema
        self._rows = rows
        self.read_rows = 0

    @property
    def position(self) -> Position:
        return self._position

    def changes(self, since: int) -> Iterator[pa.RecordBatch]:
        newer = [row for row in self._rows if row["_sequence"] > since]
        for start in range(0, len(newer), 1000):
            self.read_rows += len(newer[start : start + 1000])
            yield pa.RecordBatch.from_pylist(newer[start : start + 1000], schema=self._schema)
