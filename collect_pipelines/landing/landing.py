"""Land the changes of one form: read what is marked, commit it to the response table, then take the marks out.

The order is the guarantee: the watermark is loaded before the store is read, the commit is conditional on it, and the
journal is only touched after the commit is durable. A crash anywhere repeats work that changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from collect_pipelines.errors import Fenced
from collect_pipelines.landing.ledger import Ledger
from collect_pipelines.model import Form, QuestionType
from collect_pipelines.source.capture import request_rescan
from collect_pipelines.source.decode import Decoded, decode, tombstones
from collect_pipelines.source.ids import response_id
from collect_pipelines.source.journal import FORM_ITSELF, Mark
from collect_pipelines.source.reader import Reader, Reading
from collect_pipelines.stores.manifest import Manifest
from collect_pipelines.stores.objects import LocalObjects
from collect_pipelines.stores.response_table import ResponseTable

MARKS_AT_ONCE = 5000
BYTES_AT_ONCE = 64 << 20  # of BSON; one more server batch (at most 16 MB) may be on top
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Landed:
    """What one landing step did. `more` says that the form has further work; `columns` is None without a table."""

    form_id: str
    sequence: int
    rows: int = 0
    deleted: int = 0
    unfit: int = 0
    unknown: int = 0
    cluster_time: int = 0
    more: bool = False
    columns: Mapping[str, QuestionType] | None = None

    @property
    def read_at(self) -> datetime:
        """When the store was read."""
        return datetime.fromtimestamp(self.cluster_time >> 32, UTC)

    def plus(self, later: Landed) -> Landed:
        """This step and a later one of the same form as one."""
        return replace(
            later,
            rows=self.rows + later.rows,
            deleted=self.deleted + later.deleted,
            unfit=self.unfit + later.unfit,
            unknown=self.unknown + later.unknown,
        )


def columns_of(form: Form) -> dict[str, QuestionType]:
    """The typed columns of a form's table: every question it ever had."""
    return {question.id: question.type for question in form.questions}


class Landing:
    """Lands forms of one store into one lake."""

    def __init__(self, reader: Reader, ledger: Ledger, objects: LocalObjects, writer: str) -> None:
        self._reader = reader
        self._ledger = ledger
        self._objects = objects
        self._writer = writer

    def table(self, form_id: str) -> ResponseTable:
        """The response table of a form."""
        return ResponseTable(self._objects, form_id)

    def keep_up(self, form_id: str) -> None:
        """Compact the form's table if that is worth it, and then delete what nobody needs any more."""
        table, now = self.table(form_id), datetime.now(UTC)
        if table.compact(now):
            table.collect_garbage(now)

    def land_marked(self, form_id: str) -> Landed:
        """Land up to MARKS_AT_ONCE marked responses. Losing a race is tried again from the new position."""
        for attempt in range(ATTEMPTS):
            try:
                return self._land_marked(form_id)
            except Fenced:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _land_marked(self, form_id: str) -> Landed:
        table = self.table(form_id)
        before = table.load()
        marks = self._ledger.journal.take(form_id, MARKS_AT_ONCE)
        if not marks:
            return Landed(form_id, before.watermark.sequence, columns=_columns(before))
        with self._reader.reading() as reading:
            form = reading.form(form_id).remembering(before.columns)
            decoded, done = _read_marked(reading, form, marks)
        after, landed = self.commit(table, before, form, decoded, reading.cluster_time)
        self._ledger.landed(after, form_id, done)
        more = len(marks) == MARKS_AT_ONCE or len(done) < len(marks)
        return replace(landed, more=more)

    def commit(
        self, table: ResponseTable, before: Manifest, form: Form, decoded: Decoded, cluster_time: int
    ) -> tuple[Manifest, Landed]:
        """Commit decoded rows on top of `before`. Raises Fenced if the table has moved on."""
        columns, rows = columns_of(form), decoded.table
        after = before
        if before.outdated_by(columns):  # before the commit, which makes the change look settled
            request_rescan(self._ledger.state, form.id, "its questions changed", datetime.now(UTC), full=True)
        if rows.num_rows or questions_changed(before, form):
            after = table.append(
                rows,
                expected=before.watermark,
                cluster_time=cluster_time,
                columns=columns,
                writer=self._writer,
                unfit=decoded.unfit,
                unknown=decoded.unknown,
            )
        deleted = sum(rows["_deleted"].to_pylist()) if rows.num_rows else 0
        return after, Landed(
            form.id,
            after.watermark.sequence,
            rows.num_rows - deleted,
            deleted,
            decoded.unfit,
            decoded.unknown,
            cluster_time,
            columns=_columns(after),
        )


def _columns(manifest: Manifest) -> Mapping[str, QuestionType] | None:
    return manifest.columns if manifest.version else None


def questions_changed(before: Manifest, form: Form) -> bool:
    """Whether the form has a question that the table does not have in this type."""
    return any(before.columns.get(name) != kind for name, kind in columns_of(form).items())


def _read_marked(reading: Reading, form: Form, marks: Sequence[Mark]) -> tuple[Decoded, list[Mark]]:
    """Read the marked responses; those that are gone become tombstones. Stops early when bytes run out."""
    by_id = {response_id(mark.store_id): mark for mark in marks if mark.store_id is not FORM_ITSELF}
    of_form = [mark for mark in marks if mark.store_id is FORM_ITSELF]
    found: list[Decoded] = []
    read_bytes, complete = 0, True
    for raw in reading.by_ids([mark.store_id for mark in by_id.values()]) if by_id else ():
        found.append(decode(raw, form))
        read_bytes += len(raw)
        if read_bytes > BYTES_AT_ONCE:
            complete = False
            break
    present = {name for part in found for name in part.table["_id"].to_pylist()}
    gone = [name for name in by_id if name not in present] if complete else []
    if gone:
        found.append(Decoded(tombstones(gone), 0, 0))
    done = [mark for name, mark in by_id.items() if complete or name in present]
    return merged(found), done + of_form


def merged(parts: Sequence[Decoded]) -> Decoded:
    """Put decoded batches together."""
    if not parts:
        return Decoded(tombstones([]), 0, 0)
    table = pa.concat_tables([part.table for part in parts], promote_options="default")
    return Decoded(table, sum(part.unfit for part in parts), sum(part.unknown for part in parts))
