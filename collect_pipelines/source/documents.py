"""The documents of the Collect store, as its writers make them. Pure; `docs/data-model.md` has the picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from collect_pipelines.model import QuestionType, Titles

SERVER_OWNED = ("revision", "submitted_at", "updated_at")
"""Fields of a response that only the store sets."""
FORM_ID = r"^[^:\x00]{1,200}$"
# An underscore would name one of our own columns; dots and dollars make updates by path ambiguous.
QUESTION_ID = r"^[^_.$\x00][^.\x00]{0,199}$"


def is_form_id(text: str) -> bool:
    """Tell whether our tools may give a form this id."""
    return bool(text.strip()) and re.fullmatch(FORM_ID, text) is not None


def is_question_id(text: str) -> bool:
    """Tell whether our tools may give a question this id."""
    return re.fullmatch(QUESTION_ID, text) is not None


def option_document(option_id: str, titles: Titles | str) -> dict[str, Any]:
    """Make one option of a choice question."""
    return {"id": option_id, "titles": _titles(titles)}


def question_document(
    question_id: str,
    kind: QuestionType,
    titles: Titles | str,
    *,
    position: int = 0,
    options: Iterable[Mapping[str, Any]] = (),
    questions: Iterable[Mapping[str, Any]] = (),
    required: bool = False,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make one question. `options` belong to choice questions, `questions` to repeat groups."""
    document: dict[str, Any] = {
        "id": question_id,
        "type": kind.value,
        "titles": _titles(titles),
        "position": position,
        "required": required,
        "archived": False,
        "metadata": dict(metadata or {}),
    }
    if kind in (QuestionType.SINGLE_CHOICE, QuestionType.MULTI_CHOICE):
        document["options"] = [dict(option) for option in options]
    if kind is QuestionType.REPEAT_GROUP:
        document["questions"] = [dict(question) for question in questions]
    return document


def form_document(
    form_id: str,
    titles: Titles | str,
    questions: Sequence[Mapping[str, Any]],
    *,
    default_language: str = "en",
    status: str = "published",
    settings: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a form; questions without a position of their own stand in the order given."""
    title = _titles(titles)
    return {
        "_id": form_id,
        "titles": title,
        "languages": sorted({default_language, *title}),
        "default_language": default_language,
        "status": status,
        "questions": [{**question, "position": number} for number, question in enumerate(questions)],
        **({"settings": dict(settings)} if settings is not None else {}),
        **({"metadata": dict(metadata)} if metadata is not None else {}),
    }


def response_document(
    form_id: str,
    unique: str,
    answers: Mapping[str, Any],
    *,
    form_version: int = 1,
    status: str = "complete",
    collector: str | None = None,
    language: str | None = None,
    started_at: datetime | None = None,
    finished_at: datetime | None = None,
    time_zone: str | None = None,
    device: str | None = None,
    flags: Sequence[Mapping[str, Any]] = (),
    metadata: Mapping[str, Any] | None = None,
    answer_metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a response without its revision and server times, which the store sets."""
    client = {"started_at": started_at, "finished_at": finished_at, "time_zone": time_zone, "device": device}
    return {
        "_id": f"{form_id}:{unique}",
        "form_id": form_id,
        "form_version": form_version,
        "status": status,
        "client": {name: value for name, value in client.items() if value is not None},
        "collector": collector,
        "language": language,
        "flags": [dict(flag) for flag in flags],
        "metadata": dict(metadata or {}),
        "answers": dict(answers),
        "answer_metadata": dict(answer_metadata or {}),
    }


def _titles(titles: Titles | str) -> dict[str, str]:
    return {"en": titles} if isinstance(titles, str) else dict(titles)
