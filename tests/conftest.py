"""Real servers shared by the tests of one worker process."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from pymongo import MongoClient

from collect_pipelines.embedded.mongod import Mongod, start_mongod
from collect_pipelines.embedded.postgres import Postgres, start_postgres


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A real mongod, one-node replica set, of this worker."""
    server = start_mongod(tmp_path_factory.mktemp("mongod"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A real PostgreSQL of this worker, with Dagster's empty database at `postgres.url`."""
    server = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture
def mongo(mongod: Mongod) -> Iterator[MongoClient]:
    """A client of the worker's mongod."""
    with MongoClient(mongod.uri, tz_aware=True) as client:
        yield client


@pytest.fixture
def database_name(mongo: MongoClient) -> Iterator[str]:
    """A database name of the test's own; the state database is `<name>_state`. Both are dropped afterwards."""
    name = f"t{uuid4().hex[:10]}"
    yield name
    mongo.drop_database(name)
    mongo.drop_database(f"{name}_state")
