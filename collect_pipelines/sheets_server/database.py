"""The spreadsheets on disk: one SQLite file. A request is one transaction; what was acknowledged survives kill -9."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from pathlib import Path
from typing import Any

import orjson

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.sheets_server.book import Book, Column, Sheet
from collect_pipelines.sheets_server.grid import Grid
from collect_pipelines.sheets_server.rows import Block, Row, Summary, decode, encode

FORMAT = 1
GAP = 1 << 32
CACHED_CELLS = 600_000
CACHED_BOOKS = 256

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, mime_type TEXT NOT NULL, owner TEXT NOT NULL, restricted INTEGER NOT NULL,
    created TEXT NOT NULL, modified TEXT NOT NULL, version INTEGER NOT NULL, more TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS permissions (
    file TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (file, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS books (
    id TEXT PRIMARY KEY, properties TEXT NOT NULL, named_ranges TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sheets (
    key INTEGER PRIMARY KEY, book TEXT NOT NULL, sheet_id INTEGER NOT NULL, position INTEGER NOT NULL,
    properties TEXT NOT NULL, columns TEXT NOT NULL, next_slot INTEGER NOT NULL, extras TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS sheets_of_book ON sheets (book);
CREATE TABLE IF NOT EXISTS blocks (
    id INTEGER PRIMARY KEY, sheet INTEGER NOT NULL, place INTEGER NOT NULL, count INTEGER NOT NULL,
    is_run INTEGER NOT NULL, filled_in_every BLOB NOT NULL, filled_in_some BLOB NOT NULL, has_formulas INTEGER NOT NULL,
    data BLOB);
CREATE INDEX IF NOT EXISTS blocks_in_order ON blocks (
    sheet, place, count, is_run, filled_in_every, filled_in_some, has_formulas);
CREATE TABLE IF NOT EXISTS metadata (
    book TEXT NOT NULL, id INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (book, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS styles (
    book TEXT NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (book, number)) WITHOUT ROWID;
"""


def _make_tables(connection: sqlite3.Connection, folder: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, FORMAT):
        raise ConfigurationError(
            f"{folder} was written by another version of the Sheets server (format {found}, this one has {FORMAT})",
            hint="run that version, or move the folder away",
        )
    connection.executescript(_TABLES)
    connection.execute(f"PRAGMA user_version={FORMAT}")


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _mask_bytes(mask: int) -> bytes:
    return mask.to_bytes((mask.bit_length() + 7) // 8)


class Database:
    """Reads and writes spreadsheets. Not thread-safe: the caller holds the service's lock."""

    def __init__(self, folder: Path, *, power_safe: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(folder / "sheets.sqlite", isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode=WAL")
        # FULL also survives a power loss; NORMAL survives the death of the process, and is faster.
        self.connection.execute(f"PRAGMA synchronous={'FULL' if power_safe else 'NORMAL'}")
        _make_tables(self.connection, folder)
        self._books: OrderedDict[str, Book] = OrderedDict()
        self._loaded: OrderedDict[int, tuple[Block, int]] = OrderedDict()
        self._loaded_cells = 0

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def book(self, spreadsheet_id: str) -> Book | None:
        """The spreadsheet, from memory or disk; None if there is none."""
        if book := self._books.get(spreadsheet_id):
            self._books.move_to_end(spreadsheet_id)
            return book
        book = self._read_book(spreadsheet_id)
        if book:
            self.keep(book)
        return book

    def keep(self, book: Book) -> None:
        """Hold a spreadsheet in memory."""
        self._books[book.spreadsheet_id] = book
        while len(self._books) > CACHED_BOOKS:
            self._books.popitem(last=False)

    def drop(self, spreadsheet_id: str) -> None:
        """Forget what is in memory: after a rollback only the disk is right."""
        self._books.pop(spreadsheet_id, None)

    def delete_book(self, spreadsheet_id: str) -> None:
        """Delete a spreadsheet, within the caller's transaction."""
        self.drop(spreadsheet_id)
        execute = self.connection.execute
        execute("DELETE FROM blocks WHERE sheet IN (SELECT key FROM sheets WHERE book = ?)", (spreadsheet_id,))
        for table in ("sheets", "metadata", "styles"):
            execute(f"DELETE FROM {table} WHERE book = ?", (spreadsheet_id,))  # noqa: S608 - names from the line above
        execute("DELETE FROM books WHERE id = ?", (spreadsheet_id,))

    def write_book(self, book: Book) -> None:
        """Write what the request changed, within the caller's transaction."""
        execute = self.connection.execute
        if book.changed:
            row = (book.spreadsheet_id, _text(book.properties), _text(book.named_ranges))
            execute("INSERT OR REPLACE INTO books VALUES (?, ?, ?)", row)
        for key in book.removed_sheets:
            execute("DELETE FROM blocks WHERE sheet = ?", (key,))
            execute("DELETE FROM sheets WHERE key = ?", (key,))
        for position, sheet in enumerate(book.sheets):
            self._write_sheet(book, sheet, position)
        self._write_metadata(book)
        for number in range(book.stored_styles, len(book.styles)):
            execute("INSERT INTO styles VALUES (?, ?, ?)", (book.spreadsheet_id, number, _text(book.styles[number])))

    def settle(self, book: Book) -> None:
        """After the commit: nothing of the spreadsheet is waiting to be written any more."""
        book.changed = False
        book.removed_sheets.clear()
        book.changed_metadata.clear()
        book.stored_styles = len(book.styles)
        for sheet in book.sheets:
            sheet.changed = False
            for block in sheet.grid.dirty.values():
                block.dirty = False
                self._remember(block)
            sheet.grid.dirty.clear()
            sheet.grid.removed.clear()
            sheet.grid.moved = False

    def _write_sheet(self, book: Book, sheet: Sheet, position: int) -> None:
        if sheet.changed or book.changed or sheet.key is None:
            columns = _text([[column.slot, column.props] for column in sheet.columns])
            cursor = self.connection.execute(
                "INSERT OR REPLACE INTO sheets VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(sheet.key, book.spreadsheet_id, sheet.sheet_id, position),
                    *(_text(sheet.properties), columns, sheet.next_slot, _text(sheet.extras)),
                ),
            )
            sheet.key = sheet.key or cursor.lastrowid
        self._write_blocks(sheet)

    def _write_blocks(self, sheet: Sheet) -> None:
        grid = sheet.grid
        self.connection.executemany("DELETE FROM blocks WHERE id = ?", [(block_id,) for block_id in grid.removed])
        replaced = _find_places(grid)
        if replaced:
            stored = [(block.place, block.id) for block in replaced if block.id is not None]
            self.connection.executemany("UPDATE blocks SET place = ? WHERE id = ?", stored)
        for block in grid.dirty.values():
            every, some, formulas = grid.summary(block)
            place = (block.id, sheet.key, block.place, block.count, block.is_run)
            row = (*place, _mask_bytes(every), _mask_bytes(some), formulas, encode(block.rows or []))
            cursor = self.connection.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            block.id = block.id or cursor.lastrowid

    def _write_metadata(self, book: Book) -> None:
        for metadata_id in book.changed_metadata:
            if body := book.metadata.get(metadata_id):
                row = (book.spreadsheet_id, metadata_id, _text(body))
                self.connection.execute("INSERT OR REPLACE INTO metadata VALUES (?, ?, ?)", row)
            else:
                row = (book.spreadsheet_id, metadata_id)
                self.connection.execute("DELETE FROM metadata WHERE book = ? AND id = ?", row)

    def _read_book(self, spreadsheet_id: str) -> Book | None:
        execute = self.connection.execute
        found = execute("SELECT properties, named_ranges FROM books WHERE id = ?", (spreadsheet_id,)).fetchone()
        if not found:
            return None
        book = Book(spreadsheet_id, orjson.loads(found[0]), named_ranges=orjson.loads(found[1]))
        for number, body in execute(
            "SELECT number, body FROM styles WHERE book = ? ORDER BY number", (spreadsheet_id,)
        ):
            book.styles[number:] = [orjson.loads(body)]
            book.style_numbers[orjson.dumps(book.styles[number], option=orjson.OPT_SORT_KEYS)] = number
        book.stored_styles = len(book.styles)
        for metadata_id, body in execute("SELECT id, body FROM metadata WHERE book = ?", (spreadsheet_id,)):
            book.metadata[metadata_id] = orjson.loads(body)
        sql = (
            "SELECT key, sheet_id, properties, columns, next_slot, extras FROM sheets WHERE book = ? ORDER BY position"
        )
        book.sheets = [self._read_sheet(row) for row in execute(sql, (spreadsheet_id,)).fetchall()]
        return book

    def _read_sheet(self, row: tuple[Any, ...]) -> Sheet:
        key, sheet_id, properties, columns, next_slot, extras = row
        listed = [Column(slot, props) for slot, props in orjson.loads(columns)]
        sheet = Sheet(sheet_id, orjson.loads(properties), listed, next_slot, self._read_grid(key))
        sheet.extras = orjson.loads(extras)
        sheet.key = key
        return sheet

    def _read_grid(self, sheet_key: int) -> Grid:
        columns = "id, place, count, is_run, filled_in_every, filled_in_some, has_formulas"
        sql = f"SELECT {columns} FROM blocks WHERE sheet = ? ORDER BY place"  # noqa: S608 - names from the line above
        blocks: list[Block] = []
        for block_id, place, count, is_run, every, some, formulas in self.connection.execute(sql, (sheet_key,)):
            block = Block(None, count, is_run=bool(is_run), block_id=block_id, place=place)
            block.summary = Summary(int.from_bytes(every), int.from_bytes(some), bool(formulas))
            blocks.append(block)
        return Grid(blocks, self.load)

    def load(self, block: Block) -> list[Row]:
        """Bring a block's rows into memory, at the cost of those that were loaded longest ago."""
        found = self.connection.execute("SELECT data FROM blocks WHERE id = ?", (block.id,)).fetchone()
        block.rows = decode(found[0])
        self._remember(block)
        return block.rows

    def _remember(self, block: Block) -> None:
        _, before = self._loaded.pop(id(block), (block, 0))
        weight = block.weight
        self._loaded[id(block)] = (block, weight)
        self._loaded_cells += weight - before
        while self._loaded_cells > CACHED_CELLS and len(self._loaded) > 1:
            _, (oldest, its_weight) = self._loaded.popitem(last=False)
            self._loaded_cells -= its_weight
            if not oldest.dirty:
                oldest.rows = None


def _find_places(grid: Grid) -> list[Block]:
    """Give new and moved blocks a place between their neighbours. Returns those whose stored place is out of date."""
    if not grid.moved and all(block.place is not None for block in grid.dirty.values()):
        return []
    blocks = grid.blocks
    changed = [block for block in blocks if block.place is None]
    at = 0
    while at < len(blocks):
        if blocks[at].place is not None:
            at += 1
            continue
        end = at
        while end < len(blocks) and blocks[end].place is None:
            end += 1
        if not _spread(blocks, at, end):
            for number, block in enumerate(blocks):
                block.place = (number + 1) * GAP
            return list(blocks)
        at = end
    return changed


def _spread(blocks: list[Block], at: int, end: int) -> bool:
    """Spread the blocks at…end-1 evenly between their neighbours; False if there is no room."""
    before = blocks[at - 1].place if at else 0
    after = blocks[end].place if end < len(blocks) else None
    assert before is not None  # noqa: S101 - the blocks before have their places
    step = GAP if after is None else (after - before) // (end - at + 1)
    for number in range(at, end):
        blocks[number].place = before + step * (number - at + 1)
    return step > 0
