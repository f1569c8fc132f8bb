"""One fenced batch: sent until its outcome is known, then held against its own answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from collect_pipelines.clients.google_errors import FenceTaken, LayoutMoved, RequestRefused
from collect_pipelines.clients.google_http import OutcomeUnknown
from collect_pipelines.clients.sheets import Spreadsheet
from collect_pipelines.delivery.google_sheet.discover import fence_request
from collect_pipelines.delivery.google_sheet.index import Edits, Known, Tab
from collect_pipelines.delivery.google_sheet.keys import METADATA_CHARACTERS, Fence, fence_id, row_key, split_key
from collect_pipelines.delivery.google_sheet.layout import Json, metadata_characters
from collect_pipelines.delivery.google_sheet.plan import Act, Answer, Change, Plan, a1_ranges, read_answer
from collect_pipelines.model import Position

SEND_ATTEMPTS = 4
FENCES_KEPT = 64
FENCES_KEPT_AT_LEAST = 16
FENCE_SECONDS = 300
"""A late copy of a request may still arrive up to Google's 180 s limit after it was sent."""
_FENCE_CHARACTERS = 120
_PRUNED_AT_ONCE = 20


def next_fence(tab: Tab, token: str, now_seconds: float, *, reaches: int, aim: int) -> Fence:
    """Return the fence of the next batch, which claims that the tab is at the commit `reaches` afterwards."""
    position = Position(tab.position.table_id, reaches)
    return Fence(tab.sequence + 1, token, int(now_seconds), tab.position.sequence, aim, position)


def prunable(tab: Tab, now_seconds: float) -> tuple[tuple[int, int], ...]:
    """Choose the fences that are not needed any more, oldest first."""
    room = (METADATA_CHARACTERS - 2_000 - metadata_characters(tab.layout)) // _FENCE_CHARACTERS
    spare = len(tab.fences) + 1 - FENCES_KEPT
    old = [fence for fence in tab.fences[: max(0, spare)] if now_seconds - fence[1] > FENCE_SECONDS]
    over = min(len(tab.fences) + 1 - room, len(tab.fences) - FENCES_KEPT_AT_LEAST)
    return tab.fences[: min(_PRUNED_AT_ONCE, max(len(old), over, 0))]


def fenced(tab: Tab, fence: Fence, work: Sequence[Json]) -> tuple[list[Json], Tab]:
    """Return the whole batch, fence first, and the tab after it."""
    pruned = prunable(tab, fence.at_seconds)
    removals: list[Json] = [
        {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": {"metadataId": _id(tab, number)}}}}
        for number, _ in pruned
    ]
    kept = (*tab.fences[len(pruned) :], (fence.sequence, fence.at_seconds))
    after = replace(tab, sequence=fence.sequence, fences=kept)
    return [fence_request(tab.sheet_id, fence), *removals, *work], after


def _id(tab: Tab, number: int) -> int:
    return fence_id(tab.sheet_id, number)


def send(
    book: Spreadsheet,
    sheet_id: int,
    fence: Fence,
    requests: Sequence[Json],
    ranges: Sequence[str],
    sleep: Callable[[float], None],
) -> Json | None:
    """Send one fenced batch until its outcome is known; None: it was applied, but its answer is lost.

    Raises FenceTaken when another writer came first, OutcomeUnknown when nobody answers; otherwise it was not applied.
    """
    unsure = False
    for attempt in range(1, SEND_ATTEMPTS + 1):
        try:
            return book.update(requests, ranges)
        except OutcomeUnknown:
            if attempt == SEND_ATTEMPTS:
                raise
            unsure = True
            sleep(random.uniform(0.1, 0.4) * 2 ** (attempt - 1))
        except (FenceTaken, LayoutMoved, RequestRefused) as error:
            plainly_refused = isinstance(error, RequestRefused) and not unsure
            if plainly_refused or book.metadata_value(fence_id(sheet_id, fence.sequence)) != str(fence):
                raise
            return None
    raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch's own answer proves. `failed` must be done again, `overwritten` rows were hit by mistake."""

    edits: Edits
    tab: Tab
    failed: tuple[Change, ...] = ()
    overwritten: tuple[str, ...] = ()
    unknown_overwritten: bool = False
    header_moved: bool = False


def ranges_of(tab: Tab, plan: Plan) -> list[str]:
    """Name what the answer must show."""
    return a1_ranges(tab.title, tab.layout.key_index or 0, plan.key_rows())


def judge(tab: Tab, plan: Plan, response: Json, offset: int) -> Outcome:
    """Hold a plan against its answer. `tab` is the tab after the batch, as planned; `offset` the requests before."""
    answer = read_answer(response, tab.sheet_id, tab.layout.key_index or 0, offset)
    missed = [step for number, step in plan.swaps.items() if not answer.swapped.get(number, False)]
    misplaced = [change for place, change in plan.added.items() if answer.keys.get(place) != _key(change)]
    hit = [split_key(answer.keys.get(plan.places.get(step.change.row, -1))) for step in missed]
    removed = tuple(
        step.at for number, step in plan.swaps.items() if step.act is Act.REMOVE and answer.swapped.get(number, False)
    )
    done = {step.change.row for step in missed} | {change.row for change in misplaced}
    return Outcome(
        edits=Edits(_puts(plan, done), removed, _forgotten(plan, done)),
        tab=_after(tab, plan, answer),
        failed=(*(step.change for step in missed), *misplaced),
        overwritten=tuple(key[0] for key in hit if key),
        unknown_overwritten=any(step.act is Act.REMOVE for step in missed),
        header_moved=answer.header != tab.layout.header,
    )


def believed(plan: Plan) -> Edits:
    """Return what a batch changed in the index if all went as planned."""
    return Edits(_puts(plan, set()), plan.removed, _forgotten(plan, set()))


def _puts(plan: Plan, without: set[str]) -> Mapping[str, Known]:
    added = {change.row: Known(place, change.content, False) for place, change in plan.added.items()}
    swapped = {
        step.change.row: Known(plan.places[step.change.row], step.change.content, False)
        for step in plan.swaps.values()
        if step.act is not Act.REMOVE
    }
    return {row: known for row, known in {**added, **swapped}.items() if row not in without}


def _forgotten(plan: Plan, without: set[str]) -> tuple[str, ...]:
    gone = [step.change.row for step in plan.swaps.values() if step.act is Act.REMOVE]
    return tuple(row for row in gone if row not in without)


def _after(tab: Tab, plan: Plan, answer: Answer) -> Tab:
    added, removed = len(plan.added), len(plan.removed)
    return replace(
        tab,
        tail=tab.tail + added - removed,
        title=answer.title or tab.title,
        row_count=answer.row_count if answer.row_count is not None else tab.row_count + added - removed,
        column_count=answer.column_count if answer.column_count is not None else tab.column_count,
    )


def _key(change: Change) -> str:
    return row_key(change.row, change.content)
