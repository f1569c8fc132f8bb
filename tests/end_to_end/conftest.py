"""One deployment for all tests of this folder; they use forms of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from collect_pipelines.embedded.mongod import Mongod
from collect_pipelines.ingest.demo import trickle
from collect_pipelines.ingest.generate import generated_forms
from collect_pipelines.model import QuestionType
from collect_pipelines.source.documents import form_document, question_document
from tests.end_to_end.pipeline import Pipeline, open_pipeline
from tests.end_to_end.stack import Stack, new_home, remove, running_stack

RATE_PER_SECOND = 4.0

QUESTIONS = [
    question_document("name", QuestionType.TEXT, "Name"),
    question_document("age", QuestionType.INTEGER, "Age"),
    question_document("phone", QuestionType.PHONE, "Phone"),
]

NewForm = Callable[[], str]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """`collect up`, all of it, with every service ready."""
    home = new_home()
    with running_stack(home) as running:
        running.store.ensure()
        yield running
    remove(home)


@pytest.fixture
def pipeline(mongod: Mongod, database_name: str, tmp_path: Path) -> Iterator[Pipeline]:
    """The engine with its real destinations, in this process."""
    with open_pipeline(mongod.uri, database_name, tmp_path) as opened:
        yield opened


@pytest.fixture
def new_form(stack: Stack) -> NewForm:
    """Save a form with a name, an age and a phone number, and return its id."""

    def save() -> str:
        form_id = f"form-{uuid4().hex[:8]}"
        stack.store.save_form(form_document(form_id, f"Form {form_id}", QUESTIONS))
        return form_id

    return save


def asked(*more: dict[str, Any]) -> list[dict[str, Any]]:
    """The questions of `new_form`, and more."""
    return [*QUESTIONS, *more]


@pytest.fixture
def traffic(stack: Stack) -> Iterator[threading.Event]:
    """Responses of generated forms that come, change and go until the event is set."""
    for form in generated_forms(4):
        stack.store.save_form(form)
    stop = threading.Event()
    thread = threading.Thread(target=trickle, args=(stack.store, RATE_PER_SECOND, stop.is_set), daemon=True)
    thread.start()
    yield stop
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
