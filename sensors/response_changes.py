"""Listens to the change stream and asks for a run when responses changed and nobody is draining yet."""

from collections.abc import Callable

import dagster as dg

from collect_pipelines.draining.engine import Engine
from collect_pipelines.orchestration.listen import listen


def response_changes(job_name: str, open_engine: Callable[[], Engine]) -> dg.SensorDefinition:
    """Build the sensor. Its cursor shows the position for people; the truth is in the state database."""

    @dg.sensor(
        job_name=job_name,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Follows the MongoDB change stream (ids only) and starts a run that lands and delivers.",
    )
    def response_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return listen(context, open_engine())

    return response_changes
