"""Delivery of forms to Google Sheets, one spreadsheet per form."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pymongo import MongoClient

from collect_pipelines.clients.drive import Drive
from collect_pipelines.clients.google_errors import LayoutMoved, RequestRefused
from collect_pipelines.clients.google_http import accounts, pinned
from collect_pipelines.clients.quota import Quota, SharedQuota, Unlimited
from collect_pipelines.clients.sheets import Sheets, Spreadsheet
from collect_pipelines.delivery.contract import Delivered, Snapshot
from collect_pipelines.delivery.google_sheet.cells import Rendering
from collect_pipelines.delivery.google_sheet.config import SheetConfig, sheet_config
from collect_pipelines.delivery.google_sheet.index import RowIndex, Tab
from collect_pipelines.delivery.google_sheet.layout import wanted_columns
from collect_pipelines.delivery.google_sheet.opening import Clockwork, Opening
from collect_pipelines.delivery.google_sheet.read_back import ReadBack
from collect_pipelines.delivery.google_sheet.sync import SetAside, Sync
from collect_pipelines.delivery.rows import columns
from collect_pipelines.errors import DestinationChanged, RejectedResponse
from collect_pipelines.model import Form
from collect_pipelines.settings import Settings


class GoogleSheets:
    """Delivers forms. Safe to share between threads; two deliveries of one form at once only cost requests."""

    def __init__(
        self,
        sheets: Sequence[Sheets],
        drives: Sequence[Drive],
        *,
        rows_folder: Path,
        language: str = "en",
        clockwork: Clockwork | None = None,
    ) -> None:
        self._sheets = tuple(sheets)
        self._drives = tuple(drives)
        self._rows_folder = rows_folder
        self._language = language
        self._clockwork = clockwork or Clockwork()

    def deliver(
        self, form: Form, snapshot: Snapshot, *, rebuild: bool = False, set_aside: SetAside | None = None
    ) -> Delivered:
        """Bring the form's sheet to the snapshot; with `rebuild` compare every row and write what differs.

        A response that Google refuses goes to `set_aside` with its reason, and the others go on. Raises TransientError
        (try again), DestinationChanged and ConfigurationError (a person must act); the position then stays honest.
        """
        config = sheet_config(form)
        if not config.enabled:
            return Delivered(snapshot.position, notes={"enabled": "no"})
        with closing(RowIndex(self._rows_folder / f"{form.key}.sqlite")) as index:
            try:
                return self._deliver(form, config, snapshot, index, rebuild, set_aside or _ignore)
            except (RequestRefused, LayoutMoved) as error:
                raise DestinationChanged(f"The sheet of form {form.id!r} cannot be written: {error.message}") from error
            except DestinationChanged:
                if not rebuild or config.spreadsheet_id or index.load() is None:
                    raise
                index.clear()  # the spreadsheet that we made is gone: a full refresh makes another one
                return self._deliver(form, config, snapshot, index, rebuild, set_aside or _ignore)

    def read_back(self, form: Form) -> ReadBack | None:
        """Open the form's sheet for reading every row as it stands there; None when it has none yet."""
        config = sheet_config(form)
        with closing(RowIndex(self._rows_folder / f"{form.key}.sqlite")) as index:
            known = self._known(index, config)
            if known is None:
                return None
            language = config.language or self._language
            wanted = wanted_columns(columns(form, language))
            book = self._book(form, config, known, form.title(language))
        rendering = Rendering(language, form.default_language, _zone(known.time_zone)[0])
        return ReadBack(book, known, wanted, rendering)

    def _deliver(
        self,
        form: Form,
        config: SheetConfig,
        snapshot: Snapshot,
        index: RowIndex,
        rebuild: bool,
        set_aside: SetAside,
    ) -> Delivered:
        language = config.language or self._language
        wanted = wanted_columns(columns(form, language))
        title = form.title(language)
        known = self._known(index, config)
        book = self._book(form, config, known, title)
        opening = Opening(book, index, form, config, wanted, config.tab or title, self._clockwork)
        tab = opening.read(known, renew=rebuild) if known is None or rebuild else known
        zone, zone_known = _zone(tab.time_zone)
        rendering = Rendering(language, form.default_language, zone)
        if rebuild:
            index.distrust(list(ReadBack(book, tab, wanted, rendering).altered()))
        sync = Sync(opening, tab, snapshot, rendering, set_aside)
        sync.run(everything=rebuild)
        return _delivered(snapshot, sync, book, zone_known)

    def _known(self, index: RowIndex, config: SheetConfig) -> Tab | None:
        known = index.load()
        moved = known and (known.given or config.spreadsheet_id) and known.spreadsheet_id != config.spreadsheet_id
        if moved:
            index.clear()
            return None
        return known

    def _book(self, form: Form, config: SheetConfig, known: Tab | None, title: str) -> Spreadsheet:
        """Every spreadsheet belongs to one account: the one people share it with, or the one that made it."""
        if config.spreadsheet_id:
            return pinned(self._sheets, config.spreadsheet_id).spreadsheet(config.spreadsheet_id)
        spreadsheet_id = (
            known.spreadsheet_id if known else pinned(self._drives, form.key).find_or_create(form.key, title)
        )
        return pinned(self._sheets, form.key).spreadsheet(spreadsheet_id)


def open_google_sheets(
    settings: Settings,
    mongo: MongoClient[dict[str, Any]] | None,
    *,
    quota: Quota | None = None,
    clockwork: Clockwork | None = None,
) -> GoogleSheets:
    """Build the delivery from the settings. Anonymous access, as to a local server, has no quota of ours."""
    clockwork = clockwork or Clockwork()
    if quota is None:
        limited = mongo is not None and bool(settings.google_credentials)
        quota = _shared(settings, mongo) if limited and mongo is not None else Unlimited()
    endpoint = settings.sheets_endpoint
    people = accounts(settings)
    return GoogleSheets(
        [Sheets(account, quota, endpoint=endpoint, sleep=clockwork.sleep) for account in people],
        [Drive(account, folder=settings.google_folder, endpoint=endpoint, sleep=clockwork.sleep) for account in people],
        rows_folder=settings.sheet_rows,
        language=settings.language,
        clockwork=clockwork,
    )


def _shared(settings: Settings, mongo: MongoClient[dict[str, Any]]) -> SharedQuota:
    return SharedQuota(mongo, settings.state_database, per_minute=settings.sheets_writes_per_minute)


def _zone(name: str) -> tuple[tzinfo, bool]:
    try:
        return ZoneInfo(name), True
    except (ZoneInfoNotFoundError, ValueError):
        return UTC, False


def _ignore(response_id: str, reason: RejectedResponse) -> None:
    """The count in the notes is all that is kept."""


def _delivered(snapshot: Snapshot, sync: Sync, book: Spreadsheet, zone_known: bool) -> Delivered:
    tally, tab = sync.tally, sync.tab
    notes: dict[str, int | float | str] = {
        "requests": book.reads + book.writes,
        "writes": book.writes,
        "sent_bytes": book.sent_bytes,
        "waited_seconds": round(book.waited_seconds, 3),
        "cells_used": tab.cells,
        **{name: tally[name] for name in _NOTED if tally[name]},
    }
    if not zone_known:
        notes["unknown_time_zone"] = tab.time_zone
    return Delivered(
        position=snapshot.position,
        added=tally["add"],
        changed=tally["update"],
        removed=tally["strike"] + tally["remove"],
        unchanged=tally["unchanged"],
        rows=None,
        url=tab.url,
        notes=notes,
    )


_NOTED = ("cut", "rejected", "removed_by_users", "rows_moved", "columns_moved", "misplaced")
