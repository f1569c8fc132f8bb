"""`collect up` with all real servers: killed one by one, then the supervisor itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collect_pipelines.embedded.home import Home
from collect_pipelines.embedded.processes import find_leftovers

REPOSITORY = Path(__file__).parents[2]
Rows = dict[str, dict[str, Any]]


def start(home: Home) -> subprocess.Popen[str]:
    unset = {name: value for name, value in os.environ.items() if not name.startswith("COLLECT_")}
    environment = {**unset, "COLLECT_HOME": str(home.path), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "collect_pipelines.cli", "up"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rows(home: Home) -> Rows:
    services: list[dict[str, Any]] = home.recall("state").get("services", [])  # type: ignore[assignment]
    return {row["name"]: row for row in services}


def wait_until(home: Home, condition: Callable[[Rows], bool]) -> Rows:
    end = time.monotonic() + 120
    while not ((seen := rows(home)) and condition(seen)):
        assert time.monotonic() < end, seen
        time.sleep(0.1)
    return seen


def all_ready(seen: Rows) -> bool:
    return all(row["state"] == "ready" for row in seen.values())


@pytest.mark.slow
def test_every_part_comes_back_after_a_kill_and_the_whole_after_a_kill_of_its_supervisor(tmp_path: Path) -> None:
    home = Home(tmp_path / "a home")
    supervisor = start(home)
    try:
        for name, row in wait_until(home, all_ready).items():
            os.kill(row["pid"], signal.SIGKILL)
            wait_until(home, lambda seen, name=name, pid=row["pid"]: all_ready(seen) and seen[name]["pid"] != pid)

        second = start(home)
        refusal, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "already runs" in refusal

        ports = home.recall("ports")
        supervisor.kill()
        supervisor.communicate()
        supervisor = start(home)
        wait_until(home, lambda seen: all_ready(seen) and seen["portal"]["restarts"] == 0 and home.is_locked())
        assert home.recall("ports") == ports

        supervisor.terminate()
        told, _ = supervisor.communicate(timeout=60)
        assert supervisor.returncode == 0, told
        assert find_leftovers(home.path, {}) == []
    finally:
        supervisor.kill()
        supervisor.communicate()
