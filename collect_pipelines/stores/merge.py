"""Which rows of which segments are current, and which segments to merge. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from collect_pipelines.model import QuestionType
from collect_pipelines.schema import ANSWER_TYPES, OURS
from collect_pipelines.stores.manifest import BASE_LEVEL, Segment

pc: Any = pyarrow.compute  # made at run time, so type checkers do not see its functions
MERGED_AT = 16
"""Segments of one level that are merged into one of the next."""
BASE_SHARE = 0.1
"""Changes beyond this share of the base's rows are merged into the base."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Segments to merge, oldest first, and the level of what comes out."""

    sources: tuple[Segment, ...]
    level: int


def plan_compaction(segments: Sequence[Segment]) -> Plan | None:
    """Choose what to merge, or None if it is not worth it.

    Sources are neighbours in `_sequence`, so that the segments of a table never overlap in it.
    """
    changes = [segment for segment in segments if segment.level != BASE_LEVEL]
    for level in sorted({segment.level for segment in changes}):
        same = tuple(segment for segment in changes if segment.level == level)
        if len(same) >= MERGED_AT:
            base_rows = sum(segment.rows for segment in segments) - sum(segment.rows for segment in changes)
            if level + 1 == BASE_LEVEL or sum(segment.rows for segment in changes) > base_rows * BASE_SHARE:
                return Plan(in_order(segments), BASE_LEVEL)
            return Plan(in_order(same), level + 1)
    return None


def plan_all(segments: Sequence[Segment]) -> Plan | None:
    """Plan one base of everything, or None if that is what there is."""
    changes = any(segment.level != BASE_LEVEL for segment in segments)
    return Plan(in_order(segments), BASE_LEVEL) if changes else None


def in_order(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Sort segments from the oldest commits to the newest; those of one commit stay in their order."""
    return tuple(sorted(segments, key=lambda segment: (segment.min_sequence, segment.max_sequence)))


def to_read(segments: Sequence[Segment], since: int) -> tuple[Segment, ...]:
    """Choose the segments that may hold rows newer than the commit `since`, oldest first."""
    return in_order([segment for segment in segments if segment.max_sequence > since])


def newest_rows(ids: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Mark the last row of each id, given the ids of rows from old to new; return the marks and the distinct ids."""
    encoded = pc.dictionary_encode(ids).combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    last = np.zeros(len(encoded.dictionary), dtype=np.int64)
    last[codes] = np.arange(len(codes))  # of equal codes the last one stays
    marks = np.zeros(len(codes), dtype=np.bool_)
    marks[last] = True
    return marks, encoded.dictionary


def table_columns(columns: Mapping[str, QuestionType]) -> pa.Schema:
    """Return the schema of a table whose questions have these types."""
    return pa.schema([*OURS, *(pa.field(name, ANSWER_TYPES[kind]) for name, kind in columns.items())])


def conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give rows the columns of the schema. A column that is missing, or of a type from before, becomes null."""
    names = set(rows.schema.names)
    arrays = [
        rows[field.name]
        if field.name in names and rows.schema.field(field.name).type == field.type
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)
