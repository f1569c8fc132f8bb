"""Number and date patterns, as far as people use them: `#,##0.00`, `0%`, `"$"0.00`, `yyyy-mm-dd hh:mm:ss`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from collect_pipelines.sheets_server.json_types import Json

EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
DATE_TYPES = ("DATE", "TIME", "DATE_TIME")
DEFAULT_PATTERNS = {
    "DATE": "yyyy-mm-dd",
    "TIME": "h:mm:ss am/pm",
    "DATE_TIME": "yyyy-mm-dd hh:mm:ss",
    "PERCENT": "0.00%",
    "CURRENCY": '"$"#,##0.00',
    "SCIENTIFIC": "0.00E+00",
}
_DATE_PARTS = re.compile(r'"[^"]*"|\\.|y+|m+|d+|h+|s+(?:\.0+)?|am/pm|a/p|.', re.IGNORECASE | re.DOTALL)
_NUMBER_PARTS = re.compile(
    r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]|[#0?][#0?,]*(?:\.[#0?]*)?(?:[Ee][+-]0+)?|\.[#0?]+|.', re.DOTALL
)
_LAST_SERIAL = 2_958_466  # 10000-01-01, which no calendar here knows


def to_serial(moment: datetime) -> float:
    """Days since 1899-12-30, as spreadsheets count."""
    return (moment - EPOCH) / timedelta(days=1)


def general(value: float) -> str:
    """A number without a format."""
    if (isinstance(value, int) or value.is_integer()) and abs(value) < 1e15:
        return str(int(value))
    text = f"{value:.15g}"
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    if -7 <= int(exponent) < 15:
        return f"{value:.{15 - int(exponent)}f}".rstrip("0").rstrip(".")
    sign, digits = exponent[0], exponent[1:].zfill(2)
    return f"{float(mantissa):.6g}E{sign}{digits}"


def is_date(number_format: Json | None) -> bool:
    """Whether a cell with this format shows a date or a time."""
    return bool(number_format) and number_format.get("type") in DATE_TYPES


def format_number(value: float, number_format: Json | None) -> str:
    """The text that a number shows under a NumberFormat."""
    kind = (number_format or {}).get("type", "")
    pattern = (number_format or {}).get("pattern") or DEFAULT_PATTERNS.get(kind, "")
    if not pattern or pattern.lower() == "general" or pattern == "@":
        return general(value)
    if kind in DATE_TYPES:
        return format_date(value, pattern)
    sections = _sections(pattern)
    if value < 0 and len(sections) > 1:
        return _format_section(-value, sections[1])
    section = sections[2] if value == 0 and len(sections) > 2 else sections[0]
    text = _format_section(abs(value), section)
    return f"-{text}" if value < 0 and re.search("[1-9]", text) else text


@lru_cache(maxsize=256)
def _sections(pattern: str) -> list[str]:
    return re.findall(r'(?:"[^"]*"|\\.|[^;])+', pattern) or [pattern]


def _format_section(value: float, section: str) -> str:
    parts: list[str] = _NUMBER_PARTS.findall(section)
    value *= 100 ** sum(1 for part in parts if part == "%")
    shown = ""
    used = False
    for part in parts:
        if part[0] in "#0?" or (part[0] == "." and len(part) > 1):
            shown += "" if used else _digits(value, part)
            used = True
        elif part[0] == '"':
            shown += part[1:-1]
        elif part[0] == "\\":
            shown += part[1:]
        elif part[0] not in "_*[":
            shown += part
    return shown


def _digits(value: float, picture: str) -> str:
    if "E" in picture.upper():
        decimals = len(picture.upper().partition("E")[0].partition(".")[2])
        mantissa, _, exponent = f"{value:.{decimals}E}".partition("E")
        return f"{mantissa}E{exponent}"
    whole_picture, _, fraction_picture = picture.partition(".")
    text = f"{value:.{len(fraction_picture)}f}"
    whole, _, fraction = text.partition(".")
    while fraction and fraction_picture[len(fraction) - 1] in "#?" and fraction.endswith("0"):
        fraction = fraction[:-1]
    whole = whole.zfill(whole_picture.count("0"))
    if whole == "0" and "0" not in whole_picture:
        whole = ""
    if "," in whole_picture:
        whole = re.sub(r"(?<=\d)(?=(\d{3})+$)", ",", whole)
    return f"{whole}.{fraction}" if fraction else whole


def format_date(serial: float, pattern: str) -> str:
    """The text of a date, time or both. What no calendar holds is shown as the bare number."""
    if not 0 <= serial < _LAST_SERIAL:
        return general(serial)
    fraction = max(
        (len(part) - part.index(".") - 1 for part in _DATE_PARTS.findall(pattern) if ".0" in part), default=0
    )
    unit = 10**-fraction
    moment = EPOCH + timedelta(seconds=round(serial * 86400 / unit) * unit)
    parts: list[str] = _DATE_PARTS.findall(pattern)
    twelve = any(part.lower() in ("am/pm", "a/p") for part in parts)
    return "".join(
        _date_part(part, moment, twelve_hours=twelve, minutes=_means_minutes(parts, at))
        for at, part in enumerate(parts)
    )


def _means_minutes(parts: list[str], at: int) -> bool:
    """`m` means minutes right after hours or right before seconds."""
    if parts[at][0] not in "mM":
        return False
    before = next((part[0].lower() for part in reversed(parts[:at]) if part[0].lower() in "ymdhs"), "")
    after = next((part[0].lower() for part in parts[at + 1 :] if part[0].lower() in "ymdhs"), "")
    return before == "h" or after == "s"


def _date_part(part: str, moment: datetime, *, twelve_hours: bool, minutes: bool) -> str:
    letter, width = part[0].lower(), len(part)
    if part.lower() == "am/pm":
        return f"{moment:%p}"
    if part.lower() == "a/p":
        return f"{moment:%p}"[0]
    if part[0] == '"':
        return part[1:-1]
    if part[0] == "\\":
        return part[1:]
    if letter == "y":
        return f"{moment.year:04d}" if width > 2 else f"{moment.year % 100:02d}"
    if letter == "m" and not minutes:
        return ("", str(moment.month), f"{moment.month:02d}", f"{moment:%b}", f"{moment:%B}", f"{moment:%B}"[0])[
            min(width, 5)
        ]
    if letter == "d":
        return ("", str(moment.day), f"{moment.day:02d}", f"{moment:%a}", f"{moment:%A}")[min(width, 4)]
    if letter == "s":
        whole, dot, places = part.partition(".")
        text = f"{moment.second:0{len(whole)}d}"
        return text + dot + f"{moment.microsecond:06d}"[: len(places)] if dot else text
    if letter == "m":
        return f"{moment.minute:0{min(width, 2)}d}"
    if letter == "h":
        hour = (moment.hour % 12 or 12) if twelve_hours else moment.hour
        return f"{hour:0{min(width, 2)}d}"
    return part
