"""One cell, as small as it can be: the value alone, `[value, style]`, or a dict when there is more to it.

Cells are stored and kept in this form because a sheet may have ten million of them. `style` is the number of a format
in the spreadsheet's list (0: none). `more` holds the formula, the note and the like under the API's own names.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from collect_pipelines.sheets_server.json_types import Json

Scalar = str | int | float | bool | None
Cell = Any
"""Scalar, `[Scalar, style]`, or `{"v": Scalar, "s": style, …more}`."""

_NOTHING: Json = {}


class Parts(NamedTuple):
    """A cell taken apart. `more` must not be changed in place."""

    value: Scalar
    style: int
    more: Json


def unpack(cell: Cell) -> Parts:
    """Take a cell apart."""
    if type(cell) is list:
        return Parts(cell[0], cell[1], _NOTHING)
    if type(cell) is dict:
        more = {key: value for key, value in cell.items() if key not in ("v", "s")}
        return Parts(cell.get("v"), cell.get("s", 0), more)
    return Parts(cell, 0, _NOTHING)


def pack(value: Scalar, style: int = 0, more: Json = _NOTHING) -> Cell:
    """Put a cell together. An empty text is no value."""
    if value == "" and type(value) is str:
        value = None
    if more:
        cell: Json = dict(more)
        if value is not None:
            cell["v"] = value
        if style:
            cell["s"] = style
        return cell
    return [value, style] if style else value


def value_of(cell: Cell) -> Scalar:
    """The cell's own value; None for a formula, whose value is computed."""
    if type(cell) is list:
        return cell[0]
    if type(cell) is dict:
        return cell.get("v")
    return cell


def style_of(cell: Cell) -> int:
    """The number of the cell's format."""
    if type(cell) is list:
        return cell[1]
    if type(cell) is dict:
        return cell.get("s", 0)
    return 0


def formula_of(cell: Cell) -> str | None:
    """The formula with its `=`, or None."""
    return cell.get("formula") if type(cell) is dict else None


def has_value(cell: Cell) -> bool:
    """Whether something stands in the cell (a note or a format alone does not)."""
    return cell is not None and (value_of(cell) is not None or formula_of(cell) is not None)


def without_value(cell: Cell) -> Cell:
    """The cell after its contents were cleared: format, note and validation stay."""
    parts = unpack(cell)
    return pack(None, parts.style, {key: value for key, value in parts.more.items() if key != "formula"})


def only_style(cell: Cell) -> Cell:
    """What a row or column inserted beside this cell takes over."""
    return pack(None, style_of(cell))
