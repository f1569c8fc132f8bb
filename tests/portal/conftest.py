"""A portal over real HTTP, on a real mongod."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from pymongo import MongoClient
from starlette.applications import Starlette

from collect_pipelines.delivery.csv_export import CsvExports
from collect_pipelines.portal.application import build_application
from collect_pipelines.portal.portal import open_portal
from collect_pipelines.settings import Settings
from collect_pipelines.source.store import CollectStore


@contextmanager
def serving(application: Starlette) -> Iterator[str]:
    """Serve an application on a free port of the loopback interface."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def settings(tmp_path: Path, database_name: str) -> Settings:
    return Settings(home=tmp_path, mongo_database=database_name, state_database=f"{database_name}_state")


@pytest.fixture
def store(mongo: MongoClient, database_name: str) -> CollectStore:
    store = CollectStore(mongo, database_name)
    store.ensure()
    return store


@pytest.fixture
def exports(settings: Settings) -> CsvExports:
    return CsvExports(settings.exports, settings.language)


@pytest.fixture
def portal(settings: Settings, mongo: MongoClient) -> Iterator[httpx.Client]:
    """A client of the running portal. Visitors before the data arrives would see it half a second later."""
    with serving(build_application(open_portal(settings, mongo))) as address, httpx.Client(base_url=address) as client:
        yield client
