"""Whatever is in the store, reading it for people goes on."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import MongoClient

from collect_pipelines.model import form_of
from collect_pipelines.source.pages import UNDECODABLE
from collect_pipelines.source.store import CollectStore
from collect_pipelines.source.writes import Edit
from tests.bad_input import BAD_FORMS, BAD_RESPONSES, FORM_ID, BadResponse, every_type_form, insert_bad


@pytest.fixture
def store(mongo: MongoClient, database_name: str) -> CollectStore:
    store = CollectStore(mongo, database_name)
    store.ensure()
    return store


def test_the_catalogue_is_large_and_names_are_unique() -> None:
    names = [bad.name for bad in BAD_RESPONSES]
    assert len(names) >= 100
    assert len(set(names)) == len(names)
    assert len({bad.name for bad in BAD_FORMS}) == len(BAD_FORMS) >= 10


@pytest.mark.parametrize("bad", BAD_RESPONSES, ids=lambda bad: bad.name)
def test_the_expected_form_is_the_one_that_the_id_names(bad: BadResponse) -> None:
    assert form_of(bad.id) == bad.form_id


def test_malformed_responses_never_break_a_page(store: CollectStore) -> None:
    inserted = insert_bad(store.client, store.database)
    everything = store.responses_collection.estimated_document_count()
    assert everything == len(inserted)
    seen: list[Any] = []
    page = store.responses(FORM_ID, limit=7)
    while page.next:
        seen += page.responses
        page = store.responses(FORM_ID, page.next, limit=7)
    seen += page.responses
    assert len(seen) == store.count(FORM_ID)
    assert len({str(r["_id"]) for r in seen}) == len(seen)
    undecodable = {r["_id"] for r in seen if UNDECODABLE in r}
    assert undecodable <= {f"{FORM_ID}:old-binary-wrong-length"}


def test_malformed_forms_never_hide_others(store: CollectStore) -> None:
    insert_bad(store.client, store.database)
    store.save_form(every_type_form("good"))
    forms = {form.id: form for form in store.forms()}
    assert len(forms) == len(BAD_FORMS) + 2
    assert forms["good"].problems == ()
    assert len(forms["bad-2000"].questions) == 2000
    assert forms["bad-odd-questions"].problems
    assert store.form("bad-empty") is not None


def test_counts_ignore_what_names_no_form(store: CollectStore) -> None:
    insert_bad(store.client, store.database)
    assert all(isinstance(form_id, str) for form_id in store.counts())


def test_malformed_responses_can_be_edited_replaced_and_deleted(store: CollectStore) -> None:
    inserted = [bad for bad in insert_bad(store.client, store.database) if bad.form_id == FORM_ID]
    ids = [bad.id for bad in inserted]
    for response_id in ids:
        store.edit([Edit(response_id, {"q_text": "edited"})])
    assert store.delete(ids) == len(ids)


@pytest.mark.slow
def test_documents_of_16_megabytes_can_be_stored_read_and_paged(store: CollectStore) -> None:
    insert_bad(store.client, store.database, large=True)
    large = [bad for bad in BAD_RESPONSES if bad.large]
    assert all(store.response(f"{FORM_ID}:{bad.name}") for bad in large)
    page = store.responses(FORM_ID, limit=500)
    assert {f"{FORM_ID}:{bad.name}" for bad in large} <= {str(r["_id"]) for r in page.responses}
