"""A response table as it was at one commit: the current row of each response, streamed in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from collect_pipelines.model import Position
from collect_pipelines.stores.manifest import BASE_LEVEL, Manifest, Segment
from collect_pipelines.stores.merge import conform, newest_rows, table_columns, to_read
from collect_pipelines.stores.segments import Group, Segments, pieces

pc: Any = pyarrow.compute  # made at run time, so type checkers do not see its functions
BATCH_ROWS = 5_000
BATCH_BYTES = 16 << 20
IDENTITY = ["_id", "_sequence", "_deleted", "_hash", "_revision"]


class TableSnapshot:
    """Implements `delivery.contract.Snapshot`. It stays readable for `compaction.GRACE` after it was superseded."""

    def __init__(self, segments: Segments, manifest: Manifest) -> None:
        self._segments = segments
        self._checked: set[str] = set()
        self.manifest = manifest

    @property
    def position(self) -> Position:
        """The table and its newest commit."""
        return Position(self.manifest.table_id, self.manifest.watermark.sequence)

    @property
    def schema(self) -> pa.Schema:
        """The columns of every batch."""
        return table_columns(self.manifest.columns)

    def changes(self, since: int) -> Iterator[pa.RecordBatch]:
        """Yield the current row of every response that is newer than the commit `since`, tombstones too, by commit."""
        return self._batches(since, self.schema)

    def ids(self) -> Iterator[pa.RecordBatch]:
        """Yield `_id`, `_sequence`, `_deleted`, `_hash` and `_revision` of the current row of every response."""
        return self._batches(0, pa.schema([self.schema.field(name) for name in IDENTITY]))

    def _batches(self, since: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for rows in self.current(to_read(self.manifest.segments, since), since, schema):
            for piece in pieces(rows, BATCH_ROWS, BATCH_BYTES):
                yield from piece.combine_chunks().to_batches()

    def current(self, sources: Sequence[Segment], since: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield the newest row of each response among the sources (oldest first), by row group.

        Segments of the base hold each response once, so only the ids of the others are kept in memory.
        """
        for segment in sources:
            self._check(segment)
        changes = [segment for segment in sources if segment.level != BASE_LEVEL]
        newest, changed = self._newest(changes)
        first_row = 0
        for segment in sources:
            is_base = segment.level == BASE_LEVEL
            marks = None if is_base else newest[first_row : first_row + segment.rows]
            for group in self._segments.groups(segment, since, schema.names):
                mask = _not_among(group, changed) if marks is None else _marked(group, marks)
                rows = group.rows.filter(pc.and_(mask, pc.greater(group.rows["_sequence"], since)))
                if rows.num_rows:
                    yield conform(rows, schema)
            first_row += 0 if is_base else segment.rows

    def _newest(self, changes: Sequence[Segment]) -> tuple[np.ndarray, pa.Array]:
        ids = [group.rows["_id"] for segment in changes for group in self._segments.groups(segment, -1, ["_id"])]
        return newest_rows(pa.chunked_array([chunk for chunked in ids for chunk in chunked.chunks], pa.string()))

    def _check(self, segment: Segment) -> None:
        if segment.name not in self._checked:
            self._segments.check(segment)
            self._checked.add(segment.name)


def _marked(group: Group, marks: np.ndarray) -> pa.Array:
    return pa.array(marks[group.first_row : group.first_row + group.rows.num_rows])


def _not_among(group: Group, ids: pa.Array) -> pa.ChunkedArray:
    return pc.invert(pc.is_in(group.rows["_id"], value_set=ids))
