"""The command line itself: help that teaches, faults without tracebacks."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import psutil
from typer.testing import CliRunner

from collect_pipelines.cli import app
from collect_pipelines.cli.serving import describe, recorded_processes
from collect_pipelines.cli.status import status_table
from collect_pipelines.embedded.home import Home
from collect_pipelines.embedded.supervisor import State, Status


def collect(home: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command on the home; returns its exit code and all that it printed."""
    result = CliRunner().invoke(app, list(arguments), env={"COLLECT_HOME": str(home), **environment})
    return result.exit_code, result.output


def test_every_command_says_what_it_does(tmp_path: Path) -> None:
    for command in ("up", "demo", "status", "doctor"):
        code, shown = collect(tmp_path, command, "--help")
        assert code == 0
        assert "Usage" in shown


def test_our_own_errors_are_a_message_and_a_hint_without_a_traceback(tmp_path: Path) -> None:
    code, shown = collect(tmp_path, "status")
    assert code == 1
    assert f"nothing runs on {tmp_path}" in shown
    assert "→ start it with `collect up`" in shown
    assert "Traceback" not in shown


def test_the_doctor_lists_all_wrong_settings_at_once(tmp_path: Path) -> None:
    code, shown = collect(tmp_path, "doctor", COLLECT_PORTAL_PORT="x", COLLECT_SENSOR_SECONDS="99")
    assert code == 1
    assert "COLLECT_PORTAL_PORT" in shown
    assert "COLLECT_SENSOR_SECONDS" in shown


def test_the_doctor_says_what_does_not_answer_and_tells_no_password(tmp_path: Path) -> None:
    configured = {
        "COLLECT_MONGO_URI": "mongodb://u:secret@127.0.0.1:1/?serverSelectionTimeoutMS=1",
        "COLLECT_POSTGRES_URL": "postgresql://u:secret@127.0.0.1:1/x",
        "COLLECT_SHEETS_ENDPOINT": "http://127.0.0.1:1",
    }
    code, shown = collect(tmp_path, "doctor", **configured)
    assert code == 1
    assert shown.count("does not answer") == 3
    _, malformed = collect(tmp_path, "doctor", COLLECT_POSTGRES_URL="u:secret@127.0.0.1")
    assert "COLLECT_POSTGRES_URL is not an address" in malformed
    assert "secret" not in shown + malformed


def test_the_status_marks_a_recorded_process_that_is_gone(tmp_path: Path) -> None:
    here = psutil.Process()
    alive = {"name": "portal", "state": "ready", "pid": here.pid, "started_at": here.create_time()}
    table = status_table([alive, {**alive, "name": "sheets", "pid": 2**22 - 1}], now=here.create_time() + 3700)
    assert [str(cell) for cell in table.columns[1].cells] == ["[green]ready[/]", "[red]dead[/]"]
    assert next(iter(table.columns[4].cells)) == "1 h 01 min"


def test_a_damaged_record_of_processes_is_no_reason_to_end_any(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make()
    assert recorded_processes(home) == {}
    home.remember("state", {"services": [{"pid": os.getpid(), "started_at": 5.0}, {"pid": "x"}, 7]})
    assert recorded_processes(home) == {os.getpid(): 5.0}


def test_people_are_told_of_deaths_and_recoveries() -> None:
    starting = Status("portal", "", State.STARTING)
    ready = replace(starting, state=State.READY, ready_seconds=0.25)
    died = replace(ready, state=State.RESTARTING, last_exit=-9, restarts=1)
    told = [describe(*pair) for pair in ((None, starting), (starting, ready), (ready, ready), (ready, died))]
    assert [line is not None for line in told] == [False, True, False, True]
    assert "is back" in (describe(replace(starting, restarts=1), replace(ready, restarts=1)) or "")
