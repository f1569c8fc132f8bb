"""The rows of a sheet against a plain list, through any order of changes and through the disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collect_pipelines.sheets_server.creation import add_file, blank_book
from collect_pipelines.sheets_server.files import OWNER
from collect_pipelines.sheets_server.grid import Grid
from collect_pipelines.sheets_server.rows import BLOCK_ROWS, Row
from collect_pipelines.sheets_server.service import SheetsService

counts = st.integers(1, 3 * BLOCK_ROWS)
places = st.floats(0, 1, exclude_max=True)


class GridLikeAList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.service = SheetsService(Path(self.folder.name), power_safe=False)
        with self.service.writing():
            book = blank_book(self.service, "Rows")
            add_file(self.service, book, OWNER)
        self.book_id = book.spreadsheet_id
        self.rows: list[object] = [None] * 1000
        self.number = 0

    def at(self, place: float, extra: int = 0) -> int:
        return int(place * (len(self.rows) + extra))

    def change(self) -> Grid:
        return self.service.to_change(self.book_id, OWNER).sheets[0].grid

    @rule(place=places, count=counts)
    def insert(self, place: float, count: int) -> None:
        index = self.at(place, 1)
        with self.service.writing():
            self.change().insert(index, count, Row(["new"]))
        self.rows[index:index] = ["new"] * count

    @precondition(lambda self: len(self.rows) > 4 * BLOCK_ROWS)
    @rule(place=places, count=counts)
    def delete(self, place: float, count: int) -> None:
        start = self.at(place)
        end = min(start + count, len(self.rows))
        with self.service.writing():
            self.change().delete(start, end)
        del self.rows[start:end]

    @rule(place=places, count=counts)
    def edit(self, place: float, count: int) -> None:
        start = self.at(place)
        end = min(start + count, len(self.rows))
        self.number += 1
        with self.service.writing():
            for offset, row in enumerate(self.change().edit(start, end)):
                row.put(0, f"{self.number}.{offset}")
        self.rows[start:end] = [f"{self.number}.{offset}" for offset in range(end - start)]

    @rule(place=places, count=counts)
    def edit_alike(self, place: float, count: int) -> None:
        start = self.at(place)
        end = min(start + count, len(self.rows))
        with self.service.writing():
            for row in self.change().edit_alike(start, end):
                row.put(0, "alike")
        self.rows[start:end] = ["alike"] * (end - start)

    @rule(place=places, count=counts, to_place=places)
    def move(self, place: float, count: int, to_place: float) -> None:
        start, to = self.at(place), self.at(to_place, 1)
        end = min(start + count, len(self.rows))
        if start < to < end:
            return
        with self.service.writing():
            self.change().move(start, end, to)
        taken = self.rows[start:end]
        del self.rows[start:end]
        to = to if to <= start else to - len(taken)
        self.rows[to:to] = taken

    @rule(place=places, count=counts)
    def replace(self, place: float, count: int) -> None:
        start = self.at(place)
        end = min(start + count, len(self.rows))
        with self.service.writing():
            grid = self.change()
            grid.replace(start, [row.copy() for row in reversed(list(grid.rows(start, end)))])
        self.rows[start:end] = self.rows[start:end][::-1]

    @rule(place=places, count=counts)
    def roll_back(self, place: float, count: int) -> None:
        try:
            with self.service.writing():
                grid = self.change()
                grid.insert(self.at(place), count, Row(["gone"]))
                for row in grid.edit(0, grid.row_count):
                    row.put(0, "gone")
                raise ArithmeticError
        except ArithmeticError:
            pass

    @rule()
    def forget_memory(self) -> None:
        self.service.database.drop(self.book_id)

    @invariant()
    def rows_are_those_of_the_list(self) -> None:
        grid = self.service.find(self.book_id).sheets[0].grid
        assert grid.row_count == len(self.rows)
        assert [row.get(0) for row in grid.rows(0, grid.row_count)] == self.rows

    def teardown(self) -> None:
        self.service.close()
        self.folder.cleanup()


GridLikeAList.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
test_rows_stay_in_order_through_any_changes = GridLikeAList.TestCase


def writes_of_one_append(rows: int, folder: Path) -> int:
    service = SheetsService(folder, power_safe=False)
    with service.writing():
        book = blank_book(service, "Big")
        add_file(service, book, OWNER)
        book.sheets[0].grid.insert(1000, rows - 1000)
        for number, row in enumerate(book.sheets[0].grid.edit(0, rows)):
            row.put(0, f"row {number}")
    before = service.database.connection.total_changes
    with service.writing():
        grid = service.to_change(book.spreadsheet_id, OWNER).sheets[0].grid
        grid.insert(rows // 2, 10, Row(["middle"]))
        grid.insert(grid.row_count, 10, Row(["end"]))
    changes = service.database.connection.total_changes - before
    service.close()
    return changes


def test_a_write_costs_what_it_changes_whatever_the_size_of_the_sheet(tmp_path: Path) -> None:
    small = writes_of_one_append(2_000, tmp_path / "small")
    large = writes_of_one_append(50_000, tmp_path / "large")
    assert large <= small + 2 < 12
