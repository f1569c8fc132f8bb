"""An import in three steps: scan the source, plan its forms, load its responses. Repeating it changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.ingest.convert import from_json, storable
from collect_pipelines.ingest.infer import MAX_TRACKED, Inferred, Profile
from collect_pipelines.ingest.records import Ids, Record, RejectedLine, Rejects, Source
from collect_pipelines.model import QuestionType
from collect_pipelines.source.documents import (
    form_document,
    is_question_id,
    option_document,
    question_document,
    response_document,
)
from collect_pipelines.source.store import CollectStore
from collect_pipelines.source.writes import Submitted

CHOICES = (QuestionType.SINGLE_CHOICE, QuestionType.MULTI_CHOICE)

Progress = Callable[[int], None]


@dataclass(slots=True)
class Scan:
    """What a source holds: its columns by form, in order, and how many records."""

    profiles: dict[str, dict[str, Profile]] = field(default_factory=dict[str, dict[str, Profile]])
    records: int = 0
    rejects: Rejects = field(default_factory=Rejects)


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """One column of the source and the question it becomes. `choices`: option id by the text that means it."""

    id: str
    title: str
    type: QuestionType
    why: str
    values: int
    choices: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Plan:
    """A form as it will be saved, and how each column is read."""

    form_id: str
    document: Mapping[str, Any]
    columns: tuple[PlannedColumn, ...]


@dataclass(slots=True)
class Outcome:
    """What became of everything in the source."""

    submitted: Submitted = field(default_factory=Submitted)
    rejects: Rejects = field(default_factory=Rejects)
    misfits: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Values that are no value of their question's type, by (form id, question id): kept as they are."""


def scan(source: Source, progress: Progress = lambda _: None) -> Scan:
    """Read the source once and learn its columns."""
    found = Scan()
    for form_id, questions in source.declared().items():
        found.profiles[form_id] = {q: Profile(source.question_title(form_id, q)) for q in questions}
    for record in source.records():
        progress(1)
        if isinstance(record, RejectedLine):
            found.rejects.add(record)
            continue
        found.records += 1
        columns = found.profiles.setdefault(record.form_id, {})
        for question_id, value in record.answers.items():
            if question_id not in columns:
                columns[question_id] = Profile(source.question_title(record.form_id, question_id))
            columns[question_id].see(value)
    return found


def plan(
    found: Scan,
    source: Source,
    stored: Callable[[str], Mapping[str, Any] | None],
    *,
    types: Mapping[str, QuestionType] | None = None,
    language: str = "en",
) -> list[Plan]:
    """Decide every column's type: as ordered, else as the form in the store has it, else as inferred.

    Raises ConfigurationError when `types` (by question id or column title) names a column that is not there.
    """
    wanted = {name.casefold(): kind for name, kind in (types or {}).items()}
    names = {name.casefold() for form in found.profiles.values() for q, p in form.items() for name in (q, p.title)}
    if unknown := sorted(set(wanted) - names):
        raise ConfigurationError(f"--type: no column {', '.join(map(repr, unknown))}", hint=f"columns: {sorted(names)}")
    return [
        _plan_form(form_id, profiles, source.title(form_id), stored(form_id), wanted, language)
        for form_id, profiles in found.profiles.items()
    ]


def _plan_form(
    form_id: str,
    profiles: Mapping[str, Profile],
    title: str,
    stored: Mapping[str, Any] | None,
    wanted: Mapping[str, QuestionType],
    language: str,
) -> Plan:
    old = _stored_questions(stored or {})
    columns: list[PlannedColumn] = []
    for question_id, profile in profiles.items():
        inferred = _decided(question_id, profile, old.get(question_id), wanted)
        if not is_question_id(question_id):  # its answers are kept; the form cannot ask it
            why = "no usable id: kept beside the questions"
            columns.append(PlannedColumn(question_id, profile.title, QuestionType.TEXT, why, profile.values))
            continue
        question = old.get(question_id) or question_document(question_id, inferred.type, {language: profile.title})
        question["type"] = inferred.type.value
        choices = _with_options(question, inferred, language)
        old[question_id] = question
        columns.append(PlannedColumn(question_id, profile.title, inferred.type, inferred.why, profile.values, choices))
    document = form_document(form_id, {language: title}, list(old.values()), default_language=language)
    if stored:  # its titles, status and languages are somebody's work
        kept = ("titles", "languages", "default_language", "status")
        document |= {name: stored[name] for name in kept if name in stored}
    return Plan(form_id, document, tuple(columns))


def _stored_questions(stored: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the questions of a stored form by id, in their order; unreadable ones are left to the store."""
    listed: Any = stored.get("questions")
    questions = [dict(q) for q in listed if isinstance(q, dict)] if isinstance(listed, list) else []
    readable = [q for q in questions if isinstance(q.get("id"), str) and q.get("type") in set(QuestionType)]
    return {q["id"]: q for q in sorted(readable, key=lambda q: q.get("position", 0))}


def _decided(
    question_id: str, profile: Profile, old: Mapping[str, Any] | None, wanted: Mapping[str, QuestionType]
) -> Inferred:
    ordered = wanted.get(question_id.casefold()) or wanted.get(profile.title.casefold())
    if ordered or old:
        kind = ordered or QuestionType(cast(Mapping[str, Any], old)["type"])
        return Inferred(kind, profile.options(kind) if kind in CHOICES else (), "--type" if ordered else "the form")
    return profile.infer()


def _with_options(question: dict[str, Any], inferred: Inferred, language: str) -> dict[str, str]:
    """Give a choice question an option for every text; return option ids by text."""
    if inferred.type not in CHOICES:
        return {}
    options: list[dict[str, Any]] = list(question.get("options", ()))
    choices = {title: option["id"] for option in options for title in option["titles"].values()}
    choices |= {option["id"]: option["id"] for option in options}
    ids = Ids()
    for option in options:
        ids.reserve(option["id"])
    for text in inferred.options[: MAX_TRACKED - len(options)]:
        if text not in choices:
            choices[text] = ids.of(text, text, len(options) + 1)
            options.append(option_document(choices[text], {language: text}))
    question["options"] = options
    return choices


def load(store: CollectStore, source: Source, plans: list[Plan], progress: Progress = lambda _: None) -> Outcome:
    """Save the forms, then store every record; the same record again changes nothing, a changed one is an edit."""
    versions = {one.form_id: store.save_form(one.document) for one in plans}
    outcome = Outcome()
    documents = _documents(source, {one.form_id: one for one in plans}, versions, outcome, progress)
    outcome.submitted = store.submit(documents, replace=True)
    return outcome


def _documents(
    source: Source, plans: Mapping[str, Plan], versions: Mapping[str, int], outcome: Outcome, progress: Progress
) -> Iterator[dict[str, Any]]:
    columns = {form_id: {column.id: column for column in one.columns} for form_id, one in plans.items()}
    seen: set[int] = set()
    for record in source.records():
        progress(1)
        if isinstance(record, RejectedLine):
            outcome.rejects.add(record)
        elif hash((record.form_id, record.unique)) in seen:
            outcome.rejects.add(RejectedLine(record.line, f"the id {record.unique!r} was on an earlier line"))
        else:
            seen.add(hash((record.form_id, record.unique)))
            fields: dict[str, Any] = {"form_version": versions[record.form_id], **record.fields}
            answers = _answers(record, columns[record.form_id], outcome.misfits)
            yield response_document(record.form_id, record.unique, answers, **fields)


def _answers(record: Record, columns: Mapping[str, PlannedColumn], misfits: Counter[tuple[str, str]]) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for question_id, value in record.answers.items():
        column = columns[question_id]
        try:
            answers[question_id] = from_json(column.type, value, column.choices)
        except (ValueError, RecursionError):
            misfits[record.form_id, question_id] += 1
            answers[question_id] = storable(value)
    return answers
