"""The comparison sees every kind of difference: a check that cannot fail would be worth nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from assets.csv_export import csv_export
from assets.google_sheet import google_sheet
from collect_pipelines.audit.compare import Comparison, compare_form, hold
from collect_pipelines.delivery.google_sheet import GoogleSheets
from collect_pipelines.draining.backfill import backfill
from collect_pipelines.draining.engine import Engine
from collect_pipelines.embedded.mongod import Mongod
from collect_pipelines.model import QuestionType
from collect_pipelines.settings import Settings
from collect_pipelines.sheets_server.in_thread import RunningServer, running_server
from collect_pipelines.source.documents import form_document, question_document, response_document
from collect_pipelines.source.store import CollectStore

contents = st.dictionaries(st.text(max_size=3), st.integers(0, 2), max_size=6)


@given(contents, contents)
def test_a_copy_is_equal_only_if_it_is(expected: dict[str, int], found: dict[str, int]) -> None:
    copy = hold("copy", expected, found.items())
    assert copy.equal == (expected == found)
    assert set(copy.missing) == expected.keys() - found.keys()
    assert set(copy.extra) == found.keys() - expected.keys()
    assert set(copy.different) == {key for key in expected.keys() & found.keys() if expected[key] != found[key]}


@given(contents.filter(bool))
def test_a_row_that_comes_twice_is_doubled(expected: dict[str, int]) -> None:
    copy = hold("copy", expected, [*expected.items(), *list(expected.items())[:1]])
    assert len(copy.doubled) == 1 and not copy.equal
    assert "1 doubled" in copy.describe()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path / "sheets") as running:
        yield running


@pytest.fixture
def engine(mongod: Mongod, database_name: str, tmp_path: Path, server: RunningServer) -> Iterator[Engine]:
    settings = Settings(
        home=tmp_path,
        mongo_uri=SecretStr(mongod.uri),
        mongo_database=database_name,
        state_database=f"{database_name}_state",
        sheets_endpoint=server.url,
    )
    specs = [vars(opener)["__destination__"] for opener in (csv_export, google_sheet)]
    engine = Engine(settings, specs, writer="test")
    yield engine
    engine.client.close()


def test_damage_to_any_copy_is_seen_by_the_response(engine: Engine, server: RunningServer) -> None:
    store = CollectStore(engine.client, engine.settings.mongo_database)
    store.ensure()
    store.save_form(form_document("fair", "Fair", [question_document("age", QuestionType.INTEGER, "Age")]))
    store.submit([response_document("fair", str(number), {"age": number}) for number in range(3)])
    assert all(o.ok for o in backfill(engine, ["fair"], {"responses", "csv_export", "google_sheet"}, rebuild=True))
    assert compare_form(engine, "fair").equal

    store.submit([response_document("fair", "3", {"age": 3})])
    assert wrong(compare_form(engine, "fair")) == {name: ["fair:3"] for name in ("Parquet", "CSV", "Sheet")}
    assert all(o.ok for o in backfill(engine, ["fair"], {"responses", "csv_export", "google_sheet"}, rebuild=False))
    assert compare_form(engine, "fair").equal

    form, sheets = store.form("fair"), engine.destinations["google_sheet"]
    assert form is not None and isinstance(sheets, GoogleSheets)
    read_back = sheets.read_back(form)
    assert read_back is not None
    server.act(read_back.tab.spreadsheet_id, "edit_cell", sheet_id=read_back.tab.sheet_id, row=1, column=4, value="99")
    assert wrong(compare_form(engine, "fair")) == {"Sheet": ["fair:0"]}


def wrong(comparison: Comparison) -> dict[str, list[str]]:
    """Ids that differ in each copy."""
    found = {copy.name: copy.missing + copy.extra + copy.doubled + copy.different for copy in comparison.copies}
    return {name: ids for name, ids in found.items() if ids}
