"""The asset checks find what is wrong, and nothing when nothing is."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from collect_pipelines.embedded.mongod import Mongod
from collect_pipelines.errors import DestinationChanged
from collect_pipelines.orchestration.checks import asset_checks
from tests.draining.shelf import Shelf, make_engine
from tests.draining.test_drain import Setup


def results(setup: Setup) -> dict[str, dg.AssetCheckResult]:
    """Run every check."""
    checks = asset_checks(setup.engine.specs, lambda: setup.engine)
    found: dict[str, dg.AssetCheckResult] = {}
    for check in checks:
        result = check()
        assert isinstance(result, dg.AssetCheckResult)
        found[next(iter(check.check_keys)).asset_key.to_user_string()] = result
    return found


def test_checks_pass_when_all_is_well_and_name_the_forms_when_not(
    mongod: Mongod, database_name: str, tmp_path: Path
) -> None:
    one, two = Shelf(), Shelf()
    setup = Setup(make_engine(mongod.uri, database_name, tmp_path, {"one": one, "two": two}), one, two)
    setup.form("fair")
    setup.put("fair:1", name="Ash")
    setup.put("fair:2", name="Misty")
    two.trouble["fair"] = DestinationChanged("the sheet is not shared")
    setup.drain()
    setup.responses.delete_one({"_id": "fair:1"})  # nobody listens: the store and the table differ, unknown to us
    found = results(setup)
    assert found["one"].passed and not found["two"].passed and not found["responses"].passed
    assert "the sheet is not shared" in str(found["two"].metadata)
    assert "1 in the store, 2 landed" in str(found["responses"].metadata)
    two.trouble.clear()
    setup.engine.state["deliveries"].update_many({}, [{"$set": {"due_at": "$$NOW"}}])
    setup.drain()
    assert all(result.passed for result in results(setup).values())
