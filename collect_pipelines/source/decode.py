"""Raw response documents into rows of a response table. Nothing is dropped and nothing raises, whatever was stored.

`_hash` is BLAKE2b over the document's raw bytes, all of them: it differs whenever anything differs that anybody could
be shown, needs no decoding to be computed in an audit, and knows nothing of the form.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import orjson
import pyarrow as pa

from collect_pipelines.model import Form
from collect_pipelines.schema import ANSWER_TYPES, OURS
from collect_pipelines.source.columns import CONVERTERS, DATETIME, INTEGER, JSON_DOCUMENT, JSON_LIST, TEXT, Converter
from collect_pipelines.source.ids import response_id
from collect_pipelines.source.json_text import clean, extended
from collect_pipelines.source.raw_documents import CORRUPT, Kept, Raw, read, split

SLICE_ROWS = 1_000
SLICE_BYTES = 4 << 20
ASSIGNED = {"_sequence", "_read_at"}
"""Columns that the commit fills in."""

_FIELDS: dict[str, tuple[str, Converter]] = {
    "revision": ("_revision", INTEGER),
    "form_version": ("_form_version", INTEGER),
    "status": ("_status", TEXT),
    "submitted_at": ("_submitted_at", DATETIME),
    "updated_at": ("_updated_at", DATETIME),
    "collector": ("_collector", TEXT),
    "language": ("_language", TEXT),
    "flags": ("_flags", JSON_LIST),
    "answer_metadata": ("_answer_metadata", JSON_DOCUMENT),
}
_CLIENT_FIELDS = {"started_at": "_started_at", "finished_at": "_finished_at"}
_KNOWN = frozenset({*_FIELDS, "_id", "form_id", "client", "metadata", "answers"})


class Decoded(NamedTuple):
    """Rows, and how many answers fit no column and how many answers or fields have no column; both are in `_other`."""

    table: pa.Table
    unfit: int
    unknown: int


class Decoder(Protocol):
    """What turns raw batches into rows; a faster one may stand in for `decode`."""

    def __call__(self, raw: bytes, form: Form) -> Decoded:
        """Decode one batch of `find_raw_batches`."""
        ...


def decode(raw: bytes, form: Form) -> Decoded:
    """Decode concatenated BSON documents into the columns of `schema.table_schema` but those of the commit."""
    schema = _schema(form)
    with _without_garbage_collection():
        slices = [_decode_slice(batch, form, schema) for batch in _slices(raw)]
    table = pa.Table.from_batches([one.rows for one in slices], schema)
    return Decoded(table, sum(one.unfit for one in slices), sum(one.unknown for one in slices))


def tombstones(response_ids: Iterable[str]) -> pa.Table:
    """Make the rows of deleted responses."""
    ids = list(response_ids)
    schema = pa.schema([field for field in OURS if field.name not in ASSIGNED])
    known = {"_id": pa.array(ids, pa.string()), "_deleted": pa.repeat(pa.scalar(True), len(ids))}
    return pa.table([known.get(field.name, pa.nulls(len(ids), field.type)) for field in schema], schema=schema)


class _Slice(NamedTuple):
    rows: pa.RecordBatch
    unfit: int
    unknown: int


class _Aside:
    """What found no place in the columns, by row."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, object]] = {}
        self.unfit = 0
        self.unknown = 0

    def put(self, row: int, key: str, value: Any, reason: str, *, unknown: bool = False) -> None:
        """Keep a value under its question's id, or under a name that begins with an underscore."""
        there = self.rows.setdefault(row, {})
        kept = value if type(value) is Kept else Kept(value, reason)
        content = {"value": orjson.Fragment(extended(clean(kept.value))), "reason": kept.reason}
        there[_free(there, key)] = content | ({"bytes": kept.raw} if kept.raw else {})
        self.unknown += unknown
        self.unfit += not unknown

    def column(self, length: int) -> pa.Array:
        """Return the column `_other`."""
        texts = {row: orjson.dumps(kept).decode() for row, kept in self.rows.items()}
        return pa.array([texts.get(row) for row in range(length)], pa.string())


def _decode_slice(batch: list[Raw], form: Form, schema: pa.Schema) -> _Slice:
    documents, aside = read(batch), _Aside()
    columns: dict[str, pa.Array] = {
        "_id": pa.array([_id(document) for document in documents], pa.string()),
        "_deleted": pa.repeat(pa.scalar(False), len(documents)),
        "_hash": pa.array([raw.hash for raw in batch], pa.string()),
    }
    for field, (name, converter) in _FIELDS.items():
        columns[name] = _column([document.get(field) for document in documents], name, converter, aside)
    columns |= _client(documents, aside)
    _check_fields(documents, form, aside)
    columns |= _answers(documents, form, aside)
    columns["_other"] = aside.column(len(documents))
    rows = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
    return _Slice(rows, aside.unfit, aside.unknown)


def _column(values: list[Any], name: str, converter: Converter, aside: _Aside) -> pa.Array:
    array, misfits = converter.column(values)
    for misfit in misfits:
        aside.put(misfit.row, name, misfit.value, misfit.reason)
    return array


def _client(documents: list[dict[str, Any]], aside: _Aside) -> dict[str, pa.Array]:
    """Columns of the client's times and of the metadata, which also takes what else the client says of itself."""
    clients = _parts(documents, "client", "_client", aside)
    columns = {
        name: _column([client.get(field) for client in clients], name, DATETIME, aside)
        for field, name in _CLIENT_FIELDS.items()
    }
    metadata = _parts(documents, "metadata", "_metadata", aside)
    joined = [_joined(*both) for both in zip(metadata, clients, strict=True)]
    return columns | {"_metadata": _column(joined, "_metadata", JSON_DOCUMENT, aside)}


def _joined(metadata: Mapping[str, Any], client: Mapping[str, Any]) -> Mapping[str, Any]:
    rest = {name: value for name, value in client.items() if name not in _CLIENT_FIELDS}
    return {**metadata, _free(metadata, "client"): rest} if rest else metadata


def _answers(documents: list[dict[str, Any]], form: Form, aside: _Aside) -> dict[str, pa.Array]:
    answers = _parts(documents, "answers", "_answers", aside)
    columns = {
        question.id: _column([one.get(question.id) for one in answers], question.id, CONVERTERS[question.type], aside)
        for question in form.questions
    }
    asked = columns.keys()
    for row, given in enumerate(answers):
        if not given.keys() <= asked:
            for name in given.keys() - asked:
                if given[name] is not None:
                    key = f"_answers.{name}" if name.startswith("_") else name
                    aside.put(row, key, given[name], "the form has no such question", unknown=True)
    return columns


def _check_fields(documents: list[dict[str, Any]], form: Form, aside: _Aside) -> None:
    for row, document in enumerate(documents):
        if document.get("form_id", form.id) != form.id:
            aside.put(row, "_form_id", document["form_id"], "not the form that the response's id names")
        if not document.keys() <= _KNOWN:
            for name in document.keys() - _KNOWN:
                if name == CORRUPT:
                    aside.put(row, CORRUPT, document[name], "")
                else:
                    aside.put(row, f"_response.{name}", document[name], "not a field of responses", unknown=True)


def _parts(documents: list[dict[str, Any]], field: str, key: str, aside: _Aside) -> list[dict[str, Any]]:
    """Take a sub-document of each document; what is no document is set aside."""
    parts: list[Any] = [document.get(field) for document in documents]
    for row, part in enumerate(parts):
        if type(part) is not dict:
            if part is not None:
                aside.put(row, key, part, "not a document")
            parts[row] = {}
    return parts


def _id(document: dict[str, Any]) -> str:
    store_id = document.get("_id")
    return response_id(store_id.value if type(store_id) is Kept else store_id)


def _free(taken: Mapping[str, object], key: str) -> str:
    """Return the key, with a number if it is taken."""
    free, number = key, 2
    while free in taken:
        free, number = f"{key} ({number})", number + 1
    return free


def _schema(form: Form) -> pa.Schema:
    ours = [field for field in OURS if field.name not in ASSIGNED]
    return pa.schema([*ours, *(pa.field(question.id, ANSWER_TYPES[question.type]) for question in form.questions)])


def _slices(raw: bytes) -> Iterator[list[Raw]]:
    """Cut a batch so that the Python objects of one slice stay few."""
    batch: list[Raw] = []
    size = 0
    for one in split(raw):
        if batch and (len(batch) == SLICE_ROWS or size + len(one.body) > SLICE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.body)
    if batch:
        yield batch


@contextmanager
def _without_garbage_collection() -> Generator[None]:
    """Decoding makes many objects and no cycles; looking for cycles all the time costs a quarter of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
