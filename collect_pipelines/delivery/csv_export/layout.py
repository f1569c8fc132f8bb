"""Which columns a form's CSV has, and how a batch of its response table becomes lines. Pure.

The layout's id covers everything that a line depends on besides the response: two layouts with the same id render
the same bytes. When it changes, every line is rendered anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson
import pyarrow as pa

from collect_pipelines.delivery.csv_export.cells import cells_for, chosen_cells, pc, text_cell
from collect_pipelines.delivery.csv_export.kept import Shown, kept_answers
from collect_pipelines.delivery.csv_export.options import CsvOptions
from collect_pipelines.delivery.rows import OTHER, Column, columns
from collect_pipelines.model import Form, QuestionType, pick

FORMAT = 1
"""Raise it when the same response gives other bytes than before: all exports are then rendered anew."""

UNDATED = 2**63 - 1
"""Responses without a time of submission come last."""


class Line(NamedTuple):
    """One response's line, with its line end; None when the response was deleted."""

    response_id: str
    submitted_microseconds: int
    text: bytes | None


@dataclass(frozen=True, slots=True)
class CsvColumn:
    """One column of the file. `option` is set where a multiple choice is split into one column per option."""

    title: str
    source: Column
    option: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a form's CSV."""

    id: str
    columns: tuple[CsvColumn, ...]
    titles: dict[str, dict[str, str]]
    """By question id: option titles by option id."""
    shown: Shown

    @property
    def header(self) -> bytes:
        """The header line."""
        return ",".join(text_cell(column.title) for column in self.columns).encode() + b"\r\n"

    def render(self, batch: pa.RecordBatch) -> Iterator[Line]:
        """Render the rows of a batch; tombstones become lines without text. Each response comes once."""
        ids, deleted = batch.column("_id").to_pylist(), batch.column("_deleted").to_pylist()
        submitted = pc.fill_null(batch.column("_submitted_at").cast(pa.int64()), UNDATED).to_pylist()
        for row, text in enumerate(self._texts(batch)):
            yield Line(ids[row], submitted[row], None if deleted[row] else text)

    def _texts(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        if not batch.num_rows:
            return
        kept = kept_answers(batch, self.shown)
        cells = [kept.placed(column.source, self._cells(batch, column)) for column in self.columns]
        lines = pc.binary_join_element_wise(
            *cells[:-1],
            pc.binary_join_element_wise(cells[-1], "\r\n", "", null_handling="replace"),
            ",",
            null_handling="replace",
        )
        texts: list[bytes] = lines.cast(pa.binary()).to_pylist()
        yield from texts

    def _cells(self, batch: pa.RecordBatch, column: CsvColumn) -> pa.Array:
        place = batch.schema.get_field_index(column.source.id)
        if place < 0 or column.source is OTHER:
            return pa.nulls(batch.num_rows, pa.string())
        values = batch.column(place)
        if column.option is not None and pa.types.is_list(values.type):
            return chosen_cells(column.option)(values)
        titles = self.titles.get(column.source.id, {})
        return cells_for(column.source.type, titles, values.type)(values)


def plan_layout(form: Form, options: CsvOptions, default_language: str) -> Layout:
    """Lay out a form's CSV: response, when, who, status, the questions in order, archived ones, other answers."""
    language = options.language or default_language
    listed = columns(form, language, archived=options.archived_questions, response_id=True)
    titles = {
        question.id: {o.id: pick(o.titles, language, form.default_language, o.id) for o in question.options}
        for question in form.questions
        if question.options
    }
    split = options.multi_choice == "split"
    laid_out = tuple(part for column in listed for part in _parts(column, titles, split))
    hidden = frozenset() if options.archived_questions else frozenset(q.id for q in form.questions if q.archived)
    shown = Shown(
        columns=frozenset(column.source.id for column in laid_out if column.option is None),
        split={c.source.id: frozenset(titles[c.source.id]) for c in laid_out if c.option is not None},
        hidden=hidden,
    )
    return Layout(_layout_id(laid_out, titles, hidden), laid_out, titles, shown)


def _parts(column: Column, titles: dict[str, dict[str, str]], split: bool) -> list[CsvColumn]:
    options = titles.get(column.id, {})
    if split and options and column.type is QuestionType.MULTI_CHOICE:
        return [CsvColumn(f"{column.title}: {title}", column, option) for option, title in options.items()]
    return [CsvColumn(column.title, column)]


def _layout_id(laid_out: tuple[CsvColumn, ...], titles: dict[str, dict[str, str]], hidden: frozenset[str]) -> str:
    described = [FORMAT, [[c.title, c.source.id, c.source.type, c.option] for c in laid_out], titles, sorted(hidden)]
    return hashlib.blake2b(orjson.dumps(described, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()
