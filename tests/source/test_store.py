"""The Collect store against a real mongod: writing twice, revisions, server times, pages."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import Int64
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.errors import WriteError

from collect_pipelines.errors import FatalError
from collect_pipelines.model import QuestionType
from collect_pipelines.source.documents import form_document, option_document, question_document, response_document
from collect_pipelines.source.forms import next_form
from collect_pipelines.source.store import CollectStore
from collect_pipelines.source.validators import AUDIT_INDEX, PAGING_INDEX
from collect_pipelines.source.writes import Edit, Submitted


@pytest.fixture
def store(mongo: MongoClient, database_name: str) -> CollectStore:
    store = CollectStore(mongo, database_name)
    store.ensure()
    return store


NAME = question_document("name", QuestionType.TEXT, {"en": "Name", "hi": "नाम"})
AGE = question_document("age", QuestionType.INTEGER, "Age")
FORM = form_document("f", {"en": "A form"}, [NAME, AGE])


def responses(count: int, form_id: str = "f") -> list[dict[str, Any]]:
    return [response_document(form_id, f"{number:04}", {"age": number}) for number in range(count)]


def test_ensuring_the_store_twice_changes_nothing(store: CollectStore) -> None:
    before = store.responses_collection.index_information()
    store.ensure()
    assert store.responses_collection.index_information() == before
    assert {PAGING_INDEX, AUDIT_INDEX} < set(before)


def test_an_outdated_store_is_brought_up_to_date(store: CollectStore) -> None:
    database = store.client[store.database]
    database.command("collMod", "responses", validator={}, validationLevel="off")
    store.responses_collection.drop_index(AUDIT_INDEX)
    store.ensure()
    assert AUDIT_INDEX in store.responses_collection.index_information()
    with pytest.raises(WriteError):
        store.responses_collection.insert_one({"_id": "no form"})


def test_a_saved_form_is_read_back_with_its_questions_in_order(store: CollectStore) -> None:
    assert store.save_form(FORM) == 1
    form = store.form("f")
    assert form is not None
    assert [(q.id, q.type, q.titles) for q in form.questions] == [
        ("name", QuestionType.TEXT, {"en": "Name", "hi": "नाम"}),
        ("age", QuestionType.INTEGER, {"en": "Age"}),
    ]
    assert form.problems == ()
    assert store.form("g") is None
    assert store.forms() == [form]


def test_saving_the_same_form_again_writes_nothing(store: CollectStore) -> None:
    store.save_form(FORM)
    before = store.forms_collection.find_one()
    assert store.save_form(FORM) == 1
    assert store.forms_collection.find_one() == before


def test_a_question_left_out_is_kept_as_archived_and_the_version_goes_up(store: CollectStore) -> None:
    store.save_form(FORM)
    assert store.save_form(form_document("f", {"en": "A form"}, [AGE])) == 2
    form = store.form("f")
    assert form is not None
    assert {q.id: q.archived for q in form.questions} == {"age": False, "name": True}
    assert store.save_form(form_document("f", {"en": "A form"}, [AGE])) == 2


def test_settings_of_a_form_survive_a_save_that_does_not_name_them(store: CollectStore) -> None:
    store.save_form({**FORM, "settings": {"integrations": {"google_sheet": {"url": "x"}}}})
    store.save_form(FORM)
    form = store.form("f")
    assert form is not None
    assert form.integration("google_sheet") == {"url": "x"}


def test_a_response_submitted_twice_is_stored_once(store: CollectStore) -> None:
    assert store.submit(responses(3)) == Submitted(added=3)
    before = list(store.responses_collection.find())
    assert store.submit(responses(3), replace=True) == Submitted(unchanged=3)
    assert store.submit(responses(3)) == Submitted(unchanged=3)
    assert list(store.responses_collection.find()) == before


def test_a_response_that_differs_is_replaced_only_on_request(store: CollectStore) -> None:
    store.submit(responses(1))
    changed = response_document("f", "0000", {"age": 99})
    assert store.submit([changed]) == Submitted(unchanged=1)
    assert store.submit([changed], replace=True) == Submitted(changed=1)
    stored = store.response("f:0000")
    assert stored is not None
    assert (stored["answers"], stored["revision"]) == ({"age": 99}, 2)
    assert stored["updated_at"] >= stored["submitted_at"]


def test_times_are_the_servers_whatever_the_client_claims(store: CollectStore) -> None:
    claimed = datetime(1999, 1, 1, tzinfo=UTC)
    store.submit([{**responses(1)[0], "submitted_at": claimed, "updated_at": claimed, "revision": 7}])
    stored = store.response("f:0000")
    assert stored is not None
    assert abs(stored["submitted_at"] - datetime.now(UTC)) < timedelta(seconds=60)
    assert stored["revision"] == 1
    assert isinstance(stored["revision"], Int64)


def test_each_edit_raises_the_revision_and_keeps_the_other_answers(store: CollectStore) -> None:
    store.submit([response_document("f", "a", {"age": 1, "name": "Ash", "x": {"deep": 1, "kept": 2}})])
    edits = [Edit("f:a", {"age": 2, "x": {"deep": 3}}), Edit("f:a", removed=("name",), status="needs_fix"), Edit("f:b")]
    assert store.edit(edits) == 2
    stored = store.response("f:a")
    assert stored is not None
    assert stored["answers"] == {"age": 2, "x": {"deep": 3}}
    assert (stored["revision"], stored["status"]) == (3, "needs_fix")
    assert isinstance(stored["revision"], Int64)


def test_answers_that_look_like_expressions_stay_text(store: CollectStore) -> None:
    hostile = {"name": "$$ROOT", "age": {"$add": [1, 2]}, "a": "$form_id"}
    store.submit([response_document("f", "a", {"name": "x"})])
    store.submit([response_document("f", "a", hostile)], replace=True)
    stored = store.response("f:a")
    assert stored is not None
    assert stored["answers"] == hostile
    store.edit([Edit("f:a", {"name": "$_id"})])
    stored = store.response("f:a")
    assert stored is not None
    assert stored["answers"]["name"] == "$_id"


def test_what_cannot_be_stored_comes_back_with_its_reason_and_the_rest_is_stored(store: CollectStore) -> None:
    good = responses(2)
    bad = [
        {**good[0], "_id": "other:1"},
        response_document("f", "big", {"name": "x" * (17 << 20)}),
        response_document("f", "surrogate", {"name": "\ud800"}),
        response_document("f", "huge", {"age": 2**70}),
        {**good[0], "_id": 5},
        {"form_id": "f", "answers": {}},
    ]
    outcome = store.submit([bad[0], good[0], *bad[1:], good[1]])
    assert (outcome.added, len(outcome.rejected)) == (2, 6)
    assert {rejection.id for rejection in outcome.rejected} >= {"other:1", "f:big", "f:surrogate", "f:huge", 5}
    assert store.count("f") == 2


def test_deleted_responses_are_gone(store: CollectStore) -> None:
    store.submit(responses(3))
    assert store.delete(["f:0000", "f:0002", "f:9999"]) == 2
    assert store.count("f") == 1
    assert store.response("f:0000") is None


def test_counts_are_per_form(store: CollectStore) -> None:
    store.submit(responses(3) + responses(2, "g"))
    assert store.counts() == {"f": 3, "g": 2}


def test_an_id_of_the_old_system_finds_its_responses(store: CollectStore) -> None:
    store.save_form(FORM)
    store.submit([response_document("f", "7", {})])
    assert store.response_ids("7") == ["f:7"]
    assert store.response_ids("8") == []


def test_pages_show_every_response_once_newest_first(store: CollectStore) -> None:
    for part in range(3):
        store.submit([response_document("f", f"{part}-{n}", {}) for n in range(9)])
    store.submit(responses(3, "g"))
    seen: list[dict[str, Any]] = []
    page = store.responses("f", limit=5)
    while True:
        seen += page.responses
        if page.next is None:
            break
        page = store.responses("f", page.next, limit=5)
    assert len({r["_id"] for r in seen}) == len(seen) == 27
    keys = [(r["submitted_at"], r["_id"]) for r in seen]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.parametrize("page", ["", "x", "=", "AAAA", "é", "a" * 5000, "EwAAAAJhAAcAAABoZWxsbwAA"])
def test_a_made_up_page_is_refused(store: CollectStore, page: str) -> None:
    with pytest.raises(ValueError, match="not a page of ours"):
        store.responses("f", page)


@pytest.mark.parametrize(
    "document",
    [
        {**FORM, "_id": "a:b"},
        {**FORM, "questions": [{**NAME, "id": "_name"}]},
        {**FORM, "questions": [NAME, NAME]},
        {**FORM, "questions": [{**NAME, "type": "telepathy"}]},
        {**FORM, "status": "lost"},
    ],
)
def test_our_tools_cannot_save_a_malformed_form(store: CollectStore, document: dict[str, Any]) -> None:
    with pytest.raises(FatalError):
        store.save_form(document)


def test_options_and_inner_questions_are_read_back(store: CollectStore) -> None:
    colour = question_document(
        "c", QuestionType.SINGLE_CHOICE, "Colour", options=[option_document("r", "Red"), option_document("g", "Green")]
    )
    group = question_document("people", QuestionType.REPEAT_GROUP, "People", questions=[NAME, AGE])
    store.save_form(form_document("f", "F", [colour, group]))
    form = store.form("f")
    assert form is not None
    assert [option.id for option in form.questions[0].options] == ["r", "g"]
    assert [question.id for question in form.questions[1].questions] == ["name", "age"]


def test_forms_saved_at_the_same_time_build_on_each_other(store: CollectStore) -> None:
    def save(number: int) -> int:
        return store.save_form(form_document("f", "F", [question_document(f"q{number}", QuestionType.TEXT, "Q")]))

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(save, range(8)))
    form = store.form("f")
    assert form is not None
    assert {question.id for question in form.questions} == {f"q{number}" for number in range(8)}
    assert sorted(versions) == list(range(1, 9))
    assert len(form.asked) == 1


def test_an_edit_that_cannot_address_its_question_is_refused(store: CollectStore) -> None:
    store.submit(responses(1))
    for question_id in ("", "a.b", "$set", "a\0b"):
        with pytest.raises(ValueError, match="cannot address"):
            store.edit([Edit("f:0000", {question_id: 1})])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcde"), unique=True), min_size=1, max_size=6))
def test_no_question_is_ever_lost_whatever_is_saved_in_turn(saves: list[list[str]]) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    stored: dict[str, Any] | None = None
    versions = 0
    for listed in saves:
        given_form = form_document("f", "F", [question_document(q, QuestionType.TEXT, q) for q in listed])
        new = next_form(stored, given_form, now)
        versions += new is not None
        stored = new or stored
        assert next_form(stored, given_form, now) is None
    assert stored is not None
    assert {q["id"] for q in stored["questions"]} == set().union(*saves)
    assert {q["id"] for q in stored["questions"] if not q["archived"]} == set(saves[-1])
    assert stored["version"] <= versions
