"""Dagster's default run launcher, able to tell that a run's worker process is gone.

Dagster notices a worker that dies while its code server lives. After a reboot, or when both die, the run would stay
"started" for ever: run monitoring asks the launcher, and the default one has no answer.
"""

from __future__ import annotations

import json
from typing import cast

import psutil
from dagster import DagsterEventType, DagsterRun
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG

_STARTED = "Started process for run"
# The worker writes its first event after it began, so one that began later than its event is somebody else.
_CLOCK_SLACK_SECONDS = 10
_FIRST_EVENTS = 20
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class HealthCheckedRunLauncher(DefaultRunLauncher):
    """Checks a worker by its process id and start time. Answers "running" whenever it cannot know."""

    @property
    def supports_check_run_worker_health(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Tell run monitoring to ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Tell whether the run's worker still lives. Only a worker on this machine can be seen."""
        worker = self._worker(run) if _is_here(run) else None
        if worker is None or is_alive(*worker):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"the worker process {worker[0]} is gone")

    def _worker(self, run: DagsterRun) -> tuple[int, float] | None:
        """The process id of the worker and when it said so (Unix seconds); None while it has not."""
        records = self._instance.get_records_for_run(
            run.run_id, of_type=DagsterEventType.ENGINE_EVENT, limit=_FIRST_EVENTS
        ).records
        for entry in (record.event_log_entry for record in records):
            event = entry.dagster_event
            if event and (event.message or "").startswith(_STARTED):
                pid = event.engine_event_data.metadata.get("pid")
                return (int(str(pid.value)), entry.timestamp) if pid else None
        return None


def is_alive(pid: int, told_at: float) -> bool:
    """Tell whether the process that told its id at that time still runs; a later one with its id is another."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= told_at + _CLOCK_SLACK_SECONDS
    except psutil.NoSuchProcess:
        return False


def _is_here(run: DagsterRun) -> bool:
    told = cast("dict[str, object]", json.loads(run.tags.get(GRPC_INFO_TAG, "{}")))
    return "socket" in told or told.get("host") in _LOOPBACK
