"""Where a line ends up when lines are inserted, deleted or moved. A line is a row or a column, counted from 0."""

from __future__ import annotations

from collections.abc import Callable

Shift = Callable[[int, int], tuple[int, int] | None]
"""(start, end) → (start, end) afterwards, or None when it is gone."""


def inserted(at: int, count: int) -> Shift:
    """`count` lines were inserted before line `at`."""

    def shift(start: int, end: int) -> tuple[int, int]:
        return (start + count if start >= at else start), (end + count if end > at else end)

    return shift


def deleted(first: int, last: int) -> Shift:
    """The lines first…last-1 were deleted."""

    def after(edge: int) -> int:
        return edge if edge <= first else max(first, edge - (last - first))

    def shift(start: int, end: int) -> tuple[int, int] | None:
        start, end = after(start), after(end)
        return (start, end) if start < end else None

    return shift


def moved(first: int, last: int, destination: int) -> Shift:
    """The lines first…last-1 were moved before line `destination`."""
    count = last - first

    def line(index: int) -> int:
        if first <= index < last:
            target = destination if destination <= first else destination - count
            return index - first + target
        if destination <= index < first:
            return index + count
        return index - count if last <= index < destination else index

    def shift(start: int, end: int) -> tuple[int, int]:
        edges = line(start), line(end - 1)
        return min(edges), max(edges) + 1

    return shift
