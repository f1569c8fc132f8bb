"""Answers that no typed column shows: each still gets its place in the line, so that nothing disappears. Pure.

- an answer that does not fit its question's type stands, as text, in its question's column;
- an answer to a question that the form does not list, and a chosen option that has no column of its own, stand in
  the column "Other answers", as JSON by question id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa

from collect_pipelines.delivery.csv_export.cells import plain_decimal, text_cells
from collect_pipelines.delivery.rows import OTHER, Column, Unfit, place_unfit


@dataclass(frozen=True, slots=True)
class Shown:
    """Which questions have a place in the file."""

    columns: frozenset[str]
    """Questions with exactly one column."""
    split: Mapping[str, frozenset[str]]
    """Questions with one column per option: the options."""
    hidden: frozenset[str]
    """Questions whose answers the owner does not want to see."""


@dataclass(slots=True)
class Kept:
    """What is to be put into the columns of one batch, by column and row number."""

    unfit: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    other: dict[int, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))

    def placed(self, column: Column, cells: pa.Array) -> pa.Array:
        """Return the column's cells with the kept answers in their places."""
        if column.id == OTHER.id:
            found = {row: orjson.dumps(rest, default=_plain).decode() for row, rest in self.other.items() if rest}
        else:
            found = self.unfit.get(column.id, {})
        if not found:
            return cells
        listed = cells.to_pylist()
        spelled = text_cells(pa.array(found.values(), pa.string()), column.type).to_pylist()
        for row, cell in zip(found, spelled, strict=True):
            listed[row] = cell
        return pa.array(listed, pa.string())


def kept_answers(batch: pa.RecordBatch, shown: Shown) -> Kept:
    """Find the answers of a batch that the typed columns do not show."""
    kept = Kept()
    _set_aside(batch, shown, kept)
    for name in batch.schema.names:
        if name in shown.split:
            _options_without_column(batch.column(name), name, shown.split[name], kept)
        elif not name.startswith("_") and name not in shown.columns | shown.hidden:
            _unlisted(batch.column(name), name, kept)
    return kept


def _set_aside(batch: pa.RecordBatch, shown: Shown, kept: Kept) -> None:
    for row, other in _present(batch.column("_other")):
        values: dict[str, Any] = dict.fromkeys(batch.schema.names)
        kept.other[row] = {k: v for k, v in place_unfit(values, orjson.loads(other)).items() if k not in shown.hidden}
        for question_id, value in values.items():
            if isinstance(value, Unfit) and question_id in shown.columns:
                kept.unfit[question_id][row] = value.text
            elif isinstance(value, Unfit) and question_id not in shown.hidden:
                kept.other[row][question_id] = value.text


def _options_without_column(values: pa.Array, question_id: str, options: frozenset[str], kept: Kept) -> None:
    for row, chosen in _present(values):
        chosen_options: list[str] = chosen if isinstance(chosen, list) else [chosen]
        if unknown := [option for option in chosen_options if option not in options]:
            kept.other[row][question_id] = unknown


def _unlisted(values: pa.Array, question_id: str, kept: Kept) -> None:
    for row, value in _present(values):
        kept.other[row][question_id] = value


def _present(values: pa.Array) -> Iterable[tuple[int, Any]]:
    if values.null_count == len(values):
        return ()
    return ((row, value) for row, value in enumerate(values.to_pylist()) if value is not None)


def _plain(value: object) -> str | None:
    return plain_decimal(value) if isinstance(value, Decimal) else str(value)
