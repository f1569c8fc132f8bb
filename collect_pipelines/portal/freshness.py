"""How fresh every form is at every destination, as the state database tells it.

The state is a hint for people and may be wiped at any time: whatever is missing or odd reads as "not known".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pymongo import MongoClient

from collect_pipelines.source.connection import Document, mongo_errors

DEAF_AFTER_SECONDS = 180
"""A change capture that was not at work for longer than this is worth a warning: it polls every few seconds."""


class Standing(StrEnum):
    """How a form stands with a destination."""

    CAUGHT_UP = "caught up"
    PENDING = "pending"
    WAITING = "waiting to try again"
    FAILED = "failed"
    PAUSED = "switched off"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One form at one destination."""

    integration: str
    form_id: str
    standing: Standing
    pending_since: datetime | None = None
    """When the oldest undelivered change was seen; None when there is none."""
    delivered_at: datetime | None = None
    rows: int | None = None
    url: str | None = None
    attempts: int = 0
    error: str = ""
    hint: str = ""

    def lag_seconds(self, now: datetime) -> float:
        """Age of the oldest undelivered change; 0 when caught up or switched off."""
        return max(0.0, (now - self.pending_since).total_seconds()) if self.pending_since else 0.0


@dataclass(frozen=True, slots=True)
class FormState:
    """One form: its response table, its marks in the change journal, its deliveries."""

    form_id: str
    sequence: int | None = None
    landed_at: datetime | None = None
    rows_landed: int | None = None
    unfit: int = 0
    unknown: int = 0
    marks: int = 0
    marked_at: datetime | None = None
    """The oldest mark: a response that changed and has not landed yet."""
    rescan: str = ""
    """Why the form is being read again from the store; empty when it is not."""
    deliveries: tuple[Delivery, ...] = ()

    def lag_seconds(self, now: datetime) -> float:
        """Age of the oldest change that is missing somewhere; 0 when everything is caught up."""
        landing = max(0.0, (now - self.marked_at).total_seconds()) if self.marked_at else 0.0
        return max([landing, *(delivery.lag_seconds(now) for delivery in self.deliveries)])

    def delivery(self, integration: str) -> Delivery | None:
        """The form at one destination, where it is known."""
        return next((delivery for delivery in self.deliveries if delivery.integration == integration), None)


@dataclass(frozen=True, slots=True)
class Freshness:
    """The state of all forms at one moment."""

    forms: Mapping[str, FormState] = field(default_factory=dict[str, FormState])
    keys: Mapping[str, str] = field(default_factory=dict[str, str])
    """Form ids by partition key."""
    listened_at: datetime | None = None
    """When change capture was last at work."""

    def form(self, form_id: str) -> FormState:
        """One form's state; an empty one when nothing is known."""
        return self.forms.get(form_id, FormState(form_id))

    def deaf_seconds(self, now: datetime) -> float | None:
        """For how long change capture has not been at work, when that is worth a warning."""
        silent = (now - self.listened_at).total_seconds() if self.listened_at else 0.0
        return silent if silent > DEAF_AFTER_SECONDS else None


def read_freshness(client: MongoClient[Document], database: str) -> Freshness:
    """Read the state database. Raises TransientError when MongoDB is away."""
    state = client[database]
    by_form = [{"$group": {"_id": "$form_id", "marks": {"$sum": 1}, "marked_at": {"$min": "$marked_at"}}}]
    with mongo_errors():
        capture = state["capture"].find_one({"_id": "responses"}) or {}
        keys = {text(entry.get("_id")): text(entry.get("form_id")) for entry in state["partitions"].find()}
        tables = list(state["tables"].find())
        rescans = list(state["rescans"].find({}, {"reason": 1}))
        marks = list(state["journal"].aggregate(by_form))
        deliveries = list(state["deliveries"].find())
    return Freshness(
        forms=_forms(tables, rescans, marks, deliveries),
        keys=keys,
        listened_at=when(capture.get("polled_at")) or when(capture.get("position_at")),
    )


def _forms(
    tables: Iterable[Document], rescans: Iterable[Document], marks: Iterable[Document], deliveries: Iterable[Document]
) -> dict[str, FormState]:
    table_of, rescan_of, marks_of = ({text(e.get("_id")): e for e in some} for some in (tables, rescans, marks))
    delivered: dict[str, list[Document]] = defaultdict(list)
    for entry in deliveries:
        delivered[text(entry.get("form_id"))].append(entry)
    ids = {*table_of, *rescan_of, *marks_of, *delivered} - {""}
    return {
        form_id: _form(
            form_id,
            table_of.get(form_id, {}),
            rescan_of.get(form_id),
            marks_of.get(form_id, {}),
            delivered.get(form_id, []),
        )
        for form_id in ids
    }


def _form(
    form_id: str, table: Document, rescan: Document | None, marks: Document, deliveries: list[Document]
) -> FormState:
    marked_at = when(marks.get("marked_at"))
    listed = [_delivery(entry, form_id, marked_at) for entry in deliveries]
    return FormState(
        form_id=form_id,
        sequence=whole(table.get("sequence")),
        landed_at=when(table.get("landed_at")),
        rows_landed=whole(table.get("rows_landed")),
        unfit=whole(table.get("unfit")) or 0,
        unknown=whole(table.get("unknown")) or 0,
        marks=whole(marks.get("marks")) or 0,
        marked_at=marked_at,
        rescan="" if rescan is None else text(rescan.get("reason")) or "requested",
        deliveries=tuple(sorted(listed, key=lambda delivery: delivery.integration)),
    )


def _delivery(entry: Document, form_id: str, marked_at: datetime | None) -> Delivery:
    standing = _standing(entry)
    since = [when(entry.get("pending_since")) if entry.get("pending") is True else None, marked_at]
    if standing is Standing.PAUSED:
        since = []
    return Delivery(
        integration=text(entry.get("integration")) or text(entry.get("_id")).partition("/")[0],
        form_id=form_id,
        standing=standing,
        pending_since=min((moment for moment in since if moment), default=None),
        delivered_at=when(entry.get("delivered_at")),
        rows=whole(entry.get("rows")),
        url=text(entry.get("url")) or None,
        attempts=whole(entry.get("attempts")) or 0,
        error=text(entry.get("error")),
        hint=text(entry.get("hint")),
    )


def _standing(entry: Document) -> Standing:
    if entry.get("paused") is True:
        return Standing.PAUSED
    named = {"failed": Standing.FAILED, "waiting": Standing.WAITING}
    if (status := text(entry.get("status"))) in named:
        return named[status]
    return Standing.PENDING if entry.get("pending") is True else Standing.CAUGHT_UP


def when(value: object) -> datetime | None:
    """A date of the state database; None for anything else."""
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def whole(value: Any) -> int | None:
    """A whole number; None for anything else."""
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def text(value: object) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""
