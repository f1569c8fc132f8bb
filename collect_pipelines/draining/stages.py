"""One bounded step of work on one form: land, or deliver to one integration. Errors become outcomes, never silence."""

from __future__ import annotations

import random
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.errors import PyMongoError

from collect_pipelines.delivery.contract import Delivered
from collect_pipelines.draining.engine import Engine
from collect_pipelines.errors import CollectError, FatalError, Fenced, TransientError
from collect_pipelines.landing.landing import Landed
from collect_pipelines.landing.ledger import Wanted
from collect_pipelines.source.connection import mongo_errors

LANDING = "responses"
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
    retry: timedelta | None = None
    seconds: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def ok(self) -> bool:
        """Whether the step did its work."""
        return not self.error


def land(engine: Engine, form_id: str) -> Outcome:
    """Land the marked responses of a form and at most one chunk of a rescan."""
    try:
        with mongo_errors():
            landed = engine.landing.land_marked(form_id)
            if not landed.more and (again := engine.rescan.step(form_id)):
                landed = _sum(landed, again)
        engine.landing.keep_up(form_id)
    except Fenced:
        return Outcome(LANDING, form_id)  # others are landing this form: look again
    except CollectError as error:
        return _failure(LANDING, form_id, error)
    except Exception as error:  # noqa: BLE001  a bug in one form must not stop the others; the run fails with it
        return _bug(LANDING, form_id, error)
    return Outcome(LANDING, form_id, landed=landed)


def deliver(engine: Engine, integration: str, form_id: str, *, rebuild: bool = False) -> Outcome:
    """Bring one integration up to date with the form's table, and record how it went."""
    try:
        with mongo_errors():
            wanted = engine.ledger.wanted(integration, form_id)
            outcome = _attempt(engine, wanted, rebuild=rebuild)
            _record(engine, wanted, outcome)
    except CollectError as error:  # the state itself is out of reach
        return _failure(integration, form_id, error)
    return outcome


def _attempt(engine: Engine, wanted: Wanted, *, rebuild: bool) -> Outcome:
    name, form_id = wanted.integration, wanted.form_id
    try:
        with engine.reader.reading() as reading:
            form = reading.form(form_id)
        if form.integration(name).get("enabled") is False:
            return Outcome(name, form_id, facts={"paused": True})
        snapshot = engine.landing.table(form_id).snapshot()
        delivered = engine.destinations[name].deliver(form, snapshot, rebuild=rebuild)
    except PyMongoError:
        raise
    except Fenced as error:
        return Outcome(name, form_id, error=error.message, retry=timedelta(seconds=1))
    except CollectError as error:
        return replace(_failure(name, form_id, error), retry=_wait(error, wanted.attempts))
    except Exception as error:  # noqa: BLE001  see land()
        return replace(_bug(name, form_id, error), retry=timedelta(seconds=FATAL_WAIT_SECONDS))
    return Outcome(name, form_id, delivered=delivered, facts=_facts(delivered, wanted))


def _record(engine: Engine, wanted: Wanted, outcome: Outcome) -> None:
    if outcome.ok:
        engine.ledger.delivered(wanted, outcome.facts)
        return
    status, due_at = ("failed" if outcome.final else "waiting"), datetime.now(UTC) + (outcome.retry or timedelta())
    engine.ledger.undelivered(wanted, status, outcome.error, outcome.hint, due_at)


def _facts(delivered: Delivered, wanted: Wanted) -> dict[str, Any]:
    facts = asdict(delivered)
    table_id, sequence = facts.pop("position")
    lag = (datetime.now(UTC) - wanted.pending_since).total_seconds() if wanted.pending_since else 0.0
    return {**facts, "table_id": table_id, "sequence": sequence, "lag_seconds": round(lag, 3), "paused": False}


def _sum(first: Landed, second: Landed) -> Landed:
    return Landed(
        second.form_id,
        second.sequence,
        first.rows + second.rows,
        first.deleted + second.deleted,
        first.unfit + second.unfit,
        first.unknown + second.unknown,
        second.cluster_time,
        second.more,
        second.columns,
    )


def _wait(error: CollectError, attempts: int) -> timedelta:
    """How long to wait before the next attempt: the other side's wish, else doubling with jitter."""
    if isinstance(error, TransientError) and error.retry_after_seconds is not None:
        return timedelta(seconds=error.retry_after_seconds + random.uniform(0, 1))
    first = FATAL_WAIT_SECONDS if isinstance(error, FatalError) else FIRST_WAIT_SECONDS
    return timedelta(seconds=min(LONGEST_WAIT_SECONDS, first * 2 ** min(attempts, 10)) * random.uniform(0.5, 1.0))


def _failure(stage: str, form_id: str, error: CollectError) -> Outcome:
    return Outcome(stage, form_id, error=error.message, hint=error.hint, final=not isinstance(error, TransientError))


def _bug(stage: str, form_id: str, error: Exception) -> Outcome:
    """An unknown error: where it happened, but not its text, which may hold answers."""
    frames = traceback.extract_tb(error.__traceback__)
    where = "\n".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-6:])
    return Outcome(stage, form_id, error=f"{type(error).__name__}, which nobody expected", hint=where, final=True)
