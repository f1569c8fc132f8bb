"""Rows and blocks of rows: the unit that is stored, read and written.

A block holds up to BLOCK_ROWS rows, or is a *run*: one row that stands for any number of equal ones. A new sheet of a
thousand blank rows is one run; so is what an insert of ten thousand blank rows makes. A write costs the blocks it
touches, whatever the size of the sheet.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from collect_pipelines.sheets_server.cells import Cell, formula_of, has_value
from collect_pipelines.sheets_server.json_types import Json

BLOCK_ROWS = 64


class Row:
    """The cells of a row by column slot (see Column in book.py), without trailing blanks, and the row's properties."""

    __slots__ = ("cells", "props")

    def __init__(self, cells: list[Cell] | None = None, props: Json | None = None) -> None:
        self.cells: list[Cell] = cells if cells is not None else []
        self.props = props

    def get(self, slot: int) -> Cell:
        """The cell in a slot; None when blank."""
        return self.cells[slot] if slot < len(self.cells) else None

    def put(self, slot: int, cell: Cell) -> None:
        """Set a cell."""
        cells = self.cells
        if slot < len(cells):
            cells[slot] = cell
        elif cell is not None:
            cells.extend([None] * (slot - len(cells)))
            cells.append(cell)
        while cells and cells[-1] is None:
            cells.pop()

    def copy(self) -> Row:
        """A row of its own with the same contents."""
        return Row(list(self.cells), dict(self.props) if self.props else None)


class Summary(NamedTuple):
    """What can be said of a block without looking at it. Bit n of the masks stands for slot n."""

    filled_in_every: int
    filled_in_some: int
    has_formulas: bool


class Block:
    """Some rows in a row. `rows` is None while they are not in memory; a run has exactly one."""

    __slots__ = ("count", "dirty", "id", "is_run", "place", "rows", "summary")

    def __init__(
        self, rows: list[Row] | None, count: int, *, is_run: bool, block_id: int | None = None, place: int | None = None
    ) -> None:
        self.rows = rows
        self.count = count
        self.is_run = is_run
        self.id = block_id
        self.place = place
        self.dirty = block_id is None
        self.summary: Summary | None = None

    @property
    def weight(self) -> int:
        """About how many cells are in memory, judged by the first row and the last."""
        rows = self.rows
        return len(rows) * (1 + max(len(rows[0].cells), len(rows[-1].cells))) if rows else 0


def filled_slots(row: Row) -> int:
    """The mask of the slots that have a value."""
    mask = 0
    for slot, cell in enumerate(row.cells):
        if cell is not None and has_value(cell):
            mask |= 1 << slot
    return mask


def summarise(rows: list[Row]) -> Summary:
    """The summary of some rows."""
    masks = [filled_slots(row) for row in rows]
    every = some = masks[0] if masks else 0
    for mask in masks:
        every &= mask
        some |= mask
    return Summary(every, some, any(type(cell) is dict and formula_of(cell) for row in rows for cell in row.cells))


def run_of(count: int, template: Row | None = None) -> Block:
    """A run of equal rows, blank without a template."""
    return Block([template.copy() if template else Row()], count, is_run=True)


def block_of(rows: list[Row]) -> Block:
    """A block of the given rows."""
    return Block(rows, len(rows), is_run=False)


def encode(rows: list[Row]) -> bytes | None:
    """The bytes that are stored; None for one blank row, the commonest run."""
    if len(rows) == 1 and not rows[0].cells and not rows[0].props:
        return None
    return orjson.dumps([{"c": row.cells, **row.props} if row.props else row.cells for row in rows])


def decode(data: bytes | None) -> list[Row]:
    """Rows from what `encode` made of them."""
    if data is None:
        return [Row()]
    stored: list[Any] = orjson.loads(data)
    return [_row(item) for item in stored]


def _row(item: Any) -> Row:
    if isinstance(item, list):
        return Row(item)
    return Row(item.pop("c"), item)
