"""Importing files: nothing is changed, nothing is lost, nothing comes twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, Int64
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.ingest.convert import from_json, from_text, storable
from collect_pipelines.ingest.files import Reading, sources
from collect_pipelines.ingest.infer import Profile
from collect_pipelines.ingest.load import Outcome, load, plan, scan
from collect_pipelines.ingest.records import Ids, Record, RejectedLine, slug
from collect_pipelines.model import QuestionType
from collect_pipelines.source.store import CollectStore
from collect_pipelines.source.writes import Submitted

T = QuestionType
SEED = Path(__file__).parents[2] / "collect_pipelines" / "ingest" / "samples"


@pytest.fixture
def store(mongo: MongoClient, database_name: str) -> CollectStore:
    store = CollectStore(mongo, database_name)
    store.ensure()
    return store


def imported(
    store: CollectStore, *paths: Path, types: dict[str, QuestionType] | None = None, **reading: Any
) -> Outcome:
    outcome = Outcome()
    for source in sources(paths, Reading(**reading)):
        outcome = load(store, source, plan(scan(source), source, store.form_document, types=types))
    return outcome


def written(folder: Path, content: str | bytes, name: str = "survey.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def answers(store: CollectStore, form_id: str = "survey") -> list[dict[str, Any]]:
    return [document["answers"] for document in store.responses_collection.find({"form_id": form_id}).sort("_id", 1)]


def types_of(store: CollectStore, form_id: str = "survey") -> dict[str, QuestionType]:
    form = store.form(form_id)
    assert form is not None
    return {question.id: question.type for question in form.questions}


def inferred(title: str, *values: Any) -> QuestionType:
    profile = Profile(title)
    for value in values:
        profile.see(value)
    return profile.infer().type


# Inference


@pytest.mark.parametrize(
    ("title", "values", "kind"),
    [
        ("Age", ["31", "7", "-2", "0"], T.INTEGER),
        ("Zip", ["01234", "99999"], T.TEXT),
        ("Account", ["1234567890123456", "1"], T.TEXT),
        ("Price", ["1.50", "2", "-0.25"], T.DECIMAL),
        ("Price", ["1,50", "2,10"], T.TEXT),
        ("Version", ["1.2.3", "1.3"], T.TEXT),
        ("Code", ["1E5", "2E6"], T.TEXT),
        ("Day", ["2026-01-31", "2025-12-01"], T.DATE),
        ("Day", ["31.1.2026", "01.12.2025"], T.DATE),
        ("Day", ["2026-02-30"], T.TEXT),
        ("Day", ["31/12/2026", "01/02/2026"], T.TEXT),
        ("When", ["2026-01-31T12:00:00Z", "2026-01-31 13:00"], T.DATETIME),
        ("Contact", ["a@a.com", "b@b.org"], T.EMAIL),
        ("Mobile No.", ["1234567890", "0987654321"], T.PHONE),
        ("Count", ["1234567890", "987654321"], T.INTEGER),
        ("Whatever", ["+49 30 123456", "+254712345678"], T.PHONE),
        ("Owns land", ["yes", "No", "YES"], T.BOOLEAN),
        ("Flag", ["0", "1"], T.INTEGER),
        ("GPS location", ["27.17 78.04 170 4.5", "27.2 78.1"], T.GEO_POINT),
        ("Rating", ["1", "5", "3"], T.RATING),
        ("Rating", ["1", "500"], T.INTEGER),
        ("Colour", ["red", "green"] * 6, T.SINGLE_CHOICE),
        ("Colour", ["red", "green"], T.TEXT),
        ("Crops", ["rice;maize", "rice", "maize;beans;rice"] * 4, T.MULTI_CHOICE),
        ("Zip", ["01234", "04321"] * 20, T.TEXT),
        ("Name", ["Ash", "Aman"], T.TEXT),
        ("Nothing", [], T.TEXT),
        ("Number", [1, 2], T.INTEGER),
        ("Number", [1, Decimal("2.5")], T.DECIMAL),
        ("Mixed", [1, "a"], T.TEXT),
        ("Mixed", [1, True], T.TEXT),
        ("List", [["a"], ["b", "c"]], T.MULTI_CHOICE),
        ("Where", [{"type": "Point", "coordinates": [1, 2]}], T.GEO_POINT),
        ("Group", [[{"a": 1}]], T.REPEAT_GROUP),
        ("Object", [{"a": 1}], T.TEXT),
    ],
)
def test_types_are_inferred_and_in_doubt_it_is_text(title: str, values: list[Any], kind: QuestionType) -> None:
    assert inferred(title, *values) is kind


@given(st.lists(st.from_regex(r"[0-9+\-., eE:/TZ]{1,12}", fullmatch=True), min_size=1, max_size=5))
def test_an_inferred_number_or_date_can_be_written_back_as_it_was(values: list[str]) -> None:
    kind = inferred("Column", *values)
    for value in values:
        if kind is T.INTEGER:
            assert str(from_text(kind, value.strip(), {})) == value.strip()
        elif kind is T.DECIMAL:
            assert from_text(kind, value.strip(), {}).to_decimal() == Decimal(value.strip())
        elif kind in (T.TEXT, T.PHONE, T.EMAIL):
            assert str(from_text(kind, value, {})).strip() == value.strip()


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8,
))  # fmt: skip
def test_json_of_any_kind_becomes_something_storable_or_is_no_fit(value: Any) -> None:
    storable(value)
    for kind in QuestionType:
        try:
            from_json(kind, value, {})
        except ValueError:
            continue


def test_numbers_too_large_for_the_store_become_text() -> None:
    assert storable(2**63) == str(2**63)
    assert storable(2**63 - 1) == Int64(2**63 - 1)
    assert storable(Decimal("0.1")) == 0.1
    assert storable(Decimal("0.12345678901234567890")) == Decimal128("0.12345678901234567890")
    assert storable(Decimal("1e7000")) == "1E+7000"


def test_question_ids_are_stable_unique_and_ascii() -> None:
    ids = Ids()
    titles = ["Wie alt? (Jahre)", "wie alt jahre", "आयु", "_id", "$set", "a.b", ""]
    assert [ids.of(at, title, at + 1) for at, title in enumerate(titles)] == [
        "wie_alt_jahre", "wie_alt_jahre_2", "column_3", "id", "set", "a_b", "column_7",
    ]  # fmt: skip
    assert slug("x" * 500) == "x" * 60


# The old system


def test_documents_of_the_old_system_keep_ids_labels_and_leading_zeros(store: CollectStore) -> None:
    assert imported(store, SEED).submitted == Submitted(added=4)
    assert imported(store, SEED).submitted == Submitted(unchanged=4)
    form = store.form("1")
    assert form is not None
    assert [q.titles["en"] for q in form.questions] == ["Name", "Food Type", "Hobby", "Friend Name"]
    assert answers(store, "2") == [{"Q1": "a@a.com", "Q2": "1234567890"}, {"Q1": "b@b.com", "Q2": "0987654321"}]
    assert types_of(store, "2") == {"Q1": T.EMAIL, "Q2": T.PHONE}


def test_odd_documents_of_the_old_system_are_listed_and_the_rest_is_stored(store: CollectStore, tmp_path: Path) -> None:
    documents = [
        {"QuestionId": "9", "AnswerId": "1", "Answers": {"Q1": "kept"}},
        {"QuestionId": "9", "Answers": {"Q1": "no id"}},
        {"QuestionId": "a:b", "AnswerId": "2", "Answers": {}},
        {"QuestionId": "9", "AnswerId": "3", "Answers": "none"},
        {"QuestionId": "9", "AnswerId": "1", "Answers": {"Q1": "again"}},
        "text",
    ]
    outcome = imported(store, written(tmp_path, json.dumps(documents), "answers.json"))
    assert outcome.submitted == Submitted(added=1)
    assert outcome.rejects.count == 5
    assert answers(store, "9") == [{"Q1": "kept"}]


# CSV


def test_a_csv_imported_twice_is_stored_once_and_a_changed_row_is_an_edit(store: CollectStore, tmp_path: Path) -> None:
    path = written(tmp_path, "Name,Age\nAsh,10\nMisty,12\n")
    assert imported(store, path).submitted == Submitted(added=2)
    before = list(store.responses_collection.find()) + list(store.forms_collection.find())
    assert imported(store, path).submitted == Submitted(unchanged=2)
    assert list(store.responses_collection.find()) + list(store.forms_collection.find()) == before
    written(tmp_path, "Name,Age\nAsh,11\nMisty,12\nBrock,15\n")
    assert imported(store, path).submitted == Submitted(added=1, changed=1, unchanged=1)
    assert answers(store) == [{"name": "Ash", "age": 11}, {"name": "Misty", "age": 12}, {"name": "Brock", "age": 15}]


def test_two_files_without_ids_do_not_overwrite_each_other(store: CollectStore, tmp_path: Path) -> None:
    imported(store, written(tmp_path, "A\n1\n", "week1.csv"), form_id="f")
    imported(store, written(tmp_path, "A\n2\n", "week2.csv"), form_id="f")
    assert answers(store, "f") == [{"a": 1}, {"a": 2}]


def test_an_id_column_is_used_when_it_names_every_row_differently(store: CollectStore, tmp_path: Path) -> None:
    imported(store, written(tmp_path, "_uuid,A\nx,1\ny,2\n"))
    assert store.response("survey:x") is not None
    imported(store, written(tmp_path, "id,A\nx,1\nx,2\n", "twice.csv"))
    assert answers(store, "twice") == [{"id": "x", "a": 1}, {"id": "x", "a": 2}]


def test_a_row_without_its_id_or_with_one_seen_before_is_rejected_by_name(store: CollectStore, tmp_path: Path) -> None:
    outcome = imported(store, written(tmp_path, "code,A\nx,1\n,2\nx,3\n"), id_column="Code")
    assert outcome.submitted == Submitted(added=1)
    assert [(r.line, r.reason) for r in outcome.rejects.lines] == [
        (3, "no usable id in column 'code'"),
        (4, "the id 'x' was on an earlier line"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "Näme;Ört\nÅsa;Köln\n".encode("utf-8-sig"),
        "Näme\tÖrt\nÅsa\tKöln\n".encode("utf-16"),
        "sep=;\r\nNäme;Ört\r\nÅsa;Köln\r\n".encode(),
        "Näme|Ört\rÅsa|Köln\r".encode(),
        '"Näme","Ört"\n"Åsa","Köln"\n'.encode(),
    ],
    ids=["bom", "utf-16", "sep-line", "old-mac", "quoted"],
)
def test_encodings_and_delimiters_are_found_out(store: CollectStore, tmp_path: Path, content: bytes) -> None:
    imported(store, written(tmp_path, content))
    assert answers(store) == [{"name": "Åsa", "ort": "Köln"}]


def test_a_file_that_is_no_utf8_is_read_in_a_likely_encoding(store: CollectStore, tmp_path: Path) -> None:
    rows = ["Müller, Jürgen wohnt in Köln am Rhein und möchte Äpfel", "Größe: schön, über alle Maßen, süß"] * 10
    text = "Name;Bemerkung\n" + "".join(f"Åsa {n};{row} {n}\n" for n, row in enumerate(rows))
    imported(store, written(tmp_path, text.encode("cp1252")))
    assert any("Jürgen" in str(row) for row in answers(store))
    imported(store, written(tmp_path, text.encode("cp1252"), "told.csv"), encoding="cp1252")
    assert answers(store, "told")[0]["bemerkung"] == f"{rows[0]} 0"


def test_ragged_rows_lose_no_cell(store: CollectStore, tmp_path: Path) -> None:
    outcome = imported(store, written(tmp_path, "A,B\nx\ny,2,extra,more\n\n , \nz,3,\n"))
    assert outcome.rejects.count == 0
    assert answers(store) == [
        {"a": "x"},
        {"a": "y", "b": 2, "column_3": "extra", "column_4": "more"},
        {"a": "z", "b": 3},
    ]


def test_equal_and_missing_headers_get_ids_of_their_own(store: CollectStore, tmp_path: Path) -> None:
    imported(store, written(tmp_path, "Age,Age,,आयु\n1,2,3,4\n"))
    assert answers(store) == [{"age": 1, "age_2": 2, "column_3": 3, "column_4": 4}]
    form = store.form("survey")
    assert form is not None
    assert form.questions[-1].titles == {"en": "आयु"} or form.questions[-2].titles == {"en": "आयु"}


def test_line_breaks_and_delimiters_inside_quotes_stay(store: CollectStore, tmp_path: Path) -> None:
    imported(store, written(tmp_path, 'A,B\n"one\ntwo, ""three""",x\n'))
    assert answers(store) == [{"a": 'one\ntwo, "three"', "b": "x"}]


def test_a_quote_that_is_never_closed_is_told_with_its_lines(store: CollectStore, tmp_path: Path) -> None:
    outcome = imported(store, written(tmp_path, 'A,B\nx,1\n"y,2\nz,3\n'))
    assert outcome.submitted.added == 1
    assert [(r.line, r.reason) for r in outcome.rejects.lines] == [
        (3, "a quote is opened and never closed; 2 lines are inside it")
    ]


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", " , ,\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigurationError, match="is empty"):
        sources([written(tmp_path, content)], Reading())


def test_a_header_without_rows_makes_the_form(store: CollectStore, tmp_path: Path) -> None:
    assert imported(store, written(tmp_path, "Name,Age\n")).submitted == Submitted()
    assert list(types_of(store)) == ["name", "age"]


def test_a_type_can_be_ordered_and_what_does_not_fit_is_kept_and_counted(store: CollectStore, tmp_path: Path) -> None:
    path = written(tmp_path, "Zip,Age\n1,10\n2,ten\n")
    outcome = imported(store, path, types={"ZIP": T.TEXT, "age": T.INTEGER})
    assert answers(store) == [{"zip": "1", "age": 10}, {"zip": "2", "age": "ten"}]
    assert outcome.misfits == {("survey", "age"): 1}
    with pytest.raises(ConfigurationError, match="nope"):
        imported(store, path, types={"nope": T.TEXT})


def test_a_form_in_the_store_keeps_its_types_titles_and_further_questions(store: CollectStore, tmp_path: Path) -> None:
    imported(store, written(tmp_path, "A,B\n1,x\n"), title="First")
    outcome = imported(store, written(tmp_path, "A,C\ntwo,y\n", "more.csv"), form_id="survey", title="Second")
    assert outcome.misfits == {("survey", "a"): 1}
    assert types_of(store) == {"a": T.INTEGER, "b": T.TEXT, "c": T.TEXT}
    form = store.form("survey")
    assert form is not None
    assert form.titles == {"en": "First"}
    assert not any(question.archived for question in form.questions)


def test_choices_become_options_and_new_ones_are_added(store: CollectStore, tmp_path: Path) -> None:
    imported(store, written(tmp_path, "Colour\n" + "Dark red\nGreen\n" * 4))
    imported(store, written(tmp_path, "Colour\nBlau\nDark red\n", "more.csv"), form_id="survey")
    form = store.form("survey")
    assert form is not None
    assert [(o.id, o.titles["en"]) for o in form.questions[0].options] == [
        ("dark_red", "Dark red"), ("green", "Green"), ("blau", "Blau"),
    ]  # fmt: skip
    assert {a["colour"] for a in answers(store)} == {"dark_red", "green", "blau"}


def test_a_huge_cell_is_rejected_and_the_rest_is_stored(store: CollectStore, tmp_path: Path) -> None:
    outcome = imported(store, written(tmp_path, f"A,B\n1,{'x' * (16 << 20)}\n2,y\n"))
    assert outcome.submitted.added == 1
    assert len(outcome.submitted.rejected) + outcome.rejects.count == 1


# JSON lines


def test_flat_objects_become_responses_with_exact_numbers(store: CollectStore, tmp_path: Path) -> None:
    lines = ['{"id": "a", "Price": 1.10, "Count": 9007199254740993, "Tags": ["x", "y"], "None": null}', '{"id": 7}']
    imported(store, written(tmp_path, "\n".join(lines), "survey.jsonl"))
    assert answers(store) == [{}, {"price": Decimal128("1.10"), "count": 2**53 + 1, "tags": ["x", "y"]}]
    assert types_of(store)["price"] is T.DECIMAL
    stored = store.response("survey:7")
    assert stored is not None


def test_lines_that_are_no_objects_are_listed(store: CollectStore, tmp_path: Path) -> None:
    bad = [b"[1]", b"{", b'{"a": NaN}', b'{"a": "\xff"}', b"null", b'{"_id":{"$oid":"x"},"a":1}', b"[" * 100_000]
    good = [b'{"a": "x"}', b"", b"\xef\xbb\xbf"[:0] + b'{"a": "y"}']
    outcome = imported(store, written(tmp_path, b"\n".join([*good[:1], *bad, *good[1:]]), "survey.jsonl"))
    assert outcome.submitted.added == 2
    assert outcome.rejects.count == len(bad)


def test_answers_to_questions_that_no_form_can_ask_are_kept(store: CollectStore, tmp_path: Path) -> None:
    document = {"_id": "f:r1", "form_id": "f", "answers": {"_odd": 1, "ok": "x"}}
    assert imported(store, written(tmp_path, json.dumps(document), "export.jsonl")).submitted == Submitted(added=1)
    assert answers(store, "f") == [{"_odd": 1, "ok": "x"}]
    assert list(types_of(store, "f")) == ["ok"]


def test_our_own_export_can_be_imported_again(store: CollectStore, tmp_path: Path) -> None:
    document = {
        "_id": "f:r1", "form_id": "f", "revision": 9, "status": "needs_fix", "collector": "c",
        "submitted_at": {"$date": "2020-01-01T00:00:00Z"}, "client": {"device": "d", "started_at": None},
        "answers": {"q": {"$numberDecimal": "1.50"}}, "flags": [{"rule": "r"}], "metadata": {"k": 1},
    }  # fmt: skip
    path = written(tmp_path, json.dumps([document]), "export.json")
    assert imported(store, path).submitted == Submitted(added=1)
    assert imported(store, path).submitted == Submitted(unchanged=1)
    stored = store.response("f:r1")
    assert stored is not None
    assert (stored["status"], stored["collector"], stored["revision"]) == ("needs_fix", "c", 1)
    assert stored["client"] == {"device": "d"}
    assert stored["metadata"]["imported"]["submitted_at"] == datetime(2020, 1, 1, tzinfo=UTC)
    assert stored["answers"] == {"q": Decimal128("1.50")}


def test_a_scan_sees_every_record_once(tmp_path: Path) -> None:
    (source,) = sources([written(tmp_path, "A\n" + "1\n" * 50)], Reading())
    assert sum(isinstance(record, Record) for record in source.records()) == 50
    assert not any(isinstance(record, RejectedLine) for record in source.records())
    assert scan(source).records == 50
