"""The planner, held against a simulated grid that people use too."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collect_pipelines.delivery.google_sheet.changes import BATCH_CELLS, cut, steps_of
from collect_pipelines.delivery.google_sheet.config import Deletes, SheetConfig
from collect_pipelines.delivery.google_sheet.index import Known
from collect_pipelines.delivery.google_sheet.keys import DELETED, content_hash, row_id, row_key
from collect_pipelines.delivery.google_sheet.layout import Layout, Managed, first_layout, reshape, wanted_columns
from collect_pipelines.delivery.google_sheet.plan import Change, a1_ranges, key_ranges, plan_rows
from collect_pipelines.delivery.rows import columns
from tests.sheets.grid import Grid
from tests.sheets.responses import form, question


def change(response: str, text: str | None, sequence: int = 1) -> Change:
    cells = {} if text is None else {"q": {"stringValue": text}}
    content = DELETED if text is None else content_hash(cells)
    return Change(response, row_id(response), content, sequence, cells, 100)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Layout, int]:
    """The key column, the question and a retired one, anywhere among columns of people."""
    width = draw(st.integers(3, 6))
    key, answer, retired = draw(st.permutations(range(width)))[:3]
    ours = [Managed("_id", key), Managed("q", answer), Managed("old", retired, retired=True)]
    return Layout(tuple(sorted(ours, key=lambda column: column.index)), (), width), answer


@given(
    layouts(),
    st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=6),
    st.dictionaries(st.sampled_from("abcdefghij"), st.one_of(st.none(), st.sampled_from(["new", "newer"]))),
    st.sampled_from(Deletes),
    st.integers(0, 2),
)
def test_a_batch_makes_the_rows_what_they_should_be_and_touches_nothing_else(
    shape: tuple[Layout, int], here: list[str], wishes: dict[str, str | None], deletes: Deletes, blank_rows: int
) -> None:
    layout, answer = shape
    key_index = layout.key_index or 0
    grid = Grid([[f"h{n}" for n in range(layout.width)]], [None] * layout.width)
    for name in here:
        row: list[Any] = [f"user {name} {n}" for n in range(layout.width)]
        row[key_index], row[answer] = row_key(name, content_hash({"q": {"stringValue": name}})), name
        grid.rows.append(row)
    grid.rows += [[None] * layout.width for _ in range(blank_rows)]
    known = {name: Known(n, content_hash({"q": {"stringValue": name}}), False) for n, name in enumerate(here, 1)}
    before = grid.by_key(key_index)

    steps, _ = steps_of([change(n, text) for n, text in wishes.items()], known.get, SheetConfig(deletes=deletes))
    plan = plan_rows(7, layout, len(here), len(grid.rows), steps)
    grid.apply(plan.requests)

    after = grid.by_key(key_index)
    kept = {name for name in here if not (deletes is Deletes.REMOVE and wishes.get(name, "") is None)}
    assert set(after) == kept | {name for name, text in wishes.items() if text is not None}
    for name, row in after.items():
        if wishes.get(name) is not None:
            assert row[answer] == wishes[name]
        for column in set(range(layout.width)) - {key_index, answer}:
            assert row[column] == (before[name][column] if name in before else None)
    assert all(grid.replies[number] == {"findReplace": {"occurrencesChanged": 1}} for number in plan.swaps)
    for place, added in plan.added.items():
        assert grid.rows[place][key_index] == row_key(added.row, added.content)
    for name, place in plan.places.items():
        assert grid.rows[place][key_index].startswith(f"{name}|")


@given(st.lists(st.sampled_from("abcdef"), unique=True, min_size=2), st.randoms(use_true_random=False))
def test_a_swap_tells_that_the_row_had_moved(here: list[str], chance: random.Random) -> None:
    layout = Layout((Managed("_id", 0), Managed("q", 1)), (), 2)
    content = content_hash({"q": {"stringValue": "x"}})
    known = {name: Known(n, content, False) for n, name in enumerate(here, 1)}
    grid = Grid([["_response", "Q"], *([row_key(name, content), "x"] for name in here)], [None, None])
    moved = grid.rows[1:]
    chance.shuffle(moved)
    grid.rows[1:] = moved
    steps, _ = steps_of([change(name, "new") for name in here], known.get, SheetConfig())
    plan = plan_rows(7, layout, len(here), len(grid.rows), steps)
    grid.apply(plan.requests)
    for number, step in plan.swaps.items():
        stood_there = moved[step.at - 1][0].split("|")[0] == step.change.row
        assert bool(grid.replies[number]["findReplace"]) == stood_there


def test_a_stale_row_whose_key_stays_the_same_is_proven_by_a_key_between() -> None:
    layout = Layout((Managed("_id", 0), Managed("q", 1)), (), 2)
    wish = change("a", "right")
    grid = Grid([["_response", "Q"], [row_key("a", wish.content), "wrong"]], [None, None])
    steps, _ = steps_of([wish], {"a": Known(1, wish.content, True)}.get, SheetConfig())
    plan = plan_rows(7, layout, 1, 2, steps)
    grid.apply(plan.requests)
    assert grid.rows[1] == [row_key("a", wish.content), "right"]
    assert [grid.replies[n] for n in plan.swaps] == [{"findReplace": {"occurrencesChanged": 1}}]


@given(st.lists(st.integers(0, 3)), st.integers(1, 400))
def test_a_batch_claims_only_commits_that_are_whole(gaps: list[int], bytes_limit: int) -> None:
    sequences = [sum(gaps[: n + 1]) + 1 for n in range(len(gaps))]
    changes = [change(f"r{n}", "x", sequence) for n, sequence in enumerate(sequences)]
    batches = list(cut(changes, 2, bytes_limit=bytes_limit))
    assert [c for batch in batches for c in batch.changes] == changes
    for number, batch in enumerate(batches):
        rest = [c.sequence for later in batches[number + 1 :] for c in later.changes]
        assert batch.reaches == (min(rest) - 1 if rest else None)


def test_a_batch_has_at_most_forty_thousand_cells() -> None:
    batches = list(cut((change(f"r{n}", "x") for n in range(5000)), 20, bytes_limit=10**9))
    assert [len(batch.changes) for batch in batches] == [BATCH_CELLS // 20, BATCH_CELLS // 20, 1000]


@given(st.sets(st.integers(1, 300)))
def test_key_ranges_hold_every_row_and_never_overlap(rows: set[int]) -> None:
    ranges = list(key_ranges(rows))
    held = [row for start, end in ranges for row in range(start, end)]
    assert rows <= set(held) and len(held) == len(set(held)) and sorted(held) == held


def test_the_title_of_a_tab_is_quoted() -> None:
    assert a1_ranges("Bob's", 0, [1, 2]) == ["'Bob''s'!1:1", "'Bob''s'!A2:A3"]


titles = st.lists(st.sampled_from("abcdefg"), unique=True, max_size=7)


@settings(max_examples=200)
@given(titles, titles, st.randoms(use_true_random=False))
def test_new_columns_come_right_after_the_one_before_and_nothing_else_moves(
    first: list[str], second: list[str], chance: random.Random
) -> None:
    start = wanted_columns(columns(form(*map(question, first or ["zz"])), "en"))
    layout = first_layout(start)
    grid = Grid([list(layout.header)], [column.tag for column in layout.columns])
    layout = _users_move_columns(grid, layout, chance)
    order = [tag for tag in grid.tags if tag is not None]
    wanted = wanted_columns(columns(form(*map(question, second or ["zz"])), "en"))

    shape = reshape(7, layout, wanted)
    grid.apply(shape.requests)

    assert [grid.tags[column.index] for column in shape.layout.columns] == [c.tag for c in shape.layout.columns]
    assert tuple(grid.rows[0]) == shape.layout.header and len(grid.tags) == shape.layout.width
    assert [tag for tag in grid.tags if tag in order] == order, "columns that exist stay where people put them"
    tags = [item.tag for item in wanted]
    assert set(tags) <= set(grid.tags)
    for before, tag in pairwise(tags):
        if tag not in order:
            assert grid.tags.index(tag) == grid.tags.index(before) + 1
    retired = {column.tag for column in shape.layout.columns if column.retired}
    assert retired == set(order) - set(tags)
    assert not reshape(7, shape.layout, wanted).requests, "a second look finds nothing to do"


def _users_move_columns(grid: Grid, layout: Layout, chance: random.Random) -> Layout:
    slots = [*zip(grid.rows[0], grid.tags, strict=True), *((f"mine {n}", None) for n in range(chance.randint(0, 2)))]
    chance.shuffle(slots)
    grid.rows[0], grid.tags = [text for text, _ in slots], [tag for _, tag in slots]
    by_tag = {column.tag: column for column in layout.columns}
    placed = [Managed(tag, index, by_tag[tag].written) for index, (_, tag) in enumerate(slots) if tag is not None]
    return Layout(tuple(placed), tuple(grid.rows[0]), len(slots))


def test_a_header_that_people_renamed_stays() -> None:
    old = wanted_columns(columns(form(question("a", title="Age"), question("b", title="Name")), "en"))
    new = wanted_columns(columns(form(question("a", title="Your age"), question("b", title="Your name")), "en"))
    layout = first_layout(old)
    header = list(layout.header)
    header[header.index("Age")] = "How old"
    shape = reshape(7, Layout(layout.columns, tuple(header), layout.width), new)
    assert "How old" in shape.layout.header and "Your name" in shape.layout.header
    assert len(shape.requests) == 1


def test_a_column_that_people_deleted_is_not_made_again() -> None:
    wanted = wanted_columns(columns(form(question("a"), question("b")), "en"))
    layout = first_layout(wanted)
    left = tuple(column for column in layout.columns if column.tag != "b")
    shape = reshape(7, Layout(left, layout.header, layout.width, frozenset({"b"}), frozenset({"b"})), wanted)
    assert not shape.requests


def test_two_thousand_questions_leave_room_for_fences() -> None:
    wanted = wanted_columns(columns(form(*(question(f"a_rather_long_question_id_{n}") for n in range(2000))), "en"))
    layout = first_layout(wanted)
    taken = sum(
        len(c.tag) - 1 if c.tag.startswith("c:") else len("collect.column") + len(c.tag) for c in layout.columns
    )
    assert taken < 30_000 - 16 * 120
    assert len({column.tag for column in layout.columns}) == 2005
