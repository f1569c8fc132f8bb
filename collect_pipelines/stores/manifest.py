"""The manifest: the whole state of one response table at one version, and how it is written down. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import orjson

from collect_pipelines.errors import IntegrityError, SchemaConflict
from collect_pipelines.model import QuestionType

FORMAT = 1
BASE_LEVEL = 9
REBUILD = "rebuild the table from the store: collect backfill FORM"


class Watermark(NamedTuple):
    """How far a table has come: its newest commit, and the cluster time up to which the source was read."""

    sequence: int
    cluster_time: int


NOTHING = Watermark(0, 0)


@dataclass(frozen=True, slots=True)
class Segment:
    """An immutable Parquet file of rows in the order of `_sequence`; at most one row per response.

    Level 0 is one commit's, higher levels are merged ones, BASE_LEVEL is everything merged.
    """

    name: str
    rows: int
    bytes: int
    crc32: int
    level: int
    min_id: str
    max_id: str
    min_sequence: int
    max_sequence: int
    tombstones: int


class Retired(NamedTuple):
    """A file that no longer belongs to the table, and since when (seconds since 1970). Deleted later."""

    name: str
    at_seconds: int


class Counters(NamedTuple):
    """What the commits of a table brought in all: rows, answers that fit no column, answers without a question."""

    rows: int = 0
    unfit: int = 0
    unknown: int = 0


UNCOUNTED = Counters()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A response table at one version. Version 0 is a table that nobody has written yet."""

    form_id: str
    table_id: str = ""
    version: int = 0
    watermark: Watermark = NOTHING
    segments: tuple[Segment, ...] = ()
    columns: Mapping[str, QuestionType] = field(default_factory=dict[str, QuestionType])
    counters: Counters = UNCOUNTED
    last_append: str = ""
    """Digest of the newest append, by which its repetition is recognised."""
    retired: tuple[Retired, ...] = ()
    writer: Mapping[str, str] = field(default_factory=dict[str, str])
    prev_sha256: str = ""
    sha256: str = ""
    """Of this manifest as it was read or written; not part of the body."""

    def outdated_by(self, columns: Mapping[str, QuestionType]) -> bool:
        """Tell whether rows landed before would look different under these questions.

        So it is if a question has another type now, or is new while answers without a question are kept.
        """
        retyped = any(self.columns.get(name, kind) != kind for name, kind in columns.items())
        return retyped or bool(self.counters.unknown and columns.keys() - self.columns.keys())

    @property
    def rows(self) -> int:
        """Rows in all segments: an upper bound of the responses, tombstones included."""
        return sum(segment.rows for segment in self.segments)


_WRITTEN = tuple(one.name for one in fields(Manifest) if one.name != "sha256")


def file_name(version: int) -> str:
    """Name the manifest of a version; names sort as versions do."""
    return f"{version:020d}.json"


def version_of(name: str) -> int | None:
    """Return the version that a file name stands for, or None if it is no manifest's."""
    stem, _, suffix = name.partition(".")
    return int(stem) if suffix == "json" and len(stem) == 20 and stem.isascii() and stem.isdigit() else None


def seal(manifest: Manifest) -> tuple[bytes, str]:
    """Write a manifest as one line of JSON and one line with the SHA-256 of the first; return it and the digest."""
    content = {name: getattr(manifest, name) for name in _WRITTEN} | {"format": FORMAT}
    body = orjson.dumps(content, default=_by_name)
    digest = hashlib.sha256(body).hexdigest()
    return body + b"\n" + digest.encode() + b"\n", digest


def unseal(raw: bytes, where: str) -> Manifest:
    """Read a manifest; raises IntegrityError if a byte differs, SchemaConflict if a newer program wrote it."""
    body, _, digest = raw.rstrip(b"\n").rpartition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise IntegrityError(f"{where} differs from its checksum", hint=REBUILD)
    content: dict[str, Any] = orjson.loads(body)
    if content.pop("format") != FORMAT:
        raise SchemaConflict(f"{where} was written by another version of this program", hint="upgrade this program")
    return Manifest(
        form_id=content["form_id"],
        table_id=content["table_id"],
        version=content["version"],
        watermark=Watermark(**content["watermark"]),
        segments=tuple(Segment(**item) for item in content["segments"]),
        columns={name: QuestionType(kind) for name, kind in content["columns"].items()},
        counters=Counters(**content["counters"]),
        last_append=content["last_append"],
        retired=tuple(Retired(**item) for item in content["retired"]),
        writer=content["writer"],
        prev_sha256=content["prev_sha256"],
        sha256=digest.decode(),
    )


def _by_name(value: Any) -> dict[str, Any]:
    return value._asdict()
