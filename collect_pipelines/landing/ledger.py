"""What the state database says of tables and deliveries: written after the durable commit, so it may only lag behind.

Everything here can be wiped: the manifests and the destinations hold the truth, and a rescan marks all work again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import UpdateOne
from pymongo.client_session import ClientSession

from collect_pipelines.source.journal import Journal, Mark
from collect_pipelines.source.state import Document, State
from collect_pipelines.stores.manifest import Manifest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LANDING = "responses"
"""The stage that feeds the others. Among the deliveries it has an entry only while it fails."""
LONGEST_WAIT = timedelta(hours=1)
"""A `due_at` beyond it was written by a clock that went wrong, and counts as come."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A delivery that is due. `serial` tells whether more was wanted while it was under way.

    `failed`: it waits for a person, and people know.
    """

    integration: str
    form_id: str
    serial: int = 0
    attempts: int = 0
    pending_since: datetime | None = None
    failed: bool = False


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
            if manifest.version:  # a form without questions and responses has no table: nobody wants an empty sheet
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
        """Do as `record` if there is a table and the state does not know this commit yet."""
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

    def to_land(self, now: datetime) -> list[str]:
        """List the forms that have marks or are to be read again, but for those whose landing failed and waits."""
        waiting = {"integration": LANDING, "due_at": {"$gt": now, "$lte": now + LONGEST_WAIT}}
        held = {entry["form_id"] for entry in self.state["deliveries"].find(waiting, {"form_id": 1})}
        return [form_id for form_id in self.journal.dirty_forms() if form_id not in held]

    def want_what_is_missing(self) -> None:
        """Ask each integration for the tables of which it has never heard: those from before it was added."""
        tables = {str(entry["_id"]) for entry in self.state["tables"].find({}, {"_id": 1})}
        for name in self._integrations:
            known = self.state["deliveries"].find({"integration": name}, {"form_id": 1})
            for form_id in sorted(tables - {entry["form_id"] for entry in known}):
                self.want(form_id, [name])

    def due(self, now: datetime) -> list[Wanted]:
        """List pending deliveries whose time has come, those that wait longest first."""
        come: Document = {"$or": [{"due_at": {"$lte": now}}, {"due_at": {"$gt": now + LONGEST_WAIT}}]}
        wanted: Document = {"pending": True, "integration": {"$in": self._integrations}, **come}
        return [_wanted(entry) for entry in self.state["deliveries"].find(wanted).sort("pending_since", 1)]

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

    def forget(self, wanted: Wanted) -> None:
        """Drop the entry of a landing that works again."""
        self.state["deliveries"].delete_one({"_id": f"{wanted.integration}/{wanted.form_id}"})

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
    failed = entry.get("status") == "failed"
    return Wanted(
        entry["integration"], entry["form_id"], entry.get("serial", 0), entry.get("attempts", 0), since, failed
    )


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
