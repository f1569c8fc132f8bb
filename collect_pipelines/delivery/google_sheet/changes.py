"""From rows of the response table to changes of the sheet, and from changes to batches. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import orjson

from collect_pipelines.delivery.google_sheet.cells import Cell, Rendering, cell, clean, is_cut
from collect_pipelines.delivery.google_sheet.config import DeletedRows, Deletes, SheetConfig
from collect_pipelines.delivery.google_sheet.index import Known
from collect_pipelines.delivery.google_sheet.keys import DELETED, content_hash, row_id
from collect_pipelines.delivery.google_sheet.layout import KEY_TAG, Wanted
from collect_pipelines.delivery.google_sheet.plan import Act, Change, Step
from collect_pipelines.delivery.rows import Row

BATCH_BYTES = 2_000_000
"""What Google recommends per request (Sheets API limits page); 10 MiB is refused."""
ROW_BYTES = 7_000_000
"""One row alone must stay well below 10 MiB."""
BATCH_CELLS = 40_000
_CELL_OVERHEAD_BYTES = 26
_SHORTER_UNITS = (10_000, 2_000, 400, 80)


def change_of(row: Row, columns: Mapping[str, Wanted], rendering: Rendering) -> tuple[Change, int]:
    """Render a row for the columns that the sheet has, by tag; return it and the number of cells that were cut."""
    response = row.response_id
    if row.deleted:
        return Change(response, row_id(response), DELETED, row.sequence, {}, 200), 0
    values = {tag: row.values.get(item.column.id) for tag, item in columns.items() if tag != KEY_TAG}
    cells = {tag: cell(columns[tag].column, value, rendering) for tag, value in values.items()}
    cut = sum(map(is_cut, values.values()))
    if (size_bytes := _size(cells)) > ROW_BYTES:
        cells, shortened = _shorten(cells)
        cut, size_bytes = max(cut, shortened), _size(cells)
    return Change(response, row_id(response), content_hash(cells), row.sequence, cells, size_bytes), cut


class Skip(Enum):
    """Why nothing is done about a change."""

    UNCHANGED = "unchanged"
    REMOVED_BY_USERS = "removed_by_users"
    NOT_WANTED = "not_wanted"


def step_of(change: Change, known: Known | None, config: SheetConfig) -> Step | Skip:
    """Decide what one change does to the sheet, given what we know of its row."""
    if known is None or (known.place is None and config.deleted_rows is DeletedRows.RESTORE):
        return Skip.NOT_WANTED if change.deleted else Step(Act.ADD, change)
    if known.place is None:
        return Skip.REMOVED_BY_USERS
    if change.deleted and config.deletes is Deletes.KEEP:
        return Skip.NOT_WANTED
    if change.deleted and config.deletes is Deletes.REMOVE:
        return Step(Act.REMOVE, change, known.place, known.content)
    if change.content == known.content and not known.stale:
        return Skip.UNCHANGED
    return Step(Act.STRIKE if change.deleted else Act.UPDATE, change, known.place, known.content)


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes for one write. After it, everything up to the commit `reaches` is in the sheet; None: see the end."""

    changes: Sequence[Change]
    reaches: int | None


def cut(changes: Iterable[Change], columns: int, *, bytes_limit: int = BATCH_BYTES) -> Iterator[Batch]:
    """Cut changes, which come in the order of commits, into batches.

    A batch may only claim whole commits: what it reaches is the commit before that of the next change.
    """
    held: list[Change] = []
    size_bytes, rows_limit = 0, max(1, BATCH_CELLS // max(1, columns))
    latest, ordered = 0, True
    for change in changes:
        ordered = ordered and change.sequence >= latest
        latest = max(latest, change.sequence)
        if held and (len(held) >= rows_limit or size_bytes + change.size_bytes > bytes_limit):
            yield Batch(tuple(held), change.sequence - 1 if ordered else 0)
            held, size_bytes = [], 0
        held.append(change)
        size_bytes += change.size_bytes
    if held:
        yield Batch(tuple(held), None)


def latest_of_each(changes: Sequence[Change]) -> list[Change]:
    """Keep the last change of each row: one batch may touch a row once."""
    return list({change.row: change for change in changes}.values())


def steps_of(
    changes: Sequence[Change], look_up: Callable[[str], Known | None], config: SheetConfig
) -> tuple[list[Step], list[tuple[Change, Skip]]]:
    """Decide about all changes of a batch."""
    decided = [(change, step_of(change, look_up(change.row), config)) for change in latest_of_each(changes)]
    steps = [step for _, step in decided if isinstance(step, Step)]
    return steps, [(change, step) for change, step in decided if isinstance(step, Skip)]


def _size(cells: Mapping[str, Cell]) -> int:
    return len(orjson.dumps(cells)) + _CELL_OVERHEAD_BYTES * len(cells) + 100


def _shorten(cells: dict[str, Cell]) -> tuple[dict[str, Cell], int]:
    """Cut the texts of a row that is too long as a whole, evenly, until it fits."""
    shorter = cells
    for limit_units in _SHORTER_UNITS:
        shorter = {tag: _shorter(value, limit_units) for tag, value in cells.items()}
        if _size(shorter) <= ROW_BYTES:
            break
    return shorter, sum(shorter[tag] != value for tag, value in cells.items())


def _shorter(value: Cell, limit_units: int) -> Cell:
    text = value.get("stringValue")
    return {"stringValue": clean(text, limit_units)} if isinstance(text, str) else value
