"""Backfill: bring chosen forms up to date in one go, incrementally or by reading and comparing everything again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Event
from typing import TypeAlias

from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.stages import LANDING, Outcome, deliver, failed, land
from collect_pipelines.source.capture import request_rescan
from collect_pipelines.source.connection import mongo_errors

FORMS_AT_ONCE = 4
ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 30.0

Outcomes: TypeAlias = SimpleQueue[Outcome | None]
"""What the steps came to; None when a form is done."""


def backfill(engine: Engine, form_ids: Sequence[str], stages: Collection[str], *, rebuild: bool) -> Iterator[Outcome]:
    """Yield the outcomes of every step for these forms, in the order in which they end."""
    if LANDING in stages:
        _catch_up(engine)
    outcomes: Outcomes = SimpleQueue()
    stop = Event()
    pool = ThreadPoolExecutor(FORMS_AT_ONCE, "collect-backfill")
    try:
        for form_id in form_ids:
            pool.submit(_one_form, engine, form_id, stages, rebuild, outcomes, stop)
        open_forms = len(form_ids)
        while open_forms:
            outcome = outcomes.get()
            if outcome is None:
                open_forms -= 1
            else:
                yield outcome
    finally:  # a cancelled run ends after the steps under way
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _catch_up(engine: Engine) -> None:
    """Mark what the change stream has for us: nobody may be listening."""
    with closing(engine.capture()) as capture, mongo_errors():
        while (polled := capture.poll(0.0)).events or polled.rescan_reason:
            pass


def _one_form(
    engine: Engine, form_id: str, stages: Collection[str], rebuild: bool, outcomes: Outcomes, stop: Event
) -> None:
    try:
        if LANDING in stages and not _land_all(engine, form_id, rebuild, outcomes, stop):
            return
        for spec in engine.specs:
            if spec.name in stages and not stop.is_set():
                outcomes.put(_deliver(engine, spec.name, form_id, rebuild, stop))
    except Exception as error:  # noqa: BLE001  an outcome: the other forms go on
        outcomes.put(failed(LANDING, form_id, error))
    finally:
        outcomes.put(None)


def _land_all(engine: Engine, form_id: str, rebuild: bool, outcomes: Outcomes, stop: Event) -> bool:
    """Land until nothing is left; whether that worked."""
    if rebuild:
        with mongo_errors():
            request_rescan(engine.state, form_id, "backfill", datetime.now(UTC), full=True)
    failures = 0
    while not stop.is_set():
        outcome = land(engine, form_id)
        if outcome.landed is not None:
            outcomes.put(outcome)
            if not outcome.landed.more:
                return True
            continue
        failures += 1
        if outcome.final or failures >= ATTEMPTS:
            outcomes.put(outcome)
            return False
        stop.wait(min(2.0**failures, LONGEST_WAIT_SECONDS))
    return False


def _deliver(engine: Engine, name: str, form_id: str, rebuild: bool, stop: Event) -> Outcome:
    for _ in range(ATTEMPTS - 1):
        outcome = deliver(engine, name, form_id, rebuild=rebuild)
        if outcome.ok or outcome.final or stop.is_set():
            return outcome
        wait_seconds = outcome.retry.total_seconds() if outcome.retry else 1.0
        stop.wait(min(wait_seconds, LONGEST_WAIT_SECONDS))
    return deliver(engine, name, form_id, rebuild=rebuild)
