"""Backfill: bring chosen forms up to date in one go, incrementally or by reading and comparing everything again."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from queue import SimpleQueue

from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.stages import LANDING, Outcome, deliver, land
from collect_pipelines.source.capture import request_rescan

FORMS_AT_ONCE = 4
ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 30.0


def backfill(engine: Engine, form_ids: Sequence[str], stages: Collection[str], *, rebuild: bool) -> Iterator[Outcome]:
    """Yield the outcomes of every step for these forms, in the order in which they end."""
    outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
    with ThreadPoolExecutor(FORMS_AT_ONCE, "collect-backfill") as pool:
        steps = [pool.submit(_one_form, engine, form_id, stages, rebuild, outcomes) for form_id in form_ids]
        open_forms = len(steps)
        while open_forms:
            outcome = outcomes.get()
            if outcome is None:
                open_forms -= 1
            else:
                yield outcome
    for step in steps:
        step.result()


def _one_form(
    engine: Engine, form_id: str, stages: Collection[str], rebuild: bool, outcomes: SimpleQueue[Outcome | None]
) -> None:
    try:
        if LANDING in stages and not _land_all(engine, form_id, rebuild, outcomes):
            return
        for name in engine.destinations:
            if name in stages:
                outcomes.put(_deliver(engine, name, form_id, rebuild))
    finally:
        outcomes.put(None)


def _land_all(engine: Engine, form_id: str, rebuild: bool, outcomes: SimpleQueue[Outcome | None]) -> bool:
    """Land until nothing is left; whether that worked."""
    if rebuild:
        request_rescan(engine.state, form_id, "backfill", datetime.now(UTC), full=True)
    failures = 0
    while True:
        outcome = land(engine, form_id)
        if outcome.ok and outcome.landed is not None:
            outcomes.put(outcome)
            if not outcome.landed.more:
                return True
            continue
        failures += 1
        if outcome.final or failures >= ATTEMPTS:
            outcomes.put(outcome)
            return False
        time.sleep(min(2.0**failures, LONGEST_WAIT_SECONDS))


def _deliver(engine: Engine, name: str, form_id: str, rebuild: bool) -> Outcome:
    for attempt in range(ATTEMPTS):
        outcome = deliver(engine, name, form_id, rebuild=rebuild)
        if outcome.ok or outcome.final or attempt == ATTEMPTS - 1:
            return outcome
        wait_seconds = outcome.retry.total_seconds() if outcome.retry else 1.0
        time.sleep(min(wait_seconds, LONGEST_WAIT_SECONDS))
    raise AssertionError("unreachable")
