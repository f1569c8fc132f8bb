"""The instance settings of the repository on a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import psycopg2
import pytest

from collect_pipelines.embedded.dagster_home import find_instance_file, make_dagster_home
from collect_pipelines.embedded.postgres import Postgres
from collect_pipelines.orchestration.launcher import HealthCheckedRunLauncher
from collect_pipelines.orchestration.storage import KEPT_CONNECTIONS, PooledPostgresStorage


@pytest.fixture
def instance(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of the repository's own dagster.yaml."""
    monkeypatch.setenv("COLLECT_POSTGRES_URL", postgres.url)
    make_dagster_home(tmp_path, 1)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def connections(postgres: Postgres) -> int:
    connection = psycopg2.connect(postgres.url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'dagster' AND pid <> pg_backend_pid()"
            )
            row = cursor.fetchone()
            assert row is not None
            return int(row[0])
    finally:
        connection.close()


def test_the_instance_file_is_accepted_and_names_our_storage_and_launcher(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, HealthCheckedRunLauncher)
    storage = instance.get_ref().storage
    assert isinstance(storage, PooledPostgresStorage)
    storage.event_log_storage.dispose()
    assert instance.run_monitoring_enabled
    assert not instance.telemetry_enabled
    assert find_instance_file().parent == Path(__file__).parents[2]


def test_a_process_keeps_few_connections_after_many_queries_at_once(
    instance: dg.DagsterInstance, postgres: Postgres
) -> None:
    instance.optimize_for_webserver(statement_timeout=1000, pool_recycle=60, max_overflow=20)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: (instance.get_runs_count(), instance.all_asset_keys()), range(64)))
    assert connections(postgres) <= KEPT_CONNECTIONS
    instance.dispose()
    end = time.monotonic() + 10  # PostgreSQL takes a moment to see that they are closed
    while connections(postgres) and time.monotonic() < end:
        time.sleep(0.05)
    assert connections(postgres) == 0


def test_connections_from_before_a_restart_of_postgresql_are_replaced(
    instance: dg.DagsterInstance, postgres: Postgres
) -> None:
    assert instance.get_runs_count() == 0
    connection = psycopg2.connect(postgres.url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    connection.close()
    assert instance.get_runs_count() == 0
