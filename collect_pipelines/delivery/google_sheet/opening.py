"""Getting to know a form's tab: from the row index, from the sheet itself, or by making it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from collect_pipelines.clients.google_errors import FenceTaken, TabGone
from collect_pipelines.clients.google_http import OutcomeUnknown
from collect_pipelines.clients.sheets import Spreadsheet
from collect_pipelines.delivery.google_sheet.config import SheetConfig
from collect_pipelines.delivery.google_sheet.discover import (
    Marks,
    find_tab,
    free_tab,
    read_keys,
    read_marks,
    read_tab,
    setup_requests,
    untouched_sheet,
)
from collect_pipelines.delivery.google_sheet.index import RowIndex, Tab
from collect_pipelines.delivery.google_sheet.keys import ALL_KEYS, FENCE_KEY, Fence
from collect_pipelines.delivery.google_sheet.layout import Json, Wanted, first_layout
from collect_pipelines.delivery.google_sheet.plan import header_texts
from collect_pipelines.errors import DestinationChanged, TransientError
from collect_pipelines.model import Form, Position

_SETUP_ATTEMPTS = 4
_WIDEST = 18_278
"""Columns A to ZZZ, the most that a tab can have."""


@dataclass(frozen=True, slots=True)
class Clockwork:
    """Time and chance, as arguments."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    token: Callable[[], str] = lambda: secrets.token_urlsafe(9)


@dataclass(frozen=True, slots=True)
class Opening:
    """What it takes to open the tab of one form."""

    book: Spreadsheet
    index: RowIndex
    form: Form
    config: SheetConfig
    wanted: tuple[Wanted, ...]
    title: str
    clockwork: Clockwork

    def read(self, known: Tab | None, *, renew: bool, forget_vanished: bool = False) -> Tab:
        """Read the tab whole: columns, fences, header and every key; make it when the form never had one.

        With `renew` a tab that people destroyed is made anew; else that is a DestinationChanged.
        """
        for _ in range(_SETUP_ATTEMPTS):
            marks, described = read_marks(self.book.metadata(ALL_KEYS)), self.book.describe()
            sheet_id = find_tab(self.form.key, marks, described)
            if sheet_id is not None:
                tab = read_tab(self.book.id, sheet_id, marks, described, known, given=self._given)
                if tab.layout.key_index is not None:
                    return self._read_rows(tab, forget_vanished=forget_vanished)
                if not renew:
                    raise self._gone("The column _response, which ties rows to responses,")
            elif known is not None and not renew:
                raise self._gone(f"The tab {known.title!r}")
            self.index.clear()
            self._make(marks, described, known)
            known = None
        raise TransientError(f"{self.book.what}: somebody else is making the same tab", retry_after_seconds=2)

    def read_again(self, tab: Tab, *, forget_vanished: bool = False) -> Tab:
        """Read header and keys; when the header is another one, everything."""
        key_index = tab.layout.key_index or 0
        header, column = self.book.values([header_range(tab), key_range(tab.sheet_id, key_index)])
        if _first_row(header) != tab.layout.header:
            return self.read(tab, renew=False, forget_vanished=forget_vanished)
        return self.store(tab, column, forget_vanished=forget_vanished)

    def last_fence(self, sheet_id: int) -> Fence | None:
        """Return the fence of the newest batch in a tab."""
        fences = read_marks(self.book.metadata((FENCE_KEY,))).fences.get(sheet_id, [])
        return fences[-1] if fences else None

    def store(self, tab: Tab, column: list[list[object]], *, forget_vanished: bool = False) -> Tab:
        """Take over the values of the key column."""
        keys = list(read_keys(column))
        tab = replace(tab, tail=max((place for _, place, _ in keys), default=0))
        self.index.replace(tab, keys, forget_vanished=forget_vanished)
        return tab

    def _read_rows(self, tab: Tab, *, forget_vanished: bool) -> Tab:
        key_index = tab.layout.key_index or 0
        header, column = self.book.values([header_range(tab), key_range(tab.sheet_id, key_index)])
        layout = replace(tab.layout, header=_first_row(header))
        return self.store(replace(tab, layout=layout), column, forget_vanished=forget_vanished)

    @property
    def _given(self) -> bool:
        return self.config.spreadsheet_id is not None

    def _make(self, marks: Marks, described: Json, lost: Tab | None) -> None:
        """Make the tab. Whether it worked, or somebody else was first, shows when it is read."""
        if len(self.wanted) > _WIDEST:
            raise DestinationChanged(f"Form {self.form.id!r} has more questions than a spreadsheet has columns")
        sheet_id, title = free_tab(self.form.key, described, self.title, {lost.sheet_id} if lost else set())
        layout = first_layout(self.wanted)
        fence = Fence(1, self.clockwork.token(), int(self.clockwork.now()), 0, 0, Position("-", 0))
        requests = setup_requests(self.form.key, sheet_id, title, self.wanted, layout, fence)
        try:
            if not self._given and (blank := untouched_sheet(described, marks)) is not None:
                requests += self._take_over(blank)
            self.book.update(requests)
        except (FenceTaken, OutcomeUnknown, TabGone):
            self.clockwork.sleep(0.2)

    def _take_over(self, blank: int) -> list[Json]:
        """Remove the blank tab of a spreadsheet that we made, and set its time zone."""
        zone = {"properties": {"timeZone": "Etc/UTC"}, "fields": "timeZone"}
        requests: list[Json] = [{"updateSpreadsheetProperties": zone}]
        if not any(self.book.values([{"sheetId": blank}])[0]):
            requests.append({"deleteSheet": {"sheetId": blank}})
        return requests

    def _gone(self, what: str) -> DestinationChanged:
        return DestinationChanged(
            f"{what} of form {self.form.id!r} was deleted from the spreadsheet",
            hint="undo that in the spreadsheet's version history, or run a full refresh, which makes a new tab",
        )


def header_range(tab: Tab) -> Json:
    """Return the header row as a grid range."""
    return {"sheetId": tab.sheet_id, "startRowIndex": 0, "endRowIndex": 1, "startColumnIndex": 0}


def key_range(sheet_id: int, key_index: int, start: int = 1, end: int | None = None) -> Json:
    """Return rows of the key column as a grid range; the whole column below the header by default."""
    span: Json = {"sheetId": sheet_id, "startRowIndex": start, "startColumnIndex": key_index}
    span["endColumnIndex"] = key_index + 1
    return span if end is None else span | {"endRowIndex": end}


def _first_row(values: list[list[object]]) -> tuple[str, ...]:
    return header_texts(values[0]) if values else ()
