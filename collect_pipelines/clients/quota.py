"""One token bucket per account and kind of request, shared by all processes through the state database.

GCRA: one number per bucket, the time at which it is full again. The server's clock decides, so machines may disagree
about the time. A refusal by Google halves the rate until the next full minute; it comes back by a tenth per minute.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, cast

from pymongo import MongoClient, ReturnDocument, WriteConcern
from pymongo.errors import PyMongoError

from collect_pipelines.errors import TransientError

Kind = Literal["read", "write"]

BURST = 10
_MINUTE_MS = 60_000.0
_NOW: Any = {"$toDouble": {"$toLong": "$$NOW"}}


class Quota(Protocol):
    """Permission to send."""

    def take(self, account: str, kind: Kind) -> float:
        """Wait for permission to send one request; return the seconds waited. TransientError: not soon enough."""
        ...

    def refused(self, account: str, kind: Kind, retry_after_seconds: float | None) -> float:
        """Note that Google refused a request; return the seconds after which to try again."""
        ...


class Unlimited:
    """No quota of our own, as against a local server that has none."""

    def take(self, account: str, kind: Kind) -> float:
        """Permit at once."""
        return 0.0

    def refused(self, account: str, kind: Kind, retry_after_seconds: float | None) -> float:
        """Return the server's wish, else the seconds to its next full minute."""
        return retry_after_seconds if retry_after_seconds is not None else 60.0 - time.time() % 60.0


class SharedQuota:
    """The bucket of each (account, kind) in the collection `quota` of the state database."""

    def __init__(
        self,
        mongo: MongoClient[dict[str, Any]],
        database: str,
        *,
        per_minute: float,
        burst: int = BURST,
        longest_wait_seconds: float = 90.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._buckets = mongo[database].get_collection("quota", write_concern=WriteConcern(w=1))
        self._per_minute = float(per_minute)
        self._burst = burst
        self._longest_wait_seconds = longest_wait_seconds
        self._sleep = sleep
        self._jitter = random.Random(threading.get_ident())

    def take(self, account: str, kind: Kind) -> float:
        """Reserve the next slot and sleep until it comes; slots are given in the order of asking."""
        bucket = self._change(account, kind, take_slot(self._per_minute, self._burst, self._longest_wait_seconds))
        wait_seconds = float(bucket["wait_ms"]) / 1000.0
        if not bucket["granted"]:
            raise TransientError(
                f"The {kind} quota of {account} is booked for the next {wait_seconds:.0f} s",
                hint="more service accounts in COLLECT_GOOGLE_CREDENTIALS give more quota",
                retry_after_seconds=wait_seconds,
            )
        if wait_seconds > 0:
            self._sleep(wait_seconds)
        return wait_seconds

    def refused(self, account: str, kind: Kind, retry_after_seconds: float | None) -> float:
        """Halve the rate and close the bucket until Google's wish or the next full minute has come."""
        bucket = self._change(account, kind, close_bucket(self._per_minute, self._burst, retry_after_seconds))
        return float(bucket["wait_ms"]) / 1000.0 + self._jitter.random()

    def _change(self, account: str, kind: Kind, pipeline: list[dict[str, Any]]) -> Mapping[str, Any]:
        try:
            found = self._buckets.find_one_and_update(
                {"_id": f"{account}|{kind}"}, pipeline, upsert=True, return_document=ReturnDocument.AFTER
            )
        except PyMongoError as error:
            raise TransientError(f"The state database does not answer: {type(error).__name__}") from error
        return cast(Mapping[str, Any], found)


def take_slot(per_minute: float, burst: int, longest_wait_seconds: float) -> list[dict[str, Any]]:
    """Return the update that reserves one slot, unless it would lie too far ahead."""
    ready: Any = {"$max": [{"$ifNull": ["$full_at", 0.0]}, "$now"]}
    ahead: Any = {"$subtract": [ready, "$now"]}
    wait: Any = {"$max": [0.0, {"$subtract": [ahead, {"$multiply": [burst - 1, "$slot_ms"]}]}]}
    return [
        *_rate(per_minute),
        {"$set": {"wait_ms": wait}},
        {"$set": {"granted": {"$lte": ["$wait_ms", longest_wait_seconds * 1000.0]}}},
        {"$set": {"full_at": {"$add": [ready, {"$cond": ["$granted", "$slot_ms", 0.0]}]}}},
    ]


def close_bucket(per_minute: float, burst: int, retry_after_seconds: float | None) -> list[dict[str, Any]]:
    """Return the update that halves the rate and lets nobody through before the given time."""
    minute_end: Any = {"$multiply": [{"$add": [{"$floor": {"$divide": ["$now", _MINUTE_MS]}}, 1]}, _MINUTE_MS]}
    until: Any = minute_end if retry_after_seconds is None else {"$add": ["$now", retry_after_seconds * 1000.0]}
    halved: Any = {"$max": [1.0, {"$divide": ["$rate", 2.0]}]}
    recent: Any = {"$lt": [{"$subtract": ["$now", {"$ifNull": ["$cut_at", 0.0]}]}, 5_000.0]}  # one event, many refusals
    # Full so late that one request passes at that time and the next one a slot later.
    one_slot: Any = {"$add": [until, {"$multiply": [burst - 1, {"$divide": [_MINUTE_MS, "$cut_rate"]}]}]}
    return [
        *_rate(per_minute),
        {
            "$set": {
                "cut_rate": {"$cond": [recent, "$rate", halved]},
                "cut_at": "$now",
                "wait_ms": {"$subtract": [until, "$now"]},
            }
        },
        {"$set": {"granted": False, "full_at": {"$max": [{"$ifNull": ["$full_at", 0.0]}, one_slot]}}},
    ]


def _rate(per_minute: float) -> list[dict[str, Any]]:
    """Compute the time, the rate after refusals and the length of one slot."""
    minutes: Any = {"$floor": {"$divide": [{"$subtract": ["$now", {"$ifNull": ["$cut_at", 0.0]}]}, _MINUTE_MS]}}
    back: Any = {"$multiply": [{"$ifNull": ["$cut_rate", per_minute]}, {"$add": [1.0, {"$multiply": [0.1, minutes]}]}]}
    return [
        {"$set": {"now": _NOW}},
        {"$set": {"rate": {"$min": [per_minute, {"$cond": [{"$gt": ["$cut_at", 0]}, back, per_minute]}]}}},
        {"$set": {"slot_ms": {"$divide": [_MINUTE_MS, "$rate"]}}},
    ]
