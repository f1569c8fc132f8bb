"""Compare every copy of a form with the store, response by response and value by value.

What a copy should hold is rendered anew from the store's documents, so a row that was lost, doubled, torn or never
updated anywhere on the way shows up here by its id.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from collect_pipelines.delivery.csv_export import CsvExports, csv_options
from collect_pipelines.delivery.csv_export.layout import plan_layout
from collect_pipelines.delivery.google_sheet import GoogleSheets
from collect_pipelines.delivery.rows import Row, rows
from collect_pipelines.draining.engine import Engine
from collect_pipelines.model import Form
from collect_pipelines.source.decode import decode

NAMED_AT_MOST = 20
LONGEST_FIELD = 1 << 30


@dataclass(slots=True)
class Copy:
    """One copy of a form held against the store."""

    name: str
    rows: int = 0
    missing: list[str] = field(default_factory=list[str])
    extra: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    different: list[str] = field(default_factory=list[str])

    @property
    def equal(self) -> bool:
        """Whether every response is there once, with equal values, and nothing else is."""
        return not (self.missing or self.extra or self.doubled or self.different)

    def describe(self) -> str:
        """Say what differs, with up to NAMED_AT_MOST ids each."""
        kinds = {"missing": self.missing, "extra": self.extra, "doubled": self.doubled, "different": self.different}
        return "; ".join(f"{len(ids)} {kind}: {', '.join(ids[:NAMED_AT_MOST])}" for kind, ids in kinds.items() if ids)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One form's store and its copies."""

    form_id: str
    stored: int
    copies: tuple[Copy, ...]

    @property
    def equal(self) -> bool:
        """Whether all copies equal the store."""
        return all(copy.equal for copy in self.copies)


def compare_form(engine: Engine, form_id: str) -> Comparison:
    """Read a form from the store and from every copy and compare them. Holds the form's rows in memory."""
    with engine.reader.reading() as reading:
        form = reading.form(form_id).remembering(engine.landing.table(form_id).load().columns)
        batches = [batch for raw in reading.of_form(form_id) for batch in _batches(raw, form)]
    stored = [row for batch in batches for row in rows(batch)]
    copies = [_table(engine, form, stored)]
    for destination in engine.destinations.values():
        if isinstance(destination, CsvExports):
            copies.append(_csv(destination, form, batches, engine.settings.language))
        if isinstance(destination, GoogleSheets):
            copies.append(_sheet(destination, form, stored))
    return Comparison(form_id, len(stored), tuple(copies))


def hold(name: str, expected: Mapping[str, Any], found: Iterable[tuple[str, Any]]) -> Copy:
    """Hold what was found, as (id, content), against what is expected."""
    copy, seen = Copy(name), set[str]()
    for key, content in found:
        copy.rows += 1
        if key not in expected:
            copy.extra.append(key)
        elif key in seen:
            copy.doubled.append(key)
        elif expected[key] != content:
            copy.different.append(key)
        seen.add(key)
    copy.missing = [key for key in expected if key not in seen]
    return copy


def _table(engine: Engine, form: Form, stored: list[Row]) -> Copy:
    snapshot = engine.landing.table(form.id).snapshot()
    found = (row for batch in snapshot.changes(0) for row in rows(batch) if not row.deleted)
    return hold(
        "Parquet", {row.response_id: _content(row) for row in stored}, ((r.response_id, _content(r)) for r in found)
    )


def _content(row: Row) -> dict[str, Any]:
    """Everything about a response but what the landing itself added, empty answers left out."""
    ours = ("_sequence", "_read_at")
    return {key: value for key, value in row.values.items() if value is not None and key not in ours}


def _csv(exports: CsvExports, form: Form, batches: list[pa.RecordBatch], language: str) -> Copy:
    layout = plan_layout(form, csv_options(form), language)
    lines = [line.text.decode() for batch in batches for line in layout.render(batch) if line.text is not None]
    csv.field_size_limit(LONGEST_FIELD)  # of the whole process; its default of 131,072 is a bound on damage only
    expected = {row[0]: row for row in csv.reader(lines)}
    return hold("CSV", expected, ((row[0], row) for row in _csv_rows(exports, form)))


def _csv_rows(exports: CsvExports, form: Form) -> Iterator[list[str]]:
    download = exports.open(form.id, byte_order_mark=False)
    if download is None:
        return
    with download:
        text = b"".join(download).decode()
    yield from list(csv.reader(text.splitlines(keepends=True)))[1:]


def _sheet(sheets: GoogleSheets, form: Form, stored: list[Row]) -> Copy:
    read_back = sheets.read_back(form)
    if read_back is None:
        return hold("Sheet", {row.response_id: None for row in stored}, ())
    return hold("Sheet", dict(map(read_back.expected, stored)), read_back.rows())


def _batches(raw: bytes, form: Form) -> list[pa.RecordBatch]:
    """Decode store documents as if they were rows of a table: with the columns that a commit adds."""
    table = decode(raw, form).table
    zeros = pa.repeat(pa.scalar(0, pa.int64()), table.num_rows)
    return table.append_column("_sequence", zeros).append_column("_read_at", zeros).to_batches()
