"""A1 notation: `'Jane''s tab'!B2:D` and back. Rows and columns are counted from 0, ends are exclusive."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CELL = re.compile(r"\$?([A-Za-z]{1,3})?\$?([1-9][0-9]{0,7})?")
_R1C1 = re.compile(r"R([1-9][0-9]*)C([1-9][0-9]*)", re.IGNORECASE)
_PLAIN_TITLE = re.compile(r"[^\W\d]\w*")
_LOOKS_LIKE_CELL = re.compile(r"[A-Za-z]{1,3}[0-9]+|R[0-9]*(C[0-9]*)?|C[0-9]*|TRUE|FALSE", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of a sheet. `None` as an end means: to the end of the sheet, whatever its size."""

    top: int = 0
    left: int = 0
    bottom: int | None = None
    right: int | None = None

    def within(self, rows: int, columns: int) -> Area:
        """The same area with its open ends set and cut to the size of the sheet."""
        bottom = rows if self.bottom is None else min(self.bottom, rows)
        right = columns if self.right is None else min(self.right, columns)
        return Area(min(self.top, rows), min(self.left, columns), bottom, right)

    @property
    def is_one_cell(self) -> bool:
        """Whether it names exactly one cell."""
        return self.bottom == self.top + 1 and self.right == self.left + 1


def column_letters(index: int) -> str:
    """0 → A, 25 → Z, 26 → AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def column_index(letters: str) -> int:
    """A → 0, AA → 26."""
    index = 0
    for letter in letters.upper():
        index = index * 26 + ord(letter) - 64
    return index - 1


def quote_title(title: str) -> str:
    """The title as Google writes it before `!`: plain, or in quotes when it could be read as something else."""
    if _PLAIN_TITLE.fullmatch(title) and title.isascii() and not _LOOKS_LIKE_CELL.fullmatch(title):
        return title
    return "'" + title.replace("'", "''") + "'"


def unquote_title(text: str) -> str:
    """`'Jane''s'` → `Jane's`; a plain title stays."""
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text


def split_title(text: str) -> tuple[str | None, str]:
    """(`title`, `B2:D`) of a full reference; the title is None when there is no `!`."""
    if "!" not in text:
        return None, text
    title, _, cells = text.rpartition("!")
    return unquote_title(title), cells


def parse_cells(text: str) -> Area | None:
    """The area of `B2:D`, `B`, `2:2`, `A5:A`, or None if the text is no such reference."""
    if match := _R1C1.fullmatch(text):
        row, column = int(match[1]) - 1, int(match[2]) - 1
        return Area(row, column, row + 1, column + 1)
    first, colon, second = text.partition(":")
    start = _corner(first)
    end = _corner(second) if colon else start
    if start is None or end is None or (not colon and None in start):
        return None
    (row, column), (last_row, last_column) = start, end
    top, bottom = _span(row, last_row)
    left, right = _span(column, last_column)
    return Area(top, left, bottom, right)


def _corner(text: str) -> tuple[int | None, int | None] | None:
    match = _CELL.fullmatch(text)
    if not text or not match:
        return None
    column = column_index(match[1]) if match[1] else None
    return (int(match[2]) - 1 if match[2] else None), column


def _span(first: int | None, last: int | None) -> tuple[int, int | None]:
    if first is None or last is None:
        return (first if first is not None else last or 0), None
    return min(first, last), max(first, last) + 1


def format_cells(area: Area) -> str:
    """`B2:D4`, or `B2` for one cell. The area has no open ends."""
    assert area.bottom is not None  # noqa: S101 - said in the docstring, and narrows the type
    assert area.right is not None  # noqa: S101
    first = f"{column_letters(area.left)}{area.top + 1}"
    last = f"{column_letters(max(area.right - 1, area.left))}{max(area.bottom, area.top + 1)}"
    return first if first == last else f"{first}:{last}"


def format_range(title: str, area: Area) -> str:
    """`Sheet1!B2:D4`."""
    return f"{quote_title(title)}!{format_cells(area)}"
