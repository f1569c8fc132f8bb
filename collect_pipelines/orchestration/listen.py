"""One evaluation of the sensor: listen for a while, and ask for a run if there is work that nobody does."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime

import dagster as dg

from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.lease import STARTING, Lease
from collect_pipelines.orchestration.partitions import add_keys
from collect_pipelines.source.connection import mongo_errors

ASKED = {"collect/asked": "for changes"}
"""The tag of the runs that were asked for here: while one is queued, no other is needed."""
SLICE_SECONDS = 1.0
STARTING_SECONDS = 30.0  # how long a run that was asked for may take to start before another is


def listen(context: dg.SensorEvaluationContext, engine: Engine) -> dg.SensorResult:
    """Wait for changes up to `sensor_seconds` and ask for a run; skip while a run is draining."""
    asked = ask(context.instance, engine, engine.settings.sensor_seconds)
    if isinstance(asked, dg.SkipReason):
        return dg.SensorResult(skip_reason=asked, cursor=_position(engine))
    return dg.SensorResult(run_requests=[asked], cursor=_position(engine))


def ask(instance: dg.DagsterInstance, engine: Engine, wait_seconds: float) -> dg.RunRequest | dg.SkipReason:
    """Ask for a run if there is work, or if some comes while we listen, and nobody is at it."""
    lease = Lease(engine.state)
    with mongo_errors():
        holder = lease.holder()
        work = "" if holder else _wait_for_work(engine, wait_seconds)
        add_keys(instance, engine.ledger.journal.partitions())
        if holder:
            return dg.SkipReason(f"run {holder} is on it")
        if not work:
            return dg.SkipReason("no changes")
        if instance.get_runs_count(dg.RunsFilter(tags=ASKED, statuses=[dg.DagsterRunStatus.QUEUED])):
            return dg.SkipReason("a run for it waits in the queue")
        lease.take(STARTING, STARTING_SECONDS)
    return dg.RunRequest(tags={**ASKED, "collect/why": work})


def work_waiting(engine: Engine) -> str:
    """Say what is to be done now; empty when nothing is."""
    if dirty := engine.ledger.to_land(datetime.now(UTC)):
        return f"{len(dirty)} {'form' if len(dirty) == 1 else 'forms'} changed"
    if due := engine.ledger.due(datetime.now(UTC)):
        return f"{len(due)} {'delivery is' if len(due) == 1 else 'deliveries are'} due"
    return ""


def _wait_for_work(engine: Engine, wait_seconds: float) -> str:
    end = time.monotonic() + wait_seconds
    with closing(engine.capture()) as capture:
        while True:
            capture.poll(SLICE_SECONDS)
            if (work := work_waiting(engine)) or time.monotonic() >= end:
                return work


def _position(engine: Engine) -> str:
    """The position that people see; the truth is in the state database."""
    with mongo_errors():
        at = engine.capture().position_time()
    return at.isoformat() if at else ""
