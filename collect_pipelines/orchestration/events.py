"""What Dagster is told of each step: a materialisation per form with counts, watermark, lag and links; or a failure.

Metadata never holds answers, and titles of users only as plain text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import dagster as dg
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    DagsterEventBatchMetadata,
    generate_event_batch_id,
)

from collect_pipelines.delivery.contract import Delivered
from collect_pipelines.draining.stages import Outcome
from collect_pipelines.landing.landing import Landed
from collect_pipelines.model import QuestionType, safe_key
from collect_pipelines.settings import Settings

Metadata = dict[str, Any]

EVENTS_AT_ONCE = 200


def materialisation(outcome: Outcome, settings: Settings) -> dg.AssetMaterialization | None:
    """The event for a step that did its work; None if it only waited."""
    metadata: Metadata = {}
    if outcome.landed is not None and outcome.landed.columns is not None:
        metadata = _landed(outcome.landed)
    elif outcome.delivered is not None:
        metadata = _delivered(outcome.delivered, outcome.facts)
    if not metadata:
        return None
    link = f"{settings.portal_address}/forms/{quote(outcome.form_id, safe='')}"
    extra: Metadata = {
        "form": outcome.form_id,
        "portal": dg.MetadataValue.url(link),
        "seconds": round(outcome.seconds, 3),
    }
    return dg.AssetMaterialization(outcome.stage, partition=safe_key(outcome.form_id), metadata={**metadata, **extra})


def log_materialisations(context: dg.AssetExecutionContext, events: Sequence[dg.AssetMaterialization]) -> None:
    """Log events in one go: one transaction for all of them, where Dagster's storage is a PostgreSQL.

    Storing events one by one is most of what a run over many forms costs (docs/design.md, "Draining").
    """
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENTS_AT_ONCE))  # Dagster's own switch; off by default
    step, batch_id = context.get_step_execution_context(), generate_event_batch_id()
    for number, event in enumerate(events, 1):
        DagsterEvent.asset_materialization(step, event, DagsterEventBatchMetadata(batch_id, number == len(events)))


def report_failure(context: dg.AssetExecutionContext, outcome: Outcome) -> None:
    """Log why a step failed, and announce a partition that needs a person: when the run fails, it shows as failed."""
    if not outcome.final:
        context.log.warning(f"{outcome.name} waits: {outcome.error}")
        return
    if outcome.form_id:
        step = context.get_step_execution_context()
        plan = AssetMaterializationPlannedData(
            dg.AssetKey(outcome.stage), partition=safe_key(outcome.form_id), partitions_subset=None
        )
        event = DagsterEvent.build_asset_materialization_planned_event(step.job_name, step.step.key, plan)
        context.instance.report_dagster_event(event, step.run_id)
    context.log.error(f"{outcome.name}: {outcome.error}\n{outcome.hint}")


def _landed(landed: Landed) -> Metadata:
    return {
        "landed_rows": landed.rows,
        "deleted": landed.deleted,
        "unfit_answers": landed.unfit,
        "answers_to_unknown_questions": landed.unknown,
        "watermark": landed.sequence,
        "read_at": dg.MetadataValue.timestamp(landed.read_at),
        **_schema(landed.columns or {}),
    }


def _schema(columns: Mapping[str, QuestionType]) -> Metadata:
    listed = [dg.TableColumn(name, str(kind)) for name, kind in list(columns.items())[:300]]
    return {"dagster/column_schema": dg.TableSchema(columns=listed)} if listed else {}


def _delivered(delivered: Delivered, facts: Mapping[str, Any]) -> Metadata:
    counts: Metadata = {
        "added": delivered.added,
        "changed": delivered.changed,
        "removed": delivered.removed,
        "unchanged": delivered.unchanged,
        "watermark": delivered.position.sequence,
        "lag_seconds": facts.get("lag_seconds", 0.0),
        "delivered_at": dg.MetadataValue.timestamp(datetime.now(UTC)),
    }
    if delivered.rows is not None:
        counts["dagster/row_count"] = delivered.rows
    if delivered.url:
        counts["link"] = dg.MetadataValue.url(delivered.url)
    return {**counts, **delivered.notes}
