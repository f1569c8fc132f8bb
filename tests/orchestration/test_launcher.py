"""Whether a run's worker still lives, told by its process id and start time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from collect_pipelines.orchestration.launcher import HealthCheckedRunLauncher, is_alive

HERE = '{"host": "127.0.0.1", "port": 1}'


@pytest.fixture
def launcher() -> Iterator[tuple[dg.DagsterInstance, HealthCheckedRunLauncher]]:
    launcher = HealthCheckedRunLauncher()
    with dg.DagsterInstance.ephemeral() as instance:
        launcher.register_instance(instance)
        yield instance, launcher


def started_run(instance: dg.DagsterInstance, pid: int, where: str) -> dg.DagsterRun:
    """A run whose worker has told its process id, as Dagster's own worker does."""
    run = dg.DagsterRun("drain", tags={GRPC_INFO_TAG: where})
    instance.add_run(run)
    instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
    return run


def test_a_run_is_running_while_its_worker_lives_and_failed_when_it_was_killed(
    launcher: tuple[dg.DagsterInstance, HealthCheckedRunLauncher],
) -> None:
    instance, checker = launcher
    worker = subprocess.Popen(["sleep", "60"])
    run = started_run(instance, worker.pid, HERE)
    try:
        assert checker.check_run_worker_health(run).status is WorkerStatus.RUNNING
    finally:
        worker.kill()
    deadline = time.monotonic() + 5  # a zombie, not yet reaped by us, is dead too
    while checker.check_run_worker_health(run).status is not WorkerStatus.FAILED:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker.wait()
    assert checker.check_run_worker_health(run).status is WorkerStatus.FAILED


def test_a_worker_that_cannot_be_seen_from_here_is_never_called_dead(
    launcher: tuple[dg.DagsterInstance, HealthCheckedRunLauncher],
) -> None:
    instance, checker = launcher
    gone = subprocess.Popen(["true"])
    gone.wait()
    elsewhere = started_run(instance, gone.pid, '{"host": "code-server", "port": 4000}')
    silent = dg.DagsterRun("drain", tags={GRPC_INFO_TAG: HERE})
    instance.add_run(silent)
    assert checker.check_run_worker_health(elsewhere).status is WorkerStatus.RUNNING
    assert checker.check_run_worker_health(silent).status is WorkerStatus.RUNNING


def test_a_process_that_began_after_the_worker_spoke_is_another_one() -> None:
    assert is_alive(os.getpid(), time.time())
    assert not is_alive(os.getpid(), time.time() - 100_000)
