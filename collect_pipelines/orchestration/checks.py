"""Asset checks: do the counts agree with the store, and is every form delivered in time. Cheap, over all forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from collect_pipelines.audit.counts import count_differences, late_deliveries
from collect_pipelines.draining.engine import Engine
from collect_pipelines.integration import DestinationSpec
from collect_pipelines.source.connection import mongo_errors

NAMED_AT_MOST = 50


def asset_checks(specs: Sequence[DestinationSpec], open_engine: Callable[[], Engine]) -> list[dg.AssetChecksDefinition]:
    """Build the check of the landing and one for each destination."""
    return [_counts_agree(open_engine), *[_delivered_in_time(spec.name, open_engine) for spec in specs]]


def _counts_agree(open_engine: Callable[[], Engine]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="responses",
        name="counts_agree_with_store",
        description="Every form has as many responses in its table as in the store, unless changes wait to be landed.",
    )
    def counts_agree_with_store() -> dg.AssetCheckResult:
        with mongo_errors():
            different = count_differences(open_engine())
        listed = {form_id: f"{stored} in the store, {landed} landed" for form_id, (stored, landed) in different.items()}
        return _result(listed)

    return counts_agree_with_store


def _delivered_in_time(name: str, open_engine: Callable[[], Engine]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=name,
        name="delivered_in_time",
        description="No form waits for more than ten minutes, and none needs a person.",
    )
    def delivered_in_time() -> dg.AssetCheckResult:
        with mongo_errors():
            late = late_deliveries(open_engine(), name)
        return _result({one.form_id: f"{one.status} for {one.seconds:.0f} s: {one.error}" for one in late})

    return delivered_in_time


def _result(forms: dict[str, str]) -> dg.AssetCheckResult:
    listed: dict[str, Any] = dict(list(forms.items())[:NAMED_AT_MOST])
    return dg.AssetCheckResult(
        passed=not forms,
        metadata={"forms": len(forms), "which": dg.MetadataValue.json(listed)},
        description=f"forms that need a look: {len(forms)}" if forms else "all forms are as they should be",
    )
