"""Writers that are killed anywhere, or race: what was acknowledged is there, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from collect_pipelines.stores.objects import LocalObjects
from collect_pipelines.stores.response_table import ResponseTable
from tests.tables import MEMORY_FOLDER, ages, append

ROOT = Path(__file__).parents[2]
BEFORE = {f"fair:{number}": number for number in range(16)}
AFTER = [BEFORE, BEFORE | {"fair:new": 1, "fair:0": 100}, BEFORE | {"fair:new": 1, "fair:0": None}]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that no fsync holds up."""
    with TemporaryDirectory(prefix="collect-kill-", dir=MEMORY_FOLDER) as folder:
        yield Path(folder)


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ARROW_DEFAULT_MEMORY_POOL": "system"}
    command = [sys.executable, str(Path(__file__).parent / script), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_a_writer_killed_at_any_file_operation_loses_and_doubles_nothing(memory: Path) -> None:
    base = ResponseTable(LocalObjects(memory / "base"), "fair")
    for name, age in BEFORE.items():
        append(base, {name: age})
    (memory / "runs").mkdir()
    with start("killed_writer.py", str(memory / "base"), str(memory / "runs")) as process:
        output, _ = process.communicate(timeout=120)
    runs = [json.loads(line) for line in output.splitlines()]
    assert process.returncode == 0
    assert len(runs) > 60, "every step was tried"
    assert runs[-1]["acknowledged"] == "12"
    for run in runs:
        table = ResponseTable(LocalObjects(Path(run["folder"])), "fair")
        committed = table.load().watermark.sequence - len(BEFORE)
        assert len(run["acknowledged"]) <= committed <= len(run["acknowledged"]) + 1, run
        assert ages(table) == AFTER[committed], run
        for changes in ({"fair:new": 1, "fair:0": 100}, {"fair:0": None})[committed:]:
            append(table, changes)
        assert ages(table) == AFTER[2], run
        table.verify()


def test_each_commit_of_racing_processes_lands_once(memory: Path) -> None:
    commits = 25
    racers = [start("racing_writer.py", str(memory), name, str(commits)) for name in ("a", "b")]
    for racer in racers:
        racer.communicate(timeout=120)
        assert racer.returncode == 0
    table = ResponseTable(LocalObjects(memory), "fair")
    manifest = table.verify()
    assert manifest.watermark.sequence == manifest.counters.rows == 2 * commits
    assert ages(table) == {f"fair:{name}{number}": number for name in "ab" for number in range(commits)}
