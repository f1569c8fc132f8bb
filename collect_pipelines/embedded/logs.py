"""Logs of the children: appended to by them, kept small by us."""

from __future__ import annotations

import shutil
from collections import deque
from pathlib import Path

LIMIT_BYTES = 10 * 1024 * 1024
OLDER_PARTS = 2


def rotate(log: Path, *, limit_bytes: int = LIMIT_BYTES, older_parts: int = OLDER_PARTS) -> bool:
    """Move a log that grew past the limit to NAME.1, NAME.1 to NAME.2 and so on; tell whether it did.

    The writer keeps its open file (it appends), so the log is copied and emptied: a line written in between is lost.
    """
    if not log.exists() or log.stat().st_size <= limit_bytes:
        return False
    for number in range(older_parts, 1, -1):
        older = log.with_name(f"{log.name}.{number - 1}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    with log.open("r+b") as file:
        file.truncate(0)
    return True


def tail(log: Path, *, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, maxlen=lines)).rstrip()
    except FileNotFoundError:
        return ""
