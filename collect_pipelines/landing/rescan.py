"""Read a form again from its beginning: on the first start, after lost history, when a question changed its type, and
when a person backfills it. Chunk by chunk, each an ordinary landing commit, so new changes go on landing beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import bson
import pyarrow as pa

from collect_pipelines.errors import Fenced
from collect_pipelines.landing.landing import Landed, Landing, merged
from collect_pipelines.landing.ledger import Ledger
from collect_pipelines.model import UNROUTED, Form
from collect_pipelines.schema import pc
from collect_pipelines.source.capture import REPLACEMENT
from collect_pipelines.source.connection import TOLERANT
from collect_pipelines.source.decode import Decoded, decode, tombstones
from collect_pipelines.source.ids import response_id
from collect_pipelines.source.reader import Reader, Reading
from collect_pipelines.stores.manifest import Manifest
from collect_pipelines.stores.response_table import ResponseTable

CHUNK_ROWS = 20_000
CHUNK_BYTES = 64 << 20
ATTEMPTS = 10
KNOWN_SHARE = 4  # reading what the table has takes at most one part in so many of a step


@dataclass(frozen=True, slots=True)
class Request:
    """A form to be read again, and how far that has come (`after`: the last id that was read)."""

    form_id: str
    full: bool
    after: str | None
    serial: str


class Rescan:
    """Works off the requests for rescans."""

    def __init__(self, reader: Reader, ledger: Ledger, landing: Landing) -> None:
        self._reader = reader
        self._ledger = ledger
        self._landing = landing
        self._requests = ledger.state["rescans"]

    def step(self, form_id: str) -> Landed | None:
        """Land the next chunk or several, or, after the last one, the deletes. None when nothing was asked for.

        What the table has is read once for all of them: on a large form that takes longer than a chunk.
        """
        landed: Landed | None = None
        first = request = self._request(form_id)
        known = _Known(self._landing.table(form_id))
        while request and first and request.serial == first.serial:
            part = self._attempt(request, known)
            landed = landed.plus(part) if landed else part
            if not part.more or known.is_worn:
                break
            request = self._request(form_id)
        return landed

    def _attempt(self, request: Request, known: _Known) -> Landed:
        """Land one chunk. Losing a race is tried again: what was read may be older than what others have landed."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._step(request, known)
            except Fenced:
                continue
        return self._step(request, known)

    def _request(self, form_id: str) -> Request | None:
        found = self._requests.find_one({"_id": form_id})
        return Request(form_id, bool(found["full"]), found["after"], found["serial"]) if found else None

    def _step(self, request: Request, known: _Known) -> Landed:
        table = self._landing.table(request.form_id)
        before = table.load()
        with self._reader.reading() as reading:
            form = reading.form(request.form_id).remembering(before.columns)
            decoded, last = _next_chunk(reading, form, request.after)
            if last is None:
                return self._finish(request, table, before, form, reading)
            if not request.full:
                decoded = known.leave_out_same(decoded)
        after, landed = self._landing.commit(table, before, form, decoded, reading.cluster_time)
        self._ledger.record_news(after, request.form_id)
        self._advance(request, last)
        return replace(landed, more=True)

    def _finish(self, request: Request, table: ResponseTable, before: Manifest, form: Form, reading: Reading) -> Landed:
        """Responses that the table has and the store has not were deleted while nobody listened."""
        gone = _gone(reading, request.form_id, table)
        decoded = Decoded(tombstones(gone), 0, 0)
        after, landed = self._landing.commit(table, before, form, decoded, reading.cluster_time)
        self._ledger.record_news(after, request.form_id)
        self._requests.delete_one({"_id": request.form_id, "serial": request.serial})
        return landed

    def _advance(self, request: Request, last: str) -> None:
        """Remember how far we have come. A request that was renewed meanwhile starts over."""
        self._requests.update_one(
            {"_id": request.form_id, "serial": request.serial, "after": request.after}, {"$set": {"after": last}}
        )


def _next_chunk(reading: Reading, form: Form, after: str | None) -> tuple[Decoded, str | None]:
    """Decode the next chunk after an id, and name its last id; None when nothing is left."""
    if form.id == UNROUTED and after is not None:
        return merged([]), None
    parts: list[Decoded] = []
    rows = size = 0
    for raw in reading.of_form(form.id, after):
        parts.append(decode(raw, form))
        rows, size = rows + parts[-1].table.num_rows, size + len(raw)
        enough = rows >= CHUNK_ROWS or size >= CHUNK_BYTES
        if enough and form.id != UNROUTED and REPLACEMENT not in parts[-1].table["_id"][-1].as_py():
            break  # an id that is not valid text has no known place in the order: never stop there
    decoded = merged(parts)
    return decoded, decoded.table["_id"][-1].as_py() if rows else None


class _Known:
    """The ids and hashes of a table, read when first needed. Commits after that are in the journal or our own."""

    def __init__(self, table: ResponseTable) -> None:
        self._table = table
        self._live: pa.Table | None = None
        self._worn_at = 0.0

    @property
    def is_worn(self) -> bool:
        """Whether reading it again would now cost little beside what was done with it."""
        return time.monotonic() >= self._worn_at

    def leave_out_same(self, decoded: Decoded) -> Decoded:
        """Leave out rows that the table has already with the same content."""
        live = self._live = self._read() if self._live is None else self._live
        place = pc.index_in(decoded.table["_id"], value_set=live["_id"])
        same = pc.fill_null(pc.equal(pc.take(live["_hash"], place), decoded.table["_hash"]), False)
        return decoded._replace(table=decoded.table.filter(pc.invert(same)))

    def _read(self) -> pa.Table:
        began = time.monotonic()
        live = _live(self._table)
        self._worn_at = began + KNOWN_SHARE * (time.monotonic() - began)
        return live


def _live(table: ResponseTable) -> pa.Table:
    """Id and hash of every response that the table has and that is not deleted."""
    batches = [batch.filter(pc.invert(batch["_deleted"])).select(["_id", "_hash"]) for batch in table.ids()]
    empty = pa.schema([("_id", pa.string()), ("_hash", pa.string())])
    return pa.Table.from_batches(batches, batches[0].schema if batches else empty).combine_chunks()


def _gone(reading: Reading, form_id: str, table: ResponseTable) -> list[str]:
    """Ids that live in the table and are not in the store."""
    live = _live(table)["_id"]  # before the store is read: a response that lands meanwhile is in neither or in both
    if not len(live):
        return []
    here = [pa.array(_ids(raw), pa.string()) for raw in reading.of_form(form_id, ids_only=True)]
    stored = pa.chunked_array(here, pa.string()).combine_chunks()
    return live.filter(pc.invert(pc.is_in(live, value_set=stored))).to_pylist()


def _ids(raw: bytes) -> list[str]:
    documents: list[dict[str, Any]] = bson.decode_all(raw, TOLERANT)
    return [response_id(document["_id"]) for document in documents]
