"""Reading responses page by page, so that no stored document can stop a page."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from collect_pipelines.source.connection import TOLERANT, Document
from collect_pipelines.source.validators import PAGING_INDEX

RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
UNDECODABLE = "_undecodable"
"""Key of the reason in a document that could not be read; beside it only `_id`, where that much is legible."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some responses and the name of the page after them (None: this was the last)."""

    responses: tuple[Document, ...]
    next: str | None


def decode(raw: RawBSONDocument) -> Document:
    """Decode a document; one that is malformed becomes its `_id` and a reason, never an error."""
    try:
        return bson.decode(raw.raw, TOLERANT)
    except (BSONError, ValueError, OverflowError, RecursionError) as error:
        return {**_first_field(bytes(raw.raw)), UNDECODABLE: f"{type(error).__name__}: {error}"[:300]}


def newest_first(responses: Collection[RawBSONDocument], form_id: str, page: str | None, limit: int) -> Page:
    """Read one page by index bounds, not by `$lt`: comparisons would pass over dates of a wrong type."""
    submitted_at, response_id = _opened(page) if page is not None else (MaxKey(), MaxKey())
    low: list[Any] = [("form_id", form_id), ("submitted_at", MinKey()), ("_id", MinKey())]
    high: list[Any] = [("form_id", form_id), ("submitted_at", submitted_at), ("_id", response_id)]
    found = responses.find().hint(PAGING_INDEX).min(low).max(high)
    raw = list(found.sort([("form_id", -1), ("submitted_at", -1), ("_id", -1)]).limit(limit + 1))
    documents = tuple(decode(one) for one in raw[:limit])
    return Page(documents, _name(documents[-1]) if len(raw) > limit else None)


def _name(last: Document) -> str:
    """Name the page after this response: its place in the index, with exact types."""
    place = bson.encode({"at": last.get("submitted_at"), "id": last.get("_id")}, codec_options=TOLERANT)
    return base64.urlsafe_b64encode(place).decode().rstrip("=")


def _opened(page: str) -> tuple[Any, Any]:
    try:
        place = bson.decode(base64.urlsafe_b64decode(page + "=" * (-len(page) % 4)), TOLERANT)
        return place["at"], place["id"]
    except (BSONError, binascii.Error, KeyError, ValueError, OverflowError) as error:
        raise ValueError("not a page of ours") from error


def _first_field(raw: bytes) -> Document:
    """Read `_id`, which the server always puts first, out of a document that cannot be read whole."""
    size = {0x02: 4, 0x05: 5, 0x03: 0, 0x04: 0}  # bytes beside the length that the value states itself
    fixed = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
    kind, start = raw[4], raw.index(b"\0", 5) + 1
    if kind in fixed:
        end = start + fixed[kind]
    elif kind in size:
        end = start + size[kind] + int.from_bytes(raw[start : start + 4], "little")
    else:
        return {}
    body = raw[4:end] + b"\0"
    try:
        return bson.decode((len(body) + 4).to_bytes(4, "little") + body, TOLERANT)
    except (BSONError, ValueError):
        return {}
