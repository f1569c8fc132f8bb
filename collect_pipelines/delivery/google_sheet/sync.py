"""One delivery to one tab: columns first, then rows batch by batch, each verified before the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from collect_pipelines.clients.google_errors import FenceTaken, LayoutMoved, RequestRefused
from collect_pipelines.delivery.contract import Snapshot
from collect_pipelines.delivery.google_sheet.cells import Rendering
from collect_pipelines.delivery.google_sheet.changes import Skip, change_of, cut, steps_of
from collect_pipelines.delivery.google_sheet.index import Tab
from collect_pipelines.delivery.google_sheet.layout import Wanted, present, reshape
from collect_pipelines.delivery.google_sheet.opening import Opening
from collect_pipelines.delivery.google_sheet.plan import Act, Change
from collect_pipelines.delivery.google_sheet.writer import TabWriter
from collect_pipelines.delivery.rows import rows
from collect_pipelines.errors import DestinationChanged, Fenced, RejectedResponse, TransientError
from collect_pipelines.model import Position

WRITE_ATTEMPTS = 8
RESTARTS = 4
_REJECTED_MOST = 20

SetAside = Callable[[str, RejectedResponse], None]


class Sync:
    """The state of one delivery."""

    def __init__(
        self, opening: Opening, tab: Tab, snapshot: Snapshot, rendering: Rendering, set_aside: SetAside
    ) -> None:
        table_id, aim = snapshot.position
        if tab.position.table_id != table_id:  # another table: everything of it is compared
            tab = replace(tab, position=Position(table_id, 0))
        self.writer = TabWriter(opening, tab, aim)
        self.tally = self.writer.tally
        self._opening = opening
        self._snapshot = snapshot
        self._aim = aim
        self._rendering = rendering
        self._set_aside = set_aside

    @property
    def tab(self) -> Tab:
        """The tab as we know it now."""
        return self.writer.tab

    def run(self, *, everything: bool) -> None:
        """Bring the tab to the snapshot. `everything` compares all rows, else those that changed since last time.

        Whoever loses against another writer starts again from what was proven; one with older rows gives up (Fenced).
        """
        since = 0 if everything else self.tab.position.sequence
        for _ in range(RESTARTS):
            try:
                return self._run(since, everything=everything)
            except FenceTaken:
                self._yield_to_newer()
        raise self._restless()

    def _run(self, since: int, *, everything: bool) -> None:
        self._follow_form()
        if everything or since < self._aim:
            self._deliver(since)
        while self.tab.suspects:
            before = self.tally["misplaced"]
            self._deliver(0)
            if self.tally["misplaced"] == before:
                self.writer.tab = replace(self.tab, suspects=False)
                self._opening.index.save(self.tab)
        self.writer.settle_at(max(self._aim, 0 if everything else self.tab.position.sequence))

    def _yield_to_newer(self) -> None:
        """Somebody else has written. Go on when what we bring is as new as what they bring; else give up."""
        fence = self._opening.last_fence(self.tab.sheet_id)
        self.writer.read_whole()
        if fence is None or (fence.position.table_id == self._snapshot.position.table_id and fence.aim <= self._aim):
            return
        if fence.position == Position("-", 0):
            return
        raise Fenced(f"Another process delivers newer rows to {self._opening.book.what}")

    def _follow_form(self) -> None:
        """Bring columns and headers in line with the form; costs nothing when they are."""
        looked = False
        for _ in range(WRITE_ATTEMPTS):
            shape = reshape(self.tab.sheet_id, self.tab.layout, self._opening.wanted)
            if not shape.requests:
                self.writer.tab = replace(self.tab, layout=shape.layout)
                return
            if not looked:
                self.writer.read_whole()
                looked = True
                continue
            looked = False
            try:
                self.writer.write_columns(shape.layout, shape.requests)
            except LayoutMoved:
                continue
        raise self._restless()

    def _deliver(self, since: int) -> None:
        columns = present(self._opening.wanted, self.tab.layout)
        for batch in cut(self._changes(since, columns), len(columns)):
            reached = self._aim if batch.reaches is None else batch.reaches
            self._settle(batch.changes, max(self.tab.position.sequence, min(reached, self._aim)))

    def _changes(self, since: int, columns: Mapping[str, Wanted]) -> Iterator[Change]:
        """Yield the changes that the sheet does not show yet, as far as we know."""
        for batch in self._snapshot.changes(since):
            for row in rows(batch):
                change, cut_cells = change_of(row, columns, self._rendering)
                steps, skipped = steps_of([change], self.writer.look_up, self._opening.config)
                self._count(skipped)
                if steps:
                    self.tally["cut"] += cut_cells
                    yield change

    def _settle(self, changes: Sequence[Change], reaches: int) -> None:
        """Write changes until the sheet shows them all; then the tab is at the commit `reaches`."""
        for attempt in range(WRITE_ATTEMPTS):
            steps, skipped = steps_of(changes, self.writer.look_up, self._opening.config)
            if attempt:
                self._count(item for item in skipped if item[1] is Skip.REMOVED_BY_USERS)
            if not steps:
                self.writer.settle_at(reaches)
                return
            if any(step.act is not Act.ADD for step in steps) and not self.writer.look(steps):
                continue
            try:
                changes = self.writer.write_rows(steps, reaches)
            except LayoutMoved:
                self.writer.read_whole()
            except RequestRefused as error:
                self._halve([step.change for step in steps], reaches, error)
                return
        raise self._restless()

    def _halve(self, changes: Sequence[Change], reaches: int, error: RequestRefused) -> None:
        """Google refuses this batch: find the row that it cannot take, and let the others go on."""
        if len(changes) > 1:
            middle = len(changes) // 2
            self._settle(changes[:middle], self.tab.position.sequence)
            self._settle(changes[middle:], reaches)
            return
        self.tally["rejected"] += 1
        if self.tally["rejected"] > _REJECTED_MOST:
            raise DestinationChanged(
                f"{self._opening.book.what} refuses one row after another: {error.message[:200]}",
                hint="is the tab protected against edits? otherwise please report this",
            )
        response = changes[0].response_id
        reason = f"Response {response!r}: Google Sheets refuses it: {error.message[:200]}"
        self._set_aside(response, RejectedResponse(reason))
        self.writer.settle_at(reaches)

    def _count(self, skipped: Iterator[tuple[Change, Skip]] | Sequence[tuple[Change, Skip]]) -> None:
        self.tally.update(skip.value for _, skip in skipped)

    def _restless(self) -> TransientError:
        return TransientError(f"{self._opening.book.what} keeps changing while we write", retry_after_seconds=5)
