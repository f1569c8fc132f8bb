"""The response table of one form: the only writer of its files. Data and watermark move in one atomic commit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from uuid import uuid4

import pyarrow as pa

from collect_pipelines.errors import Fenced, SchemaConflict
from collect_pipelines.model import QuestionType, safe_key
from collect_pipelines.stores.compaction import Collected, collect_garbage, compact
from collect_pipelines.stores.history import History
from collect_pipelines.stores.manifest import Counters, Manifest, Retired, Segment, Watermark
from collect_pipelines.stores.merge import conform, table_columns
from collect_pipelines.stores.objects import AlreadyThere, Objects
from collect_pipelines.stores.segments import ROW_GROUP_ROWS, Segments, pieces
from collect_pipelines.stores.snapshot import TableSnapshot

COMMIT_SEGMENT_BYTES = 64 << 20
ASSIGNED = ("_sequence", "_read_at")
"""Columns that the commit fills in."""


class ResponseTable:
    """Appends, snapshots and upkeep of one form's table; any number of processes may do each at any time."""

    def __init__(self, objects: Objects, form_id: str) -> None:
        self.folder = f"forms/{safe_key(form_id)}"
        self._history = History(objects, f"{self.folder}/m", form_id)
        self._segments = Segments(objects, f"{self.folder}/data")
        self._objects = objects

    def load(self) -> Manifest:
        """Return the newest manifest, an empty one if there is no table yet; raises IntegrityError."""
        return self._history.newest()

    def append(
        self,
        rows: pa.Table,
        *,
        expected: Watermark,
        cluster_time: int,
        columns: Mapping[str, QuestionType],
        writer: str,
        unfit: int = 0,
        unknown: int = 0,
    ) -> Manifest:
        """Commit rows read at `cluster_time` by a run that looked for work at the watermark `expected`.

        Rows have the columns of `schema.table_schema` without `_sequence` and `_read_at`, each `_id` once. Raises
        Fenced if the table has moved on since. The same append again, after an unknown outcome, changes nothing.
        """
        _refuse_unfit_rows(rows, columns)
        digest = _digest(rows, expected, cluster_time, columns)
        current, staged = self.load(), ()
        while current.last_append != digest:
            if current.watermark != expected:
                raise Fenced(f"{self.folder} is at {current.watermark}, not at {expected}")
            following = _following(current, rows.num_rows, cluster_time, columns)
            if following == current:
                return current
            if rows.num_rows and not staged:
                staged = self._stage(rows, following)
            counters = _counted(current.counters, rows.num_rows, unfit, unknown)
            try:
                return self._history.commit(
                    replace(
                        following,
                        version=current.version + 1,
                        table_id=current.table_id or uuid4().hex,
                        segments=(*current.segments, *staged),
                        counters=counters,
                        last_append=digest,
                        writer=_signed(writer),
                        prev_sha256=current.sha256,
                    )
                )
            except AlreadyThere:
                newest = self.load()
                names = [segment.name for segment in staged]
                if self._history.condemned(names, after=current.version, upto=newest.version):
                    staged = ()
                current = newest
        self._history.settle(current.version)
        return current

    def snapshot(self) -> TableSnapshot:
        """Return the table as it is now; what it shows will survive a power loss."""
        manifest = self.load()
        self._history.settle(manifest.version)
        return TableSnapshot(self._segments, manifest)

    def ids(self) -> Iterator[pa.RecordBatch]:
        """Yield `_id`, `_sequence`, `_deleted`, `_hash` and `_revision` of the current row of every response."""
        return self.snapshot().ids()

    def compact(self, now: datetime, *, everything: bool = False) -> bool:
        """Merge segments if that is worth it, or all into a base; tell if it was done. Blocks no append."""
        return compact(self._history, self._segments, now, everything=everything)

    def collect_garbage(self, now: datetime) -> Collected:
        """Delete what no version of the table and no recent snapshot needs."""
        return collect_garbage(self._objects, self._history, self._segments, now)

    def verify(self) -> Manifest:
        """Compare every file of the table with its checksum; raises IntegrityError or Missing."""
        manifest = self.load()
        for segment in manifest.segments:
            self._segments.check(segment)
        return manifest

    def recreate(self, now: datetime, writer: str) -> Manifest:
        """Begin an empty table of another id; destinations then get everything again. Needs no readable manifest.

        The way out of an IntegrityError, and of a store that was restored to an earlier time.
        """
        latest = max(self._history.versions(), default=0)
        files = self._objects.list(self._segments.folder)
        retired = tuple(Retired(name, int(now.timestamp())) for name in files)
        return self._history.commit(
            Manifest(
                form_id=self._history.form_id,
                table_id=uuid4().hex,
                version=latest + 1,
                watermark=Watermark(latest + 1, 0),  # never a watermark that this folder has had
                retired=retired,
                writer=_signed(writer),
            )
        )

    def _stage(self, rows: pa.Table, following: Manifest) -> tuple[Segment, ...]:
        schema = table_columns(following.columns)
        assigned = rows
        for name, value in zip(ASSIGNED, (following.watermark.sequence, following.watermark.cluster_time), strict=True):
            assigned = assigned.append_column(
                schema.field(name), pa.repeat(pa.scalar(value, pa.int64()), rows.num_rows)
            )
        whole = conform(assigned, schema)
        return tuple(self._segments.put(piece, 0) for piece in pieces(whole, ROW_GROUP_ROWS, COMMIT_SEGMENT_BYTES))


def _following(current: Manifest, row_count: int, cluster_time: int, columns: Mapping[str, QuestionType]) -> Manifest:
    """Move the watermark and the columns; without rows the sequence stays, as there is nothing to deliver."""
    sequence = current.watermark.sequence + (1 if row_count else 0)
    watermark = Watermark(sequence, max(cluster_time, current.watermark.cluster_time))
    return replace(current, watermark=watermark, columns={**current.columns, **columns})


def _counted(counters: Counters, rows: int, unfit: int, unknown: int) -> Counters:
    return Counters(counters.rows + rows, counters.unfit + unfit, counters.unknown + unknown)


def _refuse_unfit_rows(rows: pa.Table, columns: Mapping[str, QuestionType]) -> None:
    """Raise SchemaConflict where a column is unknown or of another type, or a response comes twice."""
    schema = table_columns(columns)
    known = {field.name: field.type for field in schema if field.name not in ASSIGNED}
    for field in rows.schema:
        if known.get(field.name) != field.type:
            raise SchemaConflict(f"column {field.name!r} is {field.type}, the table wants {known.get(field.name)}")
    if missing := [name for name in known if name.startswith("_") and name not in rows.schema.names]:
        raise SchemaConflict(f"columns are missing: {missing}")
    if rows.num_rows != len(rows["_id"].unique()):
        raise SchemaConflict("a response comes more than once in one commit")


def _digest(rows: pa.Table, expected: Watermark, cluster_time: int, columns: Mapping[str, QuestionType]) -> str:
    """Identify an append by what it would change."""
    identity = rows.select(["_id", "_deleted", "_hash"]).combine_chunks()
    digest = hashlib.blake2b(repr((expected, cluster_time, sorted(columns.items()))).encode(), digest_size=16)
    for batch in identity.to_batches():
        digest.update(batch.serialize())
    return digest.hexdigest()


@cache
def _code_version() -> str:
    try:
        return version("collect-pipelines")
    except PackageNotFoundError:
        return "not installed"


def _signed(run_id: str) -> dict[str, str]:
    return {"code_version": _code_version(), "run_id": run_id}
