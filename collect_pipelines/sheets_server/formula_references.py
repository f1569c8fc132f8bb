"""Keeping formulas on their cells when rows or columns are inserted, deleted or moved."""

from __future__ import annotations

import re

from collect_pipelines.sheets_server.a1 import column_index, column_letters, unquote_title
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.cells import formula_of
from collect_pipelines.sheets_server.rows import Row
from collect_pipelines.sheets_server.shift_rules import Shift

_REFERENCE = re.compile(
    r"""(?P<text>"(?:[^"]|"")*")
    |(?P<title>(?:'(?:[^']|'')+'|\w+)!)?(?<![\w$.])
     (?P<c1>\$?[A-Za-z]{1,3})(?P<r1>\$?[1-9]\d*)?(?P<colon>:(?P<c2>\$?[A-Za-z]{1,3})(?P<r2>\$?[1-9]\d*)?)?(?![\w(!.])""",
    re.VERBOSE,
)


def shift_formulas(book: Book, sheet: Sheet, on_rows: bool, shift: Shift) -> None:
    """Rewrite the formulas of the whole spreadsheet that refer to the sheet. Looks only at blocks with formulas."""
    for home in book.sheets:
        for rows in home.grid.rows_with_formulas():
            for row in rows:
                _shift_row(row, home is sheet, sheet.title, on_rows, shift)


def _shift_row(row: Row, at_home: bool, title: str, on_rows: bool, shift: Shift) -> None:
    for slot, cell in enumerate(row.cells):
        formula = formula_of(cell)
        if formula:
            now = shift_formula(formula, at_home, title, on_rows, shift)
            if now != formula:
                row.put(slot, {**cell, "formula": now})


def shift_formula(formula: str, at_home: bool, title: str, on_rows: bool, shift: Shift) -> str:
    """The formula after the shift. `at_home`: references without a title are to the shifted sheet."""

    def moved(match: re.Match[str]) -> str:
        if match["text"] or not (match["r1"] or match["c2"]):
            return match[0]
        if unquote_title(match["title"][:-1]) != title if match["title"] else not at_home:
            return match[0]
        return _moved(match, on_rows, shift)

    return _REFERENCE.sub(moved, formula)


def _moved(match: re.Match[str], on_rows: bool, shift: Shift) -> str:
    first, last = (match["r1"], match["r2"]) if on_rows else (match["c1"], match["c2"])
    if not first or (match["colon"] and not last):
        return match[0]  # an open end follows the sheet by itself
    start = _number(first, on_rows)
    end = _number(last, on_rows) if match["colon"] else start
    now = shift(min(start, end), max(start, end) + 1)
    if now is None:
        return "#REF!"
    first_now, last_now = _text(now[0], first, on_rows), _text(now[1] - 1, last or first, on_rows)
    title = match["title"] or ""
    if on_rows:
        one, other = match["c1"] + first_now, (match["c2"] or "") + last_now
    else:
        one, other = first_now + (match["r1"] or ""), last_now + (match["r2"] or "")
    return f"{title}{one}:{other}" if match["colon"] else f"{title}{one}"


def _number(part: str, on_rows: bool) -> int:
    bare = part.lstrip("$")
    return int(bare) - 1 if on_rows else column_index(bare)


def _text(index: int, before: str, on_rows: bool) -> str:
    dollar = "$" if before.startswith("$") else ""
    return dollar + (str(index + 1) if on_rows else column_letters(index))
