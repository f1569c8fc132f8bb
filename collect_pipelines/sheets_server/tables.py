"""The table that values.append looks for: the last block of touching filled cells in a range.

Blocks know which columns are filled in all of their rows, so the size of a long table is found without reading it.
"""

from __future__ import annotations

from collect_pipelines.sheets_server.a1 import Area
from collect_pipelines.sheets_server.book import Sheet
from collect_pipelines.sheets_server.cells import has_value
from collect_pipelines.sheets_server.rows import Block, Row, filled_slots


def find_table(sheet: Sheet, area: Area) -> Area | None:
    """The table in, or around, an area whose ends are set; None when the area is blank."""
    seed = _column_in(sheet, area.top, area.left) if area.is_one_cell else _last_filled(sheet, area)
    return _grow(sheet, *seed) if seed else None


def _filled(sheet: Sheet, row: Row) -> list[int]:
    """Indexes of the filled columns."""
    return _columns(sheet, filled_slots(row))


def _column_in(sheet: Sheet, row: int, column: int) -> tuple[int, int] | None:
    return (row, column) if has_value(sheet.cell(row, column)) else None


def _last_filled(sheet: Sheet, area: Area) -> tuple[int, int] | None:
    for first, row, count in sheet.grid.backwards(area.bottom or 0):
        at = first + count - 1
        if at < area.top:
            return None
        inside = [column for column in _filled(sheet, row) if area.left <= column < (area.right or 0)]
        if inside:
            return at, inside[-1]
    return None


def _grow(sheet: Sheet, row: int, column: int) -> Area:
    """Extend the cell to the rectangle of everything that touches it, until nothing more does."""
    left, right = _spread(_filled(sheet, sheet.grid.row(row)), column, column + 1)
    top, bottom = row, row + 1
    while True:
        grown = _extend(sheet, top, bottom, left, right)
        if grown == (top, bottom, left, right):
            return Area(top, left, bottom, right)
        top, bottom, left, right = grown


def _extend(sheet: Sheet, top: int, bottom: int, left: int, right: int) -> tuple[int, int, int, int]:
    while top > 0:
        block, first = sheet.grid.block_of_row(top - 1)
        if first + block.count == top and _belongs(sheet, block, left, right):
            top = first
        elif touching := _touching(sheet, sheet.grid.row(top - 1), left, right):
            top, (left, right) = top - 1, touching
        else:
            break
    while bottom < sheet.row_count:
        block, first = sheet.grid.block_of_row(bottom)
        if first == bottom and _belongs(sheet, block, left, right):
            bottom += block.count
        elif touching := _touching(sheet, sheet.grid.row(bottom), left, right):
            bottom, (left, right) = bottom + 1, touching
        else:
            break
    return top, bottom, left, right


def _belongs(sheet: Sheet, block: Block, left: int, right: int) -> bool:
    """Whether all rows of a block plainly belong to the table, and make it no wider."""
    every, some, _ = sheet.grid.summary(block)
    if not every & _mask(sheet, left, right):
        return False
    return _spread(_columns(sheet, some), left, right) == (left, right)


def _mask(sheet: Sheet, left: int, right: int) -> int:
    """The slots of a table's columns."""
    return sum(1 << slot for slot in sheet.slots(left, right))


def _columns(sheet: Sheet, mask: int) -> list[int]:
    return [index for index, column in enumerate(sheet.columns) if mask >> column.slot & 1]


def _touching(sheet: Sheet, row: Row, left: int, right: int) -> tuple[int, int] | None:
    filled = _filled(sheet, row)
    if not any(left - 1 <= column <= right for column in filled):
        return None
    return _spread(filled, left, right)


def _spread(filled: list[int], left: int, right: int) -> tuple[int, int]:
    columns = set(filled)
    while left - 1 in columns:
        left -= 1
    while right in columns:
        right += 1
    return left, right
