"""Real servers shared by the tests of one worker process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import pytest
from pymongo import MongoClient

from collect_pipelines.embedded.mongod import Mongod, start_mongod
from collect_pipelines.embedded.postgres import Postgres, start_postgres


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A real mongod, one-node replica set, of this worker."""
    memory = Path("/dev/shm")  # the tests ask for durable writes a lot, and no power will fail here
    folder = Path(mkdtemp(dir=memory)) if os.access(memory, os.W_OK) else tmp_path_factory.mktemp("mongod")
    server = start_mongod(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


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
def database_name() -> str:
    """A database name of the test's own; the state database is `<name>_state`. They go with the server."""
    return f"t{uuid4().hex[:10]}"
