"""CSV exports: always whole, never behind their own manifest, safe to open in a spreadsheet program."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect_pipelines.delivery.contract import Delivered
from collect_pipelines.delivery.csv_export import CsvExports, csv_options
from collect_pipelines.delivery.rows import columns
from collect_pipelines.errors import ConfigurationError, Fenced, IntegrityError, TransientError
from collect_pipelines.model import Form, Option, Position, Question, QuestionType
from tests.delivery.tables import Table

YES, NO = Option("y", {"en": "Yes", "de": "Ja"}), Option("n", {"en": "No", "de": "Nein"})


def question(id: str, kind: QuestionType, **more: Any) -> Question:
    return Question(id, kind, {"en": id.title()}, **more)


FORM = Form(
    "fair",
    {"en": "Fair"},
    (
        question("name", QuestionType.TEXT),
        question("age", QuestionType.INTEGER),
        question("income", QuestionType.DECIMAL),
        question("agree", QuestionType.BOOLEAN),
        question("born", QuestionType.DATE),
        question("woke", QuestionType.DATETIME),
        question("again", QuestionType.SINGLE_CHOICE, options=(YES, NO)),
        question("likes", QuestionType.MULTI_CHOICE, options=(YES, NO)),
        question("place", QuestionType.GEO_POINT),
        question("photo", QuestionType.FILE),
        question("phone", QuestionType.PHONE),
        question("children", QuestionType.REPEAT_GROUP),
    ),
)


def with_settings(form: Form, **choices: Any) -> Form:
    return dataclasses.replace(form, settings={"integrations": {"csv_export": choices}})


def text_of(exports: CsvExports, form_id: str = "fair") -> str:
    opened = exports.open(form_id)
    assert opened is not None
    with opened:
        content = b"".join(opened)
        assert len(content) == opened.bytes == opened.manifest["bytes"]
        assert opened.sha256 == hashlib.sha256(content).hexdigest()
    exports.verify(form_id)
    return content.decode()


def table_of(exports: CsvExports, form_id: str = "fair") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(exports, form_id), newline=""), strict=True))


@pytest.fixture
def exports(tmp_path: Path) -> CsvExports:
    return CsvExports(tmp_path / "exports", "en", patience_seconds=0.05)


def test_each_type_of_answer_is_written_as_people_expect_it(exports: CsvExports) -> None:
    answers = {
        "name": 'Ann "A", B',
        "age": -5,
        "income": Decimal("100.500000000000000000"),
        "agree": True,
        "born": date(1990, 5, 1),
        "woke": datetime(2026, 1, 2, 3, 4, 5, 120000, tzinfo=UTC),
        "again": "y",
        "likes": ["n", "y", "gone"],
        "place": {"longitude": 151.2, "latitude": -33.0, "altitude": None},
        "photo": {"name": "a.jpg", "url": "https://files.example/a.jpg", "media_type": None, "bytes": 1},
        "phone": "+49 170 123",
        "children": '[{"name":"Bo"}]',
    }
    exports.deliver(FORM, Table(FORM).commit({"_id": "fair:1", **answers}))
    (row,) = table_of(exports)
    assert row == {
        "Response": "fair:1",
        "Submitted at": "2026-01-01T00:00:00Z",
        "Collector": "",
        "Status": "",
        "Name": 'Ann "A", B',
        "Age": "-5",
        "Income": "100.5",
        "Agree": "true",
        "Born": "1990-05-01",
        "Woke": "2026-01-02T03:04:05.12Z",
        "Again": "Yes",
        "Likes": "No; Yes; gone",
        "Place": "-33,151.2",
        "Photo": "https://files.example/a.jpg",
        "Phone": "+49 170 123",
        "Children": '[{"name":"Bo"}]',
        "Other answers": "",
    }
    assert text_of(exports).count("\r\n") == 2


def test_an_edit_replaces_its_line_and_a_delete_removes_it(exports: CsvExports) -> None:
    table = Table(FORM).commit(*({"_id": f"fair:{n}", "age": n} for n in range(5)))
    assert exports.deliver(FORM, table).added == 5
    table.commit({"_id": "fair:1", "age": 100}, {"_id": "fair:2", "_deleted": True}, {"_id": "fair:9", "age": 9})
    delivered = exports.deliver(FORM, table)
    assert (delivered.added, delivered.changed, delivered.removed, delivered.rows) == (1, 1, 1, 5)
    assert [row["Age"] for row in table_of(exports)] == ["0", "3", "4", "100", "9"]


def test_a_delivery_that_is_repeated_changes_nothing(exports: CsvExports) -> None:
    table = Table(FORM).commit({"_id": "fair:1", "age": 1})
    exports.deliver(FORM, table)
    before = exports.manifest("fair")
    assert exports.deliver(FORM, table) == Delivered(table.position, rows=1, notes={"bytes": before["bytes"]})  # type: ignore[index]
    assert exports.manifest("fair") == before


def test_rows_come_by_time_of_submission_then_by_id(exports: CsvExports) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [("b", when), ("c", None), ("a", when), ("d", datetime(2025, 1, 1, tzinfo=UTC))]
    table = Table(FORM).commit(*({"_id": f"fair:{n}", "_submitted_at": at} for n, at in rows))
    exports.deliver(FORM, table)
    assert [row["Response"] for row in table_of(exports)] == ["fair:d", "fair:a", "fair:b", "fair:c"]


def test_an_older_delivery_is_fenced(exports: CsvExports) -> None:
    newer = Table(FORM).commit({"_id": "fair:1", "age": 1}).commit({"_id": "fair:1", "age": 2})
    exports.deliver(FORM, newer)
    with pytest.raises(Fenced):
        exports.deliver(FORM, Table(FORM).commit({"_id": "fair:1", "age": 1}), rebuild=True)
    assert table_of(exports)[0]["Age"] == "2"


def test_a_delivery_in_progress_fences_a_second_one_and_disturbs_no_reader(exports: CsvExports) -> None:
    table = Table(FORM).commit({"_id": "fair:1", "age": 1})
    exports.deliver(FORM, table)
    inside, leave = threading.Event(), threading.Event()

    class Slow(Table):
        def changes(self, since: int) -> Iterator[pa.RecordBatch]:
            yield from super().changes(since)
            inside.set()
            leave.wait(10)

    slow = Slow(FORM, rows=table.rows, sequence=table.sequence).commit({"_id": "fair:2", "age": 2})
    first = threading.Thread(target=exports.deliver, args=(FORM, slow))
    first.start()
    assert inside.wait(10)
    with pytest.raises(Fenced):
        exports.deliver(FORM, table)
    assert len(table_of(exports)) == 1
    leave.set()
    first.join()
    assert len(table_of(exports)) == 2


def test_a_delivery_that_breaks_off_leaves_the_export_as_it_was(exports: CsvExports) -> None:
    table = Table(FORM, batch_rows=2).commit(*({"_id": f"fair:{n}"} for n in range(4)))
    exports.deliver(FORM, table)
    before, known = text_of(exports), exports.manifest("fair")

    class Broken(Table):
        def changes(self, since: int) -> Iterator[pa.RecordBatch]:
            yield next(iter(super().changes(since)))
            raise IntegrityError("the table is damaged, the export is not")

    for rebuild in (False, True):
        broken = (
            Broken(FORM, batch_rows=2).commit().commit({"_id": "fair:1", "age": 7}, {"_id": "fair:8"}, {"_id": "x"})
        )
        with pytest.raises(IntegrityError):
            exports.deliver(FORM, broken, rebuild=rebuild)
        assert (text_of(exports), exports.manifest("fair")) == (before, known)


def test_a_download_sees_one_moment_while_deliveries_go_on(exports: CsvExports) -> None:
    table = Table(FORM).commit(*({"_id": f"fair:{n}", "name": "x" * 300} for n in range(1000)))
    exports.deliver(FORM, table)
    before = text_of(exports)
    opened = exports.open("fair")
    assert opened is not None
    with opened:
        exports.deliver(FORM, table.commit({"_id": "fair:5", "name": "changed before the first byte"}))
        chunks = iter(opened)
        begun = next(chunks)
        exports.deliver(FORM, table.commit({"_id": "fair:999", "name": "changed"}, {"_id": "fair:0", "_deleted": True}))
        exports.deliver(FORM, table, rebuild=True)
        assert (begun + b"".join(chunks)).decode() == before
    assert text_of(exports) != before


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(FORM, questions=(*FORM.questions, question("new", QuestionType.TEXT))),
        dataclasses.replace(FORM, questions=(FORM.questions[1], FORM.questions[0])),
        dataclasses.replace(
            FORM, questions=(dataclasses.replace(FORM.questions[0], titles={"en": "Nick"}), *FORM.questions[1:])
        ),
        with_settings(FORM, language="de"),
        with_settings(FORM, multi_choice="split"),
    ],
)
def test_a_new_layout_renders_every_line_anew(exports: CsvExports, tmp_path: Path, changed: Form) -> None:
    rows = [{"_id": f"fair:{n}", "name": "Ann", "age": n, "again": "n", "likes": ["y"]} for n in range(3)]
    table = Table(FORM).commit(*rows)
    exports.deliver(FORM, table)
    before = text_of(exports)
    exports.deliver(changed, table)
    other = CsvExports(tmp_path / "other", "en")
    other.deliver(changed, table)
    assert before != text_of(exports) == text_of(other)


def test_a_table_made_anew_is_delivered_whole(exports: CsvExports) -> None:
    exports.deliver(FORM, Table(FORM, sequence=7).commit({"_id": "fair:1"}, {"_id": "fair:2"}))
    exports.deliver(FORM, Table(FORM, table_id="t2").commit({"_id": "fair:2"}))
    assert [row["Response"] for row in table_of(exports)] == ["fair:2"]
    assert exports.manifest("fair")["watermark"] == {"table_id": "t2", "sequence": 1}  # type: ignore[index]


def test_a_damaged_export_is_set_aside_and_made_anew(exports: CsvExports, tmp_path: Path) -> None:
    table = Table(FORM).commit(*({"_id": f"fair:{n}", "name": "x" * 500} for n in range(500)))
    exports.deliver(FORM, table)
    before, path = text_of(exports), tmp_path / "exports" / "fair.sqlite"
    path.write_bytes(b"not a database" * 5000)
    with pytest.raises(IntegrityError):
        exports.open("fair")
    exports.deliver(FORM, table)
    assert text_of(exports) == before
    assert path.with_name("fair.sqlite.damaged").exists()


def test_a_flipped_byte_in_a_line_is_found_by_verification(exports: CsvExports, tmp_path: Path) -> None:
    exports.deliver(FORM, Table(FORM).commit({"_id": "fair:1", "name": "findable"}))
    path = tmp_path / "exports" / "fair.sqlite"
    path.write_bytes(path.read_bytes().replace(b"findable", b"findbale"))
    with pytest.raises(IntegrityError):
        exports.verify("fair")


def test_answers_without_a_fitting_column_are_kept(exports: CsvExports) -> None:
    form = dataclasses.replace(
        with_settings(FORM, multi_choice="split"),
        questions=(*(q for q in FORM.questions if q.id != "born"), question("old", QuestionType.TEXT, archived=True)),
    )
    listed = dataclasses.replace(form, questions=(*form.questions, question("born", QuestionType.DATE)))
    other = '{"age":{"value":"=old","reason":"type"},"ghost":{"value":[1],"reason":"unknown"}}'
    answers = {"born": date(1990, 1, 1), "likes": ["y", "gone"], "old": "kept", "_other": other}
    exports.deliver(form, Table(listed).commit({"_id": "fair:1", **answers}))
    (row,) = table_of(exports)
    assert (row["Age"], row["Old"], row["Likes: Yes"], row["Likes: No"]) == ("'=old", "kept", "1", "0")
    assert row["Other answers"] == '{"ghost":[1],"likes":["gone"],"born":"1990-01-01"}'
    assert list(row)[-2:] == ["Old", "Other answers"]


def test_archived_questions_may_be_left_out(exports: CsvExports) -> None:
    form = with_settings(
        dataclasses.replace(FORM, questions=(question("old", QuestionType.TEXT, archived=True),)),
        archived_questions=False,
    )
    exports.deliver(form, Table(form).commit({"_id": "fair:1", "old": "secret"}))
    assert "secret" not in text_of(exports)


def test_a_byte_order_mark_is_written_when_asked_for(exports: CsvExports) -> None:
    table = Table(FORM).commit({"_id": "fair:1"})
    exports.deliver(FORM, table)
    assert not text_of(exports).startswith("\ufeff")
    exports.deliver(with_settings(FORM, byte_order_mark=True), table)
    assert text_of(exports).startswith("\ufeffResponse,")
    opened = exports.open("fair", byte_order_mark=False)
    assert opened is not None
    with opened:
        assert next(iter(opened)).startswith(b"Response,")


def test_wrong_settings_are_all_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        csv_options(with_settings(FORM, multi_choice="both", byte_order_mark="yes", colour="red"))
    assert all(name in caught.value.message for name in ("'fair'", "multi_choice", "byte_order_mark", "colour"))


def test_nothing_was_delivered_yet_is_not_an_error(exports: CsvExports) -> None:
    assert exports.open("fair") is exports.manifest("fair") is exports.verify("fair") is None


def test_a_form_id_never_reaches_the_file_system(exports: CsvExports, tmp_path: Path) -> None:
    form = dataclasses.replace(FORM, id="../../etc/passwd\n")
    exports.deliver(form, Table(form).commit({"_id": "1"}))
    assert [path.parent for path in tmp_path.rglob("*.sqlite")] == [tmp_path / "exports"]
    opened = exports.open(form.id)
    assert opened is not None
    with opened:
        assert set(opened.filename) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.")


def test_a_form_without_questions_has_its_responses(exports: CsvExports) -> None:
    form = Form("empty", {})
    exports.deliver(form, Table(form).commit({"_id": "empty:1"}))
    assert len(table_of(exports, "empty")) == 1


def test_two_thousand_questions_with_hostile_titles_fit(exports: CsvExports) -> None:
    titles = ["=cmd|' /C calc'!A0", "", "A", "a", '"', "\r\n", "＝1+1"]
    asked = tuple(Question(f"q{n}", QuestionType.TEXT, {"en": titles[n % len(titles)]}) for n in range(2000))
    form = Form("wide", {}, asked)
    exports.deliver(form, Table(form).commit({"_id": "wide:1", "q1999": "last"}))
    (row,) = table_of(exports, "wide")
    assert len(row) == 2005 and "last" in row.values()
    assert not [title for title in row if title.startswith(("=", "＝"))]


@given(
    steps=st.lists(
        st.lists(st.tuples(st.integers(0, 6), st.one_of(st.none(), st.text(max_size=8))), max_size=6), max_size=6
    )
)
@settings(max_examples=25, deadline=None)
def test_small_steps_and_one_rebuild_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[int, str | None]]]
) -> None:
    stepwise = CsvExports(tmp_path_factory.mktemp("steps"), "en")
    table = Table(FORM, batch_rows=2).commit()
    stepwise.deliver(FORM, table)
    for step in steps:
        table.commit(*({"_id": f"fair:{n}", "_deleted": text is None, "name": text} for n, text in step))
        stepwise.deliver(FORM, table)
    before = text_of(stepwise), stepwise.manifest("fair")["checksum"]  # type: ignore[index]
    stepwise.deliver(FORM, table, rebuild=True)
    assert before == (text_of(stepwise), stepwise.manifest("fair")["checksum"])  # type: ignore[index]


def test_the_archived_columns_follow_the_asked_ones() -> None:
    old, new = question("old", QuestionType.TEXT, archived=True), question("new", QuestionType.TEXT)
    listed = columns(Form("f", {}, (old, new)), "en", archived=True, response_id=True)
    assert [column.id for column in listed] == ["_id", "_submitted_at", "_collector", "_status", "new", "old", "_other"]
    assert Position("t", 1) == ("t", 1)


def test_many_deliveries_at_once_end_where_the_last_one_would(tmp_path: Path) -> None:
    table, snapshots = Table(FORM), []
    for number in range(12):
        table.commit({"_id": f"fair:{number % 5}", "age": number, "_deleted": number % 4 == 3})
        snapshots.append(Table(FORM, sequence=table.sequence, rows=dict(table.rows)))

    def deliver(mine: list[Table]) -> None:
        for snapshot in mine:
            with contextlib.suppress(Fenced):
                CsvExports(tmp_path / "raced", "en").deliver(FORM, snapshot, rebuild=snapshot.sequence % 5 == 0)

    racers = [threading.Thread(target=deliver, args=(snapshots[start::3] + snapshots[-1:],)) for start in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    raced, calm = CsvExports(tmp_path / "raced", "en"), CsvExports(tmp_path / "calm", "en")
    calm.deliver(FORM, table)
    assert text_of(raced) == text_of(calm)
    assert raced.manifest("fair")["watermark"]["sequence"] == 12  # type: ignore[index]


def test_an_export_of_another_format_is_made_anew(exports: CsvExports, tmp_path: Path) -> None:
    table = Table(FORM).commit({"_id": "fair:1", "age": 1})
    exports.deliver(FORM, table)
    with contextlib.closing(sqlite3.connect(tmp_path / "exports" / "fair.sqlite")) as database:
        database.execute("PRAGMA user_version = 99")
        database.execute("ALTER TABLE manifest ADD COLUMN more TEXT")
        database.commit()
    assert exports.manifest("fair") is None
    assert exports.deliver(FORM, table).rows == 1
    assert len(table_of(exports)) == 1


def test_a_folder_that_cannot_be_made_is_tried_again_later(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    exports = CsvExports(tmp_path / "file" / "exports", "en")
    with pytest.raises(TransientError):
        exports.deliver(FORM, Table(FORM).commit({"_id": "fair:1"}))
