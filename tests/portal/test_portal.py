"""The portal as its visitors see it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from collect_pipelines.delivery.csv_export import CsvExports
from collect_pipelines.model import QuestionType
from collect_pipelines.settings import Settings
from collect_pipelines.source.connection import Document
from collect_pipelines.source.documents import form_document, option_document, question_document, response_document
from collect_pipelines.source.store import CollectStore
from tests.delivery.tables import Table

JSON = {"Accept": "application/json"}
QUESTIONS = [
    question_document("name", QuestionType.TEXT, {"en": "Name", "ar": "الاسم"}),
    question_document("again", QuestionType.SINGLE_CHOICE, "Again?", options=[option_document("y", "Yes, gladly")]),
    question_document("where", QuestionType.GEO_POINT, "Where"),
    question_document("when", QuestionType.DATETIME, "When"),
    question_document("photo", QuestionType.FILE, "Photo"),
    question_document(
        "children",
        QuestionType.REPEAT_GROUP,
        "Children",
        questions=[question_document("age", QuestionType.INTEGER, "Age of the child")],
    ),
]
ANSWERS = {
    "name": "Ann",
    "again": "y",
    "where": {"longitude": 16.37, "latitude": 48.2},
    "when": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    "photo": {"name": "a.jpg", "url": "https://files.example/a.jpg"},
    "children": [{"age": 7}, {"age": 9}],
    "ghost": "asked by nobody",
}


@pytest.fixture
def fair(store: CollectStore) -> CollectStore:
    store.save_form(form_document("fair", {"en": "The fair"}, QUESTIONS))
    flags = [{"code": "late"}]
    store.submit(
        [response_document("fair", "1", ANSWERS, collector="bo", flags=flags, answer_metadata={"name": {"sec": 4}})]
    )
    return store


def test_the_home_page_lists_every_form_with_its_freshness(
    portal: httpx.Client, fair: CollectStore, mongo: MongoClient, settings: Settings
) -> None:
    state, now = mongo[settings.state_database], datetime.now(UTC)
    state["tables"].insert_one({"_id": "fair", "table_id": "t", "sequence": 3, "rows_landed": 1, "landed_at": now})
    deliveries: list[Document] = [
        {"_id": "csv_export/fair", "integration": "csv_export", "pending": False, "status": "ok", "rows": 1},
        {
            "_id": "google_sheet/fair",
            "integration": "google_sheet",
            "pending": True,
            "pending_since": now - timedelta(minutes=5),
            "status": "failed",
            "error": "not shared <b>with</b> us",
            "url": "https://docs.google.com/spreadsheets/d/1",
        },
    ]
    state["deliveries"].insert_many([{**entry, "form_id": "fair"} for entry in deliveries])
    page = portal.get("/").text
    assert all(
        text in page for text in ("The fair", "caught up", "failed", "spreadsheets/d/1", "/forms/fair/responses.csv")
    )
    assert "assets/responses?view=partitions&amp;partition=fair" in page
    detail = portal.get("/forms/fair").text
    assert "not shared &lt;b&gt;with&lt;/b&gt; us" in detail
    (form,) = portal.get("/", headers=JSON).json()["forms"]
    assert form["responses"] == 1
    assert form["freshness"]["deliveries"]["csv_export"]["lag_seconds"] == 0
    assert 299 < form["freshness"]["deliveries"]["google_sheet"]["lag_seconds"] < 330


def test_an_empty_store_says_how_to_begin(portal: httpx.Client) -> None:
    page = portal.get("/").text
    assert "No forms yet" in page and "collect generate" in page


def test_the_form_page_shows_its_questions(portal: httpx.Client, fair: CollectStore) -> None:
    page = portal.get("/forms/fair").text
    assert all(text in page for text in ("Name", "الاسم", "single choice", "Yes, gladly", "Age of the child"))
    assert '<bdi lang="ar">الاسم</bdi>' in page
    data = portal.get("/forms/fair", headers=JSON).json()
    assert [question["id"] for question in data["questions"]] == [question["id"] for question in QUESTIONS]
    assert data["questions"][1]["options"] == [{"id": "y", "titles": {"en": "Yes, gladly"}}]


def test_the_response_page_shows_its_answers(portal: httpx.Client, fair: CollectStore) -> None:
    page = portal.get("/responses/fair:1").text
    shown = (
        "Ann",
        "Yes, gladly",
        "48.2, 16.37",
        "2026-01-02 03:04:00 UTC",
        "https://files.example/a.jpg",
        "late",
        "bo",
    )
    assert [text for text in shown if text not in page] == []
    assert "belongs to no question" in page and "asked by nobody" in page
    data = portal.get("/responses/fair:1", headers=JSON).json()
    assert data["revision"] == 1 and data["form_id"] == "fair" and data["flags"] == [{"code": "late"}]
    texts = {answer["question_id"]: answer["text"] for answer in data["answers"]}
    assert texts["again"] == "Yes, gladly" and texts["where"] == "48.2, 16.37"
    assert next(a for a in data["answers"] if a["question_id"] == "children")["value"] == [{"age": 7}, {"age": 9}]


def test_responses_are_paged_from_the_newest_to_the_oldest(portal: httpx.Client, fair: CollectStore) -> None:
    fair.submit(response_document("fair", f"{n:03}", {"name": f"N{n}"}) for n in range(2, 121))
    seen: list[str] = []
    address: str | None = "/forms/fair/responses"
    while address:
        data = portal.get(address, headers=JSON).json()
        seen += [response["id"] for response in data["responses"]]
        address = data["next"]
    assert len(seen) == len(set(seen)) == 120
    page = portal.get("/forms/fair/responses").text
    assert "Older responses" in page and "120 responses" in page
    assert portal.get("/forms/fair/responses?page=nonsense").status_code == 404


def test_the_older_addresses_still_work(portal: httpx.Client, store: CollectStore) -> None:
    for form_id, answer_id in (("1", "1"), ("1", "3"), ("2", "2"), ("2", "3")):
        store.save_form(form_document(form_id, f"Form {form_id}", [question_document("Q1", QuestionType.TEXT, "Name")]))
        store.submit([response_document(form_id, answer_id, {"Q1": f"answer {answer_id}"})])
    assert "Form 1" in portal.get("/question/1").text
    assert portal.get("/question/1", headers=JSON).json()["id"] == "1"
    assert "answer 2" in portal.get("/answer/2").text
    assert portal.get("/answer/2", headers=JSON).json()["id"] == "2:2"
    listed = portal.get("/answers/question/1", headers=JSON).json()["responses"]
    assert {response["id"] for response in listed} == {"1:1", "1:3"}
    assert "1:3" in portal.get("/answers/question/1").text
    both = portal.get("/answer/3")
    assert both.status_code == 300 and "/responses/1:3" in both.text and "/responses/2:3" in both.text
    assert [one["id"] for one in portal.get("/answer/3", headers=JSON).json()["responses"]] == ["1:3", "2:3"]


NOT_THERE = [
    "/forms/nowhere",
    "/forms/nowhere/responses",
    "/forms/nowhere/responses.csv",
    "/responses/fair:2",
    "/responses/../../etc/passwd",
    "/forms/..%2F..%2Fetc%2Fpasswd",
    "/forms/..%2F..%2Fetc%2Fpasswd/responses.csv",
    "/forms/%00",
    "/responses/%ff",
    "/static/..%2f__main__.py",
    "/static/../portal.py",
    "/question/9",
    "/answer/9",
    "/answers/question/9",
    "/nothing",
]


def test_what_is_not_there_is_a_plain_404(portal: httpx.Client, fair: CollectStore) -> None:
    for address in NOT_THERE:
        answer = portal.get(address)
        assert answer.status_code == 404, address
        assert "root:" not in answer.text and "Traceback" not in answer.text
        program = portal.get(address, headers=JSON)
        assert program.status_code == 404 and program.json()["status"] == 404


def test_the_csv_is_streamed_with_its_size_and_tag(
    portal: httpx.Client, fair: CollectStore, exports: CsvExports
) -> None:
    form = fair.form("fair")
    assert form is not None
    assert portal.get("/forms/fair/responses.csv").status_code == 404
    table = Table(form).commit(*({"_id": f"fair:{n}", "name": f"Åsa {n}"} for n in range(5000)))
    exports.deliver(form, table)
    answer = portal.get("/forms/fair/responses.csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="fair-')
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["x-content-rows"] == "5000" == str(len(list(csv.DictReader(io.StringIO(answer.text)))))
    marked = portal.get("/forms/fair/responses.csv?bom=1")
    assert marked.content == b"\xef\xbb\xbf" + answer.content
    assert marked.headers["etag"] != answer.headers["etag"]
    known = {"If-None-Match": answer.headers["etag"]}
    assert portal.get("/forms/fair/responses.csv", headers=known).status_code == 304
    head = portal.head("/forms/fair/responses.csv")
    assert head.status_code == 200 and head.headers["content-length"] == answer.headers["content-length"]
    exports.deliver(form, table.commit({"_id": "fair:0", "_deleted": True}))
    assert portal.get("/forms/fair/responses.csv", headers=known).headers["x-content-rows"] == "4999"


def test_a_damaged_export_says_not_now(portal: httpx.Client, fair: CollectStore, settings: Settings) -> None:
    settings.exports.mkdir()
    (settings.exports / "fair.sqlite").write_bytes(b"no database" * 1000)
    answer = portal.get("/forms/fair/responses.csv")
    assert answer.status_code == 503 and "damaged" in answer.text


def test_ids_of_any_shape_have_pages(portal: httpx.Client, mongo: MongoClient, database_name: str) -> None:
    mongo.drop_database(database_name)
    for form_id in ("..", "a/b", "<i>", "q?x=1#y", "ünïcode", "line\nbreak", "100%"):
        mongo[database_name]["forms"].insert_one({"_id": form_id, "titles": {"en": "T"}})
        mongo[database_name]["responses"].insert_one({"_id": f"{form_id}:../x?#%\n", "form_id": form_id, "answers": {}})
    CollectStore(mongo, database_name).ensure()
    data = portal.get("/", headers=JSON).json()
    assert len(data["forms"]) == 7
    for form in data["forms"]:
        found = portal.get(form["links"]["page"], headers=JSON)
        assert found.status_code == 200 and found.json()["id"] == form["id"]
        page = portal.get(form["links"]["page"] + "/responses").text
        path = page.split('href="/responses/')[1].split('"')[0]
        assert portal.get("/responses/" + path, headers=JSON).json()["id"] == f"{form['id']}:../x?#%\n"


def test_malformed_documents_are_shown_not_hidden(portal: httpx.Client, mongo: MongoClient, database_name: str) -> None:
    forms, responses = mongo[database_name]["forms"], mongo[database_name]["responses"]
    forms.insert_many([{"_id": "a", "questions": "none"}, {"_id": "b", "titles": 7, "questions": [3, {"id": "q"}]}])
    odd: list[dict[str, Any]] = [
        {"_id": "a:1", "form_id": "a", "answers": ["a", "list"], "flags": "x", "submitted_at": "yesterday"},
        {"_id": "a:2", "form_id": "a", "answers": {"q": float("nan"), "r": b"\x00\xff", "s": {"deep": [{"er": None}]}}},
        {"_id": 42, "form_id": "a", "answers": None, "metadata": ["x"], "answer_metadata": 3},
        {
            "_id": "a:3",
            "form_id": "a",
            "answers": {"long": "x" * 100_000},
            "submitted_at": datetime(1, 1, 1, tzinfo=UTC),
        },
    ]
    responses.insert_many(odd)
    CollectStore(mongo, database_name).ensure()
    assert "cannot be read" in portal.get("/forms/a").text
    for address in ("/", "/forms/a", "/forms/b", "/forms/a/responses", *(f"/responses/a:{n}" for n in (1, 2, 3))):
        for headers in ({}, JSON):
            assert portal.get(address, headers=headers).status_code == 200, (address, headers)


def test_state_of_any_shape_does_no_harm(
    portal: httpx.Client, fair: CollectStore, mongo: MongoClient, settings: Settings
) -> None:
    state = mongo[settings.state_database]
    for name in ("tables", "deliveries", "capture", "journal", "rescans", "partitions"):
        state[name].insert_many(
            [{"_id": "responses"}, {"_id": 7, "form_id": ["x"], "pending_since": "soon", "url": {}}]
        )
    state["deliveries"].insert_one({"_id": "x/fair", "form_id": "fair", "url": "javascript:alert(1)", "error": 3})
    for address in ("/", "/forms/fair", "/metrics"):
        answer = portal.get(address)
        assert answer.status_code == 200 and "javascript:alert" not in answer.text


def test_probes_and_metrics(portal: httpx.Client, fair: CollectStore, mongo: MongoClient, settings: Settings) -> None:
    past = datetime.now(UTC) - timedelta(seconds=100)
    mongo[settings.state_database]["journal"].insert_one({"form_id": "fair", "marked_at": past})
    mongo[settings.state_database]["deliveries"].insert_one(
        {"_id": "csv_export/fair", "integration": "csv_export", "form_id": "fair", "pending": True, "rows": 5}
    )
    assert portal.get("/healthz").text == "ok\n"
    ready = portal.get("/readyz")
    assert ready.status_code == 200 and ready.json() == {"ready": True, "checks": {"mongodb": "ok", "exports": "ok"}}
    text = portal.get("/metrics").text
    assert 'collect_journal_marks{form="fair"} 1.0' in text
    assert 'collect_delivery_rows{form="fair",integration="csv_export"} 5.0' in text
    (lag,) = [line for line in text.splitlines() if line.startswith("collect_delivery_lag_seconds{")]
    assert 100 <= float(lag.split()[-1]) < 130
