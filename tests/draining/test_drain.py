"""Draining with a real MongoDB and real response tables: what is in the store ends up at every destination."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from collect_pipelines.draining.backfill import backfill
from collect_pipelines.draining.drain import Drain, Limits
from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.stages import Outcome, land
from collect_pipelines.embedded.mongod import Mongod
from collect_pipelines.errors import DestinationChanged, TransientError
from collect_pipelines.model import UNROUTED
from collect_pipelines.source.capture import request_rescan
from tests.draining.shelf import Shelf, make_engine

QUESTIONS = [
    {"id": "name", "type": "text", "titles": {"en": "Name"}, "position": 1},
    {"id": "age", "type": "integer", "titles": {"en": "Age"}, "position": 2},
]


@dataclass
class Setup:
    """One deployment with two shelves."""

    engine: Engine
    one: Shelf
    two: Shelf

    @property
    def responses(self) -> Any:
        return self.engine.client[self.engine.settings.mongo_database]["responses"]

    @property
    def forms(self) -> Any:
        return self.engine.client[self.engine.settings.mongo_database]["forms"]

    def form(self, form_id: str, questions: list[dict[str, Any]] | None = None) -> None:
        document = {"titles": {"en": form_id}, "questions": QUESTIONS if questions is None else questions}
        self.forms.update_one({"_id": form_id}, {"$set": document}, upsert=True, bypass_document_validation=True)

    def put(self, response_id: str, **answers: Any) -> None:
        change = {"$set": {"form_id": response_id.split(":")[0], "answers": answers}, "$inc": {"revision": 1}}
        self.responses.update_one({"_id": response_id}, change, upsert=True, bypass_document_validation=True)

    def drain(self, seconds: float = 0.0) -> list[Outcome]:
        """Drain until nothing is left, twice if the first look came before the stream had everything."""
        outcomes: list[Outcome] = []
        while True:
            self.poll_until_quiet()
            done = list(chain.from_iterable(Drain(self.engine, Limits(seconds, 60), capture=False).run()))
            outcomes += done
            if not done:
                return outcomes

    def poll_until_quiet(self) -> None:
        capture = self.engine.capture()
        quiet = 0
        while quiet < 2:
            polled = capture.poll(0.15)
            quiet = 0 if polled.events or polled.rescan_reason else quiet + 1
        capture.close()


@pytest.fixture
def setup(mongod: Mongod, database_name: str, tmp_path: Path) -> Iterator[Setup]:
    one, two = Shelf(), Shelf()
    engine = make_engine(mongod.uri, database_name, tmp_path, {"one": one, "two": two})
    _ = engine.state
    yield Setup(engine, one, two)
    engine.client.close()


def test_what_is_there_before_the_first_start_and_what_comes_later_reach_every_destination(setup: Setup) -> None:
    setup.form("fair")
    setup.put("fair:1", name="Ash", age=10)
    setup.drain()
    setup.put("fair:2", name="Misty", age=12)
    setup.put("fair:1", name="Ash Ketchum", age=10)
    setup.drain()
    for shelf in (setup.one, setup.two):
        assert shelf.answers("fair", "name") == {"fair:1": "Ash Ketchum", "fair:2": "Misty"}
        assert shelf.answers("fair", "age") == {"fair:1": 10, "fair:2": 12}


def test_a_deleted_response_leaves_every_destination(setup: Setup) -> None:
    setup.put("fair:1", name="Ash")
    setup.put("fair:2", name="Misty")
    setup.drain()
    setup.responses.delete_one({"_id": "fair:1"})
    setup.drain()
    assert set(setup.one.forms["fair"]) == set(setup.two.forms["fair"]) == {"fair:2"}


def test_a_delete_while_nobody_listened_and_the_history_was_lost_is_noticed(setup: Setup) -> None:
    setup.form("fair")
    setup.put("fair:1", name="Ash")
    setup.put("fair:2", name="Misty")
    setup.drain()
    setup.responses.delete_one({"_id": "fair:1"})
    setup.engine.state["capture"].delete_many({})
    setup.drain()
    assert set(setup.one.forms["fair"]) == {"fair:2"}


def test_a_rescan_of_unchanged_responses_delivers_nothing_again(setup: Setup) -> None:
    setup.form("fair")
    for number in range(20):
        setup.put(f"fair:{number}", name=str(number))
    setup.drain()
    before = setup.engine.landing.table("fair").load()
    setup.engine.state["capture"].delete_many({})
    setup.drain()
    assert setup.engine.landing.table("fair").load().watermark.sequence == before.watermark.sequence


def test_a_wiped_state_database_loses_nothing_and_doubles_nothing(setup: Setup) -> None:
    setup.form("fair")
    setup.put("fair:1", name="Ash")
    setup.drain()
    for name in ("capture", "journal", "rescans", "partitions", "tables", "deliveries", "leases"):
        setup.engine.state[name].delete_many({})
    setup.put("fair:2", name="Misty")
    setup.drain()
    assert setup.one.answers("fair", "name") == {"fair:1": "Ash", "fair:2": "Misty"}


def test_a_new_question_becomes_a_column_and_answers_that_came_before_it_find_it(setup: Setup) -> None:
    setup.form("fair", QUESTIONS[:1])
    setup.put("fair:1", name="Ash", age=10)
    setup.drain()
    assert setup.one.forms["fair"]["fair:1"].get("age") is None
    setup.form("fair", QUESTIONS)
    setup.drain()
    assert setup.one.answers("fair", "age") == {"fair:1": 10}


def test_a_retyped_question_is_read_again_under_its_new_type(setup: Setup) -> None:
    setup.form("fair", [{"id": "age", "type": "text", "position": 1}])
    setup.put("fair:1", age=10)
    setup.put("fair:2", age="ten")
    setup.drain()
    setup.form("fair", [{"id": "age", "type": "integer", "position": 1}])
    setup.drain()
    assert setup.one.answers("fair", "age") == {"fair:1": 10, "fair:2": ("ten",)}


def test_a_changed_title_alone_makes_the_destinations_look_again(setup: Setup) -> None:
    setup.form("fair")
    setup.put("fair:1", name="Ash")
    setup.drain()
    looked = len(setup.one.deliveries)
    setup.forms.update_one({"_id": "fair"}, {"$set": {"questions.0.titles.en": "Full name"}})
    setup.drain()
    assert len(setup.one.deliveries) > looked


def test_one_broken_form_and_one_broken_destination_stop_nobody_else(setup: Setup) -> None:
    for form_id in ("a", "b", "c"):
        setup.put(f"{form_id}:1", name=form_id)
    setup.two.trouble["b"] = DestinationChanged("the sheet is not shared", hint="share it")
    setup.one.trouble["c"] = TransientError("later", retry_after_seconds=60)
    outcomes = setup.drain()
    assert set(setup.one.forms) >= {"a", "b"} and set(setup.two.forms) >= {"a", "c"}
    failed = [(outcome.stage, outcome.form_id) for outcome in outcomes if outcome.final]
    assert failed == [("two", "b")]
    states = {entry["_id"]: entry["status"] for entry in setup.engine.state["deliveries"].find({"pending": True})}
    assert states == {"two/b": "failed", "one/c": "waiting"}


def test_a_delivery_that_failed_is_made_up_for_when_its_time_comes(setup: Setup) -> None:
    setup.put("a:1", name="Ash")
    setup.one.trouble["a"] = DestinationChanged("gone")
    setup.drain()
    setup.one.trouble.clear()
    setup.engine.state["deliveries"].update_many({}, [{"$set": {"due_at": "$$NOW"}}])
    setup.drain()
    assert setup.one.answers("a", "name").keys() == {"a:1"}
    assert setup.engine.state["deliveries"].count_documents({"pending": True}) == 0


def test_a_bug_in_a_destination_is_shown_without_the_answers(setup: Setup) -> None:
    setup.put("a:1", name="secret-answer")
    setup.one.trouble["a"] = ValueError("could not parse secret-answer")
    [failed] = [outcome for outcome in setup.drain() if outcome.final]
    assert "ValueError" in failed.error and "secret-answer" not in failed.error
    assert setup.two.answers("a", "name") == {"a:1": None}


def test_odd_ids_are_kept_together_in_a_form_of_their_own(setup: Setup) -> None:
    setup.responses.insert_many([{"_id": 7, "answers": {"x": 1}}, {"_id": "odd"}], bypass_document_validation=True)
    setup.responses.insert_one({"_id": "fair:"}, bypass_document_validation=True)
    setup.drain()
    assert len(setup.one.forms[UNROUTED]) == 3 and "fair" not in setup.one.forms
    setup.responses.delete_one({"_id": "fair:"})
    setup.drain()
    assert len(setup.one.forms[UNROUTED]) == 2
    list(backfill(setup.engine, ["fair", UNROUTED], {"responses"}, rebuild=True))
    setup.responses.delete_one({"_id": 7})
    setup.drain()
    assert len(setup.one.forms[UNROUTED]) == 1


def test_a_backfill_brings_everything_again_and_ends_with_the_same(setup: Setup) -> None:
    setup.form("fair")
    for number in range(10):
        setup.put(f"fair:{number}", name=str(number))
    setup.drain()
    setup.one.forms["fair"].clear()  # a destination that lost everything
    outcomes = list(backfill(setup.engine, ["fair"], {"responses", "one"}, rebuild=True))
    assert all(outcome.ok for outcome in outcomes)
    assert len(setup.one.forms["fair"]) == 10
    assert ("fair", True) in setup.one.deliveries


def test_an_incremental_backfill_of_one_destination_does_not_land(setup: Setup) -> None:
    setup.put("fair:1", name="Ash")
    setup.drain()
    outcomes = list(backfill(setup.engine, ["fair"], {"two"}, rebuild=False))
    assert [outcome.stage for outcome in outcomes] == ["two"]


def test_two_landings_of_one_form_at_once_lose_nothing(setup: Setup) -> None:
    for number in range(30):
        setup.put(f"fair:{number}", name=str(number))
    setup.poll_until_quiet()
    outcomes: list[Outcome] = []
    threads = [
        threading.Thread(target=lambda: outcomes.extend(land(setup.engine, "fair") for _ in range(5))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(outcome.ok for outcome in outcomes)
    setup.drain()
    assert len(setup.one.forms["fair"]) == 30


def test_a_lingering_drain_follows_the_stream_by_itself(setup: Setup) -> None:
    setup.form("fair")
    setup.put("fair:0", name="0")
    drain = Drain(setup.engine, Limits(linger_seconds=30, most_seconds=60))
    seen: list[Outcome] = []
    runner = threading.Thread(target=lambda: seen.extend(chain.from_iterable(drain.run())))
    runner.start()
    for number in range(1, 4):
        setup.put(f"fair:{number}", name=str(number))
        end = time.monotonic() + 20
        while f"fair:{number}" not in setup.one.forms.get("fair", {}) and time.monotonic() < end:
            time.sleep(0.02)
    drain.stop()
    runner.join(30)
    assert setup.one.forms["fair"].keys() == {f"fair:{number}" for number in range(4)}


def test_a_drain_that_does_not_linger_still_looks_at_the_stream_first(setup: Setup) -> None:
    setup.put("fair:1", name="Ash")
    assert [outcome for ended in Drain(setup.engine, Limits(0, 60)).run() for outcome in ended if outcome.landed]
    setup.put("fair:2", name="Misty")
    list(Drain(setup.engine, Limits(0, 60)).run())
    assert setup.one.forms["fair"].keys() == {"fair:1", "fair:2"}


@pytest.mark.parametrize("whole_form", [False, True])
def test_answers_given_while_a_question_was_away_are_in_its_column(setup: Setup, whole_form: bool) -> None:
    setup.form("fair")
    setup.put("fair:1", name="Ash", age=10)
    setup.drain()
    if whole_form:
        setup.forms.delete_one({"_id": "fair"})
    else:
        setup.form("fair", QUESTIONS[:1])
    setup.put("fair:2", name="Misty", age=12)
    setup.drain()
    assert setup.one.answers("fair", "age") == {"fair:1": 10, "fair:2": 12}
    setup.form("fair")
    setup.drain()
    assert setup.one.answers("fair", "age") == {"fair:1": 10, "fair:2": 12}


def test_a_request_for_a_rescan_is_never_taken_for_an_earlier_one(setup: Setup) -> None:
    serials: set[str] = set()
    for _ in range(3):
        request_rescan(setup.engine.state, "fair", "again", datetime.now(UTC), full=False)
        serials.add(setup.engine.state["rescans"].find_one({"_id": "fair"})["serial"])  # pyright: ignore
        setup.drain()
    assert len(serials) == 3


def test_a_rescan_lands_only_what_differs(setup: Setup) -> None:
    setup.form("fair")
    for number in range(30):
        setup.put(f"fair:{number:02}", name=str(number))
    setup.drain()
    rows = setup.engine.landing.table("fair").load().counters.rows
    setup.engine.state["capture"].delete_many({})
    for number in (3, 17):
        setup.put(f"fair:{number:02}", name="changed")
    setup.responses.delete_one({"_id": "fair:29"})
    setup.drain()
    assert setup.engine.landing.table("fair").load().counters.rows == rows + 3
    assert setup.one.answers("fair", "name")["fair:17"] == "changed"
    assert len(setup.one.forms["fair"]) == 29
