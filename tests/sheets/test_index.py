"""The row index: a cache that changes in one step, or not at all."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from collect_pipelines.delivery.google_sheet.index import Edits, Known, RowIndex, Tab
from collect_pipelines.delivery.google_sheet.layout import Layout, Managed
from collect_pipelines.model import Position

LAYOUT = Layout((Managed("_id", 0, "_response"), Managed("q", 1, None, True)), ("_response", "Q"), 2, frozenset({"x"}))
TAB = Tab("s" * 20, 7, "Fair", "http://x#gid=7", "Etc/UTC", False, 2, 2, 0, LAYOUT, 4, Position("t", 3), 0, ((4, 9),))


def test_a_tab_is_read_back_as_it_was(tmp_path: Path) -> None:
    with closing(RowIndex(tmp_path / "i.sqlite")) as index:
        assert index.load() is None
        index.replace(TAB, [("a", 1, "0" * 8)])
    with closing(RowIndex(tmp_path / "i.sqlite")) as index:
        assert index.load() == TAB and index.get("a") == Known(1, "0" * 8, False)


def test_the_outcome_of_a_batch_that_somebody_else_overtook_is_dropped(tmp_path: Path) -> None:
    with closing(RowIndex(tmp_path / "i.sqlite")) as index, closing(RowIndex(tmp_path / "i.sqlite")) as other:
        index.replace(TAB, [("a", 1, "0" * 8)])
        newer = replace(TAB, sequence=5)
        assert other.apply(TAB, newer, Edits({"a": Known(1, "1" * 8, False)}))
        assert not index.apply(TAB, replace(TAB, sequence=5, tail=9), Edits({"a": Known(2, "2" * 8, False)}))
        assert index.load() == newer and index.get("a") == Known(1, "1" * 8, False)


def test_rows_that_vanished_were_removed_by_people_and_copies_count_once(tmp_path: Path) -> None:
    with closing(RowIndex(tmp_path / "i.sqlite")) as index:
        index.replace(TAB, [("a", 1, "0" * 8), ("b", 2, "0" * 8)])
        index.replace(TAB, [("b", 1, "0" * 8), ("b", 5, "1" * 8)])
        assert index.get("a") == Known(None, "0" * 8, False)
        assert index.get("b") == Known(1, "0" * 8, False)
        assert index.counts() == (1, 1)


def test_another_tab_starts_from_nothing(tmp_path: Path) -> None:
    with closing(RowIndex(tmp_path / "i.sqlite")) as index:
        index.replace(TAB, [("a", 1, "0" * 8)])
        index.replace(replace(TAB, sheet_id=8), [])
        assert index.get("a") is None


def test_a_broken_file_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "i.sqlite").write_bytes(b"not a database" * 1000)
    with closing(RowIndex(tmp_path / "i.sqlite")) as index:
        assert index.load() is None


@settings(max_examples=50)
@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_rows_below_removed_ones_move_up(tmp_path_factory: object, rows: set[int], gone: set[int]) -> None:
    path = tmp_path_factory.mktemp("index") / "i.sqlite"  # type: ignore[attr-defined]
    with closing(RowIndex(path)) as index:
        index.replace(TAB, [(f"r{n}", n, "0" * 8) for n in rows])
        removed = tuple(rows & gone)
        after = replace(TAB, sequence=5)
        assert index.apply(TAB, after, Edits(removed=removed, forget=tuple(f"r{n}" for n in removed)))
        for n in rows - gone:
            known = index.get(f"r{n}")
            assert known and known.place == n - sum(place < n for place in removed)
        assert all(index.get(f"r{n}") is None for n in removed)
