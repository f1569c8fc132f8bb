"""The rows of one sheet, in order, as blocks. Inserting, deleting and moving rows touches only the edge blocks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

from collect_pipelines.sheets_server.rows import BLOCK_ROWS, Block, Row, Summary, block_of, run_of, summarise

Loader = Callable[[Block], list[Row]]


class Grid:
    """Rows 0…row_count-1. The blocks' rows are loaded when they are looked at; changed blocks wait in `dirty`."""

    def __init__(self, blocks: list[Block], load: Loader) -> None:
        self.blocks = blocks
        self.dirty: dict[int, Block] = {}
        self.moved = False
        self.removed: list[int] = []
        self.load = load
        self._starts: list[int] | None = None
        for block in blocks:
            if block.dirty:
                self.dirty[id(block)] = block

    @property
    def row_count(self) -> int:
        """Number of rows, blank ones included."""
        starts = self._index()
        return starts[-1]

    def row(self, index: int) -> Row:
        """One row, to read."""
        position, offset = self._locate(index)
        rows = self._rows(self.blocks[position])
        return rows[0] if self.blocks[position].is_run else rows[offset]

    def rows(self, start: int, end: int) -> Iterator[Row]:
        """The rows start…end-1, to read. Equal rows of a run come as the same object."""
        for rows, count in self.stretches(start, end):
            if len(rows) == count:
                yield from rows
            else:
                yield from (rows[0] for _ in range(count))

    def stretches(self, start: int, end: int) -> Iterator[tuple[list[Row], int]]:
        """The rows start…end-1 block by block: (rows, count), or (one row, count) for a run."""
        if start >= end:
            return
        position, offset = self._locate(start)
        left = end - start
        while left > 0:
            block = self.blocks[position]
            count = min(block.count - offset, left)
            rows = self._rows(block)
            yield (rows if block.is_run else rows[offset : offset + count]), count
            position, offset, left = position + 1, 0, left - count

    def backwards(self, end: int) -> Iterator[tuple[int, Row, int]]:
        """From row end-1 up: (index of the first of the equal rows, row, how many)."""
        position = bisect_right(self._index(), end - 1) - 1 if end else -1
        while position >= 0:
            block, first = self.blocks[position], self._index()[position]
            rows = self._rows(block)
            if block.is_run:
                yield first, rows[0], min(block.count, end - first)
            else:
                for offset in range(min(block.count, end - first) - 1, -1, -1):
                    yield first + offset, rows[offset], 1
            position -= 1

    def block_of_row(self, index: int) -> tuple[Block, int]:
        """The block in which a row lies, and the index of the block's first row."""
        position, offset = self._locate(index)
        return self.blocks[position], index - offset

    def summary(self, block: Block) -> Summary:
        """What the block holds, counted anew after a change."""
        if block.summary is None:
            block.summary = summarise(self._rows(block))
        return block.summary

    def rows_with_formulas(self) -> Iterator[list[Row]]:
        """The rows, to change, of every block that has a formula."""
        for block in list(self.blocks):
            if self.summary(block).has_formulas:
                yield self._rows(self._touch(block))

    def edit(self, start: int, end: int) -> Iterator[Row]:
        """The rows start…end-1, each on its own, to change."""
        self._unroll(start, end)
        position, offset = self._locate(start) if start < end else (0, 0)
        left = end - start
        while left > 0:
            block = self._touch(self.blocks[position])
            rows = self._rows(block)
            count = min(block.count - offset, left)
            yield from rows[offset : offset + count]
            position, offset, left = position + 1, 0, left - count

    def edit_alike(self, start: int, end: int) -> Iterator[Row]:
        """Rows to change where all get the same change: a run stays a run and comes once."""
        if start >= end:
            return
        for edge in (start, end):
            if edge < self.row_count and self.blocks[self._locate(edge)[0]].is_run:
                self._split(edge)
        position, offset = self._locate(start)
        left = end - start
        while left > 0:
            block = self._touch(self.blocks[position])
            count = min(block.count - offset, left)
            rows = self._rows(block)
            yield from rows if block.is_run else rows[offset : offset + count]
            position, offset, left = position + 1, 0, left - count

    def insert(self, index: int, count: int, template: Row | None = None) -> None:
        """Insert rows before row `index`, each like the template."""
        if count <= 0:
            return
        position, offset = self._insertion_point(index)
        if count <= BLOCK_ROWS and position < len(self.blocks) and not self.blocks[position].is_run:
            block = self._touch(self.blocks[position])
            self._rows(block)[offset:offset] = [template.copy() if template else Row() for _ in range(count)]
            self._resized(block, position)
            return
        position = self._split(index)
        self._place_new(position, [run_of(count, template)])

    def delete(self, start: int, end: int) -> None:
        """Delete the rows start…end-1."""
        first, last = self._split(start), self._split(end)
        for block in self.blocks[first:last]:
            self._forget(block)
        del self.blocks[first:last]
        self._starts = None
        self._join(first)

    def move(self, start: int, end: int, destination: int) -> None:
        """Move the rows start…end-1 before the row that is `destination` now."""
        if start <= destination <= end:
            return
        self._split(start)
        self._split(end)
        target = self._split(destination)
        first, last = self._split(start), self._split(end)
        taken = self.blocks[first:last]
        for block in taken:
            block.place = None
        del self.blocks[first:last]
        target -= (last - first) if target >= last else 0
        self.blocks[target:target] = taken
        self.moved = True
        self._starts = None

    def replace(self, start: int, rows: list[Row]) -> None:
        """Put other rows in the place of as many rows from `start` on."""
        first, last = self._split(start), self._split(start + len(rows))
        for block in self.blocks[first:last]:
            self._forget(block)
        del self.blocks[first:last]
        self._starts = None
        self._place_new(first, _chunks(rows))

    def _index(self) -> list[int]:
        if self._starts is None:
            self._starts = list(accumulate((block.count for block in self.blocks), initial=0))
        return self._starts

    def _locate(self, index: int) -> tuple[int, int]:
        starts = self._index()
        position = bisect_right(starts, index) - 1
        return position, index - starts[position]

    def _insertion_point(self, index: int) -> tuple[int, int]:
        """The block to insert into: at an edge the one before, so that appended rows fill it up."""
        if index == 0:
            return 0, 0
        position, offset = self._locate(index - 1)
        return position, offset + 1

    def _rows(self, block: Block) -> list[Row]:
        return block.rows if block.rows is not None else self.load(block)

    def _touch(self, block: Block) -> Block:
        self._rows(block)
        block.dirty = True
        block.summary = None
        self.dirty[id(block)] = block
        return block

    def _forget(self, block: Block) -> None:
        self.dirty.pop(id(block), None)
        block.dirty = False
        if block.id is not None:
            self.removed.append(block.id)

    def _split(self, index: int) -> int:
        """The position of the block that begins with row `index`, made so if need be."""
        if index >= self.row_count:
            return len(self.blocks)
        position, offset = self._locate(index)
        if not offset:
            return position
        block = self._touch(self.blocks[position])
        rows = self._rows(block)
        if block.is_run:
            rest = run_of(block.count - offset, rows[0])
        else:
            rest = block_of(rows[offset:])
            del rows[offset:]
        block.count = offset
        self._place_new(position + 1, [rest])
        return position + 1

    def _place_new(self, position: int, blocks: list[Block]) -> None:
        self.blocks[position:position] = blocks
        for block in blocks:
            self.dirty[id(block)] = block
        self._starts = None

    def _resized(self, block: Block, position: int) -> None:
        """Cut a block that grew too long, and let the block after it take the rest if there is room."""
        rows = self._rows(block)
        rest = rows[BLOCK_ROWS:]
        del rows[BLOCK_ROWS:]
        block.count = len(rows)
        self._starts = None
        after = self.blocks[position + 1] if position + 1 < len(self.blocks) else None
        if rest and after and not after.is_run and after.count + len(rest) <= BLOCK_ROWS:
            self._touch(after)
            self._rows(after)[0:0] = rest
            after.count += len(rest)
        elif rest:
            self._place_new(position + 1, _chunks(rest))

    def _join(self, position: int) -> None:
        """Make one block of two short neighbours, so that deletions do not leave crumbs."""
        if not 0 < position < len(self.blocks):
            return
        before, after = self.blocks[position - 1], self.blocks[position]
        if before.is_run or after.is_run or before.count + after.count > BLOCK_ROWS:
            return
        self._touch(before)
        self._rows(before).extend(self._rows(after))
        before.count += after.count
        self._forget(after)
        del self.blocks[position]
        self._starts = None

    def _unroll(self, start: int, end: int) -> None:
        """Turn the runs within start…end-1 into rows of their own."""
        index = start
        while index < end:
            position, offset = self._locate(index)
            block = self.blocks[position]
            stop = min(index + block.count - offset, end)
            if block.is_run:
                self._unroll_run(index, stop)
            index = stop

    def _unroll_run(self, start: int, end: int) -> None:
        first = self._split(start)
        self._split(end)
        run = self.blocks[first]
        template = self._rows(run)[0]
        self._forget(run)
        del self.blocks[first]
        self._place_new(first, _chunks([template.copy() for _ in range(end - start)]))
        self._join(first)


def _chunks(rows: list[Row]) -> list[Block]:
    return [block_of(rows[at : at + BLOCK_ROWS]) for at in range(0, len(rows), BLOCK_ROWS)]
