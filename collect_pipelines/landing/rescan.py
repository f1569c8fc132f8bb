"""Read a form again from its beginning: on the first start, after lost history, when a question changed its type, and
when a person backfills it. Chunk by chunk, each an ordinary landing commit, so new changes go on landing beside it."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Request:
    """A form to be read again, and how far that has come (`after`: the last id that was read)."""

    form_id: str
    full: bool
    after: str | None
    serial: int


class Rescan:
    """Works off the requests for rescans."""

    def __init__(self, reader: Reader, ledger: Ledger, landing: Landing) -> None:
        self._reader = reader
        self._ledger = ledger
        self._landing = landing
        self._requests = ledger.state["rescans"]

    def wanted(self, form_id: str) -> bool:
        """Whether a form is to be read again."""
        return self._request(form_id) is not None

    def step(self, form_id: str) -> Landed | None:
        """Land the next chunk, or, after the last one, the deletes. None when nothing was asked for.

        Losing a race is tried again from wherever the other one has come to.
        """
        for attempt in range(ATTEMPTS):
            request = self._request(form_id)
            try:
                return self._step(request) if request else None
            except Fenced:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _request(self, form_id: str) -> Request | None:
        found = self._requests.find_one({"_id": form_id})
        return Request(form_id, bool(found["full"]), found["after"], found["serial"]) if found else None

    def _step(self, request: Request) -> Landed:
        table = self._landing.table(request.form_id)
        before = table.load()
        with self._reader.reading() as reading:
            form = reading.form(request.form_id)
            decoded, last = _next_chunk(reading, form, request.after)
            if last is None:
                return self._finish(request, table, before, form, reading)
            if not request.full:
                decoded = _that_differ(decoded, table)
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


def _that_differ(decoded: Decoded, table: ResponseTable) -> Decoded:
    """Leave out rows that the table has already with the same content."""
    known = pa.Table.from_batches(table.ids()) if table.load().watermark.sequence else None
    if known is None or not known.num_rows:
        return decoded
    live = known.filter(pc.invert(known["_deleted"]))
    place = pc.index_in(decoded.table["_id"], value_set=live["_id"].combine_chunks())
    stored = pc.take(live["_hash"].combine_chunks(), place)
    same = pc.fill_null(pc.equal(stored, decoded.table["_hash"]), False)
    return decoded._replace(table=decoded.table.filter(pc.invert(same)))


def _gone(reading: Reading, form_id: str, table: ResponseTable) -> list[str]:
    """Ids that live in the table and are not in the store."""
    batches = list(table.ids())
    if not batches:
        return []
    known = pa.Table.from_batches(batches)
    live = known.filter(pc.invert(known["_deleted"]))["_id"]
    here = [pa.array(_ids(raw), pa.string()) for raw in reading.of_form(form_id, ids_only=True)]
    stored = pa.chunked_array(here, pa.string()).combine_chunks()
    return live.filter(pc.invert(pc.is_in(live, value_set=stored))).to_pylist()


def _ids(raw: bytes) -> list[str]:
    documents: list[dict[str, Any]] = bson.decode_all(raw, TOLERANT)
    return [response_id(document["_id"]) for document in documents]
