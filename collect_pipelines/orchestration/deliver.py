"""The assets of the pipeline in one step, form by form: `responses` and every destination that `assets/` defines.

One run serves many forms: a run costs 3 to 6 CPU-seconds to start, a form inside it hundredths. Without a partition the
run drains whatever is dirty and lingers for more; with partitions it backfills those.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import dagster as dg
from pydantic import Field

from collect_pipelines.draining.backfill import backfill
from collect_pipelines.draining.drain import Drain, Limits
from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.lease import Lease
from collect_pipelines.draining.stages import Outcome
from collect_pipelines.integration import DestinationSpec
from collect_pipelines.orchestration.events import materialisation, report_failure
from collect_pipelines.orchestration.partitions import FORMS, add_forms

LEASE_SECONDS, RENEW_SECONDS = 12.0, 3.0
NAMED_AT_MOST = 20
MOST_SECONDS = 900.0  # a run ends now and then, so that deploys and upgrades find a moment


class DeliverConfig(dg.Config):
    """Options of a run with partitions, a backfill."""

    rebuild: bool = Field(
        default=True,
        description=(
            "True: read the form again from the store and compare every row at every destination. "
            "False: only what is new."
        ),
    )


def deliver_assets(
    responses: dg.AssetSpec, specs: Sequence[DestinationSpec], open_engine: Callable[[], Engine]
) -> dg.AssetsDefinition:
    """Build the step from the landing's asset and the destinations."""
    destinations = [_asset(spec, responses) for spec in specs]

    @dg.multi_asset(
        name="deliver",
        specs=[responses.replace_attributes(skippable=True), *destinations],
        partitions_def=FORMS,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def deliver(context: dg.AssetExecutionContext, config: DeliverConfig) -> Iterator[Any]:
        engine = open_engine()
        if context.has_partition_key or context.has_partition_key_range:
            _report(context, engine, _backfill(engine, context, config), complete=True)
        else:
            _report(context, engine, _drain(engine, context.run.run_id), complete=False)
        yield from ()

    return deliver


def _asset(spec: DestinationSpec, responses: dg.AssetSpec) -> dg.AssetSpec:
    return dg.AssetSpec(
        spec.name,
        deps=[responses.key],
        description=spec.description,
        kinds=set(spec.kinds),
        owners=list(spec.owners),
        group_name="destinations",
        skippable=True,
    )


def _backfill(engine: Engine, context: dg.AssetExecutionContext, config: DeliverConfig) -> Iterator[Outcome]:
    by_key = engine.ledger.journal.partitions()
    form_ids = [by_key.get(key, key) for key in context.partition_keys]
    stages = {key.to_user_string() for key in context.selected_asset_keys}
    return backfill(engine, form_ids, stages, rebuild=config.rebuild)


def _drain(engine: Engine, run_id: str) -> Iterator[Outcome]:
    lease, renewed = Lease(engine.state), 0.0

    def keep_alive() -> None:
        nonlocal renewed
        if time.monotonic() - renewed >= RENEW_SECONDS:
            renewed = time.monotonic()
            lease.take(run_id, LEASE_SECONDS)

    try:
        yield from Drain(engine, Limits(engine.settings.linger_seconds, MOST_SECONDS)).run(keep_alive)
    finally:
        lease.release(run_id)


def _report(context: dg.AssetExecutionContext, engine: Engine, outcomes: Iterable[Outcome], *, complete: bool) -> None:
    """Tell Dagster of each outcome as it comes; fail at the end if a form needs a person, or has to be `complete`."""
    add = cache(lambda form_id: add_forms(context.instance, [form_id]))
    failed: dict[tuple[str, str], Outcome] = {}
    for outcome in outcomes:
        event = materialisation(outcome, engine.settings)
        if outcome.form_id and (event or outcome.final):
            add(outcome.form_id)
        if event:
            context.log_event(event)
        if outcome.ok:
            failed.pop((outcome.stage, outcome.form_id), None)
        else:
            failed[outcome.stage, outcome.form_id] = outcome
            report_failure(context, outcome)
    if final := [outcome for outcome in failed.values() if outcome.final or complete]:
        named = [f"{outcome.stage}/{outcome.form_id}" for outcome in final[:NAMED_AT_MOST]]
        raise dg.Failure(_summary(final), metadata={"failed": named}, allow_retries=False)


def _summary(final: Sequence[Outcome]) -> str:
    named = [f"{outcome.name}: {outcome.error.splitlines()[0]}" for outcome in final[:NAMED_AT_MOST]]
    return "\n".join([f"{len(final)} of the forms' steps failed; the others went on.", *named])
