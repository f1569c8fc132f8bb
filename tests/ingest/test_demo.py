"""The demo's data: loaded once, exactly, and then alive."""

from __future__ import annotations

import threading
import time

import pytest
from bson.decimal128 import Decimal128
from pymongo import MongoClient

from collect_pipelines.errors import FatalError
from collect_pipelines.ingest.demo import load_demo, trickle
from collect_pipelines.ingest.fair import RESPONSES, fair_responses
from collect_pipelines.model import QuestionType
from collect_pipelines.source.store import CollectStore


@pytest.fixture
def store(mongo: MongoClient, database_name: str) -> CollectStore:
    return CollectStore(mongo, database_name)


def test_the_demo_loads_once_and_is_completed_after_an_interruption(store: CollectStore) -> None:
    told: dict[str, int] = {}

    def progress(form_id: str, count: int) -> None:
        told[form_id] = told.get(form_id, 0) + count

    counts = load_demo(store, progress=progress)
    assert counts == {"fair": RESPONSES, "1": 2, "2": 2, **dict.fromkeys(set(told) - {"fair", "1", "2"}, 250)}
    assert told == counts
    assert len(counts) == 7

    store.delete(["fair:0001"])  # a person's delete is not undone by loading again
    assert load_demo(store)["fair"] == RESPONSES - 1

    store.forms_collection.update_one({"_id": "fair"}, {"$unset": {"metadata.demo_loaded": 1}})  # as if killed midway
    assert load_demo(store)["fair"] == RESPONSES


def test_the_survey_has_the_files_own_figures_and_options() -> None:
    first = next(fair_responses())
    assert first["_id"] == "fair:0001"
    assert first["answers"]["age"] == Decimal128("32")
    assert first["answers"]["occupation"] == "2"
    assert first["answers"]["rate_marriage"] == 3
    assert first["answers"]["affairs"] == Decimal128("0.1111111")


def test_the_old_systems_phone_numbers_keep_their_leading_zero(store: CollectStore) -> None:
    load_demo(store)
    form = store.form("2")
    assert form is not None
    assert [(q.id, q.type, q.titles["en"]) for q in form.questions] == [
        ("Q1", QuestionType.EMAIL, "Email"),
        ("Q2", QuestionType.PHONE, "Mobile No."),
    ]
    response = store.response("2:4")
    assert response is not None
    assert response["answers"] == {"Q1": "b@b.com", "Q2": "0987654321"}
    assert store.response_ids("3") == ["1:3"]


def test_traffic_goes_on_until_it_is_stopped(store: CollectStore) -> None:
    with pytest.raises(FatalError):
        trickle(store, 1, lambda: True)
    load_demo(store)
    stop = threading.Event()
    before = store.counts()
    worker = threading.Thread(target=trickle, args=(store, 100, stop.is_set))
    worker.start()
    time.sleep(0.8)
    stop.set()
    worker.join(5)
    assert not worker.is_alive()
    assert store.counts() != before
    assert store.counts()["fair"] == RESPONSES
