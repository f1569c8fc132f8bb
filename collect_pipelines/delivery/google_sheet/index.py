"""The row index: what we last knew of a form's tab, in one SQLite file. A cache; it may be lost at any time.

Everything changes in one transaction that carries the number of the batch it follows from. It is believed only as
long as the sheet has no newer batch: the next one would then be refused.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from collect_pipelines.delivery.google_sheet.layout import Layout, Managed
from collect_pipelines.model import Position

_VERSION = 1
_TABLES = """
CREATE TABLE tab (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE rows (id TEXT PRIMARY KEY, place INTEGER, content TEXT NOT NULL, stale INTEGER NOT NULL DEFAULT 0)
    WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Tab:
    """A form's tab as we know it. `sequence` is the number of the last batch in it."""

    spreadsheet_id: str
    sheet_id: int
    title: str
    url: str
    time_zone: str
    given: bool
    """Whether people gave us the spreadsheet; else we made it."""
    row_count: int
    column_count: int
    other_cells: int
    """Cells of the other tabs."""
    layout: Layout
    sequence: int = 0
    position: Position = Position("", 0)  # noqa: RUF009  (a NamedTuple is immutable)
    """How far the tab is proven to be."""
    tail: int = 0
    """Place of the last row that has a key; 0 when there is none (the header)."""
    fences: tuple[tuple[int, int], ...] = ()
    """(number, epoch seconds) of the fences that are still in the sheet, oldest first."""
    suspects: bool = False
    """Whether some rows may show something else than their key says."""

    @property
    def cells(self) -> int:
        """Cells of the whole spreadsheet, empty ones included."""
        return self.other_cells + self.row_count * self.column_count


class Known(NamedTuple):
    """What we know of one row. `place` is None when people removed it; a stale row must be written again."""

    place: int | None
    content: str
    stale: bool


@dataclass(frozen=True, slots=True)
class Edits:
    """What a batch changed in the index."""

    put: Mapping[str, Known] = field(default_factory=dict[str, Known])
    removed: tuple[int, ...] = ()
    """Places of rows that are gone; everything below them moves up."""
    forget: tuple[str, ...] = ()


class RowIndex:
    """One open index. Not for more than one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _connect(path)
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._db = _connect(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def load(self) -> Tab | None:
        """Return the tab as last seen; None when nothing is known."""
        found = self._db.execute("SELECT state FROM tab").fetchone()
        return _tab(found[0]) if found else None

    def get(self, row: str) -> Known | None:
        """Look one row up by its id."""
        found = self._db.execute("SELECT place, content, stale FROM rows WHERE id = ?", (row,)).fetchone()
        return Known(found[0], found[1], bool(found[2])) if found else None

    def apply(self, before: Tab, after: Tab, edits: Edits) -> bool:
        """Store the outcome of a batch; False (and nothing stored) when somebody else stored another one first."""
        with self._transaction():
            if self._sequence() != before.sequence:
                return False
            self._shift(edits.removed)
            self._db.executemany("DELETE FROM rows WHERE id = ?", ((row,) for row in edits.forget))
            rows = ((row, *known) for row, known in edits.put.items())
            self._db.executemany("INSERT OR REPLACE INTO rows (id, place, content, stale) VALUES (?, ?, ?, ?)", rows)
            self._store(after)
            return True

    def save(self, tab: Tab) -> None:
        """Store what changed about the tab but not its rows."""
        with self._transaction():
            if self._sequence() in (None, tab.sequence):
                self._store(tab)

    def replace(self, tab: Tab, keys: Iterable[tuple[str, int, str]], *, forget_vanished: bool = False) -> None:
        """Take over all (row id, place, content) of the key column.

        Rows that vanished were removed by people, unless we may have destroyed them ourselves (`forget_vanished`):
        then they are forgotten, and so added again. Of a row that people copied, the first one is taken.
        """
        known = self.load()
        with self._transaction():
            if known is not None and (known.spreadsheet_id, known.sheet_id) != (tab.spreadsheet_id, tab.sheet_id):
                self._db.execute("DELETE FROM rows")
            self._db.execute("CREATE TEMP TABLE seen (id TEXT PRIMARY KEY, place INTEGER, content TEXT) WITHOUT ROWID")
            self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", keys)
            if forget_vanished:
                self._db.execute("DELETE FROM rows WHERE place IS NOT NULL AND id NOT IN (SELECT id FROM seen)")
            self._db.execute("UPDATE rows SET place = NULL WHERE id NOT IN (SELECT id FROM seen)")
            self._db.execute(
                "INSERT OR REPLACE INTO rows (id, place, content, stale) SELECT s.id, s.place, s.content,"
                " coalesce(r.stale AND r.content = s.content, 0) FROM seen s LEFT JOIN rows r ON r.id = s.id"
            )
            self._db.execute("DROP TABLE seen")
            self._store(tab)

    def distrust_all(self) -> None:
        """Mark every row as one that must be written again."""
        with self._transaction():
            self._db.execute("UPDATE rows SET stale = 1 WHERE place IS NOT NULL")

    def distrust(self, rows: Iterable[str]) -> None:
        """Mark rows as ones that must be written again."""
        with self._transaction():
            self._db.executemany("UPDATE rows SET stale = 1 WHERE id = ? AND place IS NOT NULL", ((r,) for r in rows))

    def clear(self) -> None:
        """Forget everything."""
        with self._transaction():
            self._db.execute("DELETE FROM tab")
            self._db.execute("DELETE FROM rows")

    def counts(self) -> tuple[int, int]:
        """Return the numbers of rows in the sheet and of rows that people removed. Reads the whole index."""
        found = self._db.execute("SELECT count(place), count(*) - count(place) FROM rows").fetchone()
        return int(found[0]), int(found[1])

    def _sequence(self) -> int | None:
        found = self._db.execute("SELECT sequence FROM tab").fetchone()
        return int(found[0]) if found else None

    def _store(self, tab: Tab) -> None:
        state = orjson.dumps(asdict(tab), default=_plain)
        self._db.execute("INSERT OR REPLACE INTO tab VALUES (1, ?, ?)", (tab.sequence, state))

    def _shift(self, removed: tuple[int, ...]) -> None:
        """Move up what stood below removed rows, from the bottom up, so that places stay comparable."""
        for place in sorted(removed, reverse=True):
            self._db.execute("UPDATE rows SET place = place - 1 WHERE place > ?", (place,))

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("an index of another version")
        if version == 0:
            db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
        db.execute("SELECT count(*) FROM tab").fetchone()
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Position):
        return list(value)
    raise TypeError(type(value).__name__)


def _tab(state: bytes) -> Tab:
    read: dict[str, Any] = orjson.loads(state)
    layout = read["layout"]
    columns = tuple(Managed(**column) for column in layout["columns"])
    dropped, recorded = frozenset(layout["dropped"]), frozenset(layout["recorded"])
    read["layout"] = Layout(columns, tuple(layout["header"]), layout["width"], dropped, recorded)
    read["position"] = Position(*read["position"])
    read["fences"] = tuple((number, at) for number, at in read["fences"])
    return Tab(**read)


def with_header(tab: Tab, header: tuple[str, ...]) -> Tab:
    """Return the tab with another header row."""
    return tab if tab.layout.header == header else replace(tab, layout=replace(tab.layout, header=header))
