"""Segments: immutable Parquet files of a response table, checked against their checksum whenever they are read."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from collect_pipelines.errors import IntegrityError
from collect_pipelines.stores.manifest import REBUILD, Segment
from collect_pipelines.stores.objects import Objects

pc: Any = pyarrow.compute  # made at run time, so type checkers do not see its functions
ROW_GROUP_ROWS = 50_000
COMPRESSED_ROWS = 500
ROW_GROUP_BYTES = 16 << 20
SEGMENT_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 20


class Group(NamedTuple):
    """Rows of one row group and where they begin in their segment."""

    first_row: int
    rows: pa.Table


class Segments:
    """The segments below one folder."""

    def __init__(self, objects: Objects, folder: str) -> None:
        self._objects = objects
        self.folder = folder

    def put(self, rows: pa.Table, level: int) -> Segment:
        """Write rows, in the order of `_sequence`, as one durable segment that belongs to no table yet."""
        sink = pa.BufferOutputStream()
        with _writer(sink, rows.schema, rows.num_rows) as writer:
            for piece in pieces(rows, ROW_GROUP_ROWS, ROW_GROUP_BYTES):
                writer.write_table(piece)
        return self._put(sink, _Facts.of(rows), level)

    def put_all(self, groups: Iterator[pa.Table], schema: pa.Schema, level: int) -> Iterator[Segment]:
        """Write a stream of rows as segments of about SEGMENT_BYTES; yields each when it is durable."""
        waiting = _row_groups(groups)
        first = next(waiting, None)
        while first is not None:
            sink, facts = pa.BufferOutputStream(), _Facts.of(first)
            with _writer(sink, schema, first.num_rows) as writer:
                writer.write_table(first)
                first = next(waiting, None)
                while first is not None and sink.tell() + first.nbytes // 4 < SEGMENT_BYTES:
                    writer.write_table(first)
                    facts = facts.and_(_Facts.of(first))
                    first = next(waiting, None)
            yield self._put(sink, facts, level)

    def check(self, segment: Segment) -> None:
        """Compare a segment with its checksum, in small pieces; raises IntegrityError, or Missing."""
        checksum = 0
        with self._objects.open(self._key(segment.name)) as file:
            while chunk := file.read(_CHUNK_BYTES):
                checksum = zlib.crc32(chunk, checksum)
        if checksum != segment.crc32:
            raise IntegrityError(f"{self._key(segment.name)} differs from its checksum", hint=REBUILD)

    @contextmanager
    def opened(self, segment: Segment) -> Generator[pq.ParquetFile]:
        """Open a segment that has been checked."""
        with self._objects.open(self._key(segment.name)) as file, pq.ParquetFile(file) as parquet:
            yield parquet

    def groups(self, segment: Segment, since: int, columns: list[str] | None) -> Iterator[Group]:
        """Read the row groups that may hold rows newer than the commit `since`; columns it lacks are left out."""
        with self.opened(segment) as parquet:
            names = cast(list[str], parquet.schema_arrow.names)
            wanted = None if columns is None else [name for name in columns if name in names]
            first_row = 0
            for number in range(parquet.num_row_groups):
                about = parquet.metadata.row_group(number)
                if _newest_of(about) > since:
                    yield Group(first_row, parquet.read_row_group(number, columns=wanted, use_threads=False))
                first_row += about.num_rows

    def _put(self, sink: pa.BufferOutputStream, facts: _Facts, level: int) -> Segment:
        body = memoryview(sink.getvalue())
        name = f"{uuid4().hex}.parquet"
        self._objects.put_if_absent(self._key(name), body)
        return Segment(name=name, bytes=len(body), crc32=zlib.crc32(body), level=level, **facts._asdict())

    def _key(self, name: str) -> str:
        return f"{self.folder}/{name}"


class _Facts(NamedTuple):
    rows: int
    min_id: str
    max_id: str
    min_sequence: int
    max_sequence: int
    tombstones: int

    @classmethod
    def of(cls, rows: pa.Table) -> _Facts:
        ids, sequences = pc.min_max(rows["_id"]).as_py(), pc.min_max(rows["_sequence"]).as_py()
        tombstones = pc.sum(rows["_deleted"]).as_py()
        return cls(rows.num_rows, ids["min"], ids["max"], sequences["min"], sequences["max"], tombstones)

    def and_(self, other: _Facts) -> _Facts:
        return _Facts(
            self.rows + other.rows,
            min(self.min_id, other.min_id),
            max(self.max_id, other.max_id),
            min(self.min_sequence, other.min_sequence),
            max(self.max_sequence, other.max_sequence),
            self.tombstones + other.tombstones,
        )


def pieces(rows: pa.Table, max_rows: int, max_bytes: int) -> Iterator[pa.Table]:
    """Cut rows into pieces within both bounds, except that one row is never cut."""
    if rows.num_rows > 1 and (rows.num_rows > max_rows or rows.nbytes > max_bytes):
        half = max_rows if rows.num_rows > max_rows and rows.nbytes <= max_bytes else rows.num_rows // 2
        yield from pieces(rows.slice(0, half), max_rows, max_bytes)
        yield from pieces(rows.slice(half), max_rows, max_bytes)
    elif rows.num_rows:
        yield rows


def _row_groups(groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Join small groups until a row group is full."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for group in groups:
        if waiting and (rows + group.num_rows > ROW_GROUP_ROWS or size + group.nbytes > ROW_GROUP_BYTES):
            yield pa.concat_tables(waiting)
            waiting, rows, size = [], 0, 0
        waiting.append(group)
        rows, size = rows + group.num_rows, size + group.nbytes
    if waiting:
        yield pa.concat_tables(waiting)


def _writer(sink: pa.BufferOutputStream, schema: pa.Schema, rows: int) -> pq.ParquetWriter:
    """Compress unless rows are few: then it would take most of a commit's time and save no byte."""
    return pq.ParquetWriter(sink, schema, compression="zstd" if rows >= COMPRESSED_ROWS else "none")


def _newest_of(row_group: Any) -> int:
    """Return the newest `_sequence` of a row group from its statistics."""
    for number in range(row_group.num_columns):
        column = row_group.column(number)
        if column.path_in_schema == "_sequence":
            return column.statistics.max
    raise IntegrityError("a segment has no column _sequence", hint=REBUILD)
