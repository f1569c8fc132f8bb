"""The roles against a mongod that asks for passwords: each user can do its work and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from collect_pipelines.embedded.mongod import Mongod, free_port, make_primary, mongod_command
from collect_pipelines.errors import ConfigurationError
from collect_pipelines.source.connection import connect, mongo_errors
from collect_pipelines.source.documents import form_document, response_document
from collect_pipelines.source.roles import OWNER, READER, STATE, WRITER, ensure_roles
from collect_pipelines.source.store import CollectStore
from collect_pipelines.source.writes import Edit, Submitted

pytestmark = pytest.mark.slow

PASSWORD = "pass/word"
USERS = {"owner": [OWNER], "pipeline": [READER, STATE], "portal": [READER], "collector": [WRITER]}


class Guarded:
    """A mongod with users."""

    def __init__(self, mongod: Mongod) -> None:
        self.mongod = mongod

    def client(self, user: str, password: str = PASSWORD) -> MongoClient:
        address = self.mongod.uri.removeprefix("mongodb://")
        return connect(f"mongodb://{user}:{password.replace('/', '%2F')}@{address}&authSource=admin", timeout_seconds=5)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    key = folder / "key"
    key.write_text("c2VjcmV0IG9mIHRoZSB0ZXN0cw==")
    key.chmod(0o400)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*mongod_command(folder, port), "--auth", "--keyFile", str(key)], stdout=log, stderr=log
        )
    mongod = Mongod(process, port)
    try:
        make_primary(port)
        guarded = Guarded(mongod)
        with MongoClient(mongod.uri) as client:  # the first user is made without one
            client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        with guarded.client("root") as client:
            ensure_roles(client)
            ensure_roles(client)
            for user, granted in USERS.items():
                client.admin.command("createUser", user, pwd=PASSWORD, roles=granted)
        yield guarded
    finally:
        mongod.stop()


@pytest.fixture(scope="module")
def _store(guarded: Guarded) -> None:
    with guarded.client("owner") as client:
        CollectStore(client).ensure()
        CollectStore(client).ensure()


@pytest.mark.usefixtures("_store")
def test_the_collector_writes_forms_and_responses_and_no_more(guarded: Guarded) -> None:
    with guarded.client("collector") as client:
        store = CollectStore(client)
        store.ensure()
        store.save_form(form_document("f", "F", []))
        assert store.submit([response_document("f", "1", {"a": 1})]) == Submitted(added=1)
        assert store.edit([Edit("f:1", {"a": 2})]) == 1
        assert store.delete(["f:1"]) == 1
        with pytest.raises(ConfigurationError, match="does not allow insert on collect"), mongo_errors():
            client.collect.responses.insert_one({"_id": 1}, bypass_document_validation=True)
        with pytest.raises(OperationFailure, match="not authorized"):
            client.collect.responses.drop()
        with pytest.raises(OperationFailure, match="not authorized"):
            client.collect_pipelines.journal.find_one()


@pytest.mark.usefixtures("_store")
def test_the_pipeline_reads_the_store_and_writes_only_its_own_state(guarded: Guarded) -> None:
    with guarded.client("pipeline") as client:
        with client.collect.watch(max_await_time_ms=10) as stream:
            assert stream.try_next() is None
        CollectStore(client).ensure()
        assert CollectStore(client).forms() is not None
        assert CollectStore(client).responses("f").next is None
        list(client.collect.list_collections())
        client.collect_pipelines.create_collection("probe")
        client.collect_pipelines.probe.create_index("a")
        with client.start_session() as session, session.start_transaction():
            client.collect_pipelines.probe.insert_one({"a": 1}, session=session)
        with pytest.raises(OperationFailure, match="not authorized"):
            client.collect.responses.delete_one({"_id": "f:1"})
        with pytest.raises(OperationFailure, match="not authorized"):
            client.collect.forms.update_one({}, {"$set": {"a": 1}})


@pytest.mark.usefixtures("_store")
def test_the_portal_reads_and_writes_nothing(guarded: Guarded) -> None:
    with guarded.client("portal") as client:
        assert CollectStore(client).counts() is not None
        with pytest.raises(ConfigurationError, match="does not allow insert"), mongo_errors():
            client.collect_pipelines.probe.insert_one({})


def test_a_wrong_password_is_a_matter_of_configuration_and_is_not_repeated(guarded: Guarded) -> None:
    with guarded.client("owner", "wrong/Secret-7") as client, pytest.raises(ConfigurationError) as told:
        CollectStore(client).forms()
    assert "user name or password" in str(told.value)
    assert "Secret-7" not in str(told.value) + repr(told.value.__cause__)
