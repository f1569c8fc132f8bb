"""What goes wrong is recorded, held back and heard of, and holds up nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from uuid import UUID

import pytest
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS

from collect_pipelines.draining.backfill import backfill
from collect_pipelines.draining.drain import Drain, Limits
from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.lease import Lease
from collect_pipelines.embedded.mongod import Mongod
from collect_pipelines.errors import ConfigurationError, DestinationChanged
from collect_pipelines.integration import DestinationSpec
from collect_pipelines.model import UNROUTED
from collect_pipelines.orchestration.listen import work_waiting
from tests.draining.shelf import Shelf, make_engine
from tests.draining.test_drain import Setup


@pytest.fixture
def setup(mongod: Mongod, database_name: str, tmp_path: Path) -> Iterator[Setup]:
    one, two = Shelf(), Shelf()
    engine = make_engine(mongod.uri, database_name, tmp_path, {"one": one, "two": two})
    _ = engine.state
    yield Setup(engine, one, two)
    engine.client.close()


def damage(setup: Setup, form_id: str) -> None:
    """Spoil the form's manifests, so that no landing can succeed."""
    for manifest in (setup.engine.settings.lake / "forms" / form_id / "m").iterdir():
        manifest.chmod(0o600)
        manifest.write_bytes(b"{}\n0\n")


def test_a_form_that_cannot_land_is_tried_ever_more_rarely_and_asks_for_no_run_meanwhile(setup: Setup) -> None:
    setup.put("a:1", name="Ash")
    setup.drain()
    damage(setup, "a")
    setup.put("a:2", name="Misty")
    setup.put("b:1", name="Brock")
    outcomes = setup.drain()
    assert [(outcome.stage, outcome.form_id) for outcome in outcomes if outcome.final] == [("responses", "a")]
    assert set(setup.one.forms["b"]) == {"b:1"}
    assert setup.engine.ledger.journal.dirty_forms() == ["a"]
    assert work_waiting(setup.engine) == ""
    in_an_hour = datetime.now(UTC) + timedelta(minutes=50)
    assert setup.engine.ledger.to_land(in_an_hour) == ["a"]


def test_a_landing_that_works_again_leaves_no_trace(setup: Setup) -> None:
    setup.put("a:1", name="Ash")
    setup.drain()
    damage(setup, "a")
    setup.put("a:2", name="Misty")
    setup.drain()
    setup.engine.landing.table("a").recreate(datetime.now(UTC), "test")
    assert all(outcome.ok for outcome in backfill(setup.engine, ["a"], {"responses"}, rebuild=True))
    setup.drain()
    assert setup.one.forms["a"].keys() == {"a:1", "a:2"}
    assert setup.engine.state["deliveries"].count_documents({"integration": "responses"}) == 0


def test_a_destination_that_cannot_be_opened_stops_no_other(setup: Setup) -> None:
    def refuse(_engine: Engine) -> Shelf:
        raise ConfigurationError("no credentials")

    closed = DestinationSpec("closed", "", refuse, frozenset(), (), 1)
    engine = Engine(setup.engine.settings, [closed, *setup.engine.specs])
    setup.put("a:1", name="Ash")
    setup.poll_until_quiet()
    outcomes = list(chain.from_iterable(Drain(engine, Limits(0, 60), capture=False).run()))
    assert [outcome.error for outcome in outcomes if outcome.final] == ["no credentials"]
    assert setup.one.forms["a"].keys() == setup.two.forms["a"].keys() == {"a:1"}
    engine.client.close()


def test_an_error_that_cannot_even_be_recorded_ends_the_drain_as_a_failure(setup: Setup) -> None:
    setup.put("a:1", name="Ash")
    setup.one.trouble["a"] = DestinationChanged("no valid text: \ud800")
    setup.poll_until_quiet()
    outcomes = list(chain.from_iterable(Drain(setup.engine, Limits(0, 5), capture=False).run()))
    assert [outcome.stage for outcome in outcomes if outcome.final] == ["one"]


def test_a_follower_that_breaks_is_heard_of(setup: Setup) -> None:
    setup.poll_until_quiet()
    setup.engine.state["capture"].update_one({}, {"$unset": {"source": ""}})
    outcomes = list(chain.from_iterable(Drain(setup.engine, Limits(30, 60)).run()))
    assert [(outcome.name, outcome.error) for outcome in outcomes if outcome.final] == [
        ("change capture", "KeyError, which nobody expected")
    ]


def test_only_a_new_failure_ends_a_lingering_drain(setup: Setup) -> None:
    setup.put("a:1", name="Ash")
    setup.one.trouble["a"] = DestinationChanged("not shared")
    for expected in (False, True):
        setup.poll_until_quiet()
        outcomes = list(chain.from_iterable(Drain(setup.engine, Limits(0.1, 60), capture=False).run()))
        assert [outcome.known for outcome in outcomes if outcome.final] == [expected]
        setup.engine.state["deliveries"].update_many({}, [{"$set": {"due_at": "$$NOW"}}])


def test_times_from_a_clock_that_went_wrong_do_not_hold_anything_up(setup: Setup) -> None:
    setup.put("a:1", name="Ash")
    setup.one.trouble["a"] = DestinationChanged("not shared")
    setup.drain()
    setup.one.trouble.clear()
    next_year = datetime.now(UTC) + timedelta(days=365)
    setup.engine.state["deliveries"].update_many({"pending": True}, {"$set": {"due_at": next_year}})
    setup.drain()
    assert setup.one.forms["a"].keys() == {"a:1"}
    lease = Lease(setup.engine.state)
    lease.take("somebody", 30)
    assert lease.holder() == "somebody"
    setup.engine.state["leases"].update_one({}, {"$set": {"expires_at": next_year}})
    assert lease.holder() is None


def test_a_cancelled_backfill_leaves_the_remaining_forms_alone(setup: Setup) -> None:
    form_ids = [f"f{number:02}" for number in range(30)]
    for form_id in form_ids:
        setup.put(f"{form_id}:1", name="x")
    setup.drain()
    setup.one.deliveries.clear()
    outcomes = backfill(setup.engine, form_ids, {"one"}, rebuild=False)
    next(outcomes)
    outcomes.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert len(setup.one.deliveries) < len(form_ids)


def test_a_form_without_questions_and_responses_is_delivered_nowhere(setup: Setup) -> None:
    setup.drain()
    setup.form("empty", [])
    setup.drain()
    assert setup.one.deliveries == []
    assert setup.engine.state["deliveries"].count_documents({}) == 0


@pytest.mark.parametrize(
    "store_id",
    [
        Binary(UUID(int=5).bytes, 4),
        Binary(UUID(int=5).bytes, 3),
        Binary(b"short", 4),
        DatetimeMS(253402300800000 + 5),
        {"at": DatetimeMS(-(1 << 60))},
    ],
)
def test_a_response_with_a_peculiar_id_comes_and_goes(setup: Setup, store_id: object) -> None:
    setup.drain()
    setup.responses.insert_one({"_id": store_id}, bypass_document_validation=True)
    setup.drain()
    assert len(setup.one.forms[UNROUTED]) == 1
    setup.responses.delete_one({"_id": store_id})
    setup.drain()
    assert len(setup.one.forms[UNROUTED]) == 0
