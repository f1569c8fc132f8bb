"""BSON values as JSON text, for any value: in full (extended JSON) or as people write it (dates as ISO text). Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite
from typing import Any, cast

import orjson
from bson import Int64, json_util

_EXACTLY = orjson.OPT_PASSTHROUGH_SUBCLASS  # code is a kind of str to Python, and would lose its scope
_PLAIN = _EXACTLY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_EXTENDED = _EXACTLY | orjson.OPT_PASSTHROUGH_DATETIME
_SURROGATE = re.compile("[\ud800-\udfff]")


def extended(value: object) -> str:
    """Write a value as MongoDB's relaxed extended JSON: numbers as numbers, all else with its type."""
    return _dumps(value, _EXTENDED)


def plain(value: object) -> str:
    """Write a value as plain JSON with dates as ISO text; what JSON cannot say is written as in extended JSON."""
    return _dumps(value, _PLAIN)


def clean(value: Any) -> Any:
    """Replace what is not UTF-8 (lone surrogates) in all texts of a value."""
    if type(value) is str:
        return _SURROGATE.sub("\ufffd", value)
    if type(value) is dict:
        return {clean(key): clean(item) for key, item in cast(dict[str, Any], value).items()}
    if type(value) is list:
        return [clean(item) for item in cast(list[Any], value)]
    return value


def _dumps(value: object, option: int) -> str:
    try:
        text = orjson.dumps(value, default=_typed, option=option)
        if b"null" in text:  # perhaps a NaN, which orjson writes as null
            text = orjson.dumps(_explicit(value), default=_typed, option=option)
    except TypeError:  # a lone surrogate, or nested deeper than JSON libraries read
        cleaned = clean(value)
        text = orjson.dumps(ascii(value)) if cleaned == value else _dumps(cleaned, option).encode()
    return text.decode()


def _explicit(value: Any) -> Any:
    if type(value) is float and not isfinite(value):
        return {"$numberDouble": {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]}
    if type(value) is dict:
        return {key: _explicit(item) for key, item in cast(dict[str, Any], value).items()}
    if type(value) is list:
        return [_explicit(item) for item in cast(list[Any], value)]
    return value


def _typed(value: Any) -> Any:
    """Write what JSON has no form for; orjson asks for it."""
    if type(value) is Int64:
        return int(value)
    if type(value) is datetime:
        utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return {"$date": utc.isoformat(timespec="milliseconds") + "Z"}
    return json_util.default(value, json_util.RELAXED_JSON_OPTIONS)
