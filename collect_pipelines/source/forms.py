"""Saving a form: what it becomes is worked out here, from what it was, and written if nobody else was faster."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from collect_pipelines.errors import SchemaConflict, TransientError
from collect_pipelines.source.connection import TOLERANT, Document

ATTEMPTS = 20


def next_form(stored: Mapping[str, Any] | None, given: Mapping[str, Any], now: datetime) -> Document | None:
    """Return the form to store, or None when nothing changes.

    The version goes up when the questions differ; questions left out stay as archived; fields not given stay.
    """
    old = dict(stored or {})
    fields = {key: value for key, value in given.items() if key not in ("version", "created_at", "updated_at")}
    listed = {question["id"] for question in fields["questions"]}
    before: Any = old.get("questions")
    kept = [_archived(question, listed) for question in before] if isinstance(before, list) else []
    questions = [*fields["questions"], *(question for question in kept if question is not None)]
    new = {**old, **fields, "questions": questions}
    if stored is not None and new == old:
        return None
    version: Any = old.get("version")
    version = version if isinstance(version, int) else 0
    raised = version if questions == before else version + 1
    return {**new, "version": raised, "created_at": old.get("created_at", now), "updated_at": now}


def _archived(question: Any, listed: set[str]) -> Any:
    """A question of before as it stays: archived when it is asked no more, None when it is listed anew."""
    if not isinstance(question, dict):
        return question  # malformed, and not ours to drop
    known = cast(dict[str, Any], question)
    return None if known.get("id") in listed else {**known, "archived": True}


def save(forms: Collection[Document], given: Mapping[str, Any], now: datetime) -> int:
    """Store the form and return its version; a save at the same time by somebody else is built upon, not undone."""
    for _ in range(ATTEMPTS):
        stored = forms.with_options(codec_options=TOLERANT).find_one({"_id": given["_id"]})
        new = next_form(stored, given, now)
        if new is None:
            return _version(stored)
        if _written(forms, stored, new):
            return _version(new)
    raise TransientError(f"the form {given['_id']!r} is being changed all the time")


def _written(forms: Collection[Document], stored: Document | None, new: Document) -> bool:
    if stored is None:
        try:
            forms.insert_one(new)
        except DuplicateKeyError:
            return False
        return True
    same = {name: stored.get(name) for name in ("_id", "version", "updated_at")}
    return forms.replace_one(same, new).matched_count == 1


def _version(form: Document | None) -> int:
    version = (form or {}).get("version")
    if not isinstance(version, int):
        raise SchemaConflict(f"the stored form {(form or {}).get('_id')!r} has no version")
    return version
