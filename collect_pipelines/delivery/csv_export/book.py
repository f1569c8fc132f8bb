"""One form's export as it is kept: a SQLite database of finished lines and the position that they stand for.

Lines and position move in one transaction, so a power loss, a crash or a second delivery can never part them. Lines
lie in the order of the file, so a download is one scan; a change costs a few pages whatever the number of lines.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from collect_pipelines.delivery.csv_export.layout import Line
from collect_pipelines.errors import Fenced, IntegrityError, TransientError
from collect_pipelines.model import Position

FORMAT = 1
_CHECKSUM_BITS = 128
_PRAGMAS = (
    "page_size = 8192",
    "journal_mode = WAL",  # readers go on while a delivery writes
    "synchronous = FULL",
    "cache_size = -32768",  # 32 MiB
    "journal_size_limit = 67108864",
)

_TABLES = """
CREATE TABLE lines (
    submitted_microseconds INTEGER NOT NULL,
    response_id TEXT NOT NULL,
    text BLOB NOT NULL,
    PRIMARY KEY (submitted_microseconds, response_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX lines_by_response ON lines (response_id);
CREATE TABLE manifest (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    form_id TEXT NOT NULL,
    layout TEXT NOT NULL,
    header BLOB NOT NULL,
    byte_order_mark INTEGER NOT NULL,
    table_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export holds. `checksum` is the sum of the lines' BLAKE2b-128: it does not depend on their order."""

    form_id: str
    layout: str
    header: bytes
    byte_order_mark: bool
    table_id: str
    sequence: int
    rows: int
    bytes: int
    """Size of the file: header and lines, without byte order mark."""
    checksum: str
    updated_at: str

    @property
    def position(self) -> Position:
        """The commit of the response table that the export shows."""
        return Position(self.table_id, self.sequence)


class Tally(NamedTuple):
    """What applying lines did."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    bytes: int = 0
    checksum: int = 0

    def plus(self, other: Tally) -> Tally:
        """Add two tallies up."""
        return Tally(*(one + more for one, more in zip(self, other, strict=True)))


def line_checksum(text: bytes) -> int:
    """The part that one line has in the checksum."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=_CHECKSUM_BITS // 8).digest())


def spelled_checksum(total: int) -> str:
    """The checksum of lines as hexadecimal digits."""
    return f"{total % (1 << _CHECKSUM_BITS):032x}"


class Book:
    """An open export inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def manifest(self) -> Manifest | None:
        """What the export holds; None when it was never filled."""
        if self._connection.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
            return None
        row: list[Any] | None = self._connection.execute("SELECT * FROM manifest").fetchone()
        return Manifest(*row[1:]) if row else None

    def clear(self) -> None:
        """Begin anew, with empty tables; readers go on with what they see."""
        for table in ("lines", "manifest"):
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in _TABLES.split(";"):
            self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {FORMAT}")

    def fill(self, lines: Iterable[Line]) -> Tally:
        """Put lines into an empty export, where no response can be there already."""
        wanted = [line for line in lines if line.text is not None]
        self._connection.executemany(
            "INSERT INTO lines (response_id, submitted_microseconds, text) VALUES (?, ?, ?)", wanted
        )
        texts = [line.text for line in wanted if line.text is not None]
        return Tally(added=len(texts), bytes=sum(map(len, texts)), checksum=sum(map(line_checksum, texts)))

    def apply(self, lines: Iterable[Line]) -> Tally:
        """Put in, replace or remove lines, response by response."""
        tally = Tally()
        for line in lines:
            tally = tally.plus(self._apply(line))
        return tally

    def _apply(self, line: Line) -> Tally:
        known: tuple[int, bytes] | None = self._connection.execute(
            "SELECT submitted_microseconds, text FROM lines WHERE response_id = ?", (line.response_id,)
        ).fetchone()
        if known == line[1:]:
            return Tally(unchanged=1)
        if known is not None:
            self._connection.execute("DELETE FROM lines WHERE response_id = ?", (line.response_id,))
        tally = Tally() if known is None else Tally(bytes=-len(known[1]), checksum=-line_checksum(known[1]))
        if line.text is None:
            return tally._replace(removed=int(known is not None), unchanged=int(known is None))
        added = self.fill([line])
        return tally.plus(added if known is None else added._replace(added=0, changed=1))

    def record(self, manifest: Manifest) -> None:
        """Write down what the export now holds."""
        self._connection.execute("REPLACE INTO manifest VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(manifest))

    def lines(self) -> Iterator[bytes]:
        """Yield all lines in the order of the file: by time of submission, then response id."""
        ordered = self._connection.execute("SELECT text FROM lines ORDER BY submitted_microseconds, response_id")
        return (text for (text,) in ordered)


class DamagedBook(IntegrityError):
    """This export's database cannot be read. `inode` tells it from one that took its place since."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(
            f"The CSV export {path.name} is damaged: {reason}", hint="the next delivery makes it anew by itself"
        )
        self.inode = _inode(path)


@contextmanager
def writing(path: Path, *, patience_seconds: float) -> Generator[Book]:
    """Open an export for one transaction that is durable at the end and undone by any error.

    Raises Fenced when another delivery keeps writing, DamagedBook when the database cannot be read, TransientError
    when the disk is full or unwell.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwell(path, error.strerror) from None
    with _mapped(path), closing(sqlite3.connect(path, timeout=patience_seconds, isolation_level=None)) as connection:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN IMMEDIATE")
        yield Book(connection)
        connection.execute("COMMIT")


def reading(path: Path) -> tuple[Book, sqlite3.Connection, Manifest] | None:
    """Open an export as it is now; later deliveries do not change what is read. None when there is no export.

    The connection may be used by one thread after the other. Close it to end the reading. Raises DamagedBook.
    """
    if not path.is_file():
        return None
    address = f"{path.absolute().as_uri()}?mode=rw"  # "rw" does not create; "ro" could not join the write-ahead log
    with _mapped(path):
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        book, manifest = Book(connection), None
        try:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")
            manifest = book.manifest()
        finally:
            if manifest is None:
                connection.close()
        return (book, connection, manifest) if manifest else None


def set_aside(path: Path, damage: DamagedBook) -> None:
    """Move a damaged export out of the way, for a person to look at; only the last one is kept."""
    if _inode(path) != damage.inode:
        return  # somebody made it anew already
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(f"{path.name}.damaged{suffix}"))


def _inode(path: Path) -> int:
    return path.stat().st_ino if path.exists() else 0


@contextmanager
def _mapped(path: Path) -> Generator[None]:
    """Say in our own words what SQLite's errors mean."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Fenced(f"another delivery is writing the CSV export {path.name}") from None
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise _unwell(path, error) from None
        raise DamagedBook(path, error) from None


def _unwell(path: Path, reason: object) -> TransientError:
    return TransientError(
        f"The CSV export {path.name} cannot be written or read: {reason}",
        hint=f"is there space on the disk, and may this user write to {path.parent}?",
    )
