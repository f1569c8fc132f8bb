"""Our own state: the database `collect_pipelines` beside the store, and what each of its collections holds.

capture     one document: the resume token, the source it belongs to, and when it last moved
journal     responses that changed and are not landed yet; one document each
rescans     forms that must be read again from the store, and how far that has come
partitions  partition key → form id
tables      what the newest commit of each response table says (a copy: the manifest is the truth)
deliveries  per integration and form: what was delivered, what is wanted, what went wrong (a copy as well)
leases      who is draining; saves work, never needed for correctness
incidents   rescans that started by themselves and why, kept 90 days
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from pymongo import ASCENDING, MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from collect_pipelines.source.connection import TOLERANT, Document

T = TypeVar("T")

MAJORITY = WriteConcern("majority", j=True)
INCIDENTS_KEPT_SECONDS = 90 * 24 * 3600


class State:
    """The state database. All writes are majority and journaled, all reads majority and from the primary."""

    def __init__(self, client: MongoClient[Document], database: str) -> None:
        self.client = client
        self.database = client.get_database(
            database,
            codec_options=TOLERANT,  # the journal holds the store's ids, whatever they are
            write_concern=MAJORITY,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )

    def __getitem__(self, name: str) -> Collection[Document]:
        return self.database[name]

    def ensure(self) -> None:
        """Make the collections and indexes. A transaction cannot make a collection on the fly everywhere."""
        existing = set(self.database.list_collection_names())
        for name in ("capture", "journal", "rescans", "partitions", "tables", "deliveries", "leases", "incidents"):
            if name not in existing:
                self.database.create_collection(name, check_exists=False)
        self["journal"].create_index([("form_id", ASCENDING)])  # which forms are dirty; the marks of one form
        self["deliveries"].create_index([("pending", ASCENDING), ("due_at", ASCENDING)])  # what is due
        self["deliveries"].create_index([("form_id", ASCENDING)])  # a landing sets the target of its form
        self["incidents"].create_index("at", expireAfterSeconds=INCIDENTS_KEPT_SECONDS)

    def transaction(self, work: Callable[[ClientSession], T]) -> T:
        """Run `work` in one majority transaction; pymongo runs it again after a transient conflict."""
        with self.client.start_session() as session:
            return session.with_transaction(
                work,
                read_concern=ReadConcern("snapshot"),
                write_concern=MAJORITY,
                read_preference=ReadPreference.PRIMARY,
            )

    def incident(self, kind: str, message: str, at: datetime, session: ClientSession | None = None) -> None:
        """Keep a line about something that people should be able to look up later."""
        self["incidents"].insert_one({"kind": kind, "message": message, "at": at}, session=session)
