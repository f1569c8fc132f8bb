"""Deliveries over HTTP to the local Sheets server, with its owner at work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import gspread
import pytest
import requests
from google.auth.credentials import AnonymousCredentials

from collect_pipelines.errors import ConfigurationError, DestinationChanged, Fenced, TransientError
from collect_pipelines.model import Form, QuestionType
from tests.sheets.conftest import Desk
from tests.sheets.responses import MemorySnapshot, Table, choices, form, question

Make = Callable[..., Desk]


def test_a_new_form_gets_a_spreadsheet_with_header_and_typed_rows(desk: Make) -> None:
    at = desk(
        form(
            question("name", title="Name"),
            question("age", QuestionType.INTEGER, "Age"),
            question("score", QuestionType.DECIMAL, "Score"),
            question("born", QuestionType.DATE, "Born"),
            question("fan", QuestionType.BOOLEAN, "Fan"),
            question("seen", QuestionType.DATETIME, "Seen"),
            question("colours", QuestionType.MULTI_CHOICE, "Colours", options=choices(("r", "Red"), ("g", "Green"))),
            question("place", QuestionType.GEO_POINT, "Place"),
            question("phone", QuestionType.PHONE, "Phone"),
        )
    )
    answers: dict[str, Any] = {
        "name": "=1+1",
        "age": 42,
        "score": Decimal("1.25"),
        "born": date(2000, 1, 2),
        "fan": True,
        "seen": datetime(2020, 1, 1, 12, tzinfo=UTC),
        "colours": ["r", "g"],
        "place": {"longitude": 3.5, "latitude": 1.25, "altitude": None},
        "phone": "0042",
    }
    at.table.commit({"fair:1": answers, "fair:2": {"name": None}})
    told = at.deliver()
    assert (told.added, told.changed, told.position) == (2, 0, at.table.snapshot().position)
    assert told.url and at.spreadsheet_id in told.url
    row = at.rows()["fair:1"]
    assert {name: row[name] for name in list(row)[4:]} == {
        "Name": "=1+1",
        "Age": 42,
        "Score": 1.25,
        "Born": 36527,
        "Fan": True,
        "Seen": 43831.5,
        "Colours": "Red; Green",
        "Place": "1.25, 3.5",
        "Phone": "0042",
    }
    shown = at.grid("FORMATTED_VALUE")[1]
    assert "2000-01-02" in shown and "2020-01-01 12:00:00" in shown and "0042" in shown
    (tab,) = at.describe()["sheets"]
    assert tab["properties"]["gridProperties"] == {"rowCount": 4, "columnCount": 14, "frozenRowCount": 1}


def test_a_person_with_gspread_reads_the_same_values(desk: Make) -> None:
    at = desk(form(question("name", title="Name"), question("age", QuestionType.INTEGER, "Age")))
    at.table.commit({f"fair:{n}": {"name": f"नाम {n} 0042", "age": n} for n in range(30)})
    at.deliver()

    class Local(gspread.HTTPClient):
        def request(self, method: str, endpoint: str, *args: Any, **named: Any) -> Any:
            return super().request(
                method, endpoint.replace("https://sheets.googleapis.com", at.server.url), *args, **named
            )

    client = gspread.Client(auth=AnonymousCredentials(), http_client=Local)
    records = client.open_by_key(at.spreadsheet_id).sheet1.get_all_records(numericise_ignore=["all"])
    assert [(r["_response"].split("|")[0], r["Name"], r["Age"]) for r in records] == [
        (id, row["name"], str(row["age"])) for id, row in at.table.live().items()
    ]


def test_new_responses_cost_one_request_and_nothing_new_costs_none(desk: Make) -> None:
    at = desk(form())
    at.table.commit({f"r{n}": {"name": "x"} for n in range(50)})
    at.deliver()
    at.table.commit({f"s{n}": {"name": "y"} for n in range(10)})
    told = at.deliver()
    assert (told.added, told.notes["requests"], told.notes["writes"]) == (10, 1, 1)
    assert at.deliver().notes["requests"] == 0
    assert len(at.rows()) == 60


def test_an_edit_costs_one_look_and_one_write(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({f"r{n}": {"name": "x"} for n in range(50)})
    at.deliver()
    at.table.commit({"r7": {"name": "edited"}, "r30": {"name": None}, "new": {"name": "n"}})
    told = at.deliver()
    assert (told.added, told.changed, told.notes["requests"]) == (1, 2, 2)
    rows = at.rows()
    assert rows["r7"]["Name"] == "edited" and "Name" not in rows["r30"] and rows["new"]["Name"] == "n"
    assert [row["Name"] for id, row in rows.items() if id.startswith("r") and id not in ("r7", "r30")] == ["x"] * 48


@pytest.mark.parametrize("deletes", ["strike", "remove", "keep"])
def test_a_deleted_response_follows_the_policy(desk: Make, deletes: str) -> None:
    at = desk(form(question("name", title="Name"), deletes=deletes))
    at.table.commit({f"r{n}": {"name": "x"} for n in range(5)})
    at.deliver()
    at.table.commit({"r2": None, "r4": None, "never": None, "new": {"name": "x"}})
    at.deliver()
    rows = at.rows()
    assert set(rows) == {"r0", "r1", "r3", "new"} | ({"r2", "r4"} if deletes != "remove" else set())
    assert [rows[id]["Status"] for id in ("r2", "r4") if id in rows] == {
        "strike": ["deleted"] * 2,
        "keep": ["submitted"] * 2,
        "remove": [],
    }[deletes]
    assert rows["new"]["Status"] == "submitted"
    assert _struck(at) == ({"r2", "r4"} if deletes == "strike" else set())
    at.table.commit({"r2": {"name": "back"}, "r0": {"name": "edited"}})
    at.deliver()
    rows = at.rows()
    assert (rows["r2"]["Name"], rows["r2"]["Status"], rows["r0"]["Name"]) == ("back", "submitted", "edited")
    assert _struck(at) == ({"r4"} if deletes == "strike" else set())


def _struck(at: Desk) -> set[str]:
    fields = "sheets(data(rowData(values(userEnteredValue,userEnteredFormat(textFormat(strikethrough))))))"
    address = f"{at.server.url}/v4/spreadsheets/{at.spreadsheet_id}"
    answer = requests.get(address, params={"includeGridData": "true", "fields": fields}, timeout=10).json()
    struck: set[str] = set()
    for row in answer["sheets"][0]["data"][0]["rowData"][1:]:
        cells = row.get("values") or [{}]
        key = cells[0].get("userEnteredValue", {}).get("stringValue", "").split("|")[0]
        flags = {c.get("userEnteredFormat", {}).get("textFormat", {}).get("strikethrough", False) for c in cells}
        if key and True in flags:
            struck.add(key)
    return struck


def test_what_people_do_to_the_sheet_stays(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({f"r{n}": {"name": f"n{n}"} for n in range(10)})
    at.deliver()
    at.act("add_column", column=1, title="Mine")
    for place in range(1, 11):
        at.act("edit_cell", row=place, column=1, value=f"note {place - 1}")
    at.act("sort", column=0, descending=True)
    at.act("insert_rows", row=4, count=1)
    at.act("edit_cell", row=4, column=1, value="a row of my own")
    at.act("rename_tab", title="It's mine")
    at.table.commit({"r3": {"name": "edited"}, "new": {"name": "new"}})
    at.deliver()
    at.act("move_column", column=0, before=4)
    at.table.commit({"r4": {"name": "edited too"}, "newer": {"name": "newer"}})
    at.deliver()
    rows = at.rows()
    assert {id: row.get("Mine") for id, row in rows.items()} == {
        **{f"r{n}": f"note {n}" for n in range(10)},
        "new": None,
        "newer": None,
    }
    assert {id: row["Name"] for id, row in rows.items()} == {
        **{f"r{n}": f"n{n}" for n in range(10)},
        "r3": "edited",
        "r4": "edited too",
        "new": "new",
        "newer": "newer",
    }
    assert sum("a row of my own" in row for row in at.grid()) == 1


def test_a_column_inserted_by_people_between_two_deliveries_is_noticed_from_the_answer(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({"r0": {"name": "n0"}})
    at.deliver()
    at.act("add_column", column=2, title="Mine")
    at.table.commit({"r1": {"name": "n1"}})
    told = at.deliver()
    assert told.notes["columns_moved"] == 1
    assert at.rows()["r1"] == at.rows()["r0"] | {"_response": at.rows()["r1"]["_response"], "Name": "n1"}
    at.table.commit({"r2": {"name": "n2"}})
    assert at.deliver().notes["requests"] == 1


def test_the_key_column_moved_by_people_is_noticed_too(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({"r0": {"name": "n0"}})
    at.deliver()
    at.act("move_column", column=0, before=3)
    at.table.commit({"r1": {"name": "n1"}, "r2": {"name": "n2"}})
    at.deliver()
    rows = at.rows()
    assert {id: row["Name"] for id, row in rows.items()} == {"r0": "n0", "r1": "n1", "r2": "n2"}
    assert len([row for row in at.grid()[1:] if any(row)]) == 3


def test_a_row_that_people_removed_is_not_added_again(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({f"r{n}": {"name": "x"} for n in range(5)})
    at.deliver()
    at.act("delete_rows", row=2, count=1)
    at.table.commit({"r1": {"name": "edited"}, "r2": {"name": "edited"}})
    told = at.deliver()
    assert told.notes["removed_by_users"] == 1 and told.changed == 1
    assert at.deliver(rebuild=True).notes["removed_by_users"] == 1
    assert set(at.rows()) == {"r0", "r2", "r3", "r4"}


def test_a_removed_row_comes_back_where_that_is_the_policy(desk: Make) -> None:
    at = desk(form(question("name", title="Name"), deleted_rows="restore"))
    at.table.commit({f"r{n}": {"name": "x"} for n in range(5)})
    at.deliver()
    at.act("delete_rows", row=2, count=1)
    assert at.deliver(rebuild=True).added == 1
    assert set(at.rows()) == {f"r{n}" for n in range(5)}


def _with(at: Desk, *questions: Any, **titles: str) -> None:
    at.table.form = replace(at.table.form, questions=questions)


def test_the_columns_follow_the_form_without_new_rows(desk: Make) -> None:
    at = desk(form(question("a", title="A"), question("b", title="B")))
    at.table.commit({"r": {"a": "1", "b": "2"}})
    at.deliver()
    _with(at, question("b", title="Bee"), question("n", QuestionType.DATE, "New"), question("a", archived=True))
    at.table.commit({"s": {"b": "3", "n": date(2020, 1, 1), "a": "kept out"}})
    at.deliver()
    header = at.grid()[0]
    assert header == ["_response", "Submitted at", "Collector", "Status", "A", "Bee", "New", "Other answers"]
    assert at.rows()["s"]["New"] == 43831 and "A" not in at.rows()["s"] and at.rows()["r"]["A"] == "1"
    _with(at, question("b", title="Bees"), question("n", QuestionType.DATE, "New"), question("a", title="A"))
    assert at.deliver().notes["writes"] == 1
    assert at.grid()[0] == ["_response", "Submitted at", "Collector", "Status", "A", "Bees", "New", "Other answers"]
    assert at.deliver().notes["requests"] == 0


def test_a_header_of_people_stays_and_a_deleted_column_is_not_made_again(desk: Make) -> None:
    at = desk(form(question("a", title="A"), question("b", title="B")))
    at.table.commit({"r": {"a": "1", "b": "2"}})
    at.deliver()
    at.act("edit_cell", row=0, column=4, value="My A")
    at.act("delete_columns", column=5)
    _with(at, question("a", title="AA"), question("b", title="BB"))
    at.table.commit({"s": {"a": "3", "b": "4"}})
    at.deliver()
    at.lose_state()
    _with(at, question("a", title="AA"), question("b", title="BB"), question("c", title="C"))
    at.table.commit({"t": {"a": "5", "b": "6", "c": "7"}})
    at.deliver()
    assert at.grid()[0][4:] == ["My A", "C", "Other answers"]
    assert [row["My A"] for row in at.rows().values()] == ["1", "3", "5"]


def test_losing_all_local_state_repeats_nothing(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    for n in range(5):
        at.table.commit({f"r{n}": {"name": "x"}})
        at.deliver()
    before = at.grid()
    at.lose_state()
    snapshot = at.table.snapshot()
    told = at.sheets.deliver(at.table.form, snapshot)
    assert (told.added, told.changed, told.notes["writes"], told.unchanged) == (0, 0, 0, 1)
    assert snapshot.read_rows == 1, "only what the last batch brought is compared again"
    assert at.grid() == before


def test_a_row_index_from_yesterday_is_found_out(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({"r0": {"name": "x"}})
    at.deliver()
    other = at.open(at.home / "other")
    at.table.commit({"r1": {"name": "x"}})
    other.deliver(at.table.form, at.table.snapshot())
    at.table.commit({"r2": {"name": "x"}, "r0": {"name": "edited"}})
    at.deliver()
    assert {id: row["Name"] for id, row in at.rows().items()} == {"r0": "edited", "r1": "x", "r2": "x"}


def test_a_zombie_with_older_rows_gives_up(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({"r0": {"name": "x"}})
    at.deliver()
    at.table.commit({"r0": {"name": "old"}, "r1": {"name": "x"}})
    old = at.table.snapshot()
    at.table.commit({"r0": {"name": "new"}})
    at.open(at.home / "other").deliver(at.table.form, at.table.snapshot())
    with pytest.raises(Fenced):
        at.sheets.deliver(at.table.form, old)
    at.deliver()
    assert {id: row["Name"] for id, row in at.rows().items()} == {"r0": "new", "r1": "x"}


def test_two_deliveries_of_one_form_at_once_are_harmless(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    for commit in range(4):
        at.table.commit({f"r{commit}-{n}": {"name": "x"} for n in range(20)} | {"r0-0": {"name": f"c{commit}"}})
        snapshots = [at.table.snapshot() for _ in range(3)]
        homes = [at.open(at.home / f"zombie{n}") for n in range(2)] + [at.sheets]
        failures: list[Exception] = []

        def work(sheets: Any, snapshot: MemorySnapshot, failures: list[Exception] = failures) -> None:
            try:
                sheets.deliver(at.table.form, snapshot)
            except (Fenced, TransientError) as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=pair) for pair in zip(homes, snapshots, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(failures) < 3
        rows = at.rows()
        assert set(rows) == set(at.table.rows) and rows["r0-0"]["Name"] == f"c{commit}"


def test_a_rebuild_compares_every_row_and_writes_what_differs(desk: Make) -> None:
    options = choices(("r", "Red"))
    at = desk(form(question("c", QuestionType.SINGLE_CHOICE, "C", options=options), question("d", title="D")))
    at.table.commit({f"r{n}": {"c": "r" if n < 3 else None, "d": "d"} for n in range(10)})
    at.deliver()
    scarlet = question("c", QuestionType.SINGLE_CHOICE, "C", options=choices(("r", "Scarlet")))
    _with(at, scarlet, question("d", title="D"))
    told = at.deliver(rebuild=True)
    assert (told.changed, told.unchanged, told.added) == (3, 7, 0)
    assert [row.get("C") for row in at.rows().values()] == ["Scarlet"] * 3 + [None] * 7


def test_a_table_made_anew_is_compared_as_a_whole(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({f"r{n}": {"name": "x"} for n in range(10)})
    at.deliver()
    at.table = Table(at.table.form, "t2")
    at.table.commit({f"r{n}": {"name": "x" if n else "y"} for n in range(12)})
    told = at.deliver()
    assert (told.added, told.changed, told.unchanged) == (2, 1, 9)
    assert told.position == at.table.snapshot().position


@pytest.mark.parametrize("what", ["tab", "key column"])
def test_a_destroyed_tab_stops_the_delivery_until_a_rebuild(desk: Make, what: str) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({f"r{n}": {"name": "x"} for n in range(3)})
    at.deliver()
    if what == "tab":
        at.act("add_tab", title="Mine")
        at.act("delete_tab")
    else:
        at.act("delete_columns", column=0)
    at.table.commit({"r0": {"name": "y"}})
    with pytest.raises(DestinationChanged, match="was deleted"):
        at.deliver()
    at.deliver(rebuild=True)
    assert set(at.rows()) == {"r0", "r1", "r2"} and at.rows()["r0"]["Name"] == "y"
    assert at.deliver().notes["requests"] == 0


def test_a_spreadsheet_that_is_not_shared_names_the_address_to_share_with(desk: Make) -> None:
    at = desk(form())
    at.table.commit({"r0": {"name": "x"}})
    at.deliver()
    at.server.control(not_shared={at.spreadsheet_id: True})
    at.table.commit({"r1": {"name": "x"}})
    with pytest.raises(DestinationChanged, match="share it with anonymous as Editor"):
        at.deliver()


def test_a_full_drive_is_a_matter_of_configuration(desk: Make) -> None:
    at = desk(form())
    at.table.commit({"r0": {"name": "x"}})
    at.server.control(storage_full=True)
    with pytest.raises(ConfigurationError, match="COLLECT_GOOGLE_FOLDER"):
        at.deliver()


def test_a_spreadsheet_of_the_owner_keeps_its_own_tabs(desk: Make, server: Any) -> None:
    made = requests.post(f"{server.url}/v4/spreadsheets", json={"properties": {"title": "Theirs"}}, timeout=10).json()
    url = f"https://docs.google.com/spreadsheets/d/{made['spreadsheetId']}/edit"
    forms: list[Form] = []
    for name in ("one", "two"):
        at = desk(form(question("name", title="Name"), spreadsheet_url=url, id=name, tab="Answers"))
        at.table.commit({f"{name}{n}": {"name": name} for n in range(3)})
        assert at.deliver().added == 3
        at.table.commit({f"{name}9": {"name": name}})
        assert at.deliver().notes["requests"] == 1
        forms.append(at.table.form)
    described = requests.get(f"{server.url}/v4/spreadsheets/{made['spreadsheetId']}", timeout=10).json()
    assert {sheet["properties"]["title"] for sheet in described["sheets"]} == {"Sheet1", "Answers", "Answers (2)"}


def test_a_wrong_address_says_so(desk: Make) -> None:
    at = desk(form(question("name"), spreadsheet_url="https://docs.google.com/spreadsheets/d/" + "x" * 44))
    at.table.commit({"r0": {"name": "x"}})
    with pytest.raises(DestinationChanged, match="does not exist"):
        at.deliver()


def test_a_long_backlog_goes_in_several_batches(desk: Make) -> None:
    at = desk(form(*(question(f"q{n}") for n in range(20))))
    at.table.commit({f"r{n}": {f"q{m}": "x" * 60 for m in range(20)} for n in range(2500)})
    told = at.deliver()
    assert told.added == 2500 and 3 <= int(told.notes["writes"]) <= 6
    assert list(at.rows()) == list(at.table.rows)


def test_text_that_is_too_long_is_cut_and_counted(desk: Make) -> None:
    at = desk(form(question("name", title="Name")))
    at.table.commit({"r0": {"name": "x" * 60_000}, "r1": {"name": "y"}})
    assert at.deliver().notes["cut"] == 1
    assert at.rows()["r0"]["Name"].endswith("[cut: 60,000 characters in all]")


def test_a_disabled_form_is_left_alone(desk: Make) -> None:
    at = desk(form(question("name"), enabled=False))
    at.table.commit({"r0": {"name": "x"}})
    assert at.deliver().notes == {"enabled": "no"}
