"""Drain: keep every form up to date, several at a time, until nothing is left to do.

Each stage has lanes of its own, so a slow or broken destination holds up nobody else. A form is in a stage once at a
time. What is to be done is read from the state each round (level-triggered): a lost wake-up costs a moment, not a row.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.stages import LANDING, Outcome, deliver, land
from collect_pipelines.errors import CollectError, TransientError
from collect_pipelines.source.connection import mongo_errors

LANDING_LANES = 2
POLL_SECONDS = 1.0
LOOK_SECONDS = 0.5  # how often the state is looked at when nobody wakes us
RETRY_LANDING_SECONDS = 5.0

Task = tuple[str, str]
"""(stage, form id)"""


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop: after `linger_seconds` without work, or `most_seconds` in all."""

    linger_seconds: float = 0.0
    most_seconds: float = 600.0


class Drain:
    """One drain: capture, landing and deliveries in threads of one process."""

    def __init__(self, engine: Engine, limits: Limits, *, capture: bool = True) -> None:
        self._engine = engine
        self._limits = limits
        self._capture = capture
        self._running: set[Task] = set()
        self._finished: SimpleQueue[Outcome] = SimpleQueue()
        self._not_before: dict[Task, float] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._looked = threading.Event()  # the follower has come to a first pause of the stream
        self._failed = False
        if not capture:
            self._looked.set()

    def stop(self) -> None:
        """Ask the drain to end as soon as the steps under way are done."""
        self._stop.set()
        self._wake.set()

    def run(self, keep_alive: Callable[[], None] = lambda: None) -> Iterator[list[Outcome]]:
        """Yield the outcomes of the steps, as many as ended since. `keep_alive` is called about once a second."""
        lanes = {LANDING: LANDING_LANES, **{spec.name: spec.lanes for spec in self._engine.specs}}
        pools = {stage: ThreadPoolExecutor(workers, f"collect-{stage}") for stage, workers in lanes.items()}
        follower = threading.Thread(target=self._follow, name="collect-capture", daemon=True)
        if self._capture:
            follower.start()
        try:
            yield from self._rounds(pools, keep_alive)
        finally:
            self.stop()
            for pool in pools.values():
                pool.shutdown(wait=True, cancel_futures=True)
            if follower.is_alive():
                follower.join(timeout=2 * POLL_SECONDS)

    def _rounds(self, pools: dict[str, ThreadPoolExecutor], keep_alive: Callable[[], None]) -> Iterator[list[Outcome]]:
        started = idle_since = time.monotonic()
        while True:
            keep_alive()
            if ended := list(self._collect()):
                yield ended
            overdue = time.monotonic() - started > self._limits.most_seconds
            if not (overdue or self._stop.is_set()):
                self._submit(pools)
            if self._running:
                idle_since = time.monotonic()
            elif overdue or self._stop.is_set() or self._rested(idle_since):
                return
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()

    def _rested(self, idle_since: float) -> bool:
        """Whether there was nothing to do for long enough. A failure is reported at once, by ending the run."""
        idle_seconds = time.monotonic() - idle_since
        return self._looked.is_set() and (self._failed or idle_seconds >= self._limits.linger_seconds)

    def _collect(self) -> Iterator[Outcome]:
        while True:
            try:
                outcome = self._finished.get_nowait()
            except Empty:
                return
            self._running.discard((outcome.stage, outcome.form_id))
            self._failed = self._failed or outcome.final
            if not outcome.ok and outcome.stage == LANDING:
                self._not_before[outcome.stage, outcome.form_id] = time.monotonic() + RETRY_LANDING_SECONDS
            yield outcome

    def _submit(self, pools: dict[str, ThreadPoolExecutor]) -> None:
        for stage, form_id in self._work():
            if (stage, form_id) in self._running or self._not_before.get((stage, form_id), 0.0) > time.monotonic():
                continue
            self._running.add((stage, form_id))
            step = pools[stage].submit(self._step, stage, form_id)
            step.add_done_callback(self._done)

    def _work(self) -> list[Task]:
        """What is to be done now, oldest first."""
        ledger = self._engine.ledger
        landing = [(LANDING, form_id) for form_id in ledger.journal.dirty_forms()]
        return landing + [(wanted.integration, wanted.form_id) for wanted in ledger.due(datetime.now(UTC))]

    def _step(self, stage: str, form_id: str) -> Outcome:
        started = time.monotonic()
        outcome = land(self._engine, form_id) if stage == LANDING else deliver(self._engine, stage, form_id)
        return replace(outcome, seconds=time.monotonic() - started)

    def _done(self, step: Future[Outcome]) -> None:
        if not step.cancelled():
            self._finished.put(step.result())
        self._wake.set()

    def _follow(self) -> None:
        """Follow the change stream until the drain ends. Trouble with it ends the drain: the next one starts afresh."""
        capture = self._engine.capture()
        try:
            while not self._stop.is_set():
                with mongo_errors():
                    polled = capture.poll(POLL_SECONDS if self._looked.is_set() else 0.0)
                if polled.events or polled.rescan_reason:
                    self._wake.set()
                else:
                    self._looked.set()
        except TransientError:
            self.stop()
        except CollectError as error:
            self._finished.put(Outcome(LANDING, "", error=error.message, hint=error.hint, final=True))
            self.stop()
        finally:
            capture.close()
