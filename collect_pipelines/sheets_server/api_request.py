"""One API request and its answer, apart from the web framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from collect_pipelines.sheets_server.discovery import check_fields, read_body
from collect_pipelines.sheets_server.errors import ApiError, bad_request
from collect_pipelines.sheets_server.field_mask import EVERYTHING, Mask, parse_mask
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.service import SheetsService
from collect_pipelines.sheets_server.spreadsheet_calls import Call
from collect_pipelines.sheets_server.switches import Switches


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request whose path is cut into decoded segments."""

    service: SheetsService
    switches: Switches
    principal: str
    home_url: str
    method: str
    segments: tuple[str, ...]
    query: dict[str, list[str]]
    body: bytes = b""

    def text(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.query.get(name, [default])[-1]

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false."""
        return self.text(name).lower() == "true"

    def call(self, answer_schema: str = "", spreadsheet_id: str = "") -> Call:
        """Who asks for what, with the field mask of the answer (checked when its schema is known)."""
        text = self.text("fields") or self.text("$fields")
        if text and answer_schema:
            check_fields(text, answer_schema)
        mask: Mask = parse_mask(text) if text else EVERYTHING
        return Call(self.service, self.principal, self.home_url, spreadsheet_id, mask)

    def json(self, schema: str, prefix: str = "") -> Json:
        """The body, checked against the discovery document."""
        return read_body(self.body, schema, prefix)

    def plain_json(self) -> Json:
        """The body of a Drive call, which is not checked beyond being an object."""
        try:
            body: Any = orjson.loads(self.body) if self.body.strip() else {}
        except orjson.JSONDecodeError as error:
            raise bad_request(f"Parse Error: {error}") from None
        if not isinstance(body, dict):
            raise bad_request("Parse Error: the body is no object")
        return body


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and its type."""

    body: bytes
    status: int = 200
    content_type: str = "application/json; charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(value: Any, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS), status)


def error_answer(error: ApiError) -> Answer:
    """The answer of a refusal."""
    return json_answer(error.body(), error.code)


@dataclass(frozen=True, slots=True)
class Route:
    """What serves a request, and whether it counts as a write (for quotas and faults)."""

    serve: Callable[[ApiRequest], Answer]
    is_write: bool
    name: str
