"""The old system's documents: {QuestionId, Questions {Qn: label}} and {QuestionId, AnswerId, Answers {Qn: value}}.

Its ids stay what they were, so that its addresses (/question/1, /answer/3) still lead somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from collect_pipelines.ingest.json_lines import objects
from collect_pipelines.ingest.records import Record, RejectedLine, usable_id
from collect_pipelines.source.documents import is_form_id


class LegacyFiles:
    """Some files of old documents, questions and answers in any order, as a source of records."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.labels: dict[str, dict[str, str]] = {}
        for path in paths:
            for _, item in objects(path):
                if isinstance(item, dict) and isinstance(item.get("Questions"), dict):
                    labels = cast(dict[str, Any], item["Questions"])
                    self.labels[str(item.get("QuestionId"))] = {key: str(label) for key, label in labels.items()}

    @property
    def description(self) -> str:
        """The files and the source of the ids."""
        return f"{', '.join(path.name for path in self.paths)}: documents of the old system, ids from AnswerId"

    def records(self) -> Iterator[Record | RejectedLine]:
        """Yield the answer documents. One that lacks an id is rejected with its place in its file."""
        for path in self.paths:
            for line, item in objects(path):
                if isinstance(item, str):
                    yield RejectedLine(line, f"{path.name}: {item}")
                elif "Questions" not in item or "Answers" in item:
                    yield _record(item, path.name, line)
                elif usable_id(item.get("QuestionId")) is None or not isinstance(item["Questions"], dict):
                    yield RejectedLine(line, f"{path.name}: questions without a usable QuestionId or labels")

    def declared(self) -> dict[str, list[str]]:
        """The questions of the question documents."""
        return {form_id: list(labels) for form_id, labels in self.labels.items() if is_form_id(form_id)}

    def title(self, form_id: str) -> str:
        """Old forms had no titles."""
        return f"Form {form_id}"

    def question_title(self, form_id: str, question_id: str) -> str:
        """The old label."""
        return self.labels.get(form_id, {}).get(question_id, question_id)


def is_legacy(item: Mapping[str, Any]) -> bool:
    """Tell an old document by its keys."""
    return "QuestionId" in item and ("Questions" in item or "Answers" in item)


def _record(item: Mapping[str, Any], name: str, line: int) -> Record | RejectedLine:
    form_id, unique = usable_id(item.get("QuestionId")), usable_id(item.get("AnswerId"))
    if form_id is None or not is_form_id(form_id) or unique is None:
        return RejectedLine(line, f"{name}: no usable QuestionId and AnswerId")
    answers: Any = item.get("Answers")
    if not isinstance(answers, dict):
        return RejectedLine(line, f"{name}: Answers is not an object")
    return Record(form_id, unique, cast(dict[str, Any], answers), line)
