"""Run a writer again and again, killed at its first file operation, its second, and so on. Run as a process.

usage: killed_writer.py BASE SCRATCH. Prints one line of JSON per run: the step, the folder and what was acknowledged.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pandas  # noqa: F401 - pyarrow does at its first use: once here, not in every child
import pyarrow as pa

from collect_pipelines.stores.objects import Body, LocalObjects
from collect_pipelines.stores.response_table import ResponseTable
from tests.tables import append

AHEAD = datetime.now(UTC) + timedelta(days=2)


class DyingObjects(LocalObjects):
    """Dies at the n-th point before, within or after something is done to a file."""

    steps_left = 0

    def _step(self) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _make_folder(self, folder: Path) -> None:
        self._step()
        super()._make_folder(folder)

    def _write(self, path: Path, body: Body) -> None:
        self._step()
        if self.steps_left == 1:
            path.write_bytes(bytes(body)[: len(body) // 2])
        self._step()
        super()._write(path, body)
        self._step()

    def _link(self, temporary: Path, path: Path) -> None:
        super()._link(temporary, path)
        self._step()

    def _sync_folder(self, folder: Path) -> None:
        self._step()
        super()._sync_folder(folder)

    def delete(self, key: str) -> None:
        super().delete(key)
        self._step()


def work(table: ResponseTable, acknowledged: int) -> None:
    """Append, merge, collect, append; each acknowledgement is written when it is given."""
    append(table, {"fair:new": 1, "fair:0": 100})
    os.write(acknowledged, b"1")
    table.compact(AHEAD)
    table.collect_garbage(AHEAD + timedelta(hours=2))
    append(table, {"fair:0": None})
    os.write(acknowledged, b"2")
    table.collect_garbage(AHEAD + timedelta(hours=4))


def run(folder: Path, step: int) -> tuple[bool, str]:
    """Work in a child that dies at a step; return whether it lived, and what it acknowledged."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        objects = DyingObjects(folder)
        objects.steps_left = step
        work(ResponseTable(objects, "fair"), writable)
        os._exit(0)
    os.close(writable)
    _, status = os.waitpid(child, 0)
    with os.fdopen(readable) as told:
        return status == 0, told.read()


def main(base: Path, scratch: Path) -> None:
    """Run until a run ends alive."""
    pa.set_cpu_count(1)  # a fork copies no threads
    pa.set_io_thread_count(1)
    for step in count(1):
        folder = scratch / str(step)
        shutil.copytree(base, folder)
        lived, acknowledged = run(folder, step)
        print(json.dumps({"step": step, "folder": str(folder), "acknowledged": acknowledged}), flush=True)
        if lived:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
