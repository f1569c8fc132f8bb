"""One evaluation of the sensor: listen for a while, and ask for a run if there is work that nobody does."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import dagster as dg

from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.lease import Lease
from collect_pipelines.orchestration.partitions import add_keys
from collect_pipelines.source.connection import mongo_errors

SLICE_SECONDS = 1.0
STARTING_SECONDS = 30.0  # how long a run that was asked for may take to start before another is


def listen(context: dg.SensorEvaluationContext, engine: Engine) -> dg.SensorResult:
    """Wait for changes up to `sensor_seconds` and ask for a run; skip while a run is draining."""
    lease = Lease(engine.state)
    with mongo_errors():
        if holder := lease.holder():
            add_keys(context.instance, engine.ledger.journal.partitions())
            return dg.SensorResult(skip_reason=f"run {holder} is on it", cursor=context.cursor)
        work = _wait_for_work(engine)
        add_keys(context.instance, engine.ledger.journal.partitions())
        position = _position(engine)
        if not work:
            return dg.SensorResult(skip_reason="no changes", cursor=position)
        lease.take("(starting)", STARTING_SECONDS)
    return dg.SensorResult(run_requests=[dg.RunRequest(tags={"collect/why": work})], cursor=position)


def work_waiting(engine: Engine) -> str:
    """Say what is to be done now; empty when nothing is."""
    if dirty := engine.ledger.journal.dirty_forms():
        return f"{len(dirty)} forms changed"
    if due := engine.ledger.due(datetime.now(UTC)):
        return f"{len(due)} deliveries are due"
    return ""


def _wait_for_work(engine: Engine) -> str:
    capture = engine.capture()
    end = time.monotonic() + engine.settings.sensor_seconds
    try:
        while True:
            capture.poll(SLICE_SECONDS)
            if (work := work_waiting(engine)) or time.monotonic() >= end:
                return work
    finally:
        capture.close()


def _position(engine: Engine) -> str:
    at = engine.capture().position_time()
    return at.isoformat() if at else ""
