"""One column at a time: values of any BSON type into Arrow, checked by exact Python type. What does not fit is named.

Arrow's own conversion is no guard: it makes 1 of 1.5, a date of an int, and 1.0 of True.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from math import isfinite
from re import ASCII
from re import compile as pattern
from typing import Any, NamedTuple

import pyarrow as pa
from bson import Decimal128, Int64

from collect_pipelines.model import QuestionType
from collect_pipelines.schema import DECIMAL, FILE, GEO_POINT, TIMESTAMP
from collect_pipelines.source.decimals import plain_decimals
from collect_pipelines.source.json_text import plain
from collect_pipelines.source.raw_documents import Kept

_ISO_DATE = pattern(r"\d{4}-\d\d-\d\d", ASCII)
_EXACT = 2**53
_NONE = type(None)
_INTEGERS = (int, Int64)


class Unfit(Exception):
    """A value does not fit; the text says what it is not."""


class Misfit(NamedTuple):
    """A value that was set aside: where it was and why."""

    row: int
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Converter:
    """How values become a column: types that need no look at each value, one value, a whole column of checked ones."""

    types: frozenset[type]
    one: Callable[[Any], Any]
    build: Callable[[Sequence[Any]], pa.Array]

    def column(self, values: list[Any]) -> tuple[pa.Array, list[Misfit]]:
        """Convert a column; None is no answer."""
        if self.types.issuperset(map(type, values)):
            try:
                return self.build(values), []
            except (Unfit, pa.ArrowInvalid):
                pass  # some value does not fit: find out which
        return self._one_by_one(values)

    def _one_by_one(self, values: list[Any]) -> tuple[pa.Array, list[Misfit]]:
        fitting: list[Any] = [None] * len(values)
        misfits: list[Misfit] = []
        for row, value in enumerate(values):
            if value is None:
                continue
            try:
                if type(value) is Kept:
                    raise Unfit(value.reason)
                fitting[row] = self.one(value)
            except Unfit as error:
                misfits.append(Misfit(row, value, str(error)))
        return self.build(fitting), misfits


def _array(kind: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    return lambda values: pa.array(values, kind)


def _only(kind: type, what: str) -> Callable[[Any], Any]:
    def one(value: Any) -> Any:
        if type(value) is not kind:
            raise Unfit(f"not {what}")
        return value

    return one


def _integer(value: Any) -> int:
    if type(value) in _INTEGERS:
        return int(value)
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    raise Unfit("not an integer")


def _decimal(value: Any) -> Decimal:
    number = _number(value)
    if not number.is_finite():
        raise Unfit("not a finite number")
    try:
        pa.scalar(number, DECIMAL)
    except pa.ArrowInvalid as error:
        raise Unfit("beyond 20 digits before or 18 digits after the point") from error
    return number


def _number(value: Any) -> Decimal:
    if type(value) is Decimal128:
        return value.to_decimal()
    if type(value) in _INTEGERS:
        return Decimal(value)
    if type(value) is float:
        return Decimal(repr(value))
    raise Unfit("not a number")


def _decimals(values: Sequence[Any]) -> pa.Array:
    if {Decimal128, _NONE}.issuperset(map(type, values)) and (quick := plain_decimals(values)) is not None:
        return quick
    numbers = [None if value is None else value if type(value) is Decimal else _number(value) for value in values]
    return pa.array(numbers, DECIMAL)


def _date(value: Any) -> date:
    if type(value) is str:
        return _iso_date(value)
    if type(value) is date:
        return value
    if type(value) is not datetime:
        raise Unfit("not a date")
    if value.hour or value.minute or value.second or value.microsecond:
        raise Unfit("a time of day in a date")
    return value.date()


@lru_cache(maxsize=10_000)
def _iso_date(text: str) -> date:
    if not _ISO_DATE.fullmatch(text):
        raise Unfit("not a date like 2026-01-31")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Unfit("no such day") from error


def _datetime(value: Any) -> datetime:
    if type(value) is not datetime:
        raise Unfit("not a time between the years 1 and 9999")
    return value


def _texts(value: Any) -> list[str]:
    if type(value) is not list or not {str}.issuperset(map(type, value)):
        raise Unfit("not a list of texts")
    return value


def _lists(values: Sequence[Any]) -> pa.Array:
    if not {str}.issuperset(map(type, chain.from_iterable(value for value in values if value))):
        raise Unfit
    return pa.array(values, pa.list_(pa.string()))


def _point(value: Any) -> tuple[float, float, float | None]:
    if type(value) is tuple:
        return value
    if type(value) is not dict or len(value) != 2 or value.get("type") != "Point":
        raise Unfit("not a GeoJSON point")
    coordinates = value.get("coordinates")
    if type(coordinates) is not list or len(coordinates) not in (2, 3):
        raise Unfit("not a GeoJSON point")
    longitude, latitude, *altitude = map(_coordinate, coordinates)
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise Unfit("not on the globe")
    return longitude, latitude, altitude[0] if altitude else None


def _coordinate(value: Any) -> float:
    if type(value) is float and isfinite(value):
        return value
    if type(value) in _INTEGERS and abs(value) < _EXACT:
        return float(value)
    raise Unfit("a coordinate is not a finite number")


def _points(values: Sequence[Any]) -> pa.Array:
    points = [None if value is None else _point(value) for value in values]
    return _struct(GEO_POINT, (None if point is None else point for point in points), points)


_FILE_FIELDS = ("name", "url", "media_type", "bytes")


def _file(value: Any) -> tuple[Any, ...]:
    if type(value) is tuple:
        return value
    if type(value) is not dict or not value.keys() <= set(_FILE_FIELDS):
        raise Unfit("not a file")
    for name in _FILE_FIELDS[:3]:
        if type(value.get(name)) not in (str, _NONE):
            raise Unfit(f"the file's {name} is not text")
    size = value.get("bytes")
    return (*(value.get(name) for name in _FILE_FIELDS[:3]), None if size is None else _integer(size))


def _files(values: Sequence[Any]) -> pa.Array:
    files = [None if value is None else _file(value) for value in values]
    return _struct(FILE, files, files)


def _struct(kind: pa.StructType, rows: Iterable[tuple[Any, ...] | None], whole: Sequence[object]) -> pa.Array:
    empty = (None,) * kind.num_fields
    fields = list(kind)
    columns = zip(*(empty if row is None else row for row in rows), strict=True) if whole else ((),) * len(fields)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, fields, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=fields, mask=pa.array([row is None for row in whole], pa.bool_()))


def _groups(value: Any) -> str:
    if type(value) is str:
        raise Unfit("not a list of groups")
    return _groups_text(value)


def _groups_text(value: Any) -> str:
    if type(value) is not list or not {dict}.issuperset(map(type, value)):
        raise Unfit("not a list of groups")
    return plain(value)


def _group_texts(values: Sequence[Any]) -> pa.Array:
    """Build from lists, or from texts that `_groups` made."""
    texts = [value if value is None or type(value) is str else _groups_text(value) for value in values]
    return pa.array(texts, pa.string())


def _types(*types: type) -> frozenset[type]:
    return frozenset((*types, _NONE))


TEXT = Converter(_types(str), _only(str, "text"), _array(pa.string()))
INTEGER = Converter(_types(*_INTEGERS), _integer, _array(pa.int64()))
DATETIME = Converter(_types(datetime), _datetime, _array(TIMESTAMP))

CONVERTERS: dict[QuestionType, Converter] = {
    QuestionType.TEXT: TEXT,
    QuestionType.INTEGER: INTEGER,
    QuestionType.DECIMAL: Converter(_types(Decimal128, float, *_INTEGERS), _decimal, _decimals),
    QuestionType.BOOLEAN: Converter(_types(bool), _only(bool, "true or false"), _array(pa.bool_())),
    QuestionType.DATE: Converter(
        _types(str, datetime),
        _date,
        lambda values: pa.array([v if v is None else _date(v) for v in values], pa.date32()),
    ),
    QuestionType.DATETIME: DATETIME,
    QuestionType.SINGLE_CHOICE: TEXT,
    QuestionType.MULTI_CHOICE: Converter(_types(list), _texts, _lists),
    QuestionType.GEO_POINT: Converter(_types(dict), _point, _points),
    QuestionType.FILE: Converter(_types(dict), _file, _files),
    QuestionType.EMAIL: TEXT,
    QuestionType.PHONE: TEXT,
    QuestionType.RATING: INTEGER,
    QuestionType.REPEAT_GROUP: Converter(_types(list), _groups, _group_texts),
}


def _json(kind: type, what: str) -> Converter:
    def one(value: Any) -> Any:
        if type(value) is not kind:
            raise Unfit(f"not {what}")
        return value

    return Converter(_types(kind), one, lambda values: pa.array([plain(v) if v else None for v in values], pa.string()))


JSON_DOCUMENT = _json(dict, "a document")
JSON_LIST = _json(list, "a list")
