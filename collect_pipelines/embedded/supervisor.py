"""Keep a set of servers running: in order, restarted when they die, stopped cleanly.

Written here because the well-kept libraries do other things: mirakuru starts servers for tests and never restarts,
honcho stops everything when one ends, supervisor and circus have no readiness, no order by readiness and no tie to
the supervisor's own life. One thread, one asyncio task per server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from collect_pipelines.embedded.logs import rotate, tail
from collect_pipelines.embedded.processes import begin, end, end_leftovers, find_leftovers, started_at
from collect_pipelines.embedded.service import Service
from collect_pipelines.errors import CollectError, FatalError

T = TypeVar("T")


class State(StrEnum):
    """Where a service is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of one service. Times are Unix seconds; `ready_seconds` is from its start to its readiness."""

    name: str
    address: str
    state: State = State.WAITING
    pid: int | None = None
    started_at: float | None = None
    ready_seconds: float | None = None
    restarts: int = 0
    last_exit: int | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between restarts, and when to give up on a service that was never ready."""

    pauses_seconds: tuple[float, ...] = (0.1, 0.5, 1, 2, 5, 10, 30)
    healthy_seconds: float = 30
    attempts: int = 4
    probe_seconds: float = 0.1
    log_check_seconds: float = 10


@dataclass(slots=True)
class _Kept:
    """A service with what the supervisor remembers of it."""

    service: Service
    status: Status
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    down: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0


class Supervisor:
    """Runs services until told to stop. `on_change` gets the status of all of them after every change."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        home: Path,
        logs: Path,
        on_change: Callable[[Sequence[Status]], None] = lambda _: None,
        patience: Patience | None = None,
    ) -> None:
        self._kept = {service.name: _Kept(service, Status(service.name, service.address)) for service in services}
        self._home = home
        self._logs = logs
        self._on_change = on_change
        self._patience = patience or Patience()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin to stop: what depends on others first. `run` returns when all are down."""
        self._stopping.set()

    async def run(self) -> None:
        """Start everything, keep it running, and return after `stop`.

        Raises FatalError, after stopping everything, when a service that was never ready keeps ending.
        """
        keepers = [asyncio.create_task(self._keep(kept)) for kept in self._kept.values()]
        rotation = asyncio.create_task(self._rotate_logs())
        try:
            await asyncio.gather(*keepers)
        finally:
            self.stop()
            rotation.cancel()
            await asyncio.gather(*keepers, rotation, return_exceptions=True)
            await asyncio.to_thread(end_leftovers, find_leftovers(self._home, {}))

    def log_of(self, name: str) -> Path:
        """The log of a service."""
        return self._logs / f"{name}.log"

    async def _keep(self, kept: _Kept) -> None:
        try:
            await self._unless_stopping(self._others_ready(kept))
            while not self._stopping.is_set():
                await self._live_once(kept)
        except BaseException:
            self.stop()
            raise
        finally:
            kept.down.set()
            self._show(kept, state=State.STOPPED, pid=None)

    async def _others_ready(self, kept: _Kept) -> None:
        for name in kept.service.after:
            await self._kept[name].ready.wait()

    async def _live_once(self, kept: _Kept) -> None:
        """Begin the service, wait until it ends or we stop, and pause before the next life."""
        service = kept.service
        try:
            await asyncio.to_thread(service.prepare)
        except CollectError:
            if not kept.ready.is_set():
                raise
            await self._pause(kept)
            return
        process = await begin(service, self.log_of(service.name), self._home)
        began = time.time()
        self._show(kept, state=State.STARTING, pid=process.pid, started_at=started_at(process.pid) or began)
        if await self._unless_stopping(self._become_ready(kept, process, began)):
            await self._unless_stopping(process.wait())
        if self._stopping.is_set():
            await self._dependents_down(service.name)
            await end(process, service.stop_signal, service.stop_seconds)
            return
        if process.returncode is None:  # never became ready
            await end(process, service.stop_signal, service.stop_seconds)
        # The rest of its group is left alone: the run workers of a code server finish what they began.
        await self._after_death(kept, process.returncode, lived_seconds=time.time() - began)

    async def _become_ready(self, kept: _Kept, process: asyncio.subprocess.Process, began: float) -> bool:
        """Ask until the service is ready. False when it ended or took too long."""
        while process.returncode is None and time.time() - began < kept.service.ready_seconds:
            if await asyncio.to_thread(kept.service.ready, began):
                kept.ready.set()
                self._show(kept, state=State.READY, ready_seconds=time.time() - began)
                return True
            await asyncio.sleep(self._patience.probe_seconds)
        return False

    async def _after_death(self, kept: _Kept, code: int | None, *, lived_seconds: float) -> None:
        kept.failures = 1 if lived_seconds > self._patience.healthy_seconds else kept.failures + 1
        restarts = kept.status.restarts + 1
        self._show(kept, state=State.RESTARTING, pid=None, restarts=restarts, last_exit=code)
        if not kept.ready.is_set() and kept.failures >= self._patience.attempts:
            log = self.log_of(kept.service.name)
            raise FatalError(
                f"{kept.service.name} does not start (exit code {code}). The end of its log:\n{tail(log)}",
                hint=f"the whole log is {log}; `collect doctor` checks the machine",
            )
        await self._pause(kept)

    async def _pause(self, kept: _Kept) -> None:
        pauses = self._patience.pauses_seconds
        await self._unless_stopping(asyncio.sleep(pauses[min(max(kept.failures, 1), len(pauses)) - 1]))

    async def _dependents_down(self, name: str) -> None:
        for other in self._kept.values():
            if name in other.service.after:
                await other.down.wait()

    async def _unless_stopping(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of the work, or None when we are told to stop before it is there."""
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            return task.result()
        task.cancel()
        return None

    def _show(self, kept: _Kept, **changes: object) -> None:
        kept.status = replace(kept.status, **changes)  # pyright: ignore[reportArgumentType]
        self._on_change([other.status for other in self._kept.values()])

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(self._patience.log_check_seconds)
            for name in self._kept:
                await asyncio.to_thread(rotate, self.log_of(name))
