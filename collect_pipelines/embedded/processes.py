"""Operating-system processes: begin one that dies with us, end one in bounded time, find those left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from collect_pipelines.embedded.service import Service

# Every descendant inherits it, so that even the children of a killed child are found again.
MARK = "COLLECT_SUPERVISED_HOME"
_LAUNCH = Path(__file__).with_name("launch.py")
_SAME_START_SECONDS = 2.0


def tied_command(command: Iterable[str], *, signal_number: int, unprivileged: Path | None = None) -> list[str]:
    """The command line that runs a command as a child of this process and ends it when this process dies."""
    unprivileged_options = ["--unprivileged", str(unprivileged)] if unprivileged else []
    launch = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), str(int(signal_number))]
    return [*launch, *unprivileged_options, "--", *command]


async def begin(service: Service, log: Path, home: Path) -> asyncio.subprocess.Process:
    """Begin the service in a session of its own (a Ctrl-C in the terminal reaches only the supervisor)."""
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *tied_command(service.command, signal_number=service.stop_signal, unprivileged=service.unprivileged),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**service.environment, MARK: str(home)},
            start_new_session=True,
        )


async def end(process: asyncio.subprocess.Process, signal_number: int, timeout_seconds: float) -> None:
    """Ask the process and its group to end; after the time, kill them. Returns when the group is gone."""
    _signal_group(process.pid, signal_number)
    deadline = time.monotonic() + timeout_seconds
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), timeout_seconds)
    while _signal_group(process.pid, 0) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    _signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _signal_group(group: int, signal_number: int) -> bool:
    """Signal a process group; tell whether it exists."""
    try:
        os.killpg(group, signal_number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def started_at(pid: int) -> float | None:
    """When the process started (Unix seconds); None when there is none or it is only waiting to be reaped."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def find_leftovers(home: Path, recorded: Mapping[int, float]) -> list[psutil.Process]:
    """Find what an earlier supervisor of this home left running.

    By the mark that every descendant inherits, and by the recorded process ids with their start times (a process of
    another user does not show its environment).
    """
    found = [process for process in psutil.process_iter() if _is_ours(process, home, recorded)]
    return [process for process in found if process.pid != os.getpid()]


def _is_ours(process: psutil.Process, home: Path, recorded: Mapping[int, float]) -> bool:
    try:
        start = recorded.get(process.pid)
        if start is not None and abs(process.create_time() - start) < _SAME_START_SECONDS:
            return process.status() != psutil.STATUS_ZOMBIE
        return process.environ().get(MARK) == str(home)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def end_leftovers(leftovers: list[psutil.Process]) -> None:
    """End leftovers: ask, then insist (PostgreSQL stops at once with SIGINT), then kill."""
    for number, patience_seconds in ((signal.SIGTERM, 3), (signal.SIGINT, 2), (signal.SIGKILL, 5)):
        for process in leftovers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _, leftovers = psutil.wait_procs(leftovers, timeout=patience_seconds)
        if not leftovers:
            return
