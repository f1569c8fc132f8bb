"""A rebuild puts back what people wrote over, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from collect_pipelines.model import QuestionType
from tests.sheets.conftest import Desk
from tests.sheets.responses import form, question

Make = Callable[..., Desk]


def test_a_rebuild_repairs_cells_that_people_wrote_over(desk: Make) -> None:
    kinds = {"name": QuestionType.TEXT, "n": QuestionType.DECIMAL, "ok": QuestionType.BOOLEAN, "at": QuestionType.DATE}
    at = desk(form(*(question(name, kind, title=name) for name, kind in kinds.items())))
    answers = {"name": "x", "ok": True, "at": date(2026, 1, 1)}
    at.table.commit({f"r{n}": answers | {"n": Decimal(n) / 2} for n in range(8)})
    at.deliver()
    before = at.rows()
    header = at.grid()[0]
    for row, column, value in ((1, "name", "vandal"), (2, "n", ""), (3, "ok", "TRUE?"), (4, "n", "=1+1"), (5, "at", 7)):
        at.act("edit_cell", row=row, column=header.index(column), value=value)
    at.act("add_column", title="Mine", column=2)
    at.act("edit_cell", row=1, column=2, value="kept")
    assert at.deliver().changed == 0
    told = at.deliver(rebuild=True)
    assert (told.changed, told.unchanged) == (5, 3)
    rows = at.rows()
    mine = {row: cells.pop("Mine", None) for row, cells in rows.items()}
    assert rows == before and mine["r0"] == "kept"
    assert at.deliver(rebuild=True).changed == 0
