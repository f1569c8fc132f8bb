"""Answers as cells: typed, finite, within Google's limits, and never a formula. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Any, cast

from collect_pipelines.delivery.rows import Column, Unfit
from collect_pipelines.model import QuestionType, pick

Cell = dict[str, Any]
"""A `userEnteredValue`; empty for an empty cell. Text is only ever a `stringValue`, so it cannot become a formula."""

CELL_UNITS = 50_000
"""UTF-16 units per cell; one cell more and Google refuses the whole batch."""

NUMBER_FORMATS: Mapping[QuestionType, Mapping[str, str]] = {
    QuestionType.DATE: {"type": "DATE", "pattern": "yyyy-mm-dd"},
    QuestionType.DATETIME: {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm:ss"},
}

_EPOCH = date(1899, 12, 30).toordinal()
_LARGEST = 1e15
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Rendering:
    """Who reads the sheet: language of choices and time zone of the spreadsheet."""

    language: str
    default_language: str
    zone: tzinfo


def cell(column: Column, value: Any, rendering: Rendering) -> Cell:
    """Turn one value into a cell; what has no better form becomes text."""
    if value is None:
        return {}
    if isinstance(value, Unfit):
        return text_cell(value.text)
    if column.question is not None and column.question.options:
        value = _titled(column, value, rendering)
    for kind, render in _RENDERERS:
        if isinstance(value, kind):
            return render(value, rendering)
    return text_cell(str(value))


def text_cell(text: str) -> Cell:
    """Return a text cell, without control characters and cut to what fits into a cell."""
    kept = clean(text)
    return {"stringValue": kept} if kept else {}


def clean(text: str, limit_units: int = CELL_UNITS) -> str:
    """Drop control characters; cut to a number of UTF-16 units with a visible mark."""
    kept = _CONTROLS.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    if len(kept) * 2 <= limit_units or _units(kept) <= limit_units:
        return kept
    mark = f"… [cut: {len(kept):,} characters in all]"
    room = kept.encode("utf-16-le")[: 2 * (limit_units - len(mark))]
    return room.decode("utf-16-le", "ignore") + mark


def is_cut(value: Any) -> bool:
    """Tell whether a value is too long for a cell."""
    text = value.text if isinstance(value, Unfit) else value
    return isinstance(text, str) and len(text) * 2 > CELL_UNITS and _units(_CONTROLS.sub("", text)) > CELL_UNITS


def serial(moment: date) -> float | int:
    """Return a date or a wall-clock time as days since 1899-12-30, as spreadsheets count."""
    days = moment.toordinal() - _EPOCH
    if not isinstance(moment, datetime):
        return days
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
    return round(days + seconds / 86_400, 9)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _titled(column: Column, value: Any, rendering: Rendering) -> Any:
    options = column.question.options if column.question else ()
    titles = {o.id: pick(o.titles, rendering.language, rendering.default_language, o.id) for o in options}
    if isinstance(value, str):
        return titles.get(value, value)
    if isinstance(value, list):
        return [titles.get(item, item) for item in cast(list[Any], value)]
    return value


def _boolean(value: bool, _: Rendering) -> Cell:
    return {"boolValue": value}


def _number(value: float, _: Rendering) -> Cell:
    return {"numberValue": value} if math.isfinite(value) and abs(value) < _LARGEST else text_cell(str(value))


def _decimal(value: Decimal, _: Rendering) -> Cell:
    """A double holds 15 significant digits for certain; what needs more stays text, digit for digit."""
    if not value.is_finite():
        return text_cell(str(value))
    plain = value.normalize()
    if len(plain.as_tuple().digits) > 15 or abs(plain) >= Decimal(10) ** 15:
        return text_cell(f"{plain:f}")
    return {"numberValue": int(plain) if plain == plain.to_integral_value() else float(plain)}


def _moment(value: datetime, rendering: Rendering) -> Cell:
    local = value.astimezone(rendering.zone) if value.tzinfo else value
    return {"numberValue": serial(local)}


def _day(value: date, _: Rendering) -> Cell:
    return {"numberValue": serial(value)}


def _list(value: Sequence[Any], _: Rendering) -> Cell:
    return text_cell("; ".join(str(item) for item in value if item is not None))


def _mapping(value: Mapping[str, Any], _: Rendering) -> Cell:
    if value.get("latitude") is not None and value.get("longitude") is not None:
        return text_cell(f"{value['latitude']}, {value['longitude']}")
    return text_cell(str(value.get("url") or value.get("name") or ""))


def _text(value: str, _: Rendering) -> Cell:
    return text_cell(value)


_RENDERERS: tuple[tuple[Any, Callable[[Any, Rendering], Cell]], ...] = (
    (str, _text),
    (bool, _boolean),  # before int: a bool is one
    ((int, float), _number),
    (Decimal, _decimal),
    (datetime, _moment),  # before date: a datetime is one
    (date, _day),
    (list, _list),
    (Mapping, _mapping),
)
