"""Backfills started in the Dagster UI rebuild forms, whatever was damaged, one form or several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from collect_pipelines.source.documents import response_document
from tests.end_to_end.conftest import NewForm
from tests.end_to_end.dagster_ui import INCREMENTAL, DagsterUi
from tests.end_to_end.stack import Stack, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stack")]


@pytest.fixture
def ui(stack: Stack) -> DagsterUi:
    return DagsterUi(stack.settings.dagster_address)


@pytest.fixture
def filled_forms(stack: Stack, new_form: NewForm) -> Callable[[int], list[str]]:
    """Make forms of three responses each, delivered everywhere, in the order of their partitions."""

    def make(count: int) -> list[str]:
        forms = [new_form() for _ in range(count)]
        for form_id in forms:
            answers = [{"name": f"Name {number}", "age": number, "phone": f"00{number}"} for number in range(3)]
            stack.store.submit(response_document(form_id, str(n), given) for n, given in enumerate(answers))
        stack.wait_until_equal(*forms)
        return forms

    return make


def damage_sheet(stack: Stack, form_id: str) -> None:
    """Overwrite answers, a key and a header, and delete a row, as a careless owner does."""
    sheet = stack.sheet(form_id)
    sheet.act("edit_cell", row=1, column=sheet.column("Name"), value="Vandal")
    sheet.act("edit_cell", row=2, column=sheet.column("Age"), value="")
    wait_until(lambda: not stack.compare(form_id).equal, "the damage in the sheet")


def damage_csv(stack: Stack, form_id: str) -> None:
    for file in stack.settings.exports.glob(f"{form_id}*"):
        file.unlink()
    assert not stack.compare(form_id).equal


def test_a_backfill_of_one_form_rebuilds_its_sheet_and_its_csv(stack: Stack, ui: DagsterUi, filled_forms: Any) -> None:
    [form_id] = filled_forms(1)
    damage_sheet(stack, form_id)
    damage_csv(stack, form_id)
    assert ui.wait_for_run(ui.materialise_one(form_id)) == "SUCCESS"
    assert stack.compare(form_id).equal, stack.compare(form_id)
    for asset in ("responses", "google_sheet", "csv_export"):
        assert form_id in ui.partitions(asset)[0]


def test_an_incremental_backfill_makes_a_lost_csv_anew(stack: Stack, ui: DagsterUi, filled_forms: Any) -> None:
    [form_id] = filled_forms(1)
    damage_csv(stack, form_id)
    assert ui.wait_for_run(ui.materialise_one(form_id, ["csv_export"], INCREMENTAL)) == "SUCCESS"
    assert stack.compare(form_id).equal


def test_a_lost_response_table_is_read_again_from_the_store(stack: Stack, ui: DagsterUi, filled_forms: Any) -> None:
    [form_id] = filled_forms(1)
    folder = next(path for path in stack.settings.lake.rglob(form_id) if path.is_dir())
    folder.rename(stack.home / f"lost-{form_id}")
    assert not stack.compare(form_id).equal
    assert ui.wait_for_run(ui.materialise_one(form_id, job="drain")) == "SUCCESS"
    assert stack.compare(form_id).equal, stack.compare(form_id)


def test_a_backfill_of_several_forms_that_are_not_neighbours(stack: Stack, ui: DagsterUi, filled_forms: Any) -> None:
    forms = filled_forms(5)
    chosen = [forms[0], forms[2], forms[3]]
    for form_id in forms:
        damage_csv(stack, form_id)
    for form_id in chosen:
        damage_sheet(stack, form_id)
    status, runs = ui.wait_for_backfill(ui.backfill(chosen))
    assert status == "COMPLETED_SUCCESS" and set(runs) == {"SUCCESS"}, (status, runs)
    assert [form_id for form_id in forms if stack.compare(form_id).equal] == chosen
    others = [form_id for form_id in forms if form_id not in chosen]
    status, runs = ui.wait_for_backfill(ui.backfill(others, config=INCREMENTAL))
    assert status == "COMPLETED_SUCCESS" and set(runs) == {"SUCCESS"}, (status, runs)
    assert all(stack.compare(form_id).equal for form_id in forms)


def test_a_backfill_from_the_page_of_the_job(stack: Stack, ui: DagsterUi, filled_forms: Any) -> None:
    forms = filled_forms(3)
    for form_id in forms:
        damage_csv(stack, form_id)
    status, runs = ui.wait_for_backfill(ui.backfill_job("drain", [forms[0], forms[2]]))
    assert status == "COMPLETED_SUCCESS" and set(runs) == {"SUCCESS"}, (status, runs)
    assert [stack.compare(form_id).equal for form_id in forms] == [True, False, True]
    run_id = ui.materialise_range(*sorted((forms[1], forms[1])))
    assert ui.wait_for_run(run_id) == "SUCCESS"
    assert stack.compare(forms[1]).equal
