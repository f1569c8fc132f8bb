"""What a value becomes on its way into a cell: as it is (RAW), or as if a person had typed it (USER_ENTERED)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.cells import Scalar
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.number_formats import to_serial


class Entered(NamedTuple):
    """A value for a cell; a formula instead of one; the number format that typing it brings along."""

    value: Scalar
    formula: str | None = None
    number_format: Json | None = None


_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d+)?")
_DATES = (
    (re.compile(r"\d{4}-\d{1,2}-\d{1,2}"), "%Y-%m-%d", "yyyy-mm-dd"),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2}"), "%Y/%m/%d", "yyyy/mm/dd"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4}"), "%m/%d/%Y", "m/d/yyyy"),
)
_DATE_TIME = re.compile(r"(\d{4}-\d{1,2}-\d{1,2})[ T](\d{1,2}:\d{2})(:\d{2})?")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(:\d{2})?")


def is_too_long(value: Any) -> bool:
    """Whether a text is over Google's 50,000 characters (UTF-16 units) for one cell."""
    if not isinstance(value, str) or len(value) * 2 <= limits.CELL_CHARACTERS:
        return False
    return len(value.encode("utf-16-le", "surrogatepass")) // 2 > limits.CELL_CHARACTERS


def raw(value: Any) -> Entered:
    """Take a JSON value as it is: numbers and booleans stay typed, texts stay texts."""
    return Entered(value)


def typed(value: Any) -> Entered:
    """Take a value as if it were typed into the cell by someone with the locale en_US."""
    if not isinstance(value, str):
        return Entered(value)
    if value.startswith("'"):
        return Entered(value[1:])
    text = value.strip()
    if text.startswith("=") and len(text) > 1:
        return Entered(None, formula=text)
    if text.upper() in ("TRUE", "FALSE"):
        return Entered(text.upper() == "TRUE")
    return _typed_number(text) or _typed_date(text) or Entered(value)


def _typed_number(text: str) -> Entered | None:
    sign, rest = ("-", text[1:]) if text.startswith("-$") else ("", text)
    if rest.startswith("$"):
        number = _plain_number(sign + rest[1:])
        pattern = '"$"#,##0.00' if "." in rest else '"$"#,##0'
        return None if number is None else Entered(number, number_format={"type": "CURRENCY", "pattern": pattern})
    if text.endswith("%"):
        number = _plain_number(text[:-1])
        pattern = "0.00%" if "." in text else "0%"
        return None if number is None else Entered(number / 100, number_format={"type": "PERCENT", "pattern": pattern})
    number = _plain_number(text)
    if number is None:
        return None
    if "," in text:
        pattern = "#,##0.00" if "." in text else "#,##0"
        return Entered(number, number_format={"type": "NUMBER", "pattern": pattern})
    if "e" in text.lower():
        return Entered(number, number_format={"type": "SCIENTIFIC", "pattern": "0.00E+00"})
    return Entered(number)


def _plain_number(text: str) -> int | float | None:
    if not _NUMBER.fullmatch(text) or not any(letter.isdigit() for letter in text):
        return None
    number = float(text.replace(",", ""))
    if number in (float("inf"), float("-inf")):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _typed_date(text: str) -> Entered | None:
    for form, parse, pattern in _DATES:
        if form.fullmatch(text):
            return _as_date(text, parse, {"type": "DATE", "pattern": pattern})
    if match := _DATE_TIME.fullmatch(text):
        seconds = match[3] or ":00"
        pattern = {"type": "DATE_TIME", "pattern": "yyyy-mm-dd h:mm:ss"}
        return _as_date(f"{match[1]} {match[2]}{seconds}", "%Y-%m-%d %H:%M:%S", pattern)
    if match := _TIME.fullmatch(text):
        hours, minutes, seconds = int(match[1]), int(match[2]), int((match[3] or ":0")[1:])
        if hours < 24 and minutes < 60 and seconds < 60:
            pattern = "h:mm:ss" if match[3] else "h:mm"
            day = (hours * 3600 + minutes * 60 + seconds) / 86400
            return Entered(day, number_format={"type": "TIME", "pattern": pattern})
    return None


def _as_date(text: str, parse: str, number_format: Json) -> Entered | None:
    try:
        serial = to_serial(datetime.strptime(text, parse).replace(tzinfo=UTC))
    except ValueError:
        return None
    if serial < 0:
        return None
    return Entered(int(serial) if serial.is_integer() else serial, number_format=number_format)
