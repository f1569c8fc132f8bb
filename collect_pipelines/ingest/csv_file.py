"""Any CSV of survey responses: whatever its encoding, delimiter, header and raggedness, no cell is lost."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.ingest.records import ID_COLUMNS, Ids, Record, RejectedLine, slug, usable_id

SAMPLE_BYTES = 256 << 10
MAX_CELL_CHARACTERS = 16 << 20  # MongoDB's limit for a whole document; also bounds an unclosed quote
DELIMITERS = (",", ";", "\t", "|")
_USUAL = ("cp1252", "cp1251", "cp1256", "gb18030", "shift_jis", "cp949", "cp1250", "cp1253", "cp1254", "cp1255")
"""Encodings of older spreadsheet programs, the most usual first."""
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the file is written."""

    encoding: str
    delimiter: str
    skip_lines: int = 0
    """Lines before the header: 1 where a spreadsheet program wrote `sep=;`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row and the line of the file it begins on; `fault` where it could not be read."""

    line: int
    cells: list[str]
    fault: str = ""


def detect(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Dialect:
    """Find out encoding and delimiter. Raises ConfigurationError for a file that is not there or no text."""
    try:
        with path.open("rb") as file:
            sample = file.read(SAMPLE_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    encoding = encoding or _encoding(path, sample)
    try:
        text = sample.decode(encoding, errors="replace")
    except LookupError:
        raise ConfigurationError(f"there is no encoding {encoding!r}", hint="for example utf-8, cp1252") from None
    first = text.partition("\n")[0].strip().strip('"')
    if found := re.fullmatch(r"sep=(.)", first):
        return Dialect(encoding, delimiter or found[1], skip_lines=1)
    return Dialect(encoding, delimiter or _delimiter(text))


def _encoding(path: Path, sample: bytes) -> str:
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    try:
        with path.open(encoding="utf-8") as file:
            while file.read(1 << 20):
                pass
        return "utf-8"
    except UnicodeDecodeError:
        return _likely_encoding(path)


def _likely_encoding(path: Path) -> str:
    """Guess from the lines that are not plain ASCII; between equals, the more usual encoding."""
    telling = b""
    with path.open("rb") as file:
        for line in file:
            telling += b"" if line.isascii() else line
            if len(telling) > SAMPLE_BYTES // 4:
                break
    matches = [match for match in from_bytes(telling, cp_isolation=list(_USUAL)) if match.coherence > 0]
    if not matches:
        return _USUAL[0]
    least = min(match.chaos for match in matches)
    calm = [match for match in matches if match.chaos <= least + 0.02]
    best = max(match.coherence for match in calm)
    return min((m.encoding for m in calm if m.coherence >= best - 0.05), key=_USUAL.index)


def _delimiter(text: str) -> str:
    """Choose the delimiter that cuts the first lines into the most even rows."""
    lines = text.splitlines(keepends=True)[:60]
    whole = lines[:-1] if len(lines) > 1 else lines

    def evenness(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(whole, delimiter=delimiter) if row]
        except csv.Error:
            return (0, 0)
        usual = max(set(widths), key=widths.count, default=1)
        return (widths.count(usual) / len(widths), usual) if usual > 1 else (0, 0)

    return max(DELIMITERS, key=evenness)


def rows(path: Path, dialect: Dialect) -> Iterator[Row]:
    """Yield the rows that are not blank. A quote that is never closed is one fault, with the lines it swallowed."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    with path.open(encoding=dialect.encoding, errors="replace", newline="") as file:
        for _ in range(dialect.skip_lines):
            file.readline()
        lines = _Lines(file)
        reader = csv.reader(lines, delimiter=dialect.delimiter)
        while True:
            start = dialect.skip_lines + reader.line_num + 1
            lines.taken.clear()
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield Row(start, [], str(error))
                continue
            if cells is None:
                return
            if len(lines.taken) > 1 and lines.ended and _is_open(lines.taken, dialect.delimiter):
                yield Row(start, [], f"a quote is opened and never closed; {len(lines.taken)} lines are inside it")
            elif any(cell.strip() for cell in cells):
                yield Row(start, cells)


class _Lines:
    """The lines of a file, remembering those of the current row and whether the file is over."""

    def __init__(self, file: io.TextIOBase) -> None:
        self._file = file
        self.taken: list[str] = []
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            self.ended = True
            raise StopIteration
        self.taken.append(line)
        return line


def _is_open(lines: list[str], delimiter: str) -> bool:
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False


class CsvFile:
    """A CSV file as a source of records of one form."""

    def __init__(self, path: Path, form_id: str, title: str, *, dialect: Dialect, id_column: str | None = None) -> None:
        self.path, self.form_id, self.dialect = path, form_id, dialect
        self._title = title
        self._ids = Ids()
        self._header = self._read_header()
        self._id_at = self._choose_id(id_column)

    @property
    def description(self) -> str:
        """Encoding, delimiter and the source of the ids."""
        ids = "row numbers" if self._id_at is None else f"column {self._header[self._id_at]!r}"
        return f"{self.path.name}: {self.dialect.encoding}, delimiter {self.dialect.delimiter!r}, ids from {ids}"

    def records(self) -> Iterator[Record | RejectedLine]:
        """Yield the rows; every cell that is not empty is an answer, beyond the header's last column too."""
        stem = slug(self.path.stem) or "row"
        for number, row in enumerate(self._body(), 1):
            if row.fault:
                yield RejectedLine(row.line, row.fault)
                continue
            unique = f"{stem}-{number}"
            if self._id_at is not None:
                found = usable_id(row.cells[self._id_at] if self._id_at < len(row.cells) else "")
                if found is None:
                    yield RejectedLine(row.line, f"no usable id in column {self._header[self._id_at]!r}")
                    continue
                unique = found
            yield Record(self.form_id, unique, self._answers(row.cells), row.line)

    def declared(self) -> dict[str, list[str]]:
        """The header's columns, but for the one with the ids."""
        columns = [self._column(at) for at, cell in enumerate(self._header) if cell and at != self._id_at]
        return {self.form_id: columns}

    def title(self, form_id: str) -> str:
        """The title given, or made of the file's name."""
        return self._title

    def question_title(self, form_id: str, question_id: str) -> str:
        """The column's header."""
        return self._ids.title(question_id)

    def _answers(self, cells: list[str]) -> dict[str, str]:
        return {self._column(at): cell for at, cell in enumerate(cells) if cell.strip() and at != self._id_at}

    def _column(self, at: int) -> str:
        title = self._header[at].strip() if at < len(self._header) else ""
        return self._ids.of(at, title or f"Column {at + 1}", at + 1)

    def _body(self) -> Iterator[Row]:
        found = rows(self.path, self.dialect)
        next(found, None)
        return found

    def _read_header(self) -> list[str]:
        header = next(rows(self.path, self.dialect), None)
        if header is None:
            raise ConfigurationError(f"{self.path} is empty", hint="the first line must name the columns")
        if header.fault:
            raise ConfigurationError(f"{self.path}: the header cannot be read: {header.fault}")
        cells = [cell.strip().lstrip("\ufeff") for cell in header.cells]
        for at, cell in enumerate(cells):  # in order, so that ids do not depend on which cells are empty
            self._ids.of(at, cell or f"Column {at + 1}", at + 1)
        return cells

    def _choose_id(self, wanted: str | None) -> int | None:
        lower = [cell.lower() for cell in self._header]
        if wanted is not None:
            if wanted.lower() not in lower:
                raise ConfigurationError(f"{self.path} has no column {wanted!r}", hint=f"it has: {self._header}")
            return lower.index(wanted.lower())
        for name in ID_COLUMNS:
            if name in lower and self._identifies(lower.index(name)):
                return lower.index(name)
        return None

    def _identifies(self, at: int) -> bool:
        """Tell whether the column names every row, each differently."""
        seen: set[int] = set()
        for row in self._body():
            found = usable_id(row.cells[at] if at < len(row.cells) else "") if not row.fault else "?"
            if found is None or (not row.fault and hash(found) in seen):
                return False
            seen.add(hash(found))
        return True
