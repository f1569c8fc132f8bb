"""A person's own gspread reads the values that the store holds, each as what it is."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import gspread
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from google.auth.credentials import AnonymousCredentials
from gspread.utils import ValueRenderOption

from collect_pipelines.model import QuestionType
from collect_pipelines.source.documents import form_document, option_document, question_document, response_document
from tests.end_to_end.pipeline import Pipeline

SHEETS, DRIVE = "https://sheets.googleapis.com", "https://www.googleapis.com/drive"
KIND = QuestionType
FRUITS = [option_document("apple", "Apple"), option_document("kiwi", "Kiwi 🥝")]
INNER = [question_document("who", KIND.TEXT, "Who"), question_document("years", KIND.INTEGER, "Years")]
QUESTIONS = [question_document(kind.value, kind, kind.value, options=FRUITS, questions=INNER) for kind in QuestionType]
ANSWERS: dict[str, tuple[Any, Any]] = {
    "text": ("007 नमस्ते =1+1\nsecond line", "007 नमस्ते =1+1\nsecond line"),
    "integer": (Int64(2**40), 2**40),
    "decimal": (Decimal128("12.50"), 12.5),
    "boolean": (True, True),
    "date": (date(2026, 3, 1).isoformat(), 46082),
    "datetime": (datetime(2026, 3, 1, 12, tzinfo=UTC), 46082.5),
    "single_choice": ("kiwi", "Kiwi 🥝"),
    "multi_choice": (["apple", "kiwi"], "Apple; Kiwi 🥝"),
    "geo_point": ({"type": "Point", "coordinates": [85.3, 27.7]}, "27.7, 85.3"),
    "email": ("ash@example.org", "ash@example.org"),
    "phone": ("0049123", "0049123"),
    "rating": (4, 4),
}
"""By question: the answer as it is stored, and the value as a spreadsheet has it (days since 1899-12-30)."""


def local_gspread(endpoint: str) -> gspread.Client:
    """A gspread client whose Google is the local server."""

    class Local(gspread.HTTPClient):
        def request(self, method: str, endpoint_asked: str, *args: Any, **named: Any) -> Any:
            address = endpoint_asked.replace(SHEETS, endpoint).replace(DRIVE, f"{endpoint}/drive")
            return super().request(method, address, *args, **named)

    return gspread.Client(auth=AnonymousCredentials(), http_client=Local)


def test_gspread_reads_every_type_of_answer_as_the_store_has_it(pipeline: Pipeline) -> None:
    pipeline.store.save_form(form_document("every", "Every type", QUESTIONS))
    rows = {f"r{number}": {name: stored for name, (stored, _) in ANSWERS.items()} for number in range(3)}
    rows["r1"] |= {"text": "0042", "phone": "+49 123", "boolean": False, "integer": -1}
    rows["r2"] |= {"integer": "not a number", "text": None}
    pipeline.store.submit(response_document("every", unique, answers) for unique, answers in rows.items())
    pipeline.drain()
    assert pipeline.compare("every").equal

    client = local_gspread(str(pipeline.engine.settings.sheets_endpoint))
    tab = client.open("Every type").sheet1
    assert tab.spreadsheet.id == pipeline.sheet("every").spreadsheet_id
    values = tab.get_all_values(value_render_option=ValueRenderOption.unformatted)
    header, *body = values
    read = {str(row[0]).split("|")[0]: dict(zip(header, row, strict=True)) for row in body}
    assert read.keys() == {"every:r0", "every:r1", "every:r2"}
    first = {name: read["every:r0"][name] for name in ANSWERS}
    assert first == {name: shown for name, (_, shown) in ANSWERS.items()}
    assert [type(first[name]) for name in ("text", "phone", "boolean", "integer")] == [str, str, bool, int]
    second, third = read["every:r1"], read["every:r2"]
    assert (second["text"], second["phone"], second["boolean"], second["integer"]) == ("0042", "+49 123", False, -1)
    assert (third["integer"], third["text"]) == ("not a number", "")
