"""Append rows of its own to a shared table until all are in, starting over whenever fenced. Run as a process.

usage: racing_writer.py ROOT NAME COMMITS
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from collect_pipelines.errors import Fenced
from collect_pipelines.stores.objects import LocalObjects
from collect_pipelines.stores.response_table import ResponseTable
from tests.tables import append


def main(root: Path, name: str, commits: int) -> None:
    """Land each commit once."""
    table = ResponseTable(LocalObjects(root), "fair")
    for number in range(commits):
        while True:
            try:
                append(table, {f"fair:{name}{number}": number})
                break
            except Fenced:
                continue
        table.compact(datetime.now(UTC))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
