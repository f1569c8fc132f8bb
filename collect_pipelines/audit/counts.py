"""Cheap checks over all forms at once: what waits too long, and where counts differ from the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from collect_pipelines.draining.engine import Engine
from collect_pipelines.schema import pc
from collect_pipelines.source.store import CollectStore

LATE_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Late:
    """A delivery that waits for too long or that failed, and why."""

    form_id: str
    status: str
    seconds: float
    error: str


def late_deliveries(engine: Engine, integration: str) -> list[Late]:
    """List the deliveries of one integration that need a person or are late, the longest waiting first."""
    now = datetime.now(UTC)
    query = {"integration": integration, "pending": True}
    found = engine.state["deliveries"].find(query).sort("pending_since", 1)
    late: list[Late] = []
    for entry in found:
        waited, status = now - entry["pending_since"], entry.get("status", "waiting")
        if status == "failed" or waited > LATE_AFTER:
            late.append(Late(entry["form_id"], status, waited.total_seconds(), entry.get("error") or "not tried yet"))
    return late


def count_differences(engine: Engine) -> dict[str, tuple[int, int]]:
    """Return (in the store, in the response table) of the forms where they differ and no change waits to be landed.

    One walk over index keys of the store, and the ids of each table.
    """
    stored = CollectStore(engine.client, engine.settings.mongo_database).counts()
    tables = [str(entry["_id"]) for entry in engine.state["tables"].find({}, {"_id": 1})]
    landed = {form_id: _live(engine, form_id) for form_id in tables}
    waiting = set(engine.ledger.journal.dirty_forms())
    pairs = {form_id: (stored.get(form_id, 0), landed.get(form_id, 0)) for form_id in stored.keys() | landed.keys()}
    return {form_id: pair for form_id, pair in pairs.items() if pair[0] != pair[1] and form_id not in waiting}


def _live(engine: Engine, form_id: str) -> int:
    batches: list[pa.RecordBatch] = list(engine.landing.table(form_id).ids())
    return sum(batch.num_rows - int(pc.sum(batch["_deleted"]).as_py() or 0) for batch in batches)
