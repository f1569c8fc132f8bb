"""What is merged when, and which rows are the newest."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from collect_pipelines.stores.manifest import BASE_LEVEL, Segment
from collect_pipelines.stores.merge import MERGED_AT, newest_rows, plan_compaction, to_read


def segment(level: int, first: int, last: int, rows: int) -> Segment:
    return Segment(f"{first}-{last}", rows, 1, 0, level, "a", "b", first, last, 0)


@given(st.lists(st.integers(0, 9).map(str)))
def test_the_last_row_of_each_id_is_the_newest(ids: list[str]) -> None:
    marks, distinct = newest_rows(pa.chunked_array([ids[:3], ids[3:]], pa.string()))
    assert set(distinct.to_pylist()) == set(ids)
    assert {name: place for place, name in enumerate(ids)} == {
        name: place for place, (name, mark) in enumerate(zip(ids, marks, strict=True)) if mark
    }


@given(st.lists(st.integers(1, 5_000), max_size=300))
def test_any_growth_keeps_segments_few_and_apart_in_sequence(commits: list[int]) -> None:
    segments: list[Segment] = []
    written = 0
    for sequence, rows in enumerate(commits, 1):
        segments.append(segment(0, sequence, sequence, rows))
        while plan := plan_compaction(segments):
            merged = sum(source.rows for source in plan.sources)
            written += merged
            whole = segment(plan.level, plan.sources[0].min_sequence, plan.sources[-1].max_sequence, merged)
            segments = sorted(
                [*(one for one in segments if one not in plan.sources), whole], key=lambda one: one.min_sequence
            )
    assert len(segments) < MERGED_AT * 3
    assert all(one.max_sequence < other.min_sequence for one, other in pairwise(segments))
    assert written <= 14 * sum(commits)


def test_a_small_share_of_changes_is_not_merged_into_the_base() -> None:
    base = segment(BASE_LEVEL, 1, 1, 1_000_000)
    changes = [segment(0, number, number, 10) for number in range(2, 2 + MERGED_AT)]
    plan = plan_compaction([base, *changes])
    assert plan is not None
    assert (plan.level, base in plan.sources) == (1, False)


def test_only_segments_with_newer_rows_are_read_oldest_first() -> None:
    old, middle, new = segment(9, 1, 5, 1), segment(1, 6, 7, 1), segment(0, 8, 8, 1)
    assert to_read([new, middle, old], 5) == (middle, new)
    assert to_read([new, middle, old], 8) == ()
