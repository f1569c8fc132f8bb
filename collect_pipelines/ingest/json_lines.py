"""JSON lines (or one JSON list): responses in our own document shape, or flat objects of answers."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, cast

from bson.errors import BSONError
from bson.json_util import RELAXED_JSON_OPTIONS, JSONOptions, object_hook

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.ingest.records import ID_COLUMNS, Ids, Record, RejectedLine, slug, usable_id
from collect_pipelines.source.documents import is_form_id

_OPTIONS: JSONOptions = RELAXED_JSON_OPTIONS.with_options(tz_aware=True)
_UNREADABLE = (ValueError, TypeError, ArithmeticError, RecursionError, BSONError)
_TEXT_FIELDS = ("status", "collector", "language")
_CLIENT_FIELDS = ("started_at", "finished_at", "time_zone", "device")


class JsonLines:
    """A file of JSON objects as a source of records. MongoDB's own export is one (`mongoexport`)."""

    def __init__(self, path: Path, form_id: str, title: str, *, id_column: str | None = None) -> None:
        self.path, self.form_id = path, form_id
        self._title = title
        self._id_column = id_column
        self._ids = Ids()

    @property
    def description(self) -> str:
        """The source of the ids."""
        ids = f"key {self._id_column!r}" if self._id_column else "_id or id, else row numbers"
        return f"{self.path.name}: JSON, ids from {ids}"

    def records(self) -> Iterator[Record | RejectedLine]:
        """Yield one record per object, in order."""
        for number, (line, item) in enumerate(objects(self.path), 1):
            if isinstance(item, str):
                yield RejectedLine(line, item)
            elif isinstance(item.get("answers"), dict):
                yield _own(item, self.form_id, self._row_id(number), line)
            else:
                yield self._flat(item, number, line)

    def declared(self) -> dict[str, list[str]]:
        """Nothing: objects name their keys as they come."""
        return {}

    def title(self, form_id: str) -> str:
        """The title given, or made of the file's name; forms named by the documents have their id."""
        return self._title if form_id == self.form_id else form_id

    def question_title(self, form_id: str, question_id: str) -> str:
        """The key as it stands in the file."""
        return self._ids.title(question_id)

    def _row_id(self, number: int) -> str:
        return f"{slug(self.path.stem) or 'row'}-{number}"

    def _flat(self, item: Mapping[str, Any], number: int, line: int) -> Record | RejectedLine:
        keys = [self._id_column] if self._id_column else [key for key in item if key.lower() in ID_COLUMNS]
        unique = next((found for key in keys if (found := usable_id(item.get(key)))), None)
        if unique is None and self._id_column:
            return RejectedLine(line, f"no usable id under {self._id_column!r}")
        answers = {
            self._ids.of(key, key, at): value
            for at, (key, value) in enumerate(item.items(), 1)
            if value is not None and value != "" and not (unique and key == keys[0])
        }
        return Record(self.form_id, unique or self._row_id(number), answers, line)


def _own(item: Mapping[str, Any], form_id: str, row_id: str, line: int) -> Record | RejectedLine:
    """Read our own document shape. What the server sets is set anew; what it was is kept as metadata."""
    stored, _, inner = str(item.get("_id") or "").partition(":")
    named = item.get("form_id") or (stored if inner else form_id)
    if not isinstance(named, str) or not is_form_id(named):
        return RejectedLine(line, "form_id is no text of 1 to 200 characters without a colon")
    found = usable_id(inner or stored) or row_id
    fields: dict[str, Any] = {name: item[name] for name in _TEXT_FIELDS if isinstance(item.get(name), str)}
    client: Any = item.get("client")
    if isinstance(client, dict):
        known = cast(dict[str, Any], client)
        fields.update({name: known[name] for name in _CLIENT_FIELDS if known.get(name) is not None})
    if isinstance(item.get("form_version"), int):
        fields["form_version"] = item["form_version"]
    if isinstance(item.get("flags"), list):
        fields["flags"] = item["flags"]
    if isinstance(item.get("answer_metadata"), dict):
        fields["answer_metadata"] = item["answer_metadata"]
    metadata: Any = item.get("metadata")
    was = {name: item[name] for name in ("submitted_at", "updated_at", "revision") if name in item}
    kept = cast(dict[str, Any], metadata) if isinstance(metadata, dict) else {}
    fields["metadata"] = {**kept, "imported": was} if was else kept
    return Record(named, found, cast(dict[str, Any], item["answers"]), line, fields)


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (line, object) for every object of a file; (line, reason) for what is none.

    A file that begins with `[` is read whole, as one list; the number is then the place in the list.
    """
    try:
        with path.open("rb") as file:
            file.seek(3 if file.read(3) == codecs.BOM_UTF8 else 0)
            start = file.tell()
            first = file.read(1)
            while first.isspace():
                first = file.read(1)
            file.seek(start)
            yield from _listed(path, file.read()) if first == b"[" else _lined(file)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def _lined(file: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield number, _object(line)


def _listed(path: Path, text: bytes) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        items: Any = _loads(text)
    except _UNREADABLE as error:
        raise ConfigurationError(f"{path} is not valid JSON: {error}") from error
    for number, item in enumerate(cast(list[Any], items), 1):
        yield number, cast(dict[str, Any], item) if isinstance(item, dict) else "not an object"


def _object(line: bytes) -> dict[str, Any] | str:
    try:
        item = _loads(line)
    except _UNREADABLE as error:
        return f"not valid JSON: {error}"
    return cast(dict[str, Any], item) if isinstance(item, dict) else "not an object"


def _loads(text: bytes) -> Any:
    """Parse JSON: strict UTF-8, exact fractions, MongoDB's extended types ($date, $oid …) as what they stand for."""
    return json.loads(text.decode(), parse_float=Decimal, parse_constant=_refuse, object_hook=_extended)


def _extended(document: dict[str, Any]) -> Any:
    return object_hook(document, _OPTIONS) if any(key.startswith("$") for key in document) else document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
