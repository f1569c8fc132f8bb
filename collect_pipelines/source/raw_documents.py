"""Raw BSON into documents, without losing what a reader drops: duplicate keys, bad UTF-8, broken documents."""

from __future__ import annotations

import hashlib
import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError

from collect_pipelines.source.json_text import clean

OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
_LENIENT: CodecOptions[dict[str, Any]] = OPTIONS.with_options(unicode_decode_error_handler="surrogateescape")
_UNREADABLE = (BSONError, ValueError, TypeError, OverflowError, RecursionError, struct.error, IndexError)

CORRUPT = "_document"
"""The only key, beside `_id`, of a document that cannot be read at all."""

_FIXED_BYTES = {1: 8, 6: 0, 7: 12, 8: 1, 9: 8, 10: 0, 16: 4, 17: 8, 18: 8, 19: 16, 127: 0, 255: 0}
_DOCUMENT, _BINARY, _REGEX, _DBPOINTER = 3, 5, 11, 12


class Kept(NamedTuple):
    """A value that is set aside: the nearest readable value, why, and the bytes it came from (base64)."""

    value: Any
    reason: str
    raw: str = ""


class Raw(NamedTuple):
    """One document of a batch, whole, and the hash of its bytes."""

    body: bytes
    hash: str


def split(raw: bytes) -> Iterator[Raw]:
    """Cut a batch into its documents; what comes after a broken length is one broken document."""
    start = 0
    while start < len(raw):
        length = int.from_bytes(raw[start : start + 4], "little")
        end = start + length if 5 <= length <= len(raw) - start else len(raw)
        body = raw[start:end]
        yield Raw(body, hashlib.blake2b(body, digest_size=8).hexdigest())
        start = end


def read(batch: list[Raw]) -> list[dict[str, Any]]:
    """Read documents; those that an ordinary reader would change have `Kept` in the places it would change."""
    try:
        documents = bson.decode_all(b"".join(raw.body for raw in batch), OPTIONS)
    except _UNREADABLE:
        return [read_one(raw) for raw in batch]
    return [
        document if _same(document, raw.body) else read_one(raw) for document, raw in zip(documents, batch, strict=True)
    ]


def read_one(raw: Raw) -> dict[str, Any]:
    """Read one document element by element; if its structure is broken, keep its bytes and, if possible, its id."""
    document: dict[str, Any] = {}
    try:
        for element in _elements(raw.body):
            if element.key == "answers" and element.type == _DOCUMENT:
                value: Any = {}
                for answer in _elements(element.value):
                    _put(value, answer)
                _put(document, element, value)
            else:
                _put(document, element)
    except _UNREADABLE as error:
        kept = Kept(b64encode(raw.body).decode(), f"cannot be decoded: {type(error).__name__}")
        store_id = document.get("_id", Kept({"$corrupt": raw.hash}, ""))
        return {"_id": store_id, CORRUPT: kept}
    return document


def _same(document: dict[str, Any], body: bytes) -> bool:
    """Tell whether reading dropped nothing: writing the document again gives the same bytes."""
    try:
        return bson.encode(document) == body
    except _UNREADABLE:
        return False


class _Element(NamedTuple):
    key: str
    type: int
    value: bytes
    whole: bytes


def _elements(body: bytes) -> Iterator[_Element]:
    """Walk the elements of a document's body; raises one of _UNREADABLE if they do not fill it exactly."""
    if int.from_bytes(body[:4], "little") != len(body) or body[-1] != 0:
        raise ValueError("length")
    start, end = 4, len(body) - 1
    while start < end:
        key_end = body.index(0, start + 1)
        value_end = key_end + 1 + _value_bytes(body, body[start], key_end + 1)
        if value_end > end:
            raise ValueError("length")
        key = body[start + 1 : key_end].decode("utf-8", "surrogateescape")
        yield _Element(key, body[start], body[key_end + 1 : value_end], body[start:value_end])
        start = value_end


def _value_bytes(body: bytes, kind: int, at: int) -> int:
    if kind in _FIXED_BYTES:
        return _FIXED_BYTES[kind]
    if kind == _REGEX:
        return body.index(0, body.index(0, at) + 1) + 1 - at
    (length,) = struct.unpack_from("<i", body, at)
    if length < 0:
        raise ValueError("length")
    if kind in (_DOCUMENT, 4, 15):
        return length
    if kind in (2, 13, 14):
        return 4 + length
    if kind == _BINARY:
        return 5 + length
    if kind == _DBPOINTER:
        return 16 + length
    raise ValueError("type")


def _put(document: dict[str, Any], element: _Element, value: Any = None) -> None:
    """Add an element. Of equal keys the last one counts, as for every reader; earlier ones are kept beside it."""
    key = clean(element.key)
    whole = value if value is not None else _value(element)
    if key != element.key and type(whole) is not Kept:
        whole = Kept(whole, "its name is not valid UTF-8", _base64(element))
    if key in document:
        earlier = document.pop(key)
        repeated = earlier if type(earlier) is Kept else Kept(earlier, "given more than once")
        document[_free(document, key)] = repeated
    document[key] = whole


def _value(element: _Element) -> Any:
    """Read one value by itself; `Kept` if it cannot be read without loss."""
    if element.key == "_id" and element.type == 2:
        return element.value[4:-1].decode("utf-8", "surrogateescape")
    body = (len(element.whole) + 5).to_bytes(4, "little") + element.whole + b"\0"
    try:
        (value,) = bson.decode(body, OPTIONS).values()
    except _UNREADABLE:
        pass
    else:
        return value if _same({element.key: value}, body) else Kept(value, "not whole", _base64(element))
    try:
        (value,) = bson.decode(body, _LENIENT).values()
    except _UNREADABLE:
        return Kept(None, "cannot be decoded", _base64(element))
    return Kept(value, "not valid UTF-8", _base64(element))


def _free(document: dict[str, Any], key: str) -> str:
    number = 2
    while f"{key} ({number})" in document:
        number += 1
    return f"{key} ({number})"


def _base64(element: _Element) -> str:
    return b64encode(element.value).decode()
