"""`collect demo --once`: delivers the demo's data, compares every copy, exits 0; a second time too."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.end_to_end.stack import environment, new_home, remove

LONGEST_SECONDS = 300


@pytest.mark.slow
@pytest.mark.xdist_group("stack")
def test_the_demo_delivers_everything_equally_and_a_second_time_too() -> None:
    home = new_home()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "collect_pipelines.cli", "demo", "--once"],
            env=environment(home),
            cwd=home,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Every response is in Parquet, sheet and CSV, with equal values." in done.stdout
        assert "fair" in done.stdout and "6366" in done.stdout
    remove(home)
