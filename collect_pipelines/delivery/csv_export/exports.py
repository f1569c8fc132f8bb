"""The CSV exports of all forms: bring one up to date, read one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collect_pipelines.delivery.contract import Delivered, Snapshot
from collect_pipelines.delivery.csv_export.book import (
    Book,
    DamagedBook,
    Manifest,
    Tally,
    line_checksum,
    reading,
    set_aside,
    spelled_checksum,
    writing,
)
from collect_pipelines.delivery.csv_export.download import CsvDownload
from collect_pipelines.delivery.csv_export.layout import Layout, plan_layout
from collect_pipelines.delivery.csv_export.options import csv_options
from collect_pipelines.errors import Fenced
from collect_pipelines.model import Form, safe_key

log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class CsvExports:
    """A folder with one database per form. Any number of processes may deliver and read at the same time."""

    def __init__(
        self, folder: Path, language: str, *, clock: Callable[[], datetime] = _now, patience_seconds: float = 10
    ) -> None:
        self._folder = folder
        self._language = language
        self._clock = clock
        self._patience_seconds = patience_seconds

    def deliver(self, form: Form, snapshot: Snapshot, *, rebuild: bool = False) -> Delivered:
        """Bring a form's export to the snapshot: what changed, or everything after a change of layout or table.

        A damaged export is set aside and made anew. Raises Fenced when another delivery came further or is at work,
        ConfigurationError for wrong settings of the form, TransientError when the disk is full.
        """
        layout = plan_layout(form, csv_options(form), self._language)
        try:
            return self._deliver(form, layout, snapshot, rebuild=rebuild)
        except DamagedBook as damage:
            log.warning("CSV export set aside and made anew: %s", damage.message)
            set_aside(self._path(form.id), damage)
            return self._deliver(form, layout, snapshot, rebuild=True)

    def open(self, form_id: str, *, byte_order_mark: bool | None = None) -> CsvDownload | None:
        """Open a form's CSV as it is now, whole and unchanging. Close it. None when it was never delivered.

        `byte_order_mark` overrides the form's own choice. Raises IntegrityError when the export is damaged.
        """
        if (opened := reading(self._path(form_id))) is None:
            return None
        return CsvDownload(*opened, byte_order_mark)

    def manifest(self, form_id: str) -> dict[str, Any] | None:
        """What a form's export holds: rows, watermark, checksum, bytes, header, time. None when there is none."""
        if (download := self.open(form_id)) is None:
            return None
        with download:
            return download.manifest

    def verify(self, form_id: str) -> dict[str, Any] | None:
        """Read a form's export to the end and hold it against its manifest. Raises IntegrityError if they differ."""
        if (download := self.open(form_id)) is None:
            return None
        with download:
            return download.verified()

    def _path(self, form_id: str) -> Path:
        return self._folder / f"{safe_key(form_id)}.sqlite"

    def _deliver(self, form: Form, layout: Layout, snapshot: Snapshot, *, rebuild: bool) -> Delivered:
        position = snapshot.position
        with writing(self._path(form.id), patience_seconds=self._patience_seconds) as book:
            known = book.manifest()
            if known and known.table_id == position.table_id and known.sequence > position.sequence:
                raise Fenced(f"the CSV export of {form.id!r} is at {known.sequence}, past {position.sequence}")
            anew = rebuild or known is None or (known.layout, known.table_id) != (layout.id, position.table_id)
            if not anew and known and (known.position, known.byte_order_mark) == (position, _marked(form)):
                return Delivered(position, rows=known.rows, notes={"bytes": known.bytes})
            tally = _write(book, layout, snapshot, None if anew else known)
            manifest = self._next(form, layout, snapshot, None if anew else known, tally)
            book.record(manifest)
        notes = {"bytes": manifest.bytes, "rendered_rows": tally.added + tally.changed, "made_anew": int(anew)}
        return Delivered(
            position, tally.added, tally.changed, tally.removed, tally.unchanged, rows=manifest.rows, notes=notes
        )

    def _next(self, form: Form, layout: Layout, snapshot: Snapshot, known: Manifest | None, tally: Tally) -> Manifest:
        header = layout.header
        rows, size, checksum = (
            (known.rows, known.bytes, int(known.checksum, 16)) if known else (0, len(header), line_checksum(header))
        )
        return Manifest(
            form_id=form.id,
            layout=layout.id,
            header=header,
            byte_order_mark=_marked(form),
            table_id=snapshot.position.table_id,
            sequence=snapshot.position.sequence,
            rows=rows + tally.added - tally.removed,
            bytes=size + tally.bytes,
            checksum=spelled_checksum(checksum + tally.checksum),
            updated_at=self._clock().isoformat(),
        )


def _write(book: Book, layout: Layout, snapshot: Snapshot, known: Manifest | None) -> Tally:
    """Write the changed lines; all lines when nothing is `known`. Memory stays bounded by one batch."""
    if known is None:
        book.clear()
    put = book.fill if known is None else book.apply
    tally = Tally()
    for batch in snapshot.changes(known.sequence if known else 0):
        tally = tally.plus(put(layout.render(batch)))
    return tally


def _marked(form: Form) -> bool:
    return csv_options(form).byte_order_mark
