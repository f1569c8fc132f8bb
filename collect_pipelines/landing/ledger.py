"""What the state database says of tables and deliveries: written after the durable commit, so it may only lag behind.

Everything here can be wiped: the manifests and the destinations hold the truth, and a rescan marks all work again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from collect_pipelines.source.journal import Journal, Mark
from collect_pipelines.source.state import Document, State
from collect_pipelines.stores.manifest import Manifest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A delivery that is due. `serial` tells whether more was wanted while it was under way."""

    integration: str
    form_id: str
    serial: int = 0
    attempts: int = 0
    pending_since: datetime | None = None


class Ledger:
    """Tables, deliveries and rescans of one state database."""

    def __init__(self, state: State, integrations: Sequence[str]) -> None:
        self.state = state
        self.journal = Journal(state)
        self._integrations = tuple(integrations)

    def landed(self, manifest: Manifest, form_id: str, marks: Sequence[Mark]) -> None:
        """Acknowledge marks whose rows are durable in `manifest`, and ask the integrations to deliver them."""

        def write(session: ClientSession) -> None:
            self.journal.acknowledge(marks, session)
            self.record(manifest, form_id, session)

        self.state.transaction(write)

    def record(self, manifest: Manifest, form_id: str, session: ClientSession | None = None) -> None:
        """Copy the newest commit of a table, and mark its deliveries as pending."""
        now = datetime.now(UTC)
        table: Document = {
            "table_id": manifest.table_id,
            "sequence": manifest.watermark.sequence,
            "cluster_time": manifest.watermark.cluster_time,
            "rows_landed": manifest.counters.rows,
            "unfit": manifest.counters.unfit,
            "unknown": manifest.counters.unknown,
            "landed_at": now,
        }
        self.state["tables"].update_one({"_id": form_id}, {"$set": table}, upsert=True, session=session)
        self.want(form_id, self._integrations, manifest.watermark.sequence, session)

    def record_news(self, manifest: Manifest, form_id: str) -> None:
        """Do as `record` if the state does not know this commit yet.

        A form without questions and responses has no table, and nobody wants an empty sheet.
        """
        known = {"_id": form_id, "table_id": manifest.table_id, "sequence": manifest.watermark.sequence}
        if manifest.version and not self.state["tables"].find_one(known, {"_id": 1}):
            self.record(manifest, form_id)

    def want(
        self, form_id: str, integrations: Sequence[str], target: int | None = None, session: ClientSession | None = None
    ) -> None:
        """Ask integrations to look at a form, now."""
        now = datetime.now(UTC)
        wishes = [_wish(name, form_id, target, now) for name in integrations]
        if wishes:
            self.state["deliveries"].bulk_write(wishes, ordered=False, session=session)

    def due(self, now: datetime) -> list[Wanted]:
        """List pending deliveries whose time has come, those that wait longest first."""
        found = self.state["deliveries"].find({"pending": True, "due_at": {"$lte": now}}).sort("pending_since", 1)
        known = set(self._integrations)
        return [_wanted(entry) for entry in found if entry["integration"] in known]

    def next_due(self) -> datetime | None:
        """When the next pending delivery comes due, if any waits."""
        entry = self.state["deliveries"].find_one({"pending": True}, sort=[("due_at", 1)])
        return entry["due_at"] if entry else None

    def wanted(self, integration: str, form_id: str) -> Wanted:
        """The state of one delivery, pending or not."""
        entry = self.state["deliveries"].find_one({"_id": f"{integration}/{form_id}"})
        return _wanted(entry) if entry else Wanted(integration, form_id)

    def delivered(self, wanted: Wanted, facts: Mapping[str, Any]) -> None:
        """Record a delivery. It stays pending if more was wanted meanwhile."""
        more: Document = {"$ne": [{"$ifNull": ["$serial", 0]}, wanted.serial]}
        change = {**{k: {"$literal": v} for k, v in facts.items()}, "pending": more, "attempts": 0, "status": "ok"}
        cleared = {"error": None, "hint": None, "due_at": EPOCH, "delivered_at": datetime.now(UTC)}
        self._update(wanted, [{"$set": {**change, **cleared, **_names(wanted)}}])

    def undelivered(self, wanted: Wanted, status: str, error: str, hint: str, due_at: datetime) -> None:
        """Record a failed attempt and when to try again."""
        failure: Document = {
            "status": status,
            "error": error[:2000],
            "hint": hint[:2000],
            "due_at": due_at,
            "pending": True,
        }
        failure = {key: {"$literal": value} for key, value in failure.items()}
        self._update(
            wanted, [{"$set": {**failure, **_names(wanted), "attempts": {"$add": [{"$ifNull": ["$attempts", 0]}, 1]}}}]
        )

    def _update(self, wanted: Wanted, change: Any) -> None:
        key = f"{wanted.integration}/{wanted.form_id}"
        self.state["deliveries"].update_one({"_id": key}, change, upsert=True)


def _names(wanted: Wanted) -> Document:
    return {"integration": wanted.integration, "form_id": {"$literal": wanted.form_id}}


def _wanted(entry: Document) -> Wanted:
    since = entry.get("pending_since") if entry.get("pending") else None
    return Wanted(entry["integration"], entry["form_id"], entry.get("serial", 0), entry.get("attempts", 0), since)


def _wish(integration: str, form_id: str, target: int | None, now: datetime) -> UpdateOne:
    since: Document = {"$cond": [{"$eq": ["$pending", True]}, {"$ifNull": ["$pending_since", now]}, now]}
    wish: Document = {
        "integration": integration,
        "form_id": {"$literal": form_id},  # a form id may begin with a dollar sign
        "pending_since": since,
        "pending": True,
        "due_at": {"$ifNull": ["$due_at", EPOCH]},
        "serial": {"$add": [{"$ifNull": ["$serial", 0]}, 1]},
    }
    if target is not None:
        wish["target"] = target
    return UpdateOne({"_id": f"{integration}/{form_id}"}, [{"$set": wish}], upsert=True)
