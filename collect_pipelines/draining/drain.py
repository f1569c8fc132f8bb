"""Drain: keep every form up to date, several at a time, until nothing is left to do.

Each stage has lanes of its own, so a slow or broken destination holds up nobody else. A form is in a stage once at a
time. What is to be done is read from the state each round (level-triggered): a lost wake-up costs a moment, not a row.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.stages import LANDING, Outcome, deliver, failed, land
from collect_pipelines.errors import TransientError
from collect_pipelines.source.connection import mongo_errors

log = logging.getLogger(__name__)

LANDING_LANES = 2
POLL_SECONDS = 1.0
LOOK_SECONDS = 0.5  # how often the state is looked at when nobody wakes us
RETRY_SECONDS = 5.0
LOOKING_SHARE = 4  # pause as many times as long as looking took

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
        self._pause_seconds = 0.0
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
            if ended := list(self._collect()):
                yield ended
            overdue = time.monotonic() - started > self._limits.most_seconds
            self._look(pools, keep_alive, submit=not overdue)
            if self._running:
                idle_since = time.monotonic()
            elif overdue or self._stop.is_set() or self._rested(idle_since):
                yield list(self._collect())  # the follower's last word
                return
            time.sleep(self._pause_seconds)
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()

    def _rested(self, idle_since: float) -> bool:
        """Whether there was nothing to do for long enough. A new failure is reported at once, by ending the run."""
        idle_seconds = time.monotonic() - idle_since
        return self._looked.is_set() and (self._failed or idle_seconds >= self._limits.linger_seconds)

    def _collect(self) -> Iterator[Outcome]:
        while True:
            try:
                outcome = self._finished.get_nowait()
            except Empty:
                return
            task = (outcome.stage, outcome.form_id)
            self._running.discard(task)
            self._failed = self._failed or (outcome.final and not outcome.known)
            if not outcome.ok:  # the state says so too, if it could be reached
                wait_seconds = outcome.retry.total_seconds() if outcome.retry else RETRY_SECONDS
                self._not_before[task] = time.monotonic() + wait_seconds
            yield outcome

    def _look(self, pools: dict[str, ThreadPoolExecutor], keep_alive: Callable[[], None], *, submit: bool) -> None:
        """Start what is to be done. Without the state there is nothing to go by: the next drain starts afresh."""
        try:
            with mongo_errors():
                keep_alive()
                if submit and not self._stop.is_set():
                    self._submit(pools)
        except TransientError as error:
            log.warning("the drain ends: %s", error.message)
            self.stop()

    def _submit(self, pools: dict[str, ThreadPoolExecutor]) -> None:
        began = time.monotonic()
        for stage, form_id in self._work():
            if (stage, form_id) in self._running or self._not_before.get((stage, form_id), 0.0) > time.monotonic():
                continue
            self._running.add((stage, form_id))
            step = pools[stage].submit(self._step, stage, form_id)
            step.add_done_callback(self._done)
        # The more is waiting the more it costs to look, and the end of each step is a reason to.
        self._pause_seconds = min(LOOKING_SHARE * (time.monotonic() - began), LOOK_SECONDS)

    def _work(self) -> list[Task]:
        """What is to be done now, oldest first."""
        ledger, now = self._engine.ledger, datetime.now(UTC)
        landing = [(LANDING, form_id) for form_id in ledger.to_land(now)]
        return landing + [(wanted.integration, wanted.form_id) for wanted in ledger.due(now)]

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
        try:
            with mongo_errors(), closing(self._engine.capture()) as capture:
                while not self._stop.is_set():
                    polled = capture.poll(POLL_SECONDS if self._looked.is_set() else 0.0)
                    if polled.events or polled.rescan_reason:
                        self._wake.set()
                    else:
                        self._looked.set()
        except TransientError as error:
            log.warning("the drain ends: %s", error.message)
        except Exception as error:  # noqa: BLE001  an outcome, or nobody would hear of it
            self._finished.put(failed(LANDING, "", error))
        finally:
            self._looked.set()
            self.stop()
