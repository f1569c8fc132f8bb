"""Reading the store for landing: majority, and causally after everything that was marked before."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bson.timestamp import Timestamp
from pymongo import ASCENDING, MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference

from collect_pipelines.model import UNROUTED, Form, form_from_document, id_range
from collect_pipelines.source.connection import TOLERANT
from collect_pipelines.source.state import Document

BATCH_ROWS = 5000  # larger server batches make the allocator map and unmap 16 MB each time: half the speed


@dataclass(frozen=True, slots=True)
class Reading:
    """One consistent-enough view: every read sees at least all changes up to `cluster_time`."""

    cluster_time: int
    """Seconds since 1970 << 32 | increment, as of the start of this reading."""
    _database: Any
    _session: ClientSession

    def form(self, form_id: str) -> Form:
        """The form as it is now; one without questions if it has no document."""
        document = self._database["forms"].find_one({"_id": form_id}, session=self._session)
        return form_from_document(document) if document else Form(form_id, {})

    def by_ids(self, store_ids: Sequence[Any]) -> Iterator[bytes]:
        """Yield batches of concatenated BSON documents with these ids; ids that are gone are simply not there."""
        query: Document = {"_id": {"$in": list(store_ids)}}
        yield from _raw(self._responses.find_raw_batches(query, session=self._session, batch_size=BATCH_ROWS))

    def of_form(self, form_id: str, after: str | None = None, *, ids_only: bool = False) -> Iterator[bytes]:
        """Yield batches of a form's responses in the order of their ids, after the id `after`."""
        query = _unrouted() if form_id == UNROUTED else _in_range(form_id, after)
        projection = {"_id": 1} if ids_only else None
        cursor = self._responses.find_raw_batches(
            query, projection, session=self._session, batch_size=BATCH_ROWS, sort=[("_id", ASCENDING)], hint={"_id": 1}
        )
        yield from _raw(cursor)

    @property
    def _responses(self) -> Collection[Document]:
        return self._database["responses"]


class Reader:
    """Opens readings of one store."""

    def __init__(self, client: MongoClient[Document], database: str) -> None:
        self._client = client
        self._database = client.get_database(
            database,
            codec_options=TOLERANT,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )

    @contextmanager
    def reading(self) -> Generator[Reading]:
        """Open a reading. The session makes each read wait until it can see all that happened before now."""
        with self._client.start_session(causal_consistency=True) as session:
            now: Timestamp = self._client.admin.command("ping", session=session)["operationTime"]
            yield Reading(now.time << 32 | now.inc, self._database, session)


def _raw(cursor: Any) -> Iterator[bytes]:
    """Raw cursors are typed as if they gave documents."""
    return cursor


def _in_range(form_id: str, after: str | None) -> Document:
    low, high = id_range(form_id)
    return {"_id": {"$gt": low if after is None else after, "$lt": high}}  # the bare `form:` names no response


def _unrouted() -> Document:
    """Ids that are not text of the shape `form:rest`."""
    routed = {"_id": {"$type": "string", "$regex": r"^[^:]+:[\s\S]"}}
    return {"$nor": [routed]}
