"""Generated forms and responses: every type, several scripts, the same for the same seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from collect_pipelines.ingest.answers import responses
from collect_pipelines.ingest.generate import Done, Generator, generated_forms, run_at_rate
from collect_pipelines.model import QuestionType, form_from_document
from collect_pipelines.source.store import CollectStore

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def store(mongo: MongoClient, database_name: str) -> CollectStore:
    store = CollectStore(mongo, database_name)
    store.ensure()
    return store


def sample(count: int, seed: int = 1) -> list[dict[str, Any]]:
    return list(islice(responses(form_from_document(generated_forms(1)[0]), Random(seed), NOW), count))


def test_every_generated_form_asks_every_type_of_question_in_six_languages() -> None:
    for document in generated_forms(20):
        form = form_from_document(document)
        assert form.problems == ()
        assert {question.type for question in form.questions} == set(QuestionType)
        assert all(len(question.titles) == 6 for question in form.questions)


def test_generated_forms_have_ids_of_their_own() -> None:
    ids = [form["_id"] for form in generated_forms(30)]
    assert len(set(ids)) == 30
    assert ids == [form["_id"] for form in generated_forms(40)][:30]


def test_the_same_seed_gives_the_same_responses() -> None:
    assert [bson.encode(r) for r in sample(200)] == [bson.encode(r) for r in sample(200)]
    assert sample(5) != sample(5, seed=2)


def test_some_responses_are_late_some_texts_are_long_and_scripts_differ() -> None:
    made = sample(500)
    assert any(NOW - r["client"]["finished_at"] > timedelta(days=20) for r in made)
    texts = [value for r in made for value in r["answers"].values() if isinstance(value, str)]
    assert any(len(text) > 2000 for text in texts)
    assert set("eаمह李") <= set("".join(texts))


def test_bulk_generation_adds_edits_and_deletes_what_was_asked_for(store: CollectStore) -> None:
    forms = generated_forms(3)
    for form in forms:
        assert store.save_form(form) == 1
    seen: list[int] = []
    generator = Generator(store, forms, seed=7, now=NOW, edit_share=0.1, delete_share=0.05)
    assert generator.bulk(200, seen.append) == Done(added=200, edited=20, deleted=10)
    assert sum(seen) == 200
    assert sum(store.counts().values()) == 190
    assert store.responses_collection.count_documents({"revision": {"$gt": 1}}) > 5


def test_generating_again_with_the_same_seed_adds_nothing(store: CollectStore) -> None:
    forms = generated_forms(2)
    Generator(store, forms, seed=7, now=NOW).bulk(50)
    before = list(store.responses_collection.find().sort("_id", 1))
    assert Generator(store, forms, seed=7, now=NOW).bulk(50) == Done()
    assert list(store.responses_collection.find().sort("_id", 1)) == before


def test_live_traffic_keeps_its_rate_and_mixes_kinds(store: CollectStore) -> None:
    forms = generated_forms(2)
    generator = Generator(store, forms, seed=3, edit_share=0.3, delete_share=0.1)
    generator.bulk(30)
    generator.adopt()
    done = run_at_rate(generator, 60, stop=lambda: False, seconds=1.5)
    assert 60 <= done.added + done.edited + done.deleted <= 95
    assert done.edited
    assert done.deleted


def test_traffic_stops_when_told(store: CollectStore) -> None:
    generator = Generator(store, generated_forms(1), seed=3)
    assert run_at_rate(generator, 1000, stop=lambda: True) == Done()
