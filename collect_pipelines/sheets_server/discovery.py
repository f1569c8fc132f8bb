"""Request bodies are held against the discovery document that google-api-python-client carries, as Google does."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient
import orjson

from collect_pipelines.sheets_server.errors import ApiError, bad_fields, bad_request
from collect_pipelines.sheets_server.json_types import Json

_INTEGERS = {"int32": "TYPE_INT32", "uint32": "TYPE_UINT32", "int64": "TYPE_INT64"}
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


@cache
def schemas() -> dict[str, Json]:
    """The document's schemas by name."""
    folder = Path(next(iter(googleapiclient.__path__)))
    document = folder / "discovery_cache" / "documents" / "sheets.v4.json"
    return orjson.loads(document.read_bytes())["schemas"]


@cache
def _fields(schema: str) -> dict[str, Json]:
    return schemas()[schema].get("properties", {})


@cache
def _snake(name: str) -> str:
    return _CAPITAL.sub("_", name).lower()


def read_body(data: bytes, schema: str, prefix: str = "") -> Json:
    """Parse a request body and check it. Raises ApiError (400) with all violations, worded like Google's."""
    try:
        body: Any = orjson.loads(data) if data.strip() else {}
    except orjson.JSONDecodeError as error:
        raise bad_request(f"Invalid JSON payload received. {error}") from None
    if not _object_fits(body, schema):
        violations: list[tuple[str, str]] = []
        _check_object(body, schema, prefix, violations)
        raise bad_fields(violations)
    return body


def _object_fits(value: Any, schema: str) -> bool:
    """Whether all is well; only if not are the bad places looked for, which takes three times as long."""
    if type(value) is not dict:
        return False
    fields = _fields(schema)
    for name, item in value.items():
        field = fields.get(name)
        if field is None or (item is not None and not _fits(item, field)):
            return False
    return True


def _fits(value: Any, field: Json) -> bool:
    if (schema := field.get("$ref")) is not None:
        return _object_fits(value, schema)
    kind = field["type"]
    if kind == "array":
        items = field["items"]
        return type(value) is list and (items.get("type") == "any" or all(_fits(item, items) for item in value))
    if kind == "string":
        return type(value) is str and ("enum" not in field or value in field["enum"])
    violations: list[tuple[str, str]] = []
    _check(value, field, "", violations)
    return not violations


def check_fields(text: str, schema: str) -> None:
    """Refuse a `fields` parameter whose first names are unknown to the answer."""
    for name in re.split(r"[,(./]", text, maxsplit=1)[:1]:
        if name and name != "*" and name not in _fields(schema):
            raise _no_such_field(name)


def _no_such_field(path: str) -> ApiError:
    text = f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'."
    return bad_fields([(path, text)])


def _check_object(value: Any, schema: str, path: str, violations: list[tuple[str, str]]) -> None:
    if not isinstance(value, dict):
        kind = f"type.googleapis.com/google.apps.sheets.v4.{schema}"
        violations.append(_invalid(path, kind, value))
        return
    fields = _fields(schema)
    for name, item in value.items():
        field = fields.get(name)
        if field is None:
            at = f" at '{path}'" if path else ""
            text = f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
            violations.append((path, text))
        elif item is not None:
            _check(item, field, f"{path}.{_snake(name)}" if path else _snake(name), violations)


def _check(value: Any, field: Json, path: str, violations: list[tuple[str, str]]) -> None:
    if schema := field.get("$ref"):
        _check_object(value, schema, path, violations)
        return
    kind = field["type"]
    if kind == "array":
        _check_array(value, field["items"], path, violations)
    elif (kind == "string" and type(value) is not str) or (kind == "boolean" and type(value) is not bool):
        violations.append(_invalid(path, "TYPE_STRING" if kind == "string" else "TYPE_BOOL", value))
    elif kind == "string" and "enum" in field and value not in field["enum"]:
        violations.append(_invalid(path, "type.googleapis.com/google.apps.sheets.v4", value))
    elif kind == "integer" and not _is_integer(value):
        violations.append(_invalid(path, _INTEGERS.get(field.get("format", ""), "TYPE_INT32"), value))
    elif kind == "number" and (type(value) is bool or not isinstance(value, int | float)):
        violations.append(_invalid(path, "TYPE_DOUBLE", value))


def _check_array(value: Any, items: Json, path: str, violations: list[tuple[str, str]]) -> None:
    if not isinstance(value, list):
        kind = "type.googleapis.com/google.protobuf.ListValue" if items.get("type") == "array" else "TYPE_MESSAGE"
        violations.append(_invalid(path, kind, value))
        return
    if items.get("type") == "any":
        return
    if items.get("type") == "array" and items["items"].get("type") == "any":
        for number, item in enumerate(value):
            if not isinstance(item, list):
                kind = "type.googleapis.com/google.protobuf.ListValue"
                violations.append(_invalid(f"{path}[{number}]", kind, item))
        return
    for number, item in enumerate(value):
        _check(item, items, f"{path}[{number}]", violations)


def _is_integer(value: Any) -> bool:
    """A whole number of 32 bits; JSON may carry it as a text or a float."""
    if (type(value) is str and re.fullmatch(r"-?[0-9]{1,10}", value)) or (type(value) is float and value.is_integer()):
        value = int(value)
    return type(value) is int and -(2**31) <= value < 2**31


def _invalid(path: str, kind: str, value: Any) -> tuple[str, str]:
    shown = orjson.dumps(value).decode()[:200]
    return path, f"Invalid value at '{path}' ({kind}), {shown}"
