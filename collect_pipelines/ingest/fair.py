"""The demo's real survey: the `fair` data of statsmodels, 6,366 answers to a questionnaire of 1974.

R. C. Fair, "A Theory of Extramarital Affairs", Journal of Political Economy, February 1978, 45-61. Included in
statsmodels with permission of the author. Titles and options follow the data set's own codebook.
"""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from bson.decimal128 import Decimal128

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.model import QuestionType
from collect_pipelines.source.documents import form_document, option_document, question_document, response_document

FORM_ID = "fair"
RESPONSES = 6366
ATTRIBUTION = (
    'Ray C. Fair (1978), "A Theory of Extramarital Affairs", Journal of Political Economy, February, 45-61. '
    "Data: statsmodels.datasets.fair, included there with permission of the author."
)

_OCCUPATIONS = (
    ("1", "Student"),
    ("2", "Farming, agriculture; semi-skilled or unskilled worker"),
    ("3", "White-collar"),
    ("4", "Teacher, counsellor, social worker, nurse; artist, writer; technician, skilled worker"),
    ("5", "Managerial, administrative, business"),
    ("6", "Professional with advanced degree"),
)
_EDUCATION = (
    ("9", "Grade school"),
    ("12", "High school"),
    ("14", "Some college"),
    ("16", "College graduate"),
    ("17", "Some graduate school"),
    ("20", "Advanced degree"),
)
_RELIGIOUS = (("1", "Not"), ("2", "Mildly"), ("3", "Fairly"), ("4", "Strongly"))

_QUESTIONS: tuple[tuple[str, QuestionType, str, tuple[tuple[str, str], ...]], ...] = (
    ("rate_marriage", QuestionType.RATING, "How do you rate your marriage? (1 very poor … 5 very good)", ()),
    ("age", QuestionType.DECIMAL, "Age (mid-point of the range)", ()),
    ("yrs_married", QuestionType.DECIMAL, "Years married (interval approximation)", ()),
    ("children", QuestionType.DECIMAL, "Number of children (5.5 stands for five or more)", ()),
    ("religious", QuestionType.SINGLE_CHOICE, "How religious are you?", _RELIGIOUS),
    ("educ", QuestionType.SINGLE_CHOICE, "Level of education", _EDUCATION),
    ("occupation", QuestionType.SINGLE_CHOICE, "Occupation", _OCCUPATIONS),
    ("occupation_husb", QuestionType.SINGLE_CHOICE, "Husband's occupation", _OCCUPATIONS),
    ("affairs", QuestionType.DECIMAL, "Time spent in extramarital affairs (measure)", ()),
)


def fair_form() -> dict[str, Any]:
    """Make the form."""
    questions = [
        question_document(name, kind, title, options=[option_document(value, text) for value, text in options])
        for name, kind, title, options in _QUESTIONS
    ]
    return form_document(FORM_ID, "Marriage survey (Fair, 1978)", questions, metadata={"attribution": ATTRIBUTION})


def fair_responses() -> Iterator[dict[str, Any]]:
    """Yield the responses, numbered as in the file; figures are exactly those of the file."""
    with _data().open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            answers = {name: _value(kind, row[name]) for name, kind, _, _ in _QUESTIONS if row[name]}
            yield response_document(FORM_ID, f"{number:04}", answers, language="en")


def _value(kind: QuestionType, text: str) -> Any:
    if kind is QuestionType.RATING:
        return int(Decimal(text))
    if kind is QuestionType.SINGLE_CHOICE:
        return str(int(Decimal(text)))
    return Decimal128(text)


def _data() -> Path:
    """Find the file without importing statsmodels, which takes seconds."""
    spec = importlib.util.find_spec("statsmodels")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = Path(folder) / "datasets" / "fair" / "fair.csv"
        if found.is_file():
            return found
    raise ConfigurationError(
        "the demo's survey is not installed: statsmodels carries it", hint="pip install 'collect-pipelines[demo]'"
    )
