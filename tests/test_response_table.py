"""Response tables: what is committed is there once, whatever is merged, collected, raced or broken meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collect_pipelines.errors import Fenced, IntegrityError, SchemaConflict
from collect_pipelines.model import QuestionType
from collect_pipelines.stores.history import KEPT_VERSIONS
from collect_pipelines.stores.manifest import BASE_LEVEL, Watermark
from collect_pipelines.stores.objects import Body, LocalObjects, Missing
from collect_pipelines.stores.response_table import ResponseTable
from tests.tables import COLUMNS, MEMORY_FOLDER, ages, append, changes, rows

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=2)


@pytest.fixture
def table(tmp_path: Path) -> ResponseTable:
    return ResponseTable(LocalObjects(tmp_path), "fair")


def again(table: ResponseTable, tmp_path: Path) -> ResponseTable:
    """The same table as another process sees it."""
    return ResponseTable(LocalObjects(tmp_path), "fair")


def test_a_table_that_nobody_wrote_is_empty(table: ResponseTable) -> None:
    assert table.load().watermark == Watermark(0, 0)
    assert table.snapshot().position == ("", 0)
    assert changes(table.snapshot()) == []
    assert not table.compact(NOW)
    table.collect_garbage(NOW)
    table.verify()


def test_the_newest_row_of_each_response_is_shown_in_the_order_of_commits(table: ResponseTable) -> None:
    append(table, {"fair:1": 1, "fair:2": 2, "fair:3": 3})
    append(table, {"fair:2": 20, "fair:4": 4})
    append(table, {"fair:1": None})
    listed = changes(table.snapshot())
    assert [(row["_id"], row["_sequence"], row["_read_at"], row["age"], row["_deleted"]) for row in listed] == [
        ("fair:3", 1, 10, 3, False),
        ("fair:2", 2, 20, 20, False),
        ("fair:4", 2, 20, 4, False),
        ("fair:1", 3, 30, None, True),
    ]
    assert ages(table, since=1) == {"fair:2": 20, "fair:4": 4, "fair:1": None}
    assert ages(table, since=3) == {}


def test_a_response_that_changed_twice_since_comes_once(table: ResponseTable) -> None:
    append(table, {"fair:1": 1})
    append(table, {"fair:1": 2})
    append(table, {"fair:1": 3})
    assert ages(table, since=1) == {"fair:1": 3}


def test_a_writer_that_read_before_another_committed_is_fenced(table: ResponseTable) -> None:
    stale = table.load().watermark
    append(table, {"fair:1": 1})
    with pytest.raises(Fenced):
        append(table, {"fair:1": 0}, expected=stale)
    assert ages(table) == {"fair:1": 1}


def test_an_append_repeated_after_an_unknown_outcome_is_stored_once(table: ResponseTable, tmp_path: Path) -> None:
    start = table.load().watermark
    first = append(table, {"fair:1": 1}, expected=start)
    repeated = append(again(table, tmp_path), {"fair:1": 1}, expected=start)
    assert repeated == first
    assert table.load().version == 1


def test_an_empty_append_moves_the_time_and_not_the_sequence(table: ResponseTable) -> None:
    first = append(table, {"fair:1": 1})
    second = append(table, {})
    assert second.watermark == Watermark(1, first.watermark.cluster_time + 10)
    assert second.segments == first.segments
    nothing = table.append(rows({}), expected=second.watermark, cluster_time=5, columns=COLUMNS, writer="test")
    assert nothing == second


def test_a_large_append_is_cut_into_segments_of_one_commit(table: ResponseTable) -> None:
    manifest = append(table, {f"fair:{number}": number for number in range(120_000)})
    assert [segment.rows for segment in manifest.segments] == [50_000, 50_000, 20_000]
    assert manifest.counters.rows == 120_000
    batches = list(table.snapshot().changes(0))
    assert max(batch.num_rows for batch in batches) <= 5_000
    assert [row for batch in batches for row in batch["age"].to_pylist()] == list(range(120_000))


@pytest.mark.parametrize(
    "bad",
    [
        rows({"fair:1": 1}).append_column("shoe", pa.array([1])),
        rows({"fair:1": 1}).set_column(16, "age", pa.array(["1"])),
        rows({"fair:1": 1}).drop_columns("_hash"),
        pa.concat_tables([rows({"fair:1": 1}), rows({"fair:1": 2})]),
    ],
    ids=["unknown column", "other type", "missing column", "twice"],
)
def test_rows_of_another_shape_are_refused_whole(table: ResponseTable, bad: pa.Table) -> None:
    with pytest.raises(SchemaConflict):
        table.append(bad, expected=table.load().watermark, cluster_time=1, columns=COLUMNS, writer="test")
    assert table.load().version == 0


def test_a_new_question_is_null_in_old_rows_and_a_removed_one_stays(table: ResponseTable) -> None:
    append(table, {"fair:1": 1})
    later = {"name": QuestionType.TEXT, "shoe": QuestionType.DECIMAL}
    watermark = table.load().watermark
    table.append(rows({"fair:2": 2}, later), expected=watermark, cluster_time=1, columns=later, writer="test")
    shown = {row["_id"]: (row["age"], row["shoe"]) for row in changes(table.snapshot())}
    assert shown == {"fair:1": (1, None), "fair:2": (None, None)}
    assert [*table.load().columns] == ["age", "name", "shoe"]


def test_a_retyped_question_asks_for_a_rescan_and_old_answers_are_null_until_then(table: ResponseTable) -> None:
    append(table, {"fair:1": 1, "fair:2": 2})
    as_text = COLUMNS | {"age": QuestionType.TEXT}
    assert table.load().outdated_by(as_text)
    assert not table.load().outdated_by(COLUMNS | {"shoe": QuestionType.TEXT})
    watermark = table.load().watermark
    new = rows({"fair:2": None}, as_text)
    table.append(new, expected=watermark, cluster_time=1, columns=as_text, writer="test", unknown=1)
    assert ages(table) == {"fair:1": None, "fair:2": None}
    assert not table.load().outdated_by(as_text)
    with_shoe = as_text | {"shoe": QuestionType.TEXT}
    assert table.load().outdated_by(with_shoe), "kept answers may belong to the new question"


def test_sixteen_commits_are_merged_and_lagging_readers_see_the_same(table: ResponseTable) -> None:
    for number in range(40):
        append(table, {f"fair:{number}": number, f"fair:{number // 2}": number, "fair:x": None})
        before = [ages(table, since) for since in (0, 5, 39)]
        sequences = [row["_sequence"] for row in changes(table.snapshot())]
        table.compact(NOW)
        assert [ages(table, since) for since in (0, 5, 39)] == before
        assert [row["_sequence"] for row in changes(table.snapshot())] == sequences == sorted(sequences)
        assert len(table.load().segments) <= 17
    table.verify()


def test_everything_can_be_merged_into_one_base_that_others_read(table: ResponseTable, tmp_path: Path) -> None:
    append(table, {"fair:1": 1, "fair:2": 2})
    append(table, {"fair:1": 10})
    assert table.compact(NOW, everything=True)
    assert not table.compact(NOW, everything=True)
    (base,) = table.load().segments
    assert base.level == BASE_LEVEL
    assert pq.read_table(tmp_path / table.folder / "data" / base.name)["age"].to_pylist() == [2, 10]


def test_merging_keeps_the_watermark_and_what_was_appended_meanwhile(table: ResponseTable, tmp_path: Path) -> None:
    for number in range(16):
        append(table, {f"fair:{number}": number})
    appended = _appending_at_the_first_manifest(tmp_path)
    assert ResponseTable(appended, "fair").compact(NOW)
    assert ages(table) == {f"fair:{number}": number for number in range(17)}
    assert table.load().watermark.sequence == 17
    assert [segment.level for segment in table.load().segments] == [BASE_LEVEL, 0]


def _appending_at_the_first_manifest(root: Path) -> LocalObjects:
    class Busy(LocalObjects):
        waiting = True

        def put_if_absent(self, key: str, body: Body) -> None:
            if self.waiting and "/m/" in key:
                self.waiting = False
                append(ResponseTable(LocalObjects(root), "fair"), {"fair:16": 16})
            super().put_if_absent(key, body)

    return Busy(root)


def test_old_rows_come_from_few_bytes_when_little_changed(tmp_path: Path) -> None:
    """Reads of ten new responses do not depend on how many there were before."""
    read: dict[int, int] = {}

    class Counting(LocalObjects):
        def open(self, key: str) -> pa.NativeFile:
            read[size] += self.path(key).stat().st_size
            return super().open(key)

    for size in (1_000, 100_000):
        read[size] = 0
        table = ResponseTable(Counting(tmp_path), f"form{size}")
        append(table, {f"fair:{number}": number for number in range(size)})
        append(table, {f"fair:{number}": -1 for number in range(10)})
        assert len(ages(table, since=1)) == 10
    assert read[100_000] == pytest.approx(read[1_000], rel=0.05)


def test_a_flipped_byte_is_found_on_reading_and_by_verify(table: ResponseTable, tmp_path: Path) -> None:
    manifest = append(table, {"fair:1": 1})
    path = tmp_path / table.folder / "data" / manifest.segments[0].name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        ages(table)
    with pytest.raises(IntegrityError):
        table.verify()


def test_a_torn_manifest_stops_the_table_until_it_is_made_anew(table: ResponseTable, tmp_path: Path) -> None:
    append(table, {"fair:1": 1})
    old = append(table, {"fair:2": 2})
    path = tmp_path / table.folder / "m" / f"{old.version:020d}.json"
    path.write_bytes(path.read_bytes()[:-80])
    fresh = again(table, tmp_path)
    with pytest.raises(IntegrityError):
        fresh.load()
    made = fresh.recreate(NOW, "test")
    assert made.table_id not in ("", old.table_id)
    assert changes(fresh.snapshot()) == []
    with pytest.raises(Fenced):
        append(fresh, {"fair:1": 1}, expected=old.watermark)
    append(fresh, {"fair:1": 1})
    assert ages(fresh) == {"fair:1": 1}
    assert fresh.collect_garbage(LATER).files == 2


def test_segments_are_plain_parquet_that_others_read(table: ResponseTable, tmp_path: Path) -> None:
    append(table, {"fair:1": 1, "fair:2": None})
    (path,) = (tmp_path / table.folder / "data").iterdir()
    assert pq.read_table(path)["_id"].to_pylist() == ["fair:1", "fair:2"]


def test_garbage_is_given_up_first_and_deleted_an_hour_later(table: ResponseTable, tmp_path: Path) -> None:
    for number in range(16):
        append(table, {f"fair:{number}": number})
    open_snapshot = table.snapshot()
    table.compact(NOW)
    data = tmp_path / table.folder / "data"
    assert table.collect_garbage(NOW + timedelta(minutes=59)).files == 0
    assert len(changes(open_snapshot)) == 16
    assert table.collect_garbage(LATER).files == 16
    assert [path.name for path in data.iterdir()] == [segment.name for segment in table.load().segments]
    assert table.load().retired == ()
    with pytest.raises(Missing):
        changes(open_snapshot)


def test_old_manifests_are_forgotten_but_never_the_newest(table: ResponseTable, tmp_path: Path) -> None:
    for number in range(KEPT_VERSIONS + 10):
        append(table, {"fair:1": number})
    assert table.collect_garbage(NOW).manifests == 0, "they are recent"
    assert table.collect_garbage(LATER).manifests == 10
    assert ages(again(table, tmp_path)) == {"fair:1": KEPT_VERSIONS + 9}


def test_a_file_that_is_not_committed_yet_is_never_lost_however_wrong_the_clock(tmp_path: Path) -> None:
    """The collector runs, days ahead, between the upload of a segment and its commit."""
    years_ahead = NOW + timedelta(days=1000)

    class Collecting(LocalObjects):
        waiting = True

        def put_if_absent(self, key: str, body: Body) -> None:
            if self.waiting and "/m/" in key:
                self.waiting = False
                collector = ResponseTable(LocalObjects(tmp_path), "fair")
                assert collector.collect_garbage(years_ahead).given_up == 1
                assert collector.collect_garbage(years_ahead + timedelta(days=2)).files == 1
            super().put_if_absent(key, body)

    table = ResponseTable(LocalObjects(tmp_path), "fair")
    append(table, {"fair:1": 1})
    append(ResponseTable(Collecting(tmp_path), "fair"), {"fair:2": 2})
    assert ages(table) == {"fair:1": 1, "fair:2": 2}
    table.verify()


def test_a_writer_that_slept_until_its_version_was_collected_is_fenced(tmp_path: Path) -> None:
    class Sleeping(LocalObjects):
        waiting = True

        def put_if_absent(self, key: str, body: Body) -> None:
            if self.waiting and "/m/" in key:
                self.waiting = False
                awake = ResponseTable(LocalObjects(tmp_path), "fair")
                for number in range(KEPT_VERSIONS + 5):
                    append(awake, {"fair:1": number})
                awake.collect_garbage(LATER)
            super().put_if_absent(key, body)

    table = ResponseTable(LocalObjects(tmp_path), "fair")
    append(table, {"fair:1": -1})
    with pytest.raises(Fenced):
        append(ResponseTable(Sleeping(tmp_path), "fair"), {"fair:2": 2})
    assert ages(table) == {"fair:1": KEPT_VERSIONS + 4}


def test_the_ids_of_current_rows_come_without_their_answers(table: ResponseTable) -> None:
    append(table, {"fair:1": 1, "fair:2": 2})
    append(table, {"fair:1": None})
    listed = [row for batch in table.ids() for row in batch.to_pylist()]
    assert listed == [
        {"_id": "fair:2", "_sequence": 1, "_deleted": False, "_hash": f"{2:016x}", "_revision": None},
        {"_id": "fair:1", "_sequence": 2, "_deleted": True, "_hash": None, "_revision": None},
    ]


class TableMachine(RuleBasedStateMachine):
    """Any sequence of appends, deletes, merges, collections and reopenings equals a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(mkdtemp(prefix="collect-table-", dir=MEMORY_FOLDER))
        self.now = NOW
        self.model: dict[str, tuple[int, Any]] = {}
        self.sequence = 0
        self.reopen()

    @rule()
    def reopen(self) -> None:
        self.table = ResponseTable(LocalObjects(self.root), "fair")

    @rule(changed=st.dictionaries(st.integers(0, 9).map("fair:{}".format), st.none() | st.integers(0, 99), min_size=1))
    def append(self, changed: dict[str, Any]) -> None:
        self.sequence += 1
        assert append(self.table, changed).watermark.sequence == self.sequence
        self.model |= {name: (self.sequence, age) for name, age in changed.items()}

    @rule(times=st.integers(10, 20))
    def append_often(self, times: int) -> None:
        for number in range(times):
            self.append({f"fair:{number % 3}": number})

    @rule()
    def compact(self) -> None:
        self.table.compact(self.now)

    @rule(hours=st.integers(-3, 30))
    def collect(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.table.collect_garbage(self.now)

    @precondition(lambda self: self.sequence)
    @rule(data=st.data())
    def see_changes(self, data: st.DataObject) -> None:
        since = data.draw(st.integers(0, self.sequence))
        expected = {name: age for name, (sequence, age) in self.model.items() if sequence > since}
        assert ages(self.table, since) == expected

    @invariant()
    def everything_is_there(self) -> None:
        shown = {row["_id"]: (row["_sequence"], row["age"]) for row in changes(self.table.snapshot())}
        assert shown == self.model

    def teardown(self) -> None:
        rmtree(self.root)


TestTableMachine = TableMachine.TestCase
TestTableMachine.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
