"""The writes of the Collect store: one update per change, revision and times by the server. Repeats are harmless."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from collect_pipelines.source.connection import TOLERANT, TRANSIENT_CODES, Document
from collect_pipelines.source.documents import SERVER_OWNED

BATCH_ROWS = 1000
BATCH_BYTES = 8 << 20
MAX_DOCUMENT_BYTES = 16 << 20  # MongoDB's own limit
_MAX_UPDATE_BYTES = MAX_DOCUMENT_BYTES - (64 << 10)  # leaves room for the update around the document
_DUPLICATE_KEY, _INVALID = 11000, 121
_REVISION = {"$convert": {"input": "$revision", "to": "long", "onError": Int64(0), "onNull": Int64(0)}}
_NEXT_REVISION = {"$add": [_REVISION, Int64(1)]}
_ENCODING: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
_RAW = TOLERANT.with_options(document_class=RawBSONDocument)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that could not be stored, and why."""

    id: object
    reason: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of submitted responses; the counts add up to what was given."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: tuple[Rejection, ...] = ()

    def __add__(self, other: Submitted) -> Submitted:
        return Submitted(
            self.added + other.added,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.rejected + other.rejected,
        )


@dataclass(frozen=True, slots=True)
class Edit:
    """New answers of one response. `removed` lists questions whose answers are taken away."""

    id: str
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    removed: tuple[str, ...] = ()
    status: str | None = None


def form_update(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Plan the update of a form: it changes nothing when nothing differs, and archives questions left out."""
    listed = [question["id"] for question in fields["questions"]]
    old = {"$cond": [{"$isArray": "$questions"}, "$questions", []]}
    gone = {"$filter": {"input": old, "cond": {"$not": [{"$in": ["$$this.id", {"$literal": listed}]}]}}}
    archived = {"$map": {"input": gone, "in": {"$mergeObjects": ["$$this", {"archived": True}]}}}
    questions = {"$concatArrays": [{"$literal": fields["questions"]}, archived]}
    new = {"$mergeObjects": ["$$ROOT", {"$literal": dict(fields)}, {"questions": questions}]}
    version = {"$ifNull": ["$version", 0]}
    raised = {"$cond": [{"$eq": ["$$new.questions", "$questions"]}, version, {"$add": [version, 1]}]}
    stamps = {"version": raised, "created_at": {"$ifNull": ["$created_at", "$$NOW"]}, "updated_at": "$$NOW"}
    return [_unless_equal(new, stamps)]


def submit_batches(
    responses: Collection[Document], documents: Iterable[Mapping[str, Any]], *, replace: bool
) -> Submitted:
    """Store responses in batches bounded by rows and bytes."""
    total = Submitted()
    waiting = iter(documents)
    while True:
        # A batch carries one reading of the server's clock: inserts are ten times faster than $$NOW in upserts
        # (measured 30,000/s against 3,000/s). Nothing is ordered by it; change capture follows the oplog alone.
        now: datetime = responses.database.client.admin.command("hello")["localTime"]
        batch, rejected = _next_batch(waiting, now)
        total += Submitted(rejected=tuple(rejected))
        if not batch:
            if not rejected:
                return total
            continue
        total += _insert(responses, batch, replace=replace)


def _next_batch(waiting: Iterator[Mapping[str, Any]], now: datetime) -> tuple[list[RawBSONDocument], list[Rejection]]:
    batch: list[RawBSONDocument] = []
    rejected: list[Rejection] = []
    size_bytes = 0
    for document in waiting:
        raw = _encoded(document, now)
        if isinstance(raw, Rejection):
            rejected.append(raw)
        else:
            batch.append(raw)
            size_bytes += len(raw.raw)
        if len(batch) + len(rejected) >= BATCH_ROWS or size_bytes >= BATCH_BYTES:
            break
    return batch, rejected


def _encoded(document: Mapping[str, Any], now: datetime) -> RawBSONDocument | Rejection:
    stamped = {**document, "revision": Int64(1), "submitted_at": now, "updated_at": now}
    try:
        raw = bson.encode(stamped, codec_options=_ENCODING)
    except (BSONError, OverflowError, UnicodeEncodeError, RecursionError, TypeError) as error:
        return Rejection(document.get("_id"), f"cannot be written as BSON: {type(error).__name__}")
    if len(raw) > MAX_DOCUMENT_BYTES:
        return Rejection(document.get("_id"), f"{len(raw):,} bytes; MongoDB takes at most {MAX_DOCUMENT_BYTES:,}")
    return RawBSONDocument(raw, _RAW)


def _insert(responses: Collection[Document], batch: Sequence[RawBSONDocument], *, replace: bool) -> Submitted:
    try:
        responses.insert_many(batch, ordered=False)  # pyright: ignore[reportArgumentType]
    except BulkWriteError as error:
        faults = _faults(error)
    else:
        return Submitted(added=len(batch))
    rejected = tuple(_rejection(batch[at], code) for at, code in faults.items() if code != _DUPLICATE_KEY)
    there = [batch[at] for at, code in faults.items() if code == _DUPLICATE_KEY]
    kept = _replace(responses, there) if replace else Submitted(unchanged=len(there))
    return Submitted(added=len(batch) - len(faults), rejected=rejected) + kept


def _replace(responses: Collection[Document], batch: Sequence[RawBSONDocument]) -> Submitted:
    """Make stored responses equal to the given ones; those that are equal already are not written."""
    fitting = [raw for raw in batch if len(raw.raw) <= _MAX_UPDATE_BYTES]
    rejected = tuple(
        Rejection(raw["_id"], f"{len(raw.raw):,} bytes; an update takes at most {_MAX_UPDATE_BYTES:,}")
        for raw in batch
        if len(raw.raw) > _MAX_UPDATE_BYTES
    )
    if not fitting:
        return Submitted(rejected=rejected)
    updates = [UpdateOne({"_id": raw["_id"]}, _replacement(raw)) for raw in fitting]
    try:
        changed = responses.bulk_write(updates, ordered=False).modified_count
        faults: dict[int, int] = {}
    except BulkWriteError as error:
        changed, faults = int(error.details["nModified"]), _faults(error)
    rejected += tuple(_rejection(fitting[at], code) for at, code in faults.items())
    return Submitted(changed=changed, unchanged=len(fitting) - changed - len(faults), rejected=rejected)


def _replacement(raw: RawBSONDocument) -> list[dict[str, Any]]:
    stays = {name: f"${name}" for name in SERVER_OWNED}
    new = {"$mergeObjects": ["$$ROOT", {"$literal": raw}, stays]}
    return [_unless_equal(new, {"revision": _NEXT_REVISION, "updated_at": "$$NOW"})]


def _unless_equal(new: dict[str, Any], stamps: dict[str, Any]) -> dict[str, Any]:
    """Replace the document by `new` and stamp it, or leave it (and the oplog) untouched when nothing differs."""
    differs = {"$cond": [{"$eq": ["$$new", "$$ROOT"]}, "$$ROOT", {"$mergeObjects": ["$$new", stamps]}]}
    return {"$replaceWith": {"$let": {"vars": {"new": new}, "in": differs}}}


def apply_edits(responses: Collection[Document], edits: Sequence[Edit]) -> int:
    """Apply edits in order; return how many of the responses were found (with answers that can be edited)."""
    an_object = {"$type": "object", "$not": {"$type": "array"}}  # "object" alone matches a list of objects, too
    updates = [UpdateOne({"_id": edit.id, "answers": an_object}, _edit_stages(edit)) for edit in edits]
    return responses.bulk_write(updates).matched_count if updates else 0


def _edit_stages(edit: Edit) -> list[dict[str, Any]]:
    answers: Any = {"$mergeObjects": ["$answers", {"$literal": dict(edit.answers)}]}
    for question_id in edit.removed:  # $unsetField takes any name, dots and dollars too
        answers = {"$unsetField": {"field": {"$literal": question_id}, "input": answers}}
    changed: dict[str, Any] = {"answers": answers, "revision": _NEXT_REVISION, "updated_at": "$$NOW"}
    if edit.status is not None:
        changed["status"] = {"$literal": edit.status}
    return [{"$replaceWith": {"$mergeObjects": ["$$ROOT", changed]}}]  # $set would merge into the old answers


def _faults(error: BulkWriteError) -> dict[int, int]:
    """Return the error code of each refused document by its index. Raises again what concerns the whole batch."""
    faults: dict[int, int] = {fault["index"]: fault["code"] for fault in error.details["writeErrors"]}
    if error.details.get("writeConcernErrors") or TRANSIENT_CODES & set(faults.values()):
        raise error
    return faults


def _rejection(raw: RawBSONDocument, code: int) -> Rejection:
    known = {_INVALID: "does not fit the rules of the store (docs/data-model.md)"}
    return Rejection(raw.get("_id"), known.get(code, f"MongoDB refused it, code {code}"))
