"""One bounded step of work on one form: land, or deliver to one integration. Errors become outcomes, never silence."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from collect_pipelines.delivery.contract import Delivered
from collect_pipelines.draining.engine import Engine
from collect_pipelines.errors import CollectError, Fenced, TransientError
from collect_pipelines.landing.landing import Landed
from collect_pipelines.landing.ledger import LANDING, LONGEST_WAIT, Wanted
from collect_pipelines.source.connection import mongo_errors

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 2.0, 300.0
FATAL_WAIT_SECONDS = 60.0  # a person may share the sheet at any time: look again, ever more rarely


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step on one form came to."""

    stage: str
    form_id: str
    landed: Landed | None = None
    delivered: Delivered | None = None
    error: str = ""
    hint: str = ""
    final: bool = False
    """Whether the form is shown as failed: a person must act, or the code has a bug."""
    known: bool = False
    """Whether it was shown as failed before this attempt."""
    retry: timedelta | None = None
    seconds: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def ok(self) -> bool:
        """Whether the step did its work."""
        return not self.error

    @property
    def name(self) -> str:
        """The step as people call it."""
        return f"{self.stage} of form {self.form_id}" if self.form_id else "change capture"


def land(engine: Engine, form_id: str) -> Outcome:
    """Land the marked responses of a form and at most one chunk of a rescan."""
    return _step(engine, LANDING, form_id, lambda _wanted: _land(engine, form_id))


def deliver(engine: Engine, integration: str, form_id: str, *, rebuild: bool = False) -> Outcome:
    """Bring one integration up to date with the form's table."""
    return _step(engine, integration, form_id, lambda wanted: _deliver(engine, wanted, rebuild=rebuild))


def failed(stage: str, form_id: str, error: Exception) -> Outcome:
    """What an error means. Of one that nobody expected: where it happened, but not its text, which may hold answers."""
    if isinstance(error, CollectError):
        final = not isinstance(error, TransientError | Fenced)
        return Outcome(stage, form_id, error=error.message, hint=error.hint, final=final)
    frames = traceback.extract_tb(error.__traceback__)
    where = "\n".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-6:])
    return Outcome(stage, form_id, error=f"{type(error).__name__}, which nobody expected", hint=where, final=True)


def _step(engine: Engine, stage: str, form_id: str, work: Callable[[Wanted], Outcome]) -> Outcome:
    """Do the work, and record in the state how it went and when to try again."""
    try:
        with mongo_errors():
            wanted = engine.ledger.wanted(stage, form_id)
            outcome = _attempt(wanted, work)
            _record(engine, wanted, outcome)
    except Exception as error:  # noqa: BLE001  most likely the state itself is out of reach
        return failed(stage, form_id, error)
    return outcome


def _attempt(wanted: Wanted, work: Callable[[Wanted], Outcome]) -> Outcome:
    try:
        with mongo_errors():
            return work(wanted)
    except Exception as error:  # noqa: BLE001  a bug in one form must not stop the others; the run fails with it
        outcome = failed(wanted.integration, wanted.form_id, error)
        return replace(outcome, retry=_wait(error, wanted.attempts), known=wanted.failed)


def _land(engine: Engine, form_id: str) -> Outcome:
    landed = engine.landing.land_marked(form_id)
    if not landed.more and (again := engine.rescan.step(form_id)):
        landed = landed.plus(again)
    engine.landing.keep_up(form_id)
    return Outcome(LANDING, form_id, landed=landed)


def _deliver(engine: Engine, wanted: Wanted, *, rebuild: bool) -> Outcome:
    name, form_id = wanted.integration, wanted.form_id
    with engine.reader.reading() as reading:
        form = reading.form(form_id)
    if form.integration(name).get("enabled") is False:
        return Outcome(name, form_id, facts={"paused": True})
    snapshot = engine.landing.table(form_id).snapshot()
    delivered = engine.destination(name).deliver(form.remembering(snapshot.manifest.columns), snapshot, rebuild=rebuild)
    return Outcome(name, form_id, delivered=delivered, facts=_facts(delivered, wanted))


def _record(engine: Engine, wanted: Wanted, outcome: Outcome) -> None:
    if not outcome.ok:
        status, due_at = ("failed" if outcome.final else "waiting"), datetime.now(UTC) + (outcome.retry or timedelta())
        engine.ledger.undelivered(wanted, status, outcome.error, outcome.hint, due_at)
    elif wanted.integration != LANDING:
        engine.ledger.delivered(wanted, outcome.facts)
    elif wanted.attempts:
        engine.ledger.forget(wanted)


def _facts(delivered: Delivered, wanted: Wanted) -> dict[str, Any]:
    facts = asdict(delivered)
    table_id, sequence = facts.pop("position")
    lag = (datetime.now(UTC) - wanted.pending_since).total_seconds() if wanted.pending_since else 0.0
    return {**facts, "table_id": table_id, "sequence": sequence, "lag_seconds": round(lag, 3), "paused": False}


def _wait(error: Exception, attempts: int) -> timedelta:
    """How long to wait before the next attempt: the other side's wish, else doubling with jitter."""
    if isinstance(error, Fenced):  # others are at this form: look again
        return timedelta(seconds=1)
    transient = isinstance(error, TransientError)
    if transient and error.retry_after_seconds is not None:
        return min(timedelta(seconds=error.retry_after_seconds + random.uniform(0, 1)), LONGEST_WAIT)
    first_seconds = FIRST_WAIT_SECONDS if transient else FATAL_WAIT_SECONDS
    wait_seconds = min(LONGEST_WAIT_SECONDS, first_seconds * 2 ** min(attempts, 10))
    return timedelta(seconds=wait_seconds * random.uniform(0.5, 1.0))
