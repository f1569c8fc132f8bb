"""How one column of answers becomes CSV cells: columns of Arrow values in, columns of finished cells out. Pure.

Cells are ready to be joined by commas: quoted as RFC 4180 says, and text is *neutralised*: what a spreadsheet
program would take for a formula gets a leading apostrophe (OWASP "CSV injection", ASVS 1.2.10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute

from collect_pipelines.model import QuestionType

pc: Any = pyarrow.compute  # its functions are made at import; type checkers cannot see them

# Spreadsheet programs skip white space, invisible characters and quotes before they look for a formula sign.
# Full-width and small forms are signs too: some programs fold them (Excel in East Asian locales).
_FORMULA = "^[\\t\\r\\n]|^[\\pZ\\pC\ufffd\"'`´‘’“”]*[=+\\-@＝＋－＠﹦﹢﹣﹫]"
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
_NEEDS_QUOTES = '[",\r\n]'
_PHONE = r"^\+?[ (]*[0-9][0-9 ()./-]{2,}\z"
_NUMBER = r"^[+-]?[0-9]+([.,][0-9]+)?\z"

_HARMLESS = {
    QuestionType.PHONE: _PHONE,
    QuestionType.INTEGER: _NUMBER,
    QuestionType.DECIMAL: _NUMBER,
    QuestionType.RATING: _NUMBER,
}
"""Text of these questions that may begin with a sign: it only looks like a formula."""


def text_cells(values: pa.Array, kind: QuestionType = QuestionType.TEXT) -> pa.Array:
    """Neutralise and quote text. Phone numbers and numbers stay what they are in questions that ask for them."""
    visible = pc.replace_substring_regex(values, _CONTROL, "\ufffd")
    risky = pc.match_substring_regex(visible, _FORMULA)
    if harmless := _HARMLESS.get(kind):
        risky = pc.and_not(risky, pc.match_substring_regex(visible, harmless))
    if pc.any(risky).as_py():
        visible = pc.if_else(risky, pc.binary_join_element_wise("'", visible, ""), visible)
    return quoted(visible)


def quoted(values: pa.Array) -> pa.Array:
    """Put quotes round the cells that need them."""
    needs = pc.match_substring_regex(values, _NEEDS_QUOTES)
    if not pc.any(needs).as_py():
        return values
    escaped = pc.binary_join_element_wise('"', pc.replace_substring(values, '"', '""'), '"', "")
    return pc.if_else(needs, escaped, values)


def text_cell(text: str, kind: QuestionType = QuestionType.TEXT) -> str:
    """Neutralise and quote one text.

    >>> text_cell("=1+1"), text_cell('say "hi", all'), text_cell("+49 30 123456", QuestionType.PHONE)
    ("'=1+1", '"say ""hi"", all"', '+49 30 123456')
    """
    return str(text_cells(pa.array([text], pa.string()), kind)[0].as_py())


def plain_cells(values: pa.Array) -> pa.Array:
    """Integers, booleans (true, false) and dates (ISO 8601)."""
    return values.cast(pa.string())


def datetime_cells(values: pa.Array) -> pa.Array:
    """ISO 8601 in UTC with a Z; fractions of a second only where there are some."""
    spelled = pc.replace_substring(values.cast(pa.string()), " ", "T")
    return pc.replace_substring_regex(spelled, r"(\.[0-9]*?[1-9])?(?:\.?0+)?Z$", r"\1Z")


def decimal_cells(values: pa.Array) -> pa.Array:
    """Exact decimals without exponent and without trailing zeros."""
    return _text(plain_decimal(value) for value in values.to_pylist())


def plain_decimal(value: Decimal | float | None) -> str | None:
    """Spell a number in full.

    >>> plain_decimal(Decimal("1E+2")), plain_decimal(Decimal("2.500")), plain_decimal(1e-7)
    ('100', '2.5', '0.0000001')
    """
    if value is None:
        return None
    spelled = f"{value if isinstance(value, Decimal) else Decimal(repr(value)):f}"
    if "." in spelled:
        spelled = spelled.rstrip("0").rstrip(".")
    return "0" if spelled == "-0" else spelled


def geo_cells(values: pa.Array) -> pa.Array:
    """`latitude,longitude` in degrees, and `,altitude` where there is one: what maps take when it is pasted."""
    return quoted(_text(_geo(value) for value in values.to_pylist()))


def _geo(point: Mapping[str, float | None] | None) -> str | None:
    if point is None:
        return None
    altitude = point.get("altitude")
    pair = [plain_decimal(point.get(axis)) or "" for axis in ("latitude", "longitude")]
    return ",".join(pair if altitude is None else [*pair, plain_decimal(altitude) or ""])


def file_cells(values: pa.Array) -> pa.Array:
    """The file's address, else its name."""
    return text_cells(_text(file and (file.get("url") or file.get("name")) for file in values.to_pylist()))


def choice_cells(titles: Mapping[str, str]) -> Callable[[pa.Array], pa.Array]:
    """Options by title; an option that the form does not list, by its id."""

    def cells(values: pa.Array) -> pa.Array:
        return text_cells(_text(titles.get(value, value) for value in values.to_pylist()))

    return cells


def joined_choice_cells(titles: Mapping[str, str]) -> Callable[[pa.Array], pa.Array]:
    """All chosen options by title, joined by `; `."""

    def joined(chosen: list[str] | None) -> str | None:
        return None if chosen is None else "; ".join(titles.get(option, option) for option in chosen)

    def cells(values: pa.Array) -> pa.Array:
        return text_cells(_text(joined(chosen) for chosen in values.to_pylist()))

    return cells


def chosen_cells(option: str) -> Callable[[pa.Array], pa.Array]:
    """1 where the option was chosen, 0 where it was not, empty where nothing was answered."""

    def cells(values: pa.Array) -> pa.Array:
        return _text(None if chosen is None else "1" if option in chosen else "0" for chosen in values.to_pylist())

    return cells


def cells_for(kind: QuestionType, titles: Mapping[str, str], stored: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    """Choose the rendering by what is stored, so that a question whose type was changed keeps its answers."""
    if pa.types.is_list(stored):
        return joined_choice_cells(titles)
    if pa.types.is_struct(stored):
        return geo_cells if stored.get_field_index("latitude") >= 0 else file_cells
    if pa.types.is_decimal(stored):
        return decimal_cells
    if pa.types.is_timestamp(stored):
        return datetime_cells
    if not pa.types.is_string(stored):
        return plain_cells
    return choice_cells(titles) if titles else lambda values: text_cells(values, kind)


def _text(cells: Iterable[Any]) -> pa.Array:
    return pa.array(list(cells), pa.string())
