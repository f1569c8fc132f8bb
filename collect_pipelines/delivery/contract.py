"""What a delivery gets and what it gives back: the seam between response tables and destinations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from collect_pipelines.model import Form, Position


class Snapshot(Protocol):
    """A response table as it was at one commit; it stays readable while it is used."""

    @property
    def position(self) -> Position:
        """The table and its newest commit."""
        ...

    def changes(self, since: int) -> Iterator[pa.RecordBatch]:
        """Yield the current row of every response whose row is newer than the commit `since`; tombstones too.

        Columns as in `schema.table_schema`. Each response comes once. Memory stays bounded by rows and bytes.
        """
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """The outcome of one delivery of one form."""

    position: Position
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    rows: int | None = None
    """Rows at the destination afterwards, where it is known."""
    url: str | None = None
    notes: Mapping[str, int | float | str] = field(default_factory=dict[str, int | float | str])
    """Further figures for people: requests, bytes, cells used, rows removed by users …"""


class Destination(Protocol):
    """One integration: brings a form's changes to one kind of place. Called by several threads, each another form."""

    def deliver(self, form: Form, snapshot: Snapshot, *, rebuild: bool = False) -> Delivered:
        """Bring the destination to the snapshot's position. Repeating it, at any time and by anybody, changes nothing.

        `rebuild` compares every row, not only the new ones. Raises TransientError to be called again later,
        FatalError when a person must act.
        """
        ...
