"""Reading one export: the bytes of the CSV file in chunks, with its checksum."""

from __future__ import annotations

import csv
import hashlib
import sqlite3
from collections.abc import Generator, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from collect_pipelines.delivery.csv_export.book import Book, Manifest, line_checksum, spelled_checksum
from collect_pipelines.errors import IntegrityError
from collect_pipelines.model import safe_key

_CHUNK_BYTES = 64 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class CsvDownload:
    """A form's CSV as it was when it was opened. Iterate it once for the bytes; memory is bounded by a chunk."""

    def __init__(
        self, book: Book, connection: sqlite3.Connection, manifest: Manifest, byte_order_mark: bool | None
    ) -> None:
        self._book = book
        self._connection = connection
        self._manifest = manifest
        self._prefix = _BYTE_ORDER_MARK if _wanted(byte_order_mark, manifest) else b""
        self._sha256 = hashlib.sha256()
        self._reading: Generator[bytes] | None = None

    @property
    def rows(self) -> int:
        """Number of responses, the header not counted."""
        return self._manifest.rows

    @property
    def bytes(self) -> int:
        """Size of the file, byte order mark included."""
        return len(self._prefix) + self._manifest.bytes

    @property
    def tag(self) -> str:
        """The same for the same bytes, another for others: fit for an HTTP ETag."""
        return f"{self._manifest.checksum}-{self._manifest.layout}{'-bom' if self._prefix else ''}"

    @property
    def filename(self) -> str:
        """A safe name with the form and the day of the data, whatever the form's id."""
        return f"{safe_key(self._manifest.form_id)}-{self.updated_at:%Y-%m-%d}.csv"

    @property
    def updated_at(self) -> datetime:
        """When the export was last brought up to date (UTC)."""
        return datetime.fromisoformat(self._manifest.updated_at)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the file holds, as in the manifest beside it; `sha256` is known after reading to the end."""
        known = self._manifest
        return {
            "form": known.form_id,
            "rows": known.rows,
            "watermark": {"table_id": known.table_id, "sequence": known.sequence},
            "checksum": known.checksum,
            "bytes": self.bytes,
            "header": next(csv.reader([known.header.decode()])),
            "layout": known.layout,
            "updated_at": known.updated_at,
        }

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes that were read so far."""
        return self._sha256.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the file's bytes in chunks of about 64 KiB."""
        self._reading = self._chunks()
        return self._reading

    def verified(self) -> dict[str, Any]:
        """Hold rows, bytes and checksum against the manifest. Raises IntegrityError when they differ."""
        rows, size, total = 0, len(self._manifest.header), line_checksum(self._manifest.header)
        for line in self._lines():
            rows, size, total = rows + 1, size + len(line), total + line_checksum(line)
        found = (rows, size, spelled_checksum(total))
        if found != (self._manifest.rows, self._manifest.bytes, self._manifest.checksum):
            raise IntegrityError(
                f"The CSV export of {self._manifest.form_id!r} differs from its manifest",
                hint="make it anew with `collect backfill`",
            )
        return self.manifest

    def close(self) -> None:
        """End the reading, also half-way: SQLite keeps a database open as long as a query on it is unfinished."""
        if self._reading is not None:
            self._reading.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _chunks(self) -> Generator[bytes]:
        chunk, size = [self._prefix, self._manifest.header], 0
        for line in self._lines():
            chunk.append(line)
            size += len(line)
            if size >= _CHUNK_BYTES:
                yield self._counted(chunk)
                chunk, size = [], 0
        yield self._counted(chunk)

    def _lines(self) -> Iterator[bytes]:
        try:
            yield from self._book.lines()
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"The CSV export of {self._manifest.form_id!r} is damaged: {error}",
                hint="make it anew with `collect backfill`",
            ) from None

    def _counted(self, chunk: list[bytes]) -> bytes:
        joined = b"".join(chunk)
        self._sha256.update(joined)
        return joined


def _wanted(byte_order_mark: bool | None, manifest: Manifest) -> bool:
    return manifest.byte_order_mark if byte_order_mark is None else byte_order_mark
