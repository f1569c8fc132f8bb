"""Change capture: follow the change stream and move the resume token and the journal marks in one transaction.

The invariant: the newest majority-committed change of every response is still ahead of the token, or marked in the
journal, or its form is to be rescanned, or its landed row was read after it. Each step below keeps one of these true at
every crash point. The stream carries ids only: full documents in it can stop it for ever (error 10334).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.change_stream import DatabaseChangeStream
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from collect_pipelines.errors import Fenced, HistoryLost
from collect_pipelines.model import UNROUTED, form_of
from collect_pipelines.source.connection import HISTORY_LOST, TOLERANT
from collect_pipelines.source.journal import FORM_ITSELF, Journal, Mark
from collect_pipelines.source.state import Document, State

log = logging.getLogger(__name__)

CAPTURE_ID = "responses"
WATCHED = ("responses", "forms")
CHANGES = ("insert", "update", "replace", "delete")
UPHEAVALS = ("drop", "rename", "dropDatabase", "invalidate")
IDLE_SAVE_SECONDS = 5.0  # saving the token is itself a write that the stream sees: not on every poll
AWAIT_MILLISECONDS = 100  # one empty getMore ends a burst, so this is also the delay of its marks
GATHER_SECONDS = 0.2  # under steady traffic: mark at least this often
REPLACEMENT = "\ufffd"

# Ids only: the documents are read later, by id. Adding to a $project is safe for saved tokens, narrowing $match is not.
PIPELINE: list[Document] = [
    {"$project": {"_id": 1, "documentKey": 1, "operationType": 1, "ns": 1, "to": 1, "clusterTime": 1}}
]


@dataclass(slots=True)
class Polled:
    """What one poll found."""

    events: int = 0
    forms: set[str] = field(default_factory=set[str])
    rescan_reason: str | None = None


def token_time(token: Document) -> Timestamp:
    """Decode the cluster time of a resume token: bytes 1 to 8 of its key string."""
    data = str(token["_data"])
    return Timestamp(int(data[2:10], 16), int(data[10:18], 16))


class Capture:
    """Follows the change stream of the store. Several may run: the token moves by compare-and-swap."""

    def __init__(self, client: MongoClient[Document], database: str, state: State) -> None:
        self._client = client
        self._database = client.get_database(database, codec_options=TOLERANT, read_concern=ReadConcern("majority"))
        self._state = state
        self._journal = Journal(state)
        self._stream: DatabaseChangeStream[Document] | None = None
        self._position: Document | None = None
        self._saved_at = 0.0

    def poll(self, wait_seconds: float, *, most_events: int = 5000) -> Polled:
        """Wait for changes, mark them, move the token. Returns at the first pause or after `wait_seconds`.

        Never loses a change: on a lost race or an error nothing moved, and the next poll starts from the saved token.
        A token that cannot be used starts a rescan of every form, which `Polled.rescan_reason` reports.
        """
        try:
            return self._poll(wait_seconds, most_events)
        except Fenced:
            self.close()
            return Polled()
        except HistoryLost as lost:
            return self._rescan_all(lost.message)
        except BaseException:  # what was read and not saved must be read again
            self.close()
            raise

    def _poll(self, wait_seconds: float, most_events: int) -> Polled:
        try:
            stream = self._open()
            events = _read(stream, most_events, wait_seconds)
            _refuse_upheavals(events, self._database.name)
            return self._save(stream, events)
        except OperationFailure as error:
            if error.code not in HISTORY_LOST:
                raise
            raise HistoryLost(f"the resume token cannot be used any more (error {error.code})") from error

    def close(self) -> None:
        """Close the stream; the next poll opens it at the saved token."""
        if self._stream is not None:
            self._stream.close()
        self._stream = self._position = None

    def position_time(self) -> datetime | None:
        """Time of the newest saved position: every change before it is marked or landed."""
        saved = self._state["capture"].find_one({"_id": CAPTURE_ID})
        return saved["position_at"] if saved else None

    def _open(self) -> DatabaseChangeStream[Document]:
        if self._stream is not None and self._stream.alive:
            return self._stream
        saved = self._state["capture"].find_one({"_id": CAPTURE_ID})
        if saved is None:
            raise HistoryLost("first start: no token yet")
        self._refuse_foreign(saved)
        token: Document | None = saved.get("token")
        start: dict[str, Any] = {"resume_after": token} if token else {"start_at_operation_time": saved["started_at"]}
        self._stream = self._database.watch(PIPELINE, max_await_time_ms=AWAIT_MILLISECONDS, batch_size=1000, **start)
        self._position = saved
        return self._stream

    def _refuse_foreign(self, saved: Document) -> None:
        """A token from the future or of another source opens without an error and then skips changes silently."""
        if saved["source"] != (source := self._source()):
            raise HistoryLost(f"the store is another one: {saved['source']} became {source}")
        token = saved.get("token")
        now: Timestamp = self._client.admin.command("ping")["operationTime"]
        if token and token_time(token) > now:
            raise HistoryLost(f"the token is from the future ({token_time(token)} > {now}): an old backup was restored")

    def _source(self) -> Document:
        """Identify the source: replica set name and the collections' UUIDs, which a restore or re-creation changes."""
        hello = self._client.admin.command("hello")
        found = self._database.list_collections(filter={"name": {"$in": list(WATCHED)}})
        uuids = {entry["name"]: bytes(entry.get("info", {}).get("uuid", b"")).hex() for entry in found}
        return {"set": str(hello.get("setName", "")), **{name: uuids.get(name, "") for name in WATCHED}}

    def _save(self, stream: DatabaseChangeStream[Document], events: list[Document]) -> Polled:
        token = stream.resume_token
        before = self._position
        if token is None or before is None:
            return Polled()
        if not events and (token == before.get("token") or time.monotonic() - self._saved_at < IDLE_SAVE_SECONDS):
            return Polled()
        marks, damaged = _marks(events)
        now = datetime.now(UTC)

        def move(session: ClientSession) -> None:
            self._move_token(dict(token), before, now, session)
            self._journal.put(marks, now, session)
            for form_id in damaged:
                self._request_rescan(form_id, "an id is not valid text", now, session)

        self._state.transaction(move)
        self._position = {**before, "token": dict(token), "serial": before["serial"] + 1}
        self._saved_at = time.monotonic()
        return Polled(len(events), {mark.form_id for mark in marks} | damaged)

    def _move_token(self, token: Document, before: Document, now: datetime, session: ClientSession) -> None:
        moved = {"token": token, "position_at": token_time(token).as_datetime(), "polled_at": now}
        done = self._state["capture"].update_one(
            {"_id": CAPTURE_ID, "serial": before["serial"]}, {"$set": moved, "$inc": {"serial": 1}}, session=session
        )
        if done.matched_count == 0:
            raise Fenced("another process moved the token")

    def _rescan_all(self, reason: str) -> Polled:
        """Pin a new position first, then mark every form for a rescan, in one transaction.

        What changed after the position is still ahead of the stream; what changed before is seen by the rescan, whose
        reads happen later.
        """
        self.close()
        started_at: Timestamp = self._client.admin.command("ping")["operationTime"]
        source, forms, now = self._source(), self.forms_in_store(), datetime.now(UTC)
        first = self._state["capture"].find_one({"_id": CAPTURE_ID})

        def restart(session: ClientSession) -> None:
            known = {str(entry["_id"]) for entry in self._state["tables"].find({}, {"_id": 1}, session=session)}
            position = {"source": source, "started_at": started_at, "position_at": started_at.as_datetime()}
            change = {"$set": {**position, "polled_at": now}, "$unset": {"token": ""}, "$inc": {"serial": 1}}
            guard: Document = {"_id": CAPTURE_ID, **({"serial": first["serial"]} if first else {})}
            done = self._state["capture"].update_one(guard, change, upsert=first is None, session=session)
            if first is not None and done.matched_count == 0:
                raise Fenced("another process started again already")
            for form_id in sorted(forms | known | {UNROUTED}):
                self._request_rescan(form_id, reason, now, session)
            self._journal.know(sorted((forms | known) - {UNROUTED}), session)
            self._state.incident("first start" if first is None else "history lost", reason, now, session)

        try:
            self._state.transaction(restart)
        except Fenced:
            return Polled()
        log.warning("every form is read again from the store: %s", reason, extra={"forms": len(forms)})
        return Polled(0, forms, reason)

    def _request_rescan(self, form_id: str, reason: str, now: datetime, session: ClientSession | None) -> None:
        request_rescan(self._state, form_id, reason, now, full=False, session=session)

    def forms_in_store(self) -> set[str]:
        """Find every form that has a document or a response. One covered scan of the responses' ids."""
        colon: Document = {"$indexOfBytes": ["$_id", ":"]}
        prefix: Document = {"$cond": [{"$gt": [colon, 0]}, {"$substrBytes": ["$_id", 0, colon]}, None]}
        text: Document = {"$cond": [{"$eq": [{"$type": "$_id"}, "string"]}, prefix, None]}
        groups = self._database["responses"].aggregate([{"$group": {"_id": text}}], hint={"_id": 1})
        found = {str(group["_id"]) for group in groups if group["_id"] is not None}
        return found | {str(form["_id"]) for form in self._database["forms"].find({}, {"_id": 1})}


def request_rescan(
    state: State, form_id: str, reason: str, now: datetime, *, full: bool, session: ClientSession | None = None
) -> None:
    """Ask for a form to be read again from its beginning. `full` also lands rows that look unchanged."""
    # Never a serial that was there before: whoever slept over the end of an earlier request must not end this one.
    wish: Document = {"reason": reason, "requested_at": now, "after": None, "serial": uuid4().hex}
    change: Document = {"$set": {**wish, "full": True} if full else wish}
    if not full:
        change["$setOnInsert"] = {"full": False}
    state["rescans"].update_one({"_id": form_id}, change, upsert=True, session=session)


def _read(stream: DatabaseChangeStream[Document], most_events: int, wait_seconds: float) -> list[Document]:
    """Read until the first pause after an event. `try_next` giving None is a pause, not a proof of being caught up."""
    events: list[Document] = []
    end = time.monotonic() + wait_seconds
    while len(events) < most_events:
        event = stream.try_next()
        if event is not None:
            end = end if events else time.monotonic() + GATHER_SECONDS
            events.append(dict(event))
        elif events or not stream.alive:
            break
        if time.monotonic() >= end:
            break
    return events


def _refuse_upheavals(events: Iterable[Document], database: str) -> None:
    for event in events:
        if event["operationType"] not in UPHEAVALS:
            continue
        collection, renamed = event.get("ns", {}).get("coll"), event.get("to", {}).get("coll")
        if {collection, renamed} & set(WATCHED) or event["operationType"] in ("dropDatabase", "invalidate"):
            raise HistoryLost(f"{event['operationType']} of {database}.{collection or '*'}")


def _marks(events: Iterable[Document]) -> tuple[list[Mark], set[str]]:
    """Turn events into marks, one per response, and the forms with an id that is not valid text."""
    newest: dict[tuple[str, str], Mark] = {}
    damaged: set[str] = set()
    for event in events:
        collection, operation = event.get("ns", {}).get("coll"), event["operationType"]
        if operation not in CHANGES or collection not in WATCHED:
            continue
        store_id, position = event["documentKey"]["_id"], str(event["_id"]["_data"])
        if collection == "forms":
            mark = Mark(str(store_id), FORM_ITSELF, position)
        else:
            mark = Mark(form_of(store_id), store_id, position)
        if isinstance(store_id, str) and REPLACEMENT in store_id:
            damaged.add(mark.form_id)
        newest[mark.form_id, repr(mark.store_id)] = mark
    return list(newest.values()), damaged
