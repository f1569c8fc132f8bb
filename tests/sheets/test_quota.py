"""The quota that all processes share."""

from __future__ import annotations

import threading
import time

import pytest
from pymongo import MongoClient

from collect_pipelines.clients.quota import BURST, SharedQuota, Unlimited
from collect_pipelines.errors import TransientError


def quota(mongo: MongoClient, name: str, per_minute: float, waited: list[float], **more: float) -> SharedQuota:
    return SharedQuota(mongo, f"{name}_state", per_minute=per_minute, sleep=waited.append, **more)


def test_a_burst_is_free_and_what_follows_comes_at_the_rate(mongo: MongoClient, database_name: str) -> None:
    waited: list[float] = []
    bucket = quota(mongo, database_name, 60, waited)
    waits = [bucket.take("a", "write") for _ in range(BURST + 3)]
    assert waits[:BURST] == [0.0] * BURST
    assert waits[BURST:] == pytest.approx([1.0, 2.0, 3.0], abs=0.5) and waited == waits[BURST:]


def test_accounts_and_kinds_have_buckets_of_their_own(mongo: MongoClient, database_name: str) -> None:
    bucket = quota(mongo, database_name, 60, [])
    for account, kind in (("a", "write"), ("a", "read"), ("b", "write")):
        assert [bucket.take(account, kind) for _ in range(BURST)] == [0.0] * BURST  # type: ignore[arg-type]


def test_a_wait_is_never_longer_than_the_limit(mongo: MongoClient, database_name: str) -> None:
    bucket = quota(mongo, database_name, 60, [], longest_wait_seconds=2)
    assert [bucket.take("a", "write") for _ in range(BURST + 2)][-1] == pytest.approx(2, abs=0.5)
    with pytest.raises(TransientError) as told:
        bucket.take("a", "write")
    assert 2 < (told.value.retry_after_seconds or 0) < 4
    assert bucket.refused("a", "write", 1.5) < 6, "what was not granted is not booked"


def test_many_threads_together_keep_to_the_rate(mongo: MongoClient, database_name: str) -> None:
    granted: list[float] = []
    bucket = SharedQuota(mongo, f"{database_name}_state", per_minute=3000)
    end = time.monotonic() + 1.0

    def work() -> None:
        while time.monotonic() < end:
            bucket.take("a", "write")
            granted.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    within = [moment for moment in granted if moment < end]
    assert 30 <= len(within) <= 50 + BURST + 2


def test_a_refusal_halves_the_rate_and_closes_the_bucket(mongo: MongoClient, database_name: str) -> None:
    waited: list[float] = []
    bucket = quota(mongo, database_name, 60, waited)
    assert bucket.take("a", "write") == 0
    assert 5 <= bucket.refused("a", "write", 5) <= 6
    first, second = bucket.take("a", "write"), bucket.take("a", "write")
    assert first == pytest.approx(5, abs=0.5)
    assert second - first == pytest.approx(2, abs=0.1), "30 instead of 60 per minute"


def test_without_a_wish_a_refusal_lasts_until_the_next_full_minute(mongo: MongoClient, database_name: str) -> None:
    rest = 60 - time.time() % 60
    assert quota(mongo, database_name, 60, []).refused("a", "read", None) == pytest.approx(rest, abs=2)
    assert Unlimited().refused("a", "read", 3) == 3
