"""Change capture against a real replica set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from bson import Timestamp
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import AutoReconnect

from collect_pipelines.model import UNROUTED
from collect_pipelines.source.capture import CAPTURE_ID, Capture, Polled, request_rescan, token_time
from collect_pipelines.source.journal import FORM_ITSELF, Journal, Mark
from collect_pipelines.source.state import State, T


class Store:
    """A store and its state for one test."""

    def __init__(self, client: MongoClient, name: str) -> None:
        self.client = client
        self.database = client[name]
        for collection in ("forms", "responses"):
            self.database.create_collection(collection)
        self.state = State(client, f"{name}_state")
        self.state.ensure()
        self.journal = Journal(self.state)
        self.capture = Capture(client, name, self.state)

    def insert(self, *ids: object) -> None:
        self.database.responses.insert_many([{"_id": store_id} for store_id in ids])

    def poll_until_quiet(self, capture: Capture | None = None) -> list[Polled]:
        """Poll until two polls in a row find nothing."""
        polls: list[Polled] = []
        while len(polls) < 2 or polls[-1].events or polls[-2].events or polls[-1].rescan_reason:
            polls.append((capture or self.capture).poll(0.1))
        return polls

    def started(self) -> Store:
        """Pass the first start, whose rescans are not what the test is about."""
        self.poll_until_quiet()
        self.state["rescans"].delete_many({})
        return self

    def marked(self) -> set[object]:
        return {entry["_id"].get("id") for entry in self.state["journal"].find()}

    def rescans(self) -> set[str]:
        return {entry["_id"] for entry in self.state["rescans"].find()}


@pytest.fixture
def store(mongo: MongoClient, database_name: str) -> Iterator[Store]:
    made = Store(mongo, database_name)
    yield made
    made.capture.close()


def test_the_first_start_marks_every_form_for_a_rescan_and_misses_nothing_after_it(store: Store) -> None:
    store.insert("a:1", "b:2", "nonsense", 5)
    store.database.forms.insert_one({"_id": "empty"})
    assert store.capture.poll(0.1).rescan_reason
    assert store.rescans() == {"a", "b", "empty", UNROUTED}
    store.insert("c:1")
    store.poll_until_quiet()
    assert "c:1" in store.marked()


@pytest.mark.parametrize("operation", ["insert", "update", "replace", "delete"])
def test_each_kind_of_change_marks_its_response_under_its_form(store: Store, operation: str) -> None:
    responses = store.database.responses
    if operation != "insert":
        store.insert("fair:1")
    store.started()
    match operation:
        case "insert":
            store.insert("fair:1")
        case "update":
            responses.update_one({"_id": "fair:1"}, {"$set": {"x": 1}})
        case "replace":
            responses.replace_one({"_id": "fair:1"}, {"y": 1})
        case _:
            responses.delete_one({"_id": "fair:1"})
    store.poll_until_quiet()
    assert [(mark.form_id, mark.store_id) for mark in store.journal.take("fair", 10)] == [("fair", "fair:1")]
    assert store.journal.partitions()["fair"] == "fair"


def test_a_changed_form_is_marked_itself(store: Store) -> None:
    store.started()
    store.database.forms.insert_one({"_id": "fair", "titles": {}})
    store.poll_until_quiet()
    assert [mark.store_id for mark in store.journal.take("fair", 10)] == [FORM_ITSELF]


def test_ids_of_any_type_are_marked_as_unrouted(store: Store) -> None:
    store.started()
    ids = [7, 2.5, "no colon", {"a": 1}, b"\x00\xff", datetime(2026, 1, 1, tzinfo=UTC)]
    store.insert(*ids)
    store.poll_until_quiet()
    assert len(store.journal.take(UNROUTED, 100)) == len(ids)
    found = store.database.responses.find({"_id": {"$in": [m.store_id for m in store.journal.take(UNROUTED, 100)]}})
    assert len(list(found)) == len(ids)


def test_another_process_goes_on_where_the_first_one_stopped(store: Store, database_name: str) -> None:
    store.started()
    store.capture.close()
    store.insert("a:1", "a:2")
    other = Capture(store.client, database_name, store.state)
    store.poll_until_quiet(other)
    other.close()
    assert store.marked() == {"a:1", "a:2"}


def test_two_followers_at_once_mark_everything_and_the_token_never_goes_back(store: Store, database_name: str) -> None:
    store.started()
    other = Capture(store.client, database_name, store.state)
    seen: list[Timestamp] = []
    for number in range(20):
        store.insert(f"a:{number}")
        (store.capture if number % 3 else other).poll(0.1)
        saved = store.state["capture"].find_one({"_id": CAPTURE_ID})
        assert saved is not None
        seen.append(token_time(saved["token"]))
    store.poll_until_quiet()
    other.close()
    assert store.marked() == {f"a:{number}" for number in range(20)}
    assert seen == sorted(seen)


def test_a_mark_that_was_renewed_meanwhile_survives_its_acknowledgement(store: Store) -> None:
    store.started()
    store.insert("a:1")
    store.poll_until_quiet()
    taken = store.journal.take("a", 10)
    store.database.responses.update_one({"_id": "a:1"}, {"$set": {"x": 1}})
    store.poll_until_quiet()
    store.journal.acknowledge(taken)
    assert store.marked() == {"a:1"}
    store.journal.acknowledge(store.journal.take("a", 10))
    assert store.marked() == set()


def test_an_idle_follower_saves_newer_tokens(store: Store) -> None:
    store.started()
    before = store.capture.position_time()
    store.client["elsewhere_idle"]["x"].insert_one({})
    store.capture._saved_at = -1e9  # as if the last save were long ago
    store.capture.poll(1.5)
    after = store.capture.position_time()
    store.client.drop_database("elsewhere_idle")
    assert before is not None and after is not None and after >= before


def _from_the_future(store: Store) -> None:
    saved = store.state["capture"].find_one({"_id": CAPTURE_ID})
    assert saved is not None
    data = saved["token"]["_data"]
    later = f"{int(data[2:10], 16) + 3600:08X}"
    store.state["capture"].update_one({"_id": CAPTURE_ID}, {"$set": {"token._data": data[:2] + later + data[10:]}})


def _malformed(store: Store) -> None:
    store.state["capture"].update_one({"_id": CAPTURE_ID}, {"$set": {"token": {"_data": "82" + "0" * 16 + "FF"}}})


def _recreated(store: Store) -> None:
    store.database.responses.drop()
    store.database.create_collection("responses")


def _renamed(store: Store) -> None:
    store.database.responses.rename("responses_old")
    store.database.create_collection("responses")


def _dropped(store: Store) -> None:
    store.client.drop_database(store.database.name)
    store.database.create_collection("responses")


def _wiped_state(store: Store) -> None:
    store.state["capture"].delete_many({})


@pytest.mark.parametrize("how", [_from_the_future, _malformed, _recreated, _renamed, _dropped, _wiped_state])
@pytest.mark.parametrize("follower_is_open", [True, False])
def test_a_position_that_cannot_be_used_leads_to_a_rescan_and_nothing_is_missed(
    store: Store, how: object, follower_is_open: bool
) -> None:
    store.insert("a:1")
    store.started()
    if not follower_is_open or how in (_from_the_future, _malformed, _wiped_state):
        store.capture.close()
    assert callable(how)
    how(store)
    store.insert("b:2")
    polls = store.poll_until_quiet()
    assert any(poll.rescan_reason for poll in polls)
    assert "b" in store.rescans() or "b:2" in store.marked()
    assert store.state["incidents"].count_documents({}) >= 2
    store.insert("b:3")
    store.poll_until_quiet()
    assert "b:3" in store.marked()


def test_a_large_document_and_a_large_update_pass(store: Store) -> None:
    store.started()
    store.database.responses.insert_one({"_id": "a:1", "blob": "x" * (15 << 20)})
    store.database.responses.update_one({"_id": "a:1"}, {"$set": {"blob": "y" * (15 << 20)}})
    store.insert("a:2")
    store.poll_until_quiet()
    assert store.marked() == {"a:1", "a:2"}


def test_a_renewed_rescan_starts_over_and_stays_full(store: Store) -> None:
    now = datetime.now(UTC)
    request_rescan(store.state, "a", "first", now, full=True)
    store.state["rescans"].update_one({"_id": "a"}, {"$set": {"after": "a:5"}})
    request_rescan(store.state, "a", "second", now, full=False)
    found = store.state["rescans"].find_one({"_id": "a"})
    assert found is not None
    assert (found["after"], found["full"], found["reason"]) == (None, True, "second")


def test_marks_keep_the_newest_position(store: Store) -> None:
    now = datetime.now(UTC)
    store.journal.put([Mark("a", "a:1", "5")], now)
    store.journal.put([Mark("a", "a:1", "3")], now)
    assert [mark.position for mark in store.journal.take("a", 5)] == ["5"]


class Fragile(State):
    """A state database that is away for one transaction."""

    fails = False

    def transaction(self, work: Callable[[ClientSession], T]) -> T:
        if self.fails:
            self.fails = False
            raise AutoReconnect("connection closed")
        return super().transaction(work)


def test_changes_that_were_read_but_could_not_be_saved_are_read_again(store: Store, database_name: str) -> None:
    state = Fragile(store.client, f"{database_name}_state")
    store.capture = Capture(store.client, database_name, state)
    store.started()
    store.insert("a:1")
    state.fails = True
    with pytest.raises(AutoReconnect):
        store.capture.poll(5)
    store.insert("a:2")
    store.poll_until_quiet()
    assert store.marked() == {"a:1", "a:2"}


def test_a_collection_that_is_renamed_to_the_responses_is_read(store: Store) -> None:
    store.database.restored.insert_one({"_id": "late:1"})
    store.database.responses.drop()
    store.started()
    store.database.restored.rename("responses")
    assert any(poll.rescan_reason for poll in store.poll_until_quiet())
    assert "late" in store.rescans()


def test_an_id_too_long_for_the_change_stream_does_not_stop_it(store: Store) -> None:
    store.started()
    store.insert("long:" + "x" * (7 << 20))
    assert any(poll.rescan_reason for poll in store.poll_until_quiet())
    store.insert("b:1")
    store.poll_until_quiet()
    assert "long" in store.rescans()
    assert "b:1" in store.marked()
