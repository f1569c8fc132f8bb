"""A response table in memory that keeps the promises of `delivery.contract.Snapshot`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from collect_pipelines.model import Form, Position
from collect_pipelines.schema import table_schema

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Table:
    """Rows by response id; every `commit` raises the sequence."""

    form: Form
    table_id: str = "t1"
    sequence: int = 0
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    batch_rows: int = 1000

    def commit(self, *changes: Mapping[str, Any]) -> Table:
        """Land changes: documents with `_id` and answers; `_deleted` makes a tombstone."""
        self.sequence += 1
        for change in changes:
            number = len(self.rows)
            known = {"_deleted": False, "_read_at": 0, "_hash": "0" * 16}
            dated = {} if change.get("_deleted") else {"_submitted_at": START + timedelta(minutes=number)}
            self.rows[change["_id"]] = {**known, **dated, **change, "_sequence": self.sequence}
        return self

    @property
    def position(self) -> Position:
        return Position(self.table_id, self.sequence)

    def changes(self, since: int) -> Iterator[pa.RecordBatch]:
        schema = table_schema(self.form.questions)
        found = [row for row in self.rows.values() if row["_sequence"] > since]
        for start in range(0, len(found), self.batch_rows):
            yield pa.RecordBatch.from_pylist(found[start : start + self.batch_rows], schema=schema)
