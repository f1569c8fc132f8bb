"""One delivery to one tab: columns first, then rows batch by batch, each verified before the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from collect_pipelines.clients.google_errors import (
    CELLS_LIMIT,
    FenceTaken,
    LayoutMoved,
    RequestRefused,
    full_spreadsheet,
)
from collect_pipelines.clients.sheets import Spreadsheet
from collect_pipelines.delivery.contract import Position, Snapshot
from collect_pipelines.delivery.google_sheet.cells import Rendering
from collect_pipelines.delivery.google_sheet.changes import Skip, change_of, cut, steps_of
from collect_pipelines.delivery.google_sheet.discover import read_keys
from collect_pipelines.delivery.google_sheet.index import Edits, Known, RowIndex, Tab
from collect_pipelines.delivery.google_sheet.layout import Wanted, drop_requests, present, reshape
from collect_pipelines.delivery.google_sheet.opening import Opening, header_range, key_range
from collect_pipelines.delivery.google_sheet.plan import (
    Act,
    Change,
    Plan,
    Step,
    header_texts,
    key_ranges,
    plan_rows,
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
from collect_pipelines.delivery.rows import rows
from collect_pipelines.errors import DestinationChanged, RejectedResponse, TransientError

WRITE_ATTEMPTS = 8
SMALL_ROWS = 5_000
"""Up to here a look before an edit reads the whole key column, so that a sort costs no further request."""
_REJECTED_MOST = 20

SetAside = Callable[[str, RejectedResponse], None]


class Sync:
    """The state of one delivery."""

    def __init__(
        self, opening: Opening, tab: Tab, snapshot: Snapshot, rendering: Rendering, set_aside: SetAside
    ) -> None:
        self.tab = tab
        self.tally: Counter[str] = Counter()
        self._opening = opening
        self._book: Spreadsheet = opening.book
        self._index: RowIndex = opening.index
        self._snapshot = snapshot
        self._rendering = rendering
        self._set_aside = set_aside
        self._looked = False

    def run(self, *, everything: bool) -> None:
        """Bring the tab to the snapshot. `everything` compares all rows, else those that changed since last time."""
        self.follow_form()
        position = self._snapshot.position
        if self.tab.position.table_id != position.table_id:
            self.tab = replace(self.tab, position=Position(position.table_id, 0))
        if everything or self.tab.position != position:
            self._deliver(0 if everything else min(self.tab.position.sequence, position.sequence))
        if self.tab.suspects:
            self._deliver(0)
            self.tab = replace(self.tab, suspects=False)
        self.tab = replace(self.tab, position=position)
        self._index.save(self.tab)

    def follow_form(self) -> None:
        """Bring columns and headers in line with the form; costs nothing when they are."""
        for _ in range(WRITE_ATTEMPTS):
            shape = reshape(self.tab.sheet_id, self.tab.layout, self._opening.wanted)
            if not shape.requests:
                self.tab = replace(self.tab, layout=shape.layout)
                return
            if not self._looked:
                self.tab = self._opening.read(self.tab, renew=False)
                self._looked = True
                continue
            self._looked = False
            drops = drop_requests(self.tab.sheet_id, sorted(self.tab.layout.dropped))
            self._check_room(0, self.tab.row_count * (shape.layout.width - self.tab.layout.width))
            try:
                answered = self._write(replace(self.tab, layout=shape.layout), [*drops, *shape.requests])
            except (FenceTaken, LayoutMoved):
                continue
            if answered:
                self._index.apply(*answered, Edits())
                self.tab = answered[1]
        raise _restless(self._book)

    def _write(self, shaped: Tab, work: Sequence[dict[str, object]]) -> tuple[Tab, Tab] | None:
        fence = next_fence(self.tab, self._opening.clockwork.token(), self._opening.clockwork.now(), self.tab.position)
        requests, after = fenced(shaped, fence, work)
        send(self._book, self.tab.sheet_id, fence, requests, (), self._opening.clockwork.sleep)
        return self.tab, replace(after, column_count=shaped.layout.width)

    def _deliver(self, since: int) -> None:
        columns = present(self._opening.wanted, self.tab.layout)
        for batch in cut(self._changes(since, columns), len(columns)):
            reaches = self._snapshot.position.sequence if batch.reaches is None else batch.reaches
            self._settle(batch.changes, max(self.tab.position.sequence, min(reaches, self._snapshot.position.sequence)))

    def _changes(self, since: int, columns: Mapping[str, Wanted]) -> Iterator[Change]:
        """Yield the changes that the sheet does not show yet, as far as we know."""
        for batch in self._snapshot.changes(since):
            for row in rows(batch):
                change, cut_cells = change_of(row, columns, self._rendering)
                steps, skipped = steps_of([change], self._index.get, self._opening.config)
                self.tally["seen"] += 1
                self._count(skipped)
                if steps:
                    self.tally["cut"] += cut_cells
                    yield change

    def _settle(self, changes: Sequence[Change], reaches: int) -> None:
        """Write changes until the sheet shows them all; then the tab is at the commit `reaches`."""
        for attempt in range(WRITE_ATTEMPTS):
            steps, skipped = steps_of(changes, self._index.get, self._opening.config)
            if attempt == 0:
                self._count(skipped)
            if not steps:
                self.tab = replace(self.tab, position=Position(self.tab.position.table_id, reaches))
                self._index.save(self.tab)
                return None
            if any(step.act is not Act.ADD for step in steps) and not self._look(steps):
                continue
            try:
                changes = self._attempt(steps, reaches)
            except (FenceTaken, LayoutMoved):
                self._reload()
            except RequestRefused as error:
                return self._halve([step.change for step in steps], reaches, error)
        raise _restless(self._book)

    def _attempt(self, steps: Sequence[Step], reaches: int) -> Sequence[Change]:
        """Send one batch; return the changes that still have to be made."""
        self._looked = False
        added = sum(step.act is Act.ADD for step in steps)
        self._check_room(added, added * self.tab.column_count)
        plan = plan_rows(self.tab.sheet_id, self.tab.layout, self.tab.tail, self.tab.row_count, steps)
        clockwork, claim = self._opening.clockwork, Position(self.tab.position.table_id, reaches)
        fence = next_fence(self.tab, clockwork.token(), clockwork.now(), claim)
        requests, after = fenced(self.tab, fence, plan.requests)
        answer = send(self._book, self.tab.sheet_id, fence, requests, ranges_of(self.tab, plan), clockwork.sleep)
        offset = len(requests) - len(plan.requests)
        if answer is None:
            return self._unanswered(after, plan, steps)
        return self._answered(judge(after, plan, answer, offset), plan, steps)

    def _answered(self, outcome: Outcome, plan: Plan, steps: Sequence[Step]) -> Sequence[Change]:
        before, self.tab = self.tab, outcome.tab
        if not self._index.apply(before, self.tab, outcome.edits):
            self._reload()
        if outcome.header_moved:
            return self._columns_moved(before, plan, steps)
        if outcome.failed:
            self._suspect(outcome.overwritten, everything=outcome.unknown_overwritten)
            self._reload()
        self._count_done(steps, outcome.failed)
        return outcome.failed

    def _unanswered(self, after: Tab, plan: Plan, steps: Sequence[Step]) -> Sequence[Change]:
        """The batch was applied, but nothing proves where: read the keys, and trust them alone."""
        self._index.apply(self.tab, after, believed(after, plan))
        self.tab = after
        layout = self.tab.layout
        self._reload()
        if layout.places != self.tab.layout.places:
            return self._columns_moved(replace(self.tab, layout=layout), plan, steps)
        failed = [step.change for step in steps if not self._shows(step)]
        if any(step.act is not Act.ADD for step in steps if step.change in failed):
            self._suspect((), everything=True)
        self._count_done(steps, failed)
        return failed

    def _columns_moved(self, before: Tab, plan: Plan, steps: Sequence[Step]) -> Sequence[Change]:
        """People changed the header row since we last saw it. Rows that went to wrong columns are written again."""
        self._reload()
        if before.layout.places == self.tab.layout.places:
            failed = [step.change for step in steps if not self._shows(step)]
            self._count_done(steps, failed)
            return failed
        self.tally["columns_moved"] += 1
        self._repair(before, plan)
        touched = [step.change for step in steps]
        self._index.apply(self.tab, self.tab, Edits(self._stale(touched), forget=self._lost(touched)))
        return touched

    def _repair(self, before: Tab, plan: Plan) -> None:
        """Empty what new rows have in columns that are not ours, at once: the rows are ours, nobody used them yet."""
        wrong = set(before.layout.places.values()) - set(self.tab.layout.places.values())
        moved_key = before.layout.key_index != self.tab.layout.key_index
        steps: list[Step] = []
        for place, change in plan.added.items():
            known = self._index.get(change.row)
            at = place if moved_key or known is None or known.place is None else known.place
            steps.append(Step(Act.UPDATE, change, at, None, tuple(sorted(wrong))))
        if not steps:
            return
        work = plan_rows(self.tab.sheet_id, self.tab.layout, self.tab.tail, self.tab.row_count, steps).requests
        written = self._write(self.tab, work)
        if written:
            self._index.apply(*written, Edits())
            self.tab = written[1]
            self._reload()

    def _stale(self, changes: Sequence[Change]) -> dict[str, Known]:
        known = {change.row: self._index.get(change.row) for change in changes}
        return {row: k._replace(stale=True) for row, k in known.items() if k and k.place is not None}

    def _lost(self, changes: Sequence[Change]) -> tuple[str, ...]:
        """Rows whose key we covered ourselves: they were not removed by people."""
        known = {change.row: self._index.get(change.row) for change in changes}
        return tuple(row for row, k in known.items() if k and k.place is None)

    def _shows(self, step: Step) -> bool:
        known = self._index.get(step.change.row)
        if step.act is Act.REMOVE:
            return known is None or known.place is None
        return known is not None and known.place is not None and known.content == step.change.content

    def _look(self, steps: Sequence[Step]) -> bool:
        """Read the keys of the rows that are to change; False when they are elsewhere (then they were read anew)."""
        if self._looked:
            return True
        self._looked = True
        key_index = self.tab.layout.key_index or 0
        places = [step.at for step in steps if step.act is not Act.ADD]
        spans = [(1, None)] if self.tab.tail <= SMALL_ROWS else list(key_ranges(places))
        try:
            header, *columns = self._book.values(
                [header_range(self.tab), *(key_range(self.tab.sheet_id, key_index, *span) for span in spans)]
            )
        except LayoutMoved:
            self._reload()
            return False
        if header_texts(header[0] if header else ()) != self.tab.layout.header:
            self._reload()
            return False
        seen = {
            row: (place, content)
            for (first, _), column in zip(spans, columns, strict=True)
            for row, place, content in read_keys(column, first)
        }
        if all(seen.get(s.change.row) == (s.at, s.old) for s in steps if s.act is not Act.ADD):
            return True
        self.tally["rows_moved"] += 1
        if spans == [(1, None)]:
            self.tab = self._opening.store(self.tab, columns[0])
        else:
            self._reload()
        return False

    def _reload(self) -> None:
        """Another writer, or people, changed the sheet: see what another process of ours knows, else read it."""
        known = self._index.load()
        if known and known.sequence > self.tab.sequence:
            self.tab = replace(known, position=self.tab.position)
        self.tab = self._opening.read(self.tab, renew=False)
        self._looked = True

    def _suspect(self, overwritten: Sequence[str], *, everything: bool) -> None:
        """Rows that a misplaced write may have hit are written again from the table, at the end."""
        self.tally["misplaced"] += 1
        known = {row: self._index.get(row) for row in overwritten}
        stale = {row: k._replace(stale=True) for row, k in known.items() if k}
        self.tab = replace(self.tab, suspects=True)
        self._index.apply(self.tab, self.tab, Edits(stale))
        if everything:
            self._index.distrust_all()

    def _halve(self, changes: Sequence[Change], reaches: int, error: RequestRefused) -> None:
        """Google refuses this batch: find the row that it cannot take, and let the others go on."""
        if len(changes) > 1:
            middle = len(changes) // 2
            self._settle(changes[:middle], self.tab.position.sequence)
            return self._settle(changes[middle:], reaches)
        self.tally["rejected"] += 1
        if self.tally["rejected"] > _REJECTED_MOST:
            raise DestinationChanged(
                f"{self._book.what} refuses one row after another: {error.message[:200]}",
                hint="is the tab protected against edits? otherwise please report this",
            )
        rejected = RejectedResponse(
            f"Response {changes[0].response_id!r}: Google Sheets refuses it: {error.message[:200]}"
        )
        self._set_aside(changes[0].response_id, rejected)
        self.tab = replace(self.tab, position=Position(self.tab.position.table_id, reaches))
        self._index.save(self.tab)

    def _check_room(self, rows: int, cells: int) -> None:
        if cells and self.tab.cells + cells > CELLS_LIMIT:
            raise full_spreadsheet(self._book.what)

    def _count(self, skipped: Sequence[tuple[Change, Skip]]) -> None:
        self.tally.update(skip.value for _, skip in skipped)

    def _count_done(self, steps: Sequence[Step], failed: Sequence[Change]) -> None:
        undone = {change.row for change in failed}
        self.tally.update(step.act.value for step in steps if step.change.row not in undone)


def _restless(book: Spreadsheet) -> TransientError:
    return TransientError(f"{book.what} keeps changing while we write", retry_after_seconds=5)
