"""The change journal: which responses changed and are not landed yet. Marks are put in with the token, taken out with
the landing; a mark that was renewed meanwhile stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo import DeleteOne, UpdateOne
from pymongo.client_session import ClientSession

from collect_pipelines.model import safe_key
from collect_pipelines.source.state import Document, State

FORM_ITSELF: Final = object()
"""Stands for the id in the mark of a form whose own document changed. Not None: a response's `_id` may be null."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One changed response (or form: `store_id` FORM_ITSELF). `position` orders the marks of one response."""

    form_id: str
    store_id: Any
    position: str


class Journal:
    """The journal of one state database."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._marks = state["journal"]

    def put(self, marks: Iterable[Mark], at: datetime, session: ClientSession | None = None) -> None:
        """Add marks or move them forward, and make their forms' partitions known."""
        listed = list(marks)
        if not listed:
            return
        self._marks.bulk_write([_upsert(mark, at) for mark in listed], ordered=False, session=session)
        self.know({mark.form_id for mark in listed}, session)

    def know(self, form_ids: Iterable[str], session: ClientSession | None = None) -> None:
        """Remember which partition key belongs to which form."""
        entries = [(safe_key(form_id), form_id) for form_id in form_ids]
        if entries:
            self._state["partitions"].bulk_write(
                [UpdateOne({"_id": k}, {"$setOnInsert": {"form_id": f}}, upsert=True) for k, f in entries],
                ordered=False,
                session=session,
            )

    def partitions(self) -> dict[str, str]:
        """Return form ids by partition key."""
        return {entry["_id"]: entry["form_id"] for entry in self._state["partitions"].find()}

    def dirty_forms(self) -> list[str]:
        """List the forms that have marks or are to be read again."""
        marked = {str(form_id) for form_id in self._marks.distinct("form_id")}
        return sorted(marked | {str(entry["_id"]) for entry in self._state["rescans"].find({}, {"_id": 1})})

    def take(self, form_id: str, limit: int) -> list[Mark]:
        """Read up to `limit` marks of a form. They stay until `acknowledge`."""
        found = self._marks.find({"form_id": form_id}).limit(limit)
        return [Mark(form_id, entry["_id"].get("id", FORM_ITSELF), entry["position"]) for entry in found]

    def acknowledge(self, marks: Sequence[Mark], session: ClientSession | None = None) -> None:
        """Remove marks whose landing is durable, unless a newer change renewed them."""
        if marks:
            removals = [DeleteOne({"_id": _key(mark), "position": {"$lte": mark.position}}) for mark in marks]
            self._marks.bulk_write(removals, ordered=False, session=session)


def _key(mark: Mark) -> Document:
    which: Document = {} if mark.store_id is FORM_ITSELF else {"id": mark.store_id}
    return {"form": mark.form_id, **which}


def _upsert(mark: Mark, at: datetime) -> UpdateOne:
    change = {"$max": {"position": mark.position}, "$setOnInsert": {"form_id": mark.form_id, "marked_at": at}}
    return UpdateOne({"_id": _key(mark)}, change, upsert=True)
