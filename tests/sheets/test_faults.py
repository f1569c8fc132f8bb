"""Lost answers, refusals and hang-ups, one at a time: the sheet is right, and nothing is written twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from pymongo import MongoClient

from collect_pipelines.clients.quota import SharedQuota
from collect_pipelines.errors import DestinationChanged, RejectedResponse, TransientError
from tests.sheets.conftest import Desk
from tests.sheets.picky import picky_proxy
from tests.sheets.responses import form, question

Make = Callable[..., Desk]

FAULTS = ["apply_then_drop", "drop", "unavailable_applied", "unavailable", "internal_error_applied", "internal_error"]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_lost_answer_doubles_nothing(desk: Make, fault: str, times: int) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({f"r{n}": {"name": "x"} for n in range(5)})
    at.server.control(**{fault: times})
    for _ in range(times):
        with suppress(TransientError):  # whether the spreadsheet was made, the next search tells
            at.deliver()
    at.deliver()
    assert at.rows().keys() == at.table.rows.keys()
    at.table.commit({"r1": {"name": "edited"}, "r2": None, "new": {"name": "x"}})
    at.server.control(**{fault: times})
    told = at.deliver()
    rows = at.rows()
    assert {id: row["Name"] for id, row in rows.items()} == {f"r{n}": "x" for n in range(5)} | {
        "r1": "edited",
        "new": "x",
    }
    assert (told.added, told.changed, told.removed) == (1, 1, 1) and rows["r2"]["Status"] == "deleted"
    assert "misplaced" not in told.notes


@pytest.mark.parametrize("fault", FAULTS)
def test_when_nobody_answers_the_position_stays_and_the_next_delivery_finishes(desk: Make, fault: str) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({f"r{n}": {"name": "x"} for n in range(5)})
    at.deliver()
    at.table.commit({"r1": {"name": "edited"}, "new": {"name": "x"}})
    at.server.control(**{f"{fault}_rate": 1.0} if "internal" not in fault else {fault: 50})
    with pytest.raises(TransientError):
        at.deliver()
    at.server.control(reset=True)
    at.table.commit({"r2": {"name": "edited"}})
    at.deliver()
    assert {id: row["Name"] for id, row in at.rows().items()} == {f"r{n}": "x" for n in range(5)} | {
        "r1": "edited",
        "r2": "edited",
        "new": "x",
    }


def test_an_answer_that_is_lost_while_people_sort_is_found_in_the_keys(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({f"r{n}": {"name": f"n{n}"} for n in range(9)})
    at.deliver()
    at.act("sort", column=0, descending=True)
    at.table.commit({"r1": {"name": "edited"}, "new": {"name": "new"}})
    at.server.control(apply_then_drop=1)
    at.deliver()
    rows = {id: row["Name"] for id, row in at.rows().items()}
    assert rows == {f"r{n}": f"n{n}" for n in range(9)} | {"r1": "edited", "new": "new"}


def test_an_empty_quota_names_the_bucket_and_closes_ours(desk: Make, mongo: MongoClient, database_name: str) -> None:
    waited: list[float] = []
    quota = SharedQuota(mongo, f"{database_name}_state", per_minute=6000, sleep=waited.append)
    at = desk(form(question("name", title="Name")), quota=quota)
    at.table.commit({"r0": {"name": "x"}})
    at.deliver()
    at.table.commit({"r1": {"name": "x"}})
    at.server.control(too_many_requests=1)
    with pytest.raises(TransientError, match="WriteRequestsPerMinutePerUser of anonymous") as told:
        at.deliver()
    left = 60 - time.time() % 60
    assert told.value.retry_after_seconds == pytest.approx(left, abs=3)
    assert at.deliver().added == 1 and waited[-1] == pytest.approx(left, abs=3)


def test_a_row_that_google_refuses_is_set_aside_and_the_others_go_on(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({f"r{n}": {"name": "poison" if n in (7, 13) else "x"} for n in range(20)})
    aside: list[tuple[str, RejectedResponse]] = []
    with picky_proxy(at.server.url, b"poison") as url:
        told = at.open(endpoint=url).deliver(
            at.table.form, at.table.snapshot(), set_aside=lambda id, reason: aside.append((id, reason))
        )
    assert [id for id, _ in aside] == ["r7", "r13"] and "'r7'" in str(aside[0][1]) and "no such" in str(aside[0][1])
    assert (told.added, told.notes["rejected"]) == (18, 2)
    assert set(at.rows()) == {f"r{n}" for n in range(20)} - {"r7", "r13"}
    assert at.deliver().notes["requests"] == 0


def test_a_tab_that_refuses_everything_stops_the_delivery(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({"r": {"name": "x"}})
    at.deliver()
    at.table.commit({f"r{n}": {"name": "poison"} for n in range(60)})
    with picky_proxy(at.server.url, b"poison") as url, pytest.raises(DestinationChanged, match="one row after another"):
        at.open(endpoint=url).deliver(at.table.form, at.table.snapshot())
    assert at.deliver().added == 60, "the position did not move, so nothing was lost"


def test_connections_are_reused(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({"r0": {"name": "x"}})
    at.deliver()
    started = time.perf_counter()
    for n in range(20):
        at.table.commit({f"s{n}": {"name": "x"}})
        at.deliver()
    assert (time.perf_counter() - started) / 20 < 0.2


def test_the_cells_of_a_spreadsheet_are_counted_before_they_run_out(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({"r0": {"name": "x"}})
    told = at.deliver()
    assert told.notes["cells_used"] == 3 * 6
