"""Connecting, and what MongoDB's errors become."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure
from pymongo.read_preferences import Primary

from collect_pipelines.embedded.mongod import Mongod, find_mongod, free_port
from collect_pipelines.errors import CollectError, ConfigurationError, FatalError, HistoryLost, TransientError
from collect_pipelines.source.connection import connect, mongo_errors


def test_writes_are_durable_and_reads_majority_whatever_the_address_says(mongod: Mongod) -> None:
    with connect(f"{mongod.uri}&w=1&journal=false&readConcernLevel=local&readPreference=nearest") as client:
        assert client.write_concern.document == {"w": "majority", "j": True}
        assert client.read_concern.level == "majority"
        assert client.read_preference == Primary()
        assert client.options.retry_writes
        assert client.options.retry_reads
        assert client.codec_options.tz_aware


@pytest.mark.parametrize(
    "uri",
    [
        "http://user:hunter2@host",
        "mongodb://user:hun/ter2@host",
        "mongodb://user:hunter2@ss@host:99999999",
        "mongodb://user:hunter2@host:port",
        "mongodb://",
        "",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_without_its_password(uri: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        connect(uri)
    assert "COLLECT_MONGO_URI" in str(told.value)
    assert "ter2" not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.hint


def test_a_server_that_is_away_is_tried_again_later() -> None:
    port = free_port()
    start = time.monotonic()
    with (
        connect(f"mongodb://user:hunter2@127.0.0.1:{port}", timeout_seconds=0.3) as client,
        pytest.raises(TransientError) as told,
        mongo_errors(),
    ):
        client.admin.command("ping")
    assert time.monotonic() - start < 5
    assert str(port) in str(told.value)
    assert "hunter2" not in str(told.value) + repr(told.value.__cause__)


def test_a_server_without_replica_set_is_a_matter_of_configuration(tmp_path: Path) -> None:
    port = free_port()
    command = [str(find_mongod()), "--port", str(port), "--bind_ip", "127.0.0.1", "--dbpath", str(tmp_path)]
    process = subprocess.Popen([*command, "--nounixsocket"], stdout=subprocess.DEVNULL)
    try:
        with connect(f"mongodb://127.0.0.1:{port}", timeout_seconds=20) as client:
            with pytest.raises(ConfigurationError, match="a replica set"), mongo_errors():
                client.collect.watch()
            with (
                pytest.raises(ConfigurationError, match="a replica set"),
                mongo_errors(),
                client.start_session() as session,
                session.start_transaction(),
            ):
                client.collect.probe.insert_one({}, session=session)
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (OperationFailure("gone", 286), HistoryLost),
        (OperationFailure("gone", 280), HistoryLost),
        (OperationFailure("gone", 260), HistoryLost),
        (OperationFailure("stepdown", 10107), TransientError),
        (OperationFailure("full", 14031), TransientError),
        (OperationFailure("secret answers", 96), FatalError),
        (AutoReconnect("lost"), TransientError),
        (BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}), TransientError),
        (BulkWriteError({"writeErrors": [{"index": 0, "code": 2, "errmsg": "secret answers"}]}), FatalError),
        (OperationFailure("document {secret answers}", 121), FatalError),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(getattr(value, "code", "")) or type(value).__name__,
)
def test_errors_are_grouped_by_what_happens_next_and_quote_no_answers(
    error: Exception, becomes: type[CollectError]
) -> None:
    with pytest.raises(becomes) as told, mongo_errors():
        raise error
    assert "secret answers" not in str(told.value)
    if isinstance(error, OperationFailure):
        assert told.value.__cause__ is None
        assert told.value.__suppress_context__


def test_a_refused_document_is_not_quoted(mongo: MongoClient, database_name: str) -> None:
    mongo[database_name].create_collection("strict", validator={"a": 1})
    with pytest.raises(FatalError) as told, mongo_errors():
        mongo[database_name].strict.insert_one({"name": "secret answers"})
    assert "secret answers" not in str(told.value)
