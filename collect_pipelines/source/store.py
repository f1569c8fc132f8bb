"""The Collect store: saving forms, submitting, editing and deleting responses, and reading them for people.

Change capture does not read here; it has its own, in bulk and by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection

from collect_pipelines.model import Form, form_from_document
from collect_pipelines.source.connection import Document, mongo_errors
from collect_pipelines.source.forms import save
from collect_pipelines.source.pages import RAW, Page, decode, newest_first
from collect_pipelines.source.validators import FORMS, PAGING_INDEX, RESPONSES, ensure_store
from collect_pipelines.source.writes import Edit, Submitted, apply_edits, submit_batches


class CollectStore:
    """The forms and responses of one database. Cheap to make; shares the client."""

    def __init__(self, client: MongoClient[Document], database: str = "collect") -> None:
        self.client = client
        self.database = database

    def ensure(self) -> None:
        """Create or update collections, validators and indexes."""
        ensure_store(self.client, self.database)

    # Writing

    def save_form(self, document: Mapping[str, Any]) -> int:
        """Save a form and return its version, which goes up when its questions change.

        Questions that are no longer listed stay as archived; settings and metadata stay unless given anew.
        """
        with mongo_errors():
            return save(self.forms_collection, document, self.now())

    def submit(self, documents: Iterable[Mapping[str, Any]], *, replace: bool = False) -> Submitted:
        """Store responses (`documents.response_document`); revision and server times are set here.

        One that is there already stays as it is; with `replace` it becomes what is given, if that differs. Repeating
        is harmless. Documents that cannot be stored come back in `rejected` and do not stop the others.
        """
        with mongo_errors():
            return submit_batches(self.responses_collection, documents, replace=replace)

    def edit(self, edits: Sequence[Edit]) -> int:
        """Change answers of stored responses, each with the next revision; return how many were found.

        Raises ValueError for a question id that an update cannot address.
        """
        with mongo_errors():
            return apply_edits(self.responses_collection, edits)

    def delete(self, response_ids: Sequence[Any]) -> int:
        """Delete responses by `_id`; return how many were there."""
        with mongo_errors():
            return self.responses_collection.delete_many({"_id": {"$in": list(response_ids)}}).deleted_count

    def now(self) -> datetime:
        """The server's clock."""
        with mongo_errors():
            return self.client.admin.command("hello")["localTime"]

    # Reading

    def forms(self) -> list[Form]:
        """All forms by id, also those that cannot be read in full (see `Form.problems`)."""
        with mongo_errors():
            return [form_from_document(decode(raw)) for raw in self._raw(FORMS).find().sort("_id", 1)]

    def form(self, form_id: str) -> Form | None:
        """One form, or None."""
        document = self.form_document(form_id)
        return form_from_document(document) if document else None

    def form_document(self, form_id: str) -> Document | None:
        """One form as it is stored, or None."""
        with mongo_errors():
            raw = self._raw(FORMS).find_one({"_id": form_id})
        return decode(raw) if raw else None

    def responses(self, form_id: str, page: str | None = None, *, limit: int = 50) -> Page:
        """One page of a form's responses, newest submission first; `page` is the `next` of the page before.

        Raises ValueError for a `page` that is not ours.
        """
        with mongo_errors():
            return newest_first(self._raw(RESPONSES), form_id, page, limit)

    def response(self, response_id: str) -> Document | None:
        """One response by its `_id`, or None."""
        with mongo_errors():
            raw = self._raw(RESPONSES).find_one({"_id": response_id})
        return decode(raw) if raw else None

    def response_ids(self, unique: str) -> list[str]:
        """The `_id`s of the responses with this id inside their form (addresses of the old system name no form)."""
        with mongo_errors():
            forms = [form["_id"] for form in self.forms_collection.find({}, {"_id": 1})]
            wanted = [f"{form_id}:{unique}" for form_id in forms]
            found = self.responses_collection.find({"_id": {"$in": wanted}}, {"_id": 1}).sort("_id", 1)
            return [document["_id"] for document in found]

    def count(self, form_id: str) -> int:
        """Count one form's responses: a walk over index keys, 0.4 s for a million."""
        with mongo_errors():
            return self.responses_collection.count_documents({"form_id": form_id}, **self._from_index)

    def counts(self) -> dict[str, int]:
        """Count the responses of every form that has some, from index keys alone."""
        stages = [{"$group": {"_id": "$form_id", "count": {"$sum": 1}}}]
        with mongo_errors():
            groups = self.responses_collection.aggregate(stages, **self._from_index)
            return {group["_id"]: group["count"] for group in groups if isinstance(group["_id"], str)}

    # Collections

    @cached_property
    def forms_collection(self) -> Collection[Document]:
        """The collection of forms."""
        return self.client[self.database][FORMS]

    @cached_property
    def _from_index(self) -> dict[str, Any]:
        """The index that counts are read from, if this store has it (one that others made may not)."""
        return {"hint": PAGING_INDEX} if PAGING_INDEX in self.responses_collection.index_information() else {}

    @cached_property
    def responses_collection(self) -> Collection[Document]:
        """The collection of responses."""
        return self.client[self.database][RESPONSES]

    def _raw(self, name: str) -> Collection[RawBSONDocument]:
        raw: Any = self.client[self.database].get_collection(name, codec_options=cast(Any, RAW))
        return raw
