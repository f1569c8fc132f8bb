"""Whatever the store holds, every response is kept in every copy, and none stops another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from collect_pipelines.delivery.rows import rows
from collect_pipelines.draining.backfill import backfill
from collect_pipelines.draining.stages import Outcome
from collect_pipelines.model import UNROUTED
from collect_pipelines.source.documents import response_document
from collect_pipelines.source.ids import response_id
from tests.bad_input import BAD_FORMS, FORM_ID, KEPT_BESIDE, TYPED, BadResponse, every_type_form, insert_bad
from tests.end_to_end.pipeline import Pipeline

STAGES = ("responses", "google_sheet", "csv_export")
GOOD = "good"
FORM_IDS = [str(bad.document["_id"]) for bad in BAD_FORMS]


def good_response(form_id: str, unique: str) -> dict[str, Any]:
    return response_document(form_id, unique, {"q_text": "good", "q0": "good", "q1": "also good"})


def put_good(pipeline: Pipeline, unique: str) -> None:
    """One good response for every form; ids that the store's rules refuse are put past them."""
    documents = [good_response(form_id, unique) for form_id in (GOOD, FORM_ID, *FORM_IDS)]
    pipeline.store.responses_collection.database.client.get_database(pipeline.store.database)["responses"].insert_many(
        [{**document, "revision": 1} for document in documents], bypass_document_validation=True
    )


def failures(outcomes: Iterable[Outcome]) -> list[str]:
    return [f"{o.stage} of {o.form_id!r}: {o.error}" for o in outcomes if not o.ok]


def differences(pipeline: Pipeline) -> list[str]:
    """What differs from the store, over all forms."""
    found: list[str] = []
    for form_id in (GOOD, FORM_ID, UNROUTED, *FORM_IDS):
        comparison = pipeline.compare(form_id)
        found += [f"{form_id!r}, {copy.name}: {copy.describe()}" for copy in comparison.copies if not copy.equal]
        assert comparison.stored >= 1, form_id
    return found


def answers_of(pipeline: Pipeline, form_id: str) -> dict[str, dict[str, Any]]:
    """The rows of a form's response table, raw, by response id."""
    snapshot = pipeline.engine.landing.table(form_id).snapshot()
    return {values["_id"]: values for batch in snapshot.changes(0) for values in batch.to_pylist()}


def check_kept(bad: BadResponse, row: dict[str, Any]) -> str | None:
    """Hold one landed row against what is expected of it; None when all is well."""
    typed = {name for name, value in row.items() if name.startswith("q_") and value is not None}
    if bad.expectation == TYPED and (row["_other"] or not typed):
        return f"{bad.name}: not typed: {row}"
    if bad.expectation == KEPT_BESIDE and not row["_other"]:
        return f"{bad.name}: not beside: {row}"
    return None


def check_sheets_and_csv(pipeline: Pipeline) -> None:
    """Every form has both, whatever its titles and its id."""
    for form_id in FORM_IDS:
        assert pipeline.delivery("csv_export", form_id)["rows"] == 1, form_id
        assert len(pipeline.sheet(form_id).grid()) == 2, form_id
    equal = pipeline.sheet("bad-equal").header()
    assert [title for title in equal if title.lower().startswith(("age", "q3"))] == ["Age", "Age (2)", "age (3)", "q3"]
    assert sum(title.startswith("T") for title in pipeline.sheet("bad-2000").header()) == 2000
    snapshot = pipeline.engine.landing.table("bad-titles").snapshot()
    assert [row.values["q1"] for batch in snapshot.changes(0) for row in rows(batch)] == ["also good"]


def test_malformed_documents_are_kept_and_stop_nobody(pipeline: Pipeline) -> None:
    pipeline.store.save_form(every_type_form(GOOD))
    pipeline.store.submit([good_response(GOOD, "first")])
    assert failures(pipeline.drain()) == []

    inserted = insert_bad(pipeline.store.client, pipeline.store.database)
    put_good(pipeline, "second")
    assert failures(pipeline.drain()) == []
    assert differences(pipeline) == []
    landed = {form_id: answers_of(pipeline, form_id) for form_id in (FORM_ID, UNROUTED)}
    faults = [check_kept(bad, landed[bad.form_id][response_id(bad.id)]) for bad in inserted]
    assert [fault for fault in faults if fault] == []
    check_sheets_and_csv(pipeline)


@pytest.mark.slow
def test_documents_of_16_megabytes_are_kept_as_well_and_all_can_be_rebuilt(pipeline: Pipeline) -> None:
    insert_bad(pipeline.store.client, pipeline.store.database, large=True)
    put_good(pipeline, "first")
    assert failures(pipeline.drain()) == []
    assert differences(pipeline) == []
    put_good(pipeline, "second")
    assert failures(pipeline.drain()) == []
    every = [GOOD, FORM_ID, UNROUTED, *FORM_IDS]
    assert failures(backfill(pipeline.engine, every, STAGES, rebuild=True)) == []
    assert differences(pipeline) == []
