"""Dagster's PostgreSQL storage with one small pool of connections per process.

Outside the webserver dagster-postgres opens a connection for every query, which is most of the cost of an event
(300 forms in one run: 24-32 s against 9-11 s). The three storages of a process share one pool here.
"""

from __future__ import annotations

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config
from sqlalchemy.engine import Engine

# Of a process: kept open, and how many more for a moment. 13 processes (10 runs) stay far below 100 connections.
KEPT_CONNECTIONS = 2
MORE_CONNECTIONS = 13


class _SharedPool:
    """Keeps its engine where dagster-webserver would make one of its own per storage."""

    _engine: Engine

    def share(self, engine: Engine) -> None:
        """Use this engine from now on."""
        self._engine.dispose()
        self._engine = engine

    def dispose(self) -> None:
        """Close the connections: the code server opens an instance for every evaluation of a sensor."""
        super().dispose()  # pyright: ignore[reportAttributeAccessIssue] (the storage that this is mixed into)
        self._engine.dispose()

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Do nothing: the pool is there already, and survives a restart of PostgreSQL."""


class _Runs(_SharedPool, PostgresRunStorage): ...


class _Events(_SharedPool, PostgresEventLogStorage): ...


class _Schedules(_SharedPool, PostgresScheduleStorage): ...


class PooledPostgresStorage(DagsterPostgresStorage):
    """DagsterPostgresStorage whose connections are kept and shared. Configured as the original."""

    def __init__(
        self, postgres_url: str, should_autocreate_tables: bool = True, inst_data: ConfigurableClassData | None = None
    ) -> None:
        postgres_url = _with_driver(postgres_url)
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        engine = create_pg_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=KEPT_CONNECTIONS,
            max_overflow=MORE_CONNECTIONS,
            # Ask before use: a connection from before PostgreSQL's restart is replaced, not an error.
            pool_pre_ping=True,
        )
        runs, events, schedules = (
            _Runs(postgres_url, False),
            _Events(postgres_url, False),
            _Schedules(postgres_url, False),
        )
        for storage in (runs, events, schedules):
            storage.share(engine)
        self._run_storage, self._event_log_storage, self._schedule_storage = runs, events, schedules

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> PooledPostgresStorage:
        """Build it from the `config` of dagster.yaml."""
        create = config_value.get("should_autocreate_tables", True)
        return cls(pg_url_from_config(config_value), create, inst_data)


def _with_driver(url: str) -> str:
    """Name the driver that dagster-postgres brings: SQLAlchemy 2.1 takes another one when the address names none."""
    scheme, rest = url.split("://", 1)
    return f"postgresql+psycopg2://{rest}" if scheme in ("postgresql", "postgres") else url
