"""What runs by the clock: a sweep that works without the sensor, and the asset checks."""

from collections.abc import Callable

import dagster as dg

from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.lease import Lease
from collect_pipelines.orchestration.listen import work_waiting


def sweep(job_name: str, open_engine: Callable[[], Engine]) -> dg.ScheduleDefinition:
    """Build the schedule that starts a run every five minutes if there is work and nobody does it."""

    @dg.schedule(
        job_name=job_name,
        cron_schedule="*/5 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="A belt beside the sensor's braces: looks at the change stream and starts a run if work waits.",
    )
    def sweep(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        engine = open_engine()
        if holder := Lease(engine.state).holder():
            return dg.SkipReason(f"run {holder} is on it")
        capture = engine.capture()
        capture.poll(1.0)
        capture.close()
        work = work_waiting(engine)
        return dg.RunRequest(tags={"collect/why": work}) if work else dg.SkipReason("nothing waits")

    return sweep


def hourly_check(job_name: str) -> dg.ScheduleDefinition:
    """Build the schedule of the asset checks."""
    return dg.ScheduleDefinition(
        name="hourly_check",
        job_name=job_name,
        cron_schedule="7 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Runs the asset checks: counts against the store, and deliveries that are late.",
    )
