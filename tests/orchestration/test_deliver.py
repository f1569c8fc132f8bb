"""The Dagster step: one run for many forms, per-form status, backfill by partition. A real instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from assets.responses import responses as responses_asset
from collect_pipelines.draining.drain import Drain, Limits
from collect_pipelines.draining.lease import STARTING, Lease
from collect_pipelines.embedded.mongod import Mongod
from collect_pipelines.errors import DestinationChanged
from collect_pipelines.model import safe_key
from collect_pipelines.orchestration.deliver import deliver_assets
from collect_pipelines.orchestration.listen import listen, work_waiting
from collect_pipelines.orchestration.partitions import FORMS
from tests.draining.shelf import Shelf, make_engine
from tests.draining.test_drain import Setup


class Deployment(Setup):
    """A deployment with a Dagster instance of its own."""

    instance: dg.DagsterInstance

    def job(self) -> dg.JobDefinition:
        deliver = deliver_assets(responses_asset, self.engine.specs, lambda: self.engine)
        job = dg.define_asset_job("drain", selection=dg.AssetSelection.assets(deliver))
        defs = dg.Definitions(assets=[deliver], jobs=[job], executor=dg.in_process_executor)
        return defs.resolve_job_def("drain")

    def run(self, key: str | None = None, *, rebuild: bool = True) -> dg.ExecuteInProcessResult:
        config = {"ops": {"deliver": {"config": {"rebuild": rebuild}}}}
        return self.job().execute_in_process(
            instance=self.instance, partition_key=key, run_config=config, raise_on_error=False
        )

    def status(self, asset: str) -> tuple[set[str], set[str]]:
        """(materialised, failed) partitions."""
        value = get_and_update_asset_status_cache_value(self.instance, dg.AssetKey(asset), FORMS)
        if value is None:
            return set(), set()
        with partition_loading_context(dynamic_partitions_store=self.instance):
            materialised = value.deserialize_materialized_partition_subsets(FORMS)
            failed = value.deserialize_failed_partition_subsets(FORMS)
            return set(materialised.get_partition_keys()), set(failed.get_partition_keys())


@pytest.fixture
def deployment(mongod: Mongod, database_name: str, tmp_path: Path) -> Iterator[Deployment]:
    one, two = Shelf(), Shelf()
    engine = make_engine(mongod.uri, database_name, tmp_path, {"one": one, "two": two}, linger_seconds=1)
    made = Deployment(engine, one, two)
    _ = engine.state
    with dg.instance_for_test() as instance:
        made.instance = instance
        yield made
    engine.client.close()


def test_one_run_drains_all_forms_and_each_form_shows_its_own_state(deployment: Deployment) -> None:
    for form_id in ("a", "b", "Ünïcode 🙂"):
        deployment.put(f"{form_id}:1", name=form_id)
    deployment.two.trouble["b"] = DestinationChanged("not shared", hint="share it with robot@example.org")
    result = deployment.run()
    keys = {"a", "b", safe_key("Ünïcode 🙂")}
    assert not result.success
    assert deployment.status("responses") == (keys, set())
    assert deployment.status("one") == (keys, set())
    assert deployment.status("two") == (keys - {"b"}, {"b"})
    deployment.two.trouble.clear()
    assert deployment.run("b", rebuild=False).success
    assert deployment.status("two") == (keys, set())


def test_a_partition_run_rebuilds_its_form_and_leaves_the_others(deployment: Deployment) -> None:
    for form_id in ("a", "b"):
        deployment.put(f"{form_id}:1", name=form_id)
    assert deployment.run().success
    deployment.one.forms.clear()
    assert deployment.run("a").success
    assert set(deployment.one.forms) == {"a"}


def test_metadata_holds_counts_and_links_but_no_answers(deployment: Deployment) -> None:
    deployment.form("a")
    deployment.put("a:1", name="secret-answer")
    assert deployment.run().success
    records = deployment.instance.fetch_materializations(dg.AssetKey("one"), limit=5).records
    metadata = records[0].asset_materialization
    assert metadata is not None
    assert metadata.metadata["dagster/row_count"].value == 1
    assert "/forms/a" in str(metadata.metadata["portal"].value)
    assert "secret-answer" not in str(deployment.instance.all_logs(records[0].run_id))


def test_the_sensor_asks_for_one_run_at_a_time_and_adds_partitions(deployment: Deployment) -> None:
    deployment.put("new:1", name="x")
    context = dg.build_sensor_context(instance=deployment.instance)
    first = listen(context, deployment.engine)
    second = listen(context, deployment.engine)
    assert first.run_requests is not None and len(first.run_requests) == 1
    assert not second.run_requests and second.skip_reason is not None
    assert "new" in deployment.instance.get_dynamic_partitions("forms")


def test_the_sensor_is_content_when_nothing_changed(deployment: Deployment) -> None:
    deployment.put("a:1", name="x")
    assert deployment.run().success
    result = listen(dg.build_sensor_context(instance=deployment.instance), deployment.engine)
    assert not result.run_requests


def test_a_wiped_dagster_instance_loses_nothing(deployment: Deployment) -> None:
    deployment.put("a:1", name="x")
    assert deployment.run().success
    with dg.instance_for_test() as fresh:
        deployment.instance = fresh
        deployment.put("a:2", name="y")
        assert deployment.run().success
        assert deployment.one.forms["a"].keys() == {"a:1", "a:2"}
        assert deployment.status("one") == ({"a"}, set())


def test_a_second_drain_leaves_the_work_to_the_one_that_is_on_it(deployment: Deployment) -> None:
    deployment.put("a:1", name="x")
    lease = Lease(deployment.engine.state)
    lease.take("another run", 30)
    assert deployment.run().success
    assert not deployment.one.forms and lease.holder() == "another run"
    lease.take(STARTING, 30)
    assert deployment.run().success
    assert deployment.one.forms["a"].keys() == {"a:1"} and lease.holder() is None


def test_a_run_that_waits_in_the_queue_is_not_asked_for_again(deployment: Deployment) -> None:
    deployment.put("new:1", name="x")
    context = dg.build_sensor_context(instance=deployment.instance)
    [request] = listen(context, deployment.engine).run_requests or []
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "all"), "drain")
    queued = dg.DagsterRun("drain", tags=request.tags, status=dg.DagsterRunStatus.QUEUED, remote_job_origin=origin)
    deployment.instance.add_run(queued)
    deployment.engine.state["leases"].delete_many({})  # it has waited for longer than a start takes
    assert not listen(context, deployment.engine).run_requests
    deployment.instance.delete_run(queued.run_id)
    assert listen(context, deployment.engine).run_requests


def test_trouble_with_change_capture_fails_the_run_and_makes_no_partition(deployment: Deployment) -> None:
    deployment.put("a:1", name="x")
    assert deployment.run().success
    deployment.engine.state["capture"].update_one({}, {"$unset": {"source": ""}})
    assert not deployment.run().success
    assert deployment.instance.get_dynamic_partitions("forms") == ["a"]


def test_an_integration_that_is_added_later_gets_what_landed_before(deployment: Deployment) -> None:
    deployment.put("a:1", name="x")
    assert deployment.run().success
    three = Shelf()
    later = make_engine(
        deployment.engine.settings.mongo_uri.get_secret_value(),  # pyright: ignore[reportOptionalMemberAccess]
        deployment.engine.settings.mongo_database,
        deployment.engine.settings.home,
        {"one": deployment.one, "three": three},
    )
    assert work_waiting(later)
    list(Drain(later, Limits(0, 60)).run())
    assert three.forms["a"].keys() == {"a:1"}
    later.client.close()
