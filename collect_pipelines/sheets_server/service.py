"""The spreadsheets as a service: one lock, one transaction per request, and all or nothing."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.sheets_server.book import Book
from collect_pipelines.sheets_server.database import Database
from collect_pipelines.sheets_server.errors import RequestRefused, bad_request, not_found, not_shared
from collect_pipelines.sheets_server.files import Files

Watcher = Callable[[str, int], None]
"""Called with (spreadsheet id, version) after a change was committed."""


def now_text() -> str:
    """The time as Drive writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def claim(path: Path) -> BinaryIO:
    """Make sure that no other server serves this folder: each keeps spreadsheets in memory."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ConfigurationError(
            f"Another Sheets server already serves {path.parent}", hint="stop it, or give this one another folder"
        ) from None
    return file


class SheetsService:
    """All spreadsheets of one folder. Methods may be called from any thread; they take turns."""

    def __init__(self, folder: Path, *, power_safe: bool = True) -> None:
        self._lock = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)
        self._claim = claim(folder / "server.lock")
        self.database = Database(folder, power_safe=power_safe)
        self.files = Files(self.database.connection)
        self.watchers: list[Watcher] = []
        self.stoppers: list[Callable[[], None]] = []
        self._changed: set[str] = set()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self.database.close()
            self._claim.close()

    @contextmanager
    def reading(self) -> Generator[None]:
        """Hold the lock for a read."""
        with self._lock:
            yield

    @contextmanager
    def writing(self) -> Generator[None]:
        """One transaction: committed at the end, rolled back (memory too) when anything is raised."""
        with self._lock:
            connection = self.database.connection
            connection.execute("BEGIN IMMEDIATE")
            self._changed.clear()
            try:
                yield
                books = [book for name in self._changed if (book := self.database.book(name))]
                for book in books:
                    self.database.write_book(book)
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                for name in self._changed:
                    self.database.drop(name)
                raise
            for book in books:
                self.database.settle(book)
                book.version += 1
            changed = [(book.spreadsheet_id, book.version) for book in books]
        for name, version in changed:
            for watcher in list(self.watchers):
                watcher(name, version)

    @contextmanager
    def editing(self, spreadsheet_id: str, principal: str) -> Generator[Book]:
        """A spreadsheet to change, in its own transaction. Refusals become 400."""
        with self.writing():
            book = self.to_change(spreadsheet_id, principal)
            try:
                yield book
            except RequestRefused as refused:
                raise bad_request(str(refused)) from None

    @contextmanager
    def viewing(self, spreadsheet_id: str, principal: str) -> Generator[Book]:
        """A spreadsheet to read."""
        with self.reading():
            book = self.find(spreadsheet_id)
            if not self.files.may_read(spreadsheet_id, principal):
                raise not_shared()
            try:
                yield book
            except RequestRefused as refused:
                raise bad_request(str(refused)) from None

    def find(self, spreadsheet_id: str) -> Book:
        """A spreadsheet, or 404."""
        book = self.database.book(spreadsheet_id)
        if book is None:
            raise not_found()
        return book

    def to_change(self, spreadsheet_id: str, principal: str) -> Book:
        """A spreadsheet to change within the current transaction."""
        book = self.find(spreadsheet_id)
        if not self.files.may_write(spreadsheet_id, principal):
            raise not_shared()
        self.mark_changed(spreadsheet_id)
        return book

    def mark_changed(self, spreadsheet_id: str) -> None:
        """Have the current transaction write this spreadsheet."""
        self._changed.add(spreadsheet_id)
        self.files.touch(spreadsheet_id, now_text())

    def add_book(self, book: Book) -> None:
        """Take in a new spreadsheet within the current transaction."""
        book.changed = True
        self.database.keep(book)
        self._changed.add(book.spreadsheet_id)
