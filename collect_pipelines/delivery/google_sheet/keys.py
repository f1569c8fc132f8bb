"""Names that tie the sheet to us: row keys, column tags, tab ids and fences. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from collect_pipelines.model import Position

KEY_HEADER = "_response"
FORM_KEY, COLUMN_KEY, SHORT_COLUMN_KEY = "collect.form", "collect.column", "c"
FENCE_KEY, DROPPED_KEY = "collect.batch", "collect.dropped"
ALL_KEYS = (FORM_KEY, COLUMN_KEY, SHORT_COLUMN_KEY, FENCE_KEY, DROPPED_KEY)

METADATA_CHARACTERS = 30_000
"""Developer metadata per tab (Sheets API guide, "Metadata storage limits")."""
LONG_TAGS_CHARACTERS = 10_000
"""Past this a column gets its short tag, so that a form of 2,000 questions still leaves room for fences."""

_LONGEST_ID = 300
_SPECIAL = re.compile(r"^[=+\-@'\s]|[\x00-\x1f\x7f%]|\s$")


def row_id(response_id: str) -> str:
    """Return the response id as it stands in the key cell: never read as a formula, number or blank; injective.

    >>> row_id("fair:1"), row_id("=1%")
    ('fair:1', '%3D1%25')
    """
    if not response_id or len(response_id) > _LONGEST_ID:
        return f"%~{_digest(response_id, 16)}"
    return _SPECIAL.sub(lambda match: "".join(f"%{ord(sign):02X}" for sign in match[0]), response_id)


def row_key(row: str, content: str) -> str:
    """Return the key cell of a row: whose it is, and which content it shows."""
    return f"{row}|{content}"


def split_key(text: object) -> tuple[str, str] | None:
    """Read a key cell; None when it is none of ours."""
    if not isinstance(text, str):
        return None
    row, separator, content = text.rpartition("|")
    return (row, content) if separator and row and _CONTENT.fullmatch(content) else None


_CONTENT = re.compile(r"[0-9a-f]{8}")


def content_hash(cells: Mapping[str, Any]) -> str:
    """Return 8 hex digits over the filled cells of a row, by column tag."""
    filled = {tag: _as_read(value) for tag, value in cells.items() if value}
    return hashlib.blake2b(orjson.dumps(filled, option=orjson.OPT_SORT_KEYS), digest_size=4).hexdigest()


def _as_read(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """A number comes back from the sheet as 2 where 2.0 was written."""
    number = cell.get("numberValue")
    return {"numberValue": float(number)} if number is not None else cell


DELETED = hashlib.blake2b(b"deleted", digest_size=4).hexdigest()
"""The content of a row whose response was deleted."""


def column_tag(column_id: str, *, short: bool = False) -> str:
    """Return the metadata value of a column: its id when plain and not too long, else a digest."""
    if short:
        digest = hashlib.blake2b(column_id.encode("utf-8", "surrogatepass"), digest_size=6).digest()
        return base64.urlsafe_b64encode(digest).decode()
    plain = len(column_id) <= 60 and column_id.isprintable() and not column_id.startswith("~")
    return column_id if plain else f"~{_digest(column_id, 12)}"


def tab_id(form_key: str, number: int) -> int:
    """Return the sheet id of the form's n-th tab; two that make it at once choose the same id, and one is refused."""
    return _integer(f"tab {form_key} {number}")


def fence_id(sheet_id: int, sequence: int) -> int:
    """Return the metadata id of a fence; each tab has its own numbers, so forms may share a spreadsheet."""
    return _integer(f"fence {sheet_id} {sequence}")


@dataclass(frozen=True, slots=True)
class Fence:
    """What a batch says about itself in the sheet: who wrote it, when, and how far the tab is with it.

    `verified` is how far it was proven to be before this batch; a reader who trusts nothing starts there. `aim` is
    where its writer wants to get to: a writer of older rows must then give up.
    """

    sequence: int
    token: str
    at_seconds: int
    verified: int
    aim: int
    position: Position

    def __str__(self) -> str:
        numbers = f"{self.sequence} {self.token} {self.at_seconds} {self.verified} {self.aim}"
        return f"{numbers} {self.position.sequence} {self.position.table_id}"


def read_fence(value: str) -> Fence | None:
    """Read a fence back; None when it is none."""
    parts = value.split(" ", 6)
    if len(parts) != 7 or not all(parts[n].isdecimal() for n in (0, 2, 3, 4, 5)):
        return None
    sequence, at_seconds, verified, aim, reached = (int(parts[n]) for n in (0, 2, 3, 4, 5))
    return Fence(sequence, parts[1], at_seconds, verified, aim, Position(parts[6], reached))


def _integer(text: str) -> int:
    return (
        int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest()) % (2**31 - 2) + 1
    )


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
