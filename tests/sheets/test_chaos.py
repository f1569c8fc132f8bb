"""Everything at once: a busy form, faults on the wire, and an owner who works between any two requests."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from collect_pipelines.clients.quota import Kind
from collect_pipelines.delivery.google_sheet.keys import split_key
from collect_pipelines.errors import TransientError
from tests.sheets.conftest import Desk
from tests.sheets.responses import form, question

Make = Callable[..., Desk]
FAULTS = {"apply_then_drop_rate": 0.05, "drop_rate": 0.05, "unavailable_applied_rate": 0.03, "unavailable_rate": 0.02}


class Owner:
    """A person at work in the sheet: before a request of ours, with some probability. Grants quota otherwise."""

    def __init__(self, chance: random.Random, probability: float) -> None:
        self.chance = chance
        self.probability = probability
        self.desk: Desk | None = None
        self.notes: dict[str, str] = {}
        self.removed: set[str] = set()
        self.acts: Counter[str] = Counter()

    def take(self, account: str, kind: Kind) -> float:
        if self.desk and self.chance.random() < self.probability:
            self.act()
        return 0.0

    def refused(self, account: str, kind: Kind, retry_after_seconds: float | None) -> float:
        return 0.0

    def act(self) -> None:
        acts = [self.sort, self.sort, self.insert_row, self.note, self.note, self.note, self.remove_row]
        act = self.chance.choice(acts)
        self.acts[act.__name__] += 1
        act()

    def sort(self) -> None:
        header = self._grid()[0]
        column = self.chance.randrange(len(header))
        self._desk.act("sort", column=column, descending=self.chance.random() < 0.5)

    def insert_row(self) -> None:
        self._desk.act("insert_rows", row=self.chance.randint(1, max(1, len(self._grid()) - 1)), count=1)

    def note(self) -> None:
        if found := self._some_row():
            place, response = found
            self.notes[response] = f"note on {response} {self.chance.random():.3f}"
            self._desk.act("edit_cell", row=place, column=self._grid()[0].index("Mine"), value=self.notes[response])

    def remove_row(self) -> None:
        if (found := self._some_row()) and self.chance.random() < 0.3:
            self.removed.add(found[1])
            self._desk.act("delete_rows", row=found[0], count=1)

    def move_a_column(self) -> None:
        width = len(self._grid()[0])
        self._desk.act("move_column", column=self.chance.randrange(width), before=self.chance.randrange(width + 1))

    def add_a_column(self) -> None:
        width = len(self._grid()[0])
        self._desk.act("add_column", column=self.chance.randint(0, width), title=f"Extra {self.chance.random():.3f}")

    def _some_row(self) -> tuple[int, str] | None:
        grid = self._grid()
        index = grid[0].index("_response")
        keyed = [
            (place, key[0])
            for place, row in enumerate(grid)
            if len(row) > index and (key := split_key(row[index])) and key[0] not in self.removed
        ]
        return self.chance.choice(keyed) if keyed else None

    @property
    def _desk(self) -> Desk:
        assert self.desk
        return self.desk

    def _grid(self) -> list[list[Any]]:
        return self._desk.grid()


def chaos(desk: Make, seed: int, syncs: int, *, faults: bool, owner_at_work: float, columns: bool) -> Counter[str]:
    chance = random.Random(seed)
    owner = Owner(chance, owner_at_work)
    at = desk(form(question("name", title="Name"), question("more", title="More")), quota=owner)
    at.table.commit({"r0": {"name": "n0"}})
    at.deliver()
    at.act("add_column", column=chance.randint(1, 6), title="Mine")
    at.server.control(seed=seed)
    owner.desk = at if owner_at_work else None
    counted: Counter[str] = Counter()
    for number in range(syncs):
        if columns and chance.random() < 0.2:
            chance.choice([owner.move_a_column, owner.add_a_column])()
        at.table.commit(_changes(at, chance, number))
        if faults:
            at.server.control(**FAULTS)
        told = None
        while told is None:
            with suppress(TransientError):
                told = at.deliver()
        at.server.control(reset=True, seed=chance.randrange(10**6))
        counted.update(syncs=1, requests=int(told.notes["requests"]), misplaced=int(told.notes.get("misplaced", 0)))
        if chance.random() < 0.03:
            at.lose_state()
    owner.desk = None
    at.deliver()
    _check(at, owner)
    return counted + owner.acts


def _changes(at: Desk, chance: random.Random, number: int) -> dict[str, dict[str, Any] | None]:
    fresh: dict[str, dict[str, Any] | None] = {
        f"r{number}-{n}": {"name": f"n{n}", "more": chance.choice([None, "m"])} for n in range(chance.randint(0, 4))
    }
    known = sorted(at.table.live())
    for id in chance.sample(known, min(len(known), chance.choice([0, 0, 1, 3]))):
        fresh[id] = {"name": f"edited {number}"} if chance.random() < 0.85 else None
    return fresh or {f"r{number}": {"name": "alone"}}


def _check(at: Desk, owner: Owner) -> None:
    rows = at.rows()
    missing = set(at.table.live()) - set(rows)
    assert missing <= owner.removed, "rows that nobody removed are missing"
    for id, row in at.table.live().items():
        if id in rows:
            shown = {name: rows[id].get(name) for name in ("Name", "More", "Collector", "Status")}
            assert shown == {
                "Name": row.get("name"),
                "More": row.get("more"),
                "Collector": "ada",
                "Status": "submitted",
            }, id
    for id in set(rows) - set(at.table.live()):
        assert at.table.rows[id]["_deleted"] and rows[id]["Status"] == "deleted"
    noted = {id: row["Mine"] for id, row in rows.items() if "Mine" in row}
    assert noted == {id: note for id, note in owner.notes.items() if id in rows and id not in owner.removed}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", [False, True], ids=["clean", "faults"])
def test_chaos_leaves_no_wrong_row(desk: Make, seed: int, faults: bool) -> None:
    chaos(desk, seed, 15, faults=faults, owner_at_work=0.25, columns=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 240))
def test_more_chaos_leaves_no_wrong_row(desk: Make, seed: int) -> None:
    chaos(desk, seed, 60, faults=seed % 2 == 0, owner_at_work=0.25, columns=seed % 4 < 2)


def test_a_delivery_costs_few_requests(desk: Make) -> None:
    told = chaos(desk, 1, 20, faults=False, owner_at_work=0.0, columns=False)
    assert told["requests"] <= 2.2 * told["syncs"]
