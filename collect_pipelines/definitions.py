"""Everything that Dagster loads. The only module that knows both the assets and the sensors."""

from __future__ import annotations

from functools import cache

import dagster as dg

import assets
from assets.responses import responses
from collect_pipelines.draining.engine import Engine
from collect_pipelines.integration import discover
from collect_pipelines.orchestration.checks import asset_checks
from collect_pipelines.orchestration.deliver import deliver_assets
from collect_pipelines.settings import load_settings
from sensors.response_changes import response_changes
from sensors.schedules import hourly_check, sweep

SPECS = discover(assets)


@cache
def open_engine() -> Engine:
    """The engine of this process, made when it is first needed."""
    return Engine(load_settings(), SPECS, writer="dagster")


deliver = deliver_assets(responses, SPECS, open_engine)
drain = dg.define_asset_job(
    "drain",
    selection=dg.AssetSelection.assets(deliver).without_checks(),  # in a run that lasts they never have a result
    executor_def=dg.in_process_executor,
    description="Land what changed and deliver it everywhere; stays a while for what comes next.",
)

checks = asset_checks(SPECS, open_engine)
check = dg.define_asset_job(
    "check",
    selection=dg.AssetSelection.checks(*checks),
    executor_def=dg.in_process_executor,
    description="Hold counts and delivery times of all forms against what they should be.",
)

defs = dg.Definitions(
    assets=[deliver],
    asset_checks=checks,
    jobs=[drain, check],
    sensors=[response_changes(drain.name, open_engine)],
    schedules=[sweep(drain.name, open_engine), hourly_check(check.name)],
    executor=dg.in_process_executor,
)
