"""Writing rows to one tab: look before an edit, send one fenced batch, believe only what its answer shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from collect_pipelines.clients.google_errors import CELLS_LIMIT, LayoutMoved, full_spreadsheet
from collect_pipelines.delivery.google_sheet.discover import read_keys
from collect_pipelines.delivery.google_sheet.index import Edits, Known, Tab
from collect_pipelines.delivery.google_sheet.layout import Json, Layout
from collect_pipelines.delivery.google_sheet.opening import Opening, header_range, key_range
from collect_pipelines.delivery.google_sheet.plan import (
    Act,
    Change,
    Plan,
    Step,
    Strays,
    header_texts,
    key_ranges,
    plan_rows,
    plan_withdrawal,
    strays_of,
)
from collect_pipelines.delivery.google_sheet.writing import (
    Outcome,
    believed,
    fenced,
    judge,
    next_fence,
    ranges_of,
    send,
)

SMALL_ROWS = 5_000
"""Up to here a look before an edit reads the whole key column, so that a sort costs no further request."""
_WITHDRAWALS = 4


class TabWriter:
    """A tab as we know it, and how it changes. `aim` is the commit that this delivery wants to reach."""

    def __init__(self, opening: Opening, tab: Tab, aim: int) -> None:
        self.tab = tab
        self.tally: Counter[str] = Counter()
        self._opening = opening
        self._book = opening.book
        self._index = opening.index
        self._aim = aim
        self._looked = False
        self._strays: dict[str, Strays] = {}

    def look_up(self, row: str) -> Known | None:
        """Return what we know of a row."""
        return self._index.get(row)

    def settle_at(self, sequence: int) -> None:
        """Note that the tab is proven to be at this commit."""
        if self.tab.position.sequence != sequence:
            self.tab = replace(self.tab, position=self.tab.position._replace(sequence=sequence))
            self._index.save(self.tab)

    def read_whole(self, *, forget_vanished: bool = False) -> None:
        """Read columns, fences, header and keys from the sheet; the position stays what we have proven."""
        position = self.tab.position
        again = self._opening.read(self.tab, renew=False, forget_vanished=forget_vanished)
        self.tab = replace(again, position=position)
        self._looked = True

    def write_columns(self, layout: Layout, work: Sequence[Json]) -> None:
        """Write columns and headers, after which the tab has this layout."""
        self._check_room(self.tab.row_count * (layout.width - self.tab.layout.width))
        self._send(replace(self.tab, layout=layout, column_count=layout.width), work)

    def write_rows(self, steps: Sequence[Step], reaches: int) -> Sequence[Change]:
        """Send one batch that claims the commit `reaches`; return the changes that still have to be made."""
        self._looked = False
        self._check_room(sum(step.act is Act.ADD for step in steps) * self.tab.column_count)
        steps = [replace(step, strays=self._strays.get(step.change.row, ())) for step in steps]
        plan = plan_rows(self.tab.sheet_id, self.tab.layout, self.tab.tail, self.tab.row_count, steps)
        clockwork = self._opening.clockwork
        fence = next_fence(self.tab, clockwork.token(), clockwork.now(), reaches=reaches, aim=self._aim)
        requests, after = fenced(self.tab, fence, plan.requests)
        answer = send(self._book, self.tab.sheet_id, fence, requests, ranges_of(self.tab, plan), clockwork.sleep)
        if answer is None:
            return self._unanswered(after, plan, steps)
        return self._answered(judge(after, plan, answer, len(requests) - len(plan.requests)), plan, steps)

    def look(self, steps: Sequence[Step]) -> bool:
        """Read header and keys of the rows that are to change. False: something moved, and all is known anew."""
        if self._looked:
            return True
        key_index = self.tab.layout.key_index or 0
        edits = [step for step in steps if step.act is not Act.ADD]
        whole = self.tab.tail <= SMALL_ROWS
        spans = [(1, None)] if whole else list(key_ranges(step.at for step in edits))
        ranges = [key_range(self.tab.sheet_id, key_index, start, end) for start, end in spans]
        try:
            header, *columns = self._book.values([header_range(self.tab), *ranges])
        except LayoutMoved:
            self.read_whole()
            return False
        self._looked = True
        if header_texts(header[0] if header else ()) != self.tab.layout.header:
            self.read_whole()
            return False
        found = [key for (start, _), column in zip(spans, columns, strict=True) for key in read_keys(column, start)]
        seen = {row: (place, content) for row, place, content in reversed(found)}
        if all(seen.get(step.change.row) == (step.at, step.old) for step in edits):
            return True
        self.tally["rows_moved"] += 1
        self.tab = self._opening.store(self.tab, columns[0]) if whole else self._opening.read_again(self.tab)
        return False

    def _answered(self, outcome: Outcome, plan: Plan, steps: Sequence[Step]) -> Sequence[Change]:
        before, self.tab = self.tab, outcome.tab
        self._index.apply(before, self.tab, outcome.edits)
        if outcome.failed:
            self._suspect(outcome.overwritten, everything=outcome.unknown_overwritten)
        if outcome.header_moved:
            return self._header_moved(before.layout, plan, steps, outcome.failed)
        if outcome.failed:
            self._read_keys(forget_vanished=outcome.unknown_overwritten)
        return self._counted(steps, outcome.failed)

    def _unanswered(self, after: Tab, plan: Plan, steps: Sequence[Step]) -> Sequence[Change]:
        """The batch was applied, but nothing proves where: read the keys, and trust them alone."""
        before, self.tab = self.tab, after
        self._index.apply(before, after, believed(plan))
        self._read_keys(forget_vanished=bool(plan.removed))
        if before.layout.places != self.tab.layout.places:
            return self._columns_moved(before.layout, plan, steps)
        # A key that was to stay the same proves nothing: such a row is written again.
        failed = [step for step in steps if step.old == step.change.content or not self._shows(step)]
        if any(step.act is not Act.ADD for step in failed):
            self._suspect((), everything=True)
        return self._counted(steps, [step.change for step in failed])

    def _header_moved(
        self, layout: Layout, plan: Plan, steps: Sequence[Step], missed: Sequence[Change]
    ) -> Sequence[Change]:
        """People changed the header row since we last saw it: perhaps only a text, perhaps where columns stand."""
        self.read_whole(forget_vanished=bool(plan.swaps))  # an edit in place may have covered keys
        if layout.places != self.tab.layout.places:
            return self._columns_moved(layout, plan, steps)
        return self._counted(steps, [s.change for s in steps if s.change in missed or not self._shows(s)])

    def _columns_moved(self, layout: Layout, plan: Plan, steps: Sequence[Step]) -> Sequence[Change]:
        """The batch went to columns that had moved. Everything in it is written again."""
        self.tally["columns_moved"] += 1
        new = list(plan.added.values())
        if plan.swaps:
            self._suspect((), everything=True)
        if layout.key_index is not None and layout.key_index != self.tab.layout.key_index:
            self._withdraw(layout, new)
        else:
            self._strays.update({change.row: strays_of(change, layout, self.tab.layout) for change in new})
        known = {step.change.row: self._index.get(step.change.row) for step in steps}
        stale = {row: k._replace(stale=True) for row, k in known.items() if k and k.place is not None}
        covered = tuple(row for row, k in known.items() if k and k.place is None)  # by us, not by people
        self._index.apply(self.tab, self.tab, Edits(stale, forget=covered))
        return [step.change for step in steps]

    def _withdraw(self, old: Layout, new: Sequence[Change]) -> None:
        """New rows have their key in the wrong column, so nothing ties them to us: empty them, to be added again."""
        for _ in range(_WITHDRAWALS):
            (column,) = self._book.values([key_range(self.tab.sheet_id, old.key_index or 0)])
            found = {row: place for row, place, _ in read_keys(column)}
            rows = [(change, found[change.row]) for change in new if change.row in found]
            if not rows:
                return
            replies = self._send(self.tab, plan_withdrawal(self.tab.sheet_id, old, rows))
            stood_there = [
                reply.get("findReplace", {}).get("occurrencesChanged") == 1 for reply in replies[: len(rows)]
            ]
            if len(stood_there) == len(rows) and all(stood_there):
                return
            self._suspect((), everything=True)

    def _send(self, shaped: Tab, work: Sequence[Json]) -> list[Json]:
        """Send a batch that claims nothing new; return the replies to its work, none when the answer is lost."""
        self._looked = False
        clockwork, reaches = self._opening.clockwork, self.tab.position.sequence
        fence = next_fence(self.tab, clockwork.token(), clockwork.now(), reaches=reaches, aim=self._aim)
        requests, after = fenced(shaped, fence, work)
        answer = send(self._book, self.tab.sheet_id, fence, requests, (), clockwork.sleep)
        self._index.apply(self.tab, after, Edits())
        self.tab = after
        replies: list[Json] = (answer or {}).get("replies", [])
        return replies[len(requests) - len(work) :]

    def _read_keys(self, *, forget_vanished: bool = False) -> None:
        position = self.tab.position
        again = self._opening.read_again(self.tab, forget_vanished=forget_vanished)
        self.tab = replace(again, position=position)
        self._looked = True

    def _shows(self, step: Step) -> bool:
        known = self._index.get(step.change.row)
        if step.act is Act.REMOVE:
            return known is None or known.place is None
        return known is not None and known.place is not None and known.content == step.change.content

    def _suspect(self, overwritten: Iterable[str], *, everything: bool) -> None:
        """Rows that a misplaced write may have hit are written again from the table, at the end."""
        self.tally["misplaced"] += 1
        known = {row: self._index.get(row) for row in overwritten}
        stale = {row: k._replace(stale=True) for row, k in known.items() if k}
        self.tab = replace(self.tab, suspects=True)
        self._index.apply(self.tab, self.tab, Edits(stale))
        if everything:
            self._index.distrust_all()

    def _counted(self, steps: Sequence[Step], failed: Sequence[Change]) -> Sequence[Change]:
        undone = {change.row for change in failed}
        for row in {step.change.row for step in steps} - undone:
            self._strays.pop(row, None)
        self.tally.update(step.act.value for step in steps if step.change.row not in undone)
        return failed

    def _check_room(self, cells: int) -> None:
        if cells > 0 and self.tab.cells + cells > CELLS_LIMIT:
            raise full_spreadsheet(self._book.what)
