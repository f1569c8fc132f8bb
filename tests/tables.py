"""Small response tables for tests: one integer and one text question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from collect_pipelines.model import QuestionType
from collect_pipelines.stores.manifest import Manifest, Watermark
from collect_pipelines.stores.merge import table_columns
from collect_pipelines.stores.response_table import ASSIGNED, ResponseTable
from collect_pipelines.stores.snapshot import TableSnapshot

MEMORY_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""For tests of kills and of algebra, which need no disk: a busy one makes each fsync take long."""

COLUMNS = {"age": QuestionType.INTEGER, "name": QuestionType.TEXT}


def rows(
    changes: Mapping[str, Any] | Iterable[tuple[str, Any]], columns: Mapping[str, QuestionType] = COLUMNS
) -> pa.Table:
    """Make rows as landing does: the age by response id, None for a deleted response."""
    schema = pa.schema([field for field in table_columns(columns) if field.name not in ASSIGNED])
    listed = [
        {"_id": name, "_deleted": age is None, "_hash": None if age is None else f"{age:016x}", "age": age}
        for name, age in dict(changes).items()
    ]
    return pa.Table.from_pylist([{k: v for k, v in row.items() if k in schema.names} for row in listed], schema=schema)


def append(table: ResponseTable, changes: Mapping[str, Any], expected: Watermark | None = None) -> Manifest:
    """Append to the table as it is now."""
    watermark = expected or table.load().watermark
    return table.append(
        rows(changes), expected=watermark, cluster_time=watermark.cluster_time + 10, columns=COLUMNS, writer="test"
    )


def changes(snapshot: TableSnapshot, since: int = 0) -> list[dict[str, Any]]:
    """Read the changes of a snapshot whole."""
    return [row for batch in snapshot.changes(since) for row in batch.to_pylist()]


def ages(table: ResponseTable, since: int = 0) -> dict[str, Any]:
    """Return the age by response id, None for a deleted response; each response must come once."""
    listed = changes(table.snapshot(), since)
    assert len({row["_id"] for row in listed}) == len(listed)
    return {row["_id"]: row["age"] for row in listed}
