"""What the Dagster UI sends when someone materialises partitions, and what it then shows. Over GraphQL, as the UI."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

ALL_ASSETS = ("responses", "google_sheet", "csv_export")
HERE = {"repositoryLocationName": "collect_pipelines", "repositoryName": "__repository__"}
INCREMENTAL = "ops:\n  deliver:\n    config:\n      rebuild: false\n"  # the launchpad sends YAML

LAUNCH_RUN = """mutation($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } ... on InvalidSubsetError { message } } }"""
LAUNCH_BACKFILL = """mutation($p: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $p) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } } } }"
BACKFILL = """query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
  ... on PartitionBackfill { status error { message } runs: runs(limit: 50) { runId status } } } }"""
PARTITIONS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } } } } }"""


@dataclass(frozen=True)
class DagsterUi:
    """The webserver of one deployment."""

    address: str

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.address}/graphql", json={"query": query, "variables": variables}, timeout=60)
        body = answer.json()
        assert "errors" not in body, body["errors"]
        return next(iter(body["data"].values()))

    def materialise_one(
        self, key: str, assets: Sequence[str] = ALL_ASSETS, config: str = "", job: str = "__ASSET_JOB"
    ) -> str:
        """Launch the run of one partition; return its id."""
        return self._launch({"dagster/partition": key}, assets, config, job)

    def materialise_range(self, first: str, last: str) -> str:
        """Launch a single run of neighbouring partitions, "launch as single run"; return its id."""
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return self._launch(tags, ALL_ASSETS, "", "__ASSET_JOB")

    def backfill(self, keys: Sequence[str], assets: Sequence[str] = ALL_ASSETS, config: str = "") -> str:
        """Launch a backfill of several partitions; return its id."""
        chosen = {"assetSelection": _keys(assets), "partitionNames": list(keys), "fromFailure": False}
        return self._backfill(chosen, config)

    def backfill_job(self, job: str, keys: Sequence[str]) -> str:
        """Launch a backfill from the page of a job; return its id."""
        selector = {"partitionSetName": f"{job}_partition_set", "repositorySelector": HERE}
        chosen = {"assetSelection": _keys(ALL_ASSETS), "partitionNames": list(keys), "fromFailure": False}
        return self._backfill({**chosen, "selector": selector}, "")

    def run_status(self, run_id: str) -> str:
        return self.ask(RUN, id=run_id)["status"]

    def backfill_status(self, backfill_id: str) -> tuple[str, list[str]]:
        """Its status and those of its runs."""
        found = self.ask(BACKFILL, id=backfill_id)
        assert not found.get("error"), found
        return found["status"], [run["status"] for run in found["runs"]]

    def wait_for_run(self, run_id: str, seconds: float = 90.0) -> str:
        """Wait until it has ended; return how."""
        end = time.monotonic() + seconds
        while (status := self.run_status(run_id)) not in ("SUCCESS", "FAILURE", "CANCELED"):
            assert time.monotonic() < end, f"run {run_id} is {status} after {seconds:.0f} s"
            time.sleep(0.3)
        return status

    def wait_for_backfill(self, backfill_id: str, seconds: float = 120.0) -> tuple[str, list[str]]:
        """Wait until it has ended; return its status and those of its runs."""
        end = time.monotonic() + seconds
        while (found := self.backfill_status(backfill_id))[0] in ("REQUESTED", "CANCELING", "COMPLETING"):
            assert time.monotonic() < end, f"backfill {backfill_id} is {found} after {seconds:.0f} s"
            time.sleep(0.3)
        return found

    def partitions(self, asset: str) -> tuple[set[str], set[str]]:
        """The (materialised, failed) partitions that the asset's page shows."""
        shown = self.ask(PARTITIONS, key={"path": [asset]})["assetPartitionStatuses"]
        return set(shown["materializedPartitions"]), set(shown["failedPartitions"])

    def _launch(self, tags: dict[str, str], assets: Sequence[str], config: str, job: str) -> str:
        selector = {**HERE, "pipelineName": job, "assetSelection": _keys(assets), "assetCheckSelection": []}
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        params = {"mode": "default", "executionMetadata": {"tags": listed}, "runConfigData": config or "{}"}
        answer = self.ask(LAUNCH_RUN, p={**params, "selector": selector})
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def _backfill(self, chosen: dict[str, Any], config: str) -> str:
        params = {"tags": [], **chosen, **({"runConfigData": config} if config else {})}
        answer = self.ask(LAUNCH_BACKFILL, p=params)
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return answer["backfillId"]


def _keys(assets: Sequence[str]) -> list[dict[str, list[str]]]:
    return [{"path": [asset]} for asset in assets]
