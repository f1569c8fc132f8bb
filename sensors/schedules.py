"""What runs by the clock: a sweep that works without the sensor, and the asset checks."""

from collections.abc import Callable

import dagster as dg

from collect_pipelines.draining.engine import Engine
from collect_pipelines.orchestration.listen import ask


def sweep(job_name: str, open_engine: Callable[[], Engine]) -> dg.ScheduleDefinition:
    """Build the schedule that starts a run every five minutes if there is work and nobody does it."""

    @dg.schedule(
        job_name=job_name,
        cron_schedule="*/5 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="A belt beside the sensor's braces: looks at the change stream and starts a run if work waits.",
    )
    def sweep(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return ask(context.instance, open_engine(), wait_seconds=1.0)

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
