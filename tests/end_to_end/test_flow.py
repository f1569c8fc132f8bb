"""Responses and questions that change reach every copy by themselves; what people did to their sheet stays."""

from __future__ import annotations

from typing import Any

import pytest

from collect_pipelines.model import QuestionType
from collect_pipelines.source.documents import form_document, question_document, response_document
from collect_pipelines.source.writes import Edit
from tests.end_to_end.conftest import QUESTIONS, NewForm, asked
from tests.end_to_end.stack import Stack, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stack")]


def response(form_id: str, unique: str, **answers: Any) -> dict[str, Any]:
    return response_document(form_id, unique, answers)


def header_of(stack: Stack, form_id: str) -> list[str]:
    return stack.csv(form_id).splitlines()[0].split(",")


def test_a_new_response_an_edit_and_a_delete_reach_every_copy(stack: Stack, new_form: NewForm) -> None:
    form_id = new_form()
    one, two = f"{form_id}:1", f"{form_id}:2"
    stack.store.submit([response(form_id, "1", name="Ash", age=10), response(form_id, "2", phone="00771")])
    stack.wait_until_equal(form_id)
    assert stack.sheet(form_id).cell(one, "Age") == 10
    assert stack.sheet(form_id).cell(two, "Phone") == "00771"

    stack.store.edit([Edit(one, {"age": 11}, removed=("name",))])
    wait_until(lambda: stack.sheet(form_id).cell(one, "Age") == 11, "the edit in the sheet")
    stack.wait_until_equal(form_id)
    assert stack.sheet(form_id).cell(one, "Name") is None

    stack.store.delete([one])
    wait_until(lambda: one not in stack.csv(form_id), "the delete in the CSV")
    stack.wait_until_equal(form_id)
    assert two in stack.csv(form_id)


def test_a_new_question_becomes_a_column_and_a_renamed_one_changes_its_header(stack: Stack, new_form: NewForm) -> None:
    form_id = new_form()
    stack.store.submit([response(form_id, "1", name="Ash", town="Pallet")])
    stack.wait_until_equal(form_id)
    assert "Town" not in stack.sheet(form_id).header()

    town = question_document("town", QuestionType.TEXT, "Town")
    stack.store.save_form(form_document(form_id, "Towns", asked(town)))
    wait_until(lambda: "Town" in stack.sheet(form_id).header(), "the new column in the sheet")
    wait_until(lambda: "Town" in header_of(stack, form_id), "the new column in the CSV")
    stack.wait_until_equal(form_id)
    assert stack.sheet(form_id).cell(f"{form_id}:1", "Town") == "Pallet"
    assert "town" in stack.engine.landing.table(form_id).load().columns

    renamed = question_document("town", QuestionType.TEXT, "Home town")
    stack.store.save_form(form_document(form_id, "Towns", asked(renamed)))
    wait_until(lambda: "Home town" in stack.sheet(form_id).header(), "the new header in the sheet")
    wait_until(lambda: "Home town" in header_of(stack, form_id), "the new header in the CSV")
    assert "Town" not in stack.sheet(form_id).header()
    stack.wait_until_equal(form_id)


def test_a_question_that_changes_its_type_is_typed_anew_in_every_copy(stack: Stack, new_form: NewForm) -> None:
    form_id = new_form()
    stack.store.submit([response(form_id, "1", age=10), response(form_id, "2", age="ten")])
    stack.wait_until_equal(form_id)
    retyped = question_document("age", QuestionType.TEXT, "Age")
    stack.store.save_form(form_document(form_id, "Ages", [QUESTIONS[0], retyped, QUESTIONS[2]]))
    wait_until(lambda: stack.sheet(form_id).cell(f"{form_id}:1", "Age") == "10", "the text in the sheet")
    stack.wait_until_equal(form_id)
    stack.store.save_form(form_document(form_id, "Ages", QUESTIONS))
    wait_until(lambda: stack.sheet(form_id).cell(f"{form_id}:1", "Age") == 10, "the number in the sheet")
    stack.wait_until_equal(form_id)


def test_a_persons_sort_own_column_and_note_survive_what_comes_next(stack: Stack, new_form: NewForm) -> None:
    form_id = new_form()
    names = ["Charlie", "Ash", "Brock"]
    stack.store.submit([response(form_id, str(n), name=name, age=n) for n, name in enumerate(names)])
    stack.wait_until_equal(form_id)
    sheet = stack.sheet(form_id)

    sheet.act("sort", column=sheet.column("Name"), descending=True)
    sheet.act("add_column", title="My remarks", column=1)
    remarks = sheet.column("My remarks")
    brock = f"{form_id}:2"
    sheet.act("edit_cell", row=sheet.row_of(brock), column=remarks, value="call back")
    sheet.act("set_note", row=sheet.row_of(brock), column=sheet.column("Name"), note="the tall one")
    before = [row[sheet.column("Name")] for row in sheet.grid()[1:]]
    assert before == ["Charlie", "Brock", "Ash"]

    stack.store.edit([Edit(brock, {"age": 40})])
    stack.store.submit([response(form_id, "9", name="Misty", age=12)])
    stack.store.delete([f"{form_id}:1"])
    wait_until(lambda: sheet.cell(brock, "Age") == 40, "the edit in the sheet")
    wait_until(lambda: stack.in_sheet(form_id, f"{form_id}:9"), "the new response in the sheet")
    stack.wait_until_equal(form_id)
    after = [row[sheet.column("Name")] for row in sheet.grid()[1:]]
    assert after == ["Charlie", "Brock", "Ash", "Misty"]
    assert sheet.cell(brock, "My remarks") == "call back"
    assert sheet.note(sheet.row_of(brock), sheet.column("Name")) == "the tall one"
