"""Run all servers in the foreground until Ctrl-C, telling what happens; `up` and `demo` are made of it."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from rich.markup import escape
from rich.table import Table

from collect_pipelines.cli.console import console
from collect_pipelines.embedded.home import Home
from collect_pipelines.embedded.parts import Parts, choose_and_keep_ports
from collect_pipelines.embedded.processes import end_leftovers, find_leftovers
from collect_pipelines.embedded.supervisor import State, Status, Supervisor
from collect_pipelines.settings import Settings, inherited_environment


@dataclass(frozen=True, slots=True)
class Live:
    """What a story gets: the settings with every address, and the sign that it should end soon."""

    settings: Settings
    stopping: threading.Event


Story = Callable[[Live], None]


def serve(settings: Settings, story: Story | None = None) -> None:
    """Start everything; when all is ready run the story in a thread; stop when it returns, or with Ctrl-C.

    Without a story, run until Ctrl-C. Whatever the story raises is raised after everything has stopped.
    """
    home = Home(settings.home.absolute())
    home.make()
    with home.lock():
        _end_leftovers(home)
        parts = Parts(settings, home, choose_and_keep_ports(settings, home))
        asyncio.run(_serve(parts, story))


def _end_leftovers(home: Home) -> None:
    recorded = recorded_processes(home)
    if leftovers := find_leftovers(home.path, recorded):
        console.print(f"[yellow]ending {len(leftovers)} processes that an earlier, killed start left behind[/]")
        end_leftovers(leftovers)


def recorded_processes(home: Home) -> dict[int, float]:
    """Process ids and start times (Unix seconds) of the services of the last supervisor."""
    services = home.recall("state").get("services")
    rows = services if isinstance(services, list) else []
    return {
        row["pid"]: float(row["started_at"])
        for row in rows
        if isinstance(row, dict) and isinstance(row.get("pid"), int) and row.get("started_at")
    }


async def _serve(parts: Parts, story: Story | None) -> None:
    services = parts.services(inherited_environment())
    teller = Teller(parts.home)
    supervisor = Supervisor(services, home=parts.home.path, logs=parts.home.logs, on_change=teller)
    live = Live(parts.live_settings(), threading.Event())
    loop = asyncio.get_running_loop()
    for number in _stop_signals():
        loop.add_signal_handler(number, partial(_stop, supervisor, live))
    running = asyncio.create_task(supervisor.run())
    try:
        await _first(running, teller.all_ready.wait())
        if not running.done() and not live.stopping.is_set():
            console.print(address_table(teller.statuses))
            if story:
                await _first(running, _in_thread(story, live))
                _stop(supervisor, live)
            else:
                console.print("Ctrl-C stops everything.")
                await asyncio.wait((running,))
    finally:
        live.stopping.set()
        supervisor.stop()
        await running


def _stop_signals() -> list[signal.Signals]:
    """SIGHUP too, unless a person asked to ignore it (nohup)."""
    hang_up = [signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []
    return [signal.SIGINT, signal.SIGTERM, *hang_up]


def _stop(supervisor: Supervisor, live: Live) -> None:
    if not live.stopping.is_set():
        console.print("stopping …")
    live.stopping.set()
    supervisor.stop()


async def _first(running: asyncio.Task[None], work: Coroutine[Any, Any, object]) -> None:
    """Wait for the work, or for the supervisor to end before it is done. Raises what the work raised."""
    task = asyncio.create_task(work)
    await asyncio.wait((running, task), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    else:
        task.cancel()


async def _in_thread(story: Story, live: Live) -> None:
    """Run the story in a thread that does not keep the process alive."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if done.cancelled():
            return
        done.set_exception(error) if error else done.set_result(None)

    def tell() -> None:
        error: BaseException | None = None
        try:
            story(live)
        except BaseException as raised:  # noqa: BLE001 (handed to the main thread, which raises it)
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=tell, name="story", daemon=True).start()
    await done


@dataclass(slots=True)
class Teller:
    """Prints what changed and writes the state down for `collect status`."""

    home: Home
    statuses: Sequence[Status] = ()
    all_ready: asyncio.Event = field(default_factory=asyncio.Event)
    began: float = field(default_factory=time.time)

    def __call__(self, statuses: Sequence[Status]) -> None:
        """Take the new statuses."""
        before = {status.name: status for status in self.statuses}
        self.statuses = tuple(statuses)
        self.home.remember("state", {"began": self.began, "services": [asdict(status) for status in statuses]})
        for status in statuses:
            if (line := describe(before.get(status.name), status)) is not None:
                console.print(line)
        if all(status.state is State.READY for status in statuses):
            self.all_ready.set()


def describe(before: Status | None, now: Status) -> str | None:
    """A line about a change that a person wants to know; None for the others."""
    if before is None or before.state is now.state:
        return None
    name = escape(now.name)
    if now.state is State.READY:
        again = "is back" if now.restarts else "is ready"
        return f"[green]✓[/] {name} {again} after {now.ready_seconds or 0:.1f} s"
    if now.state is State.RESTARTING:
        return f"[yellow]![/] {name} ended (exit code {now.last_exit}) and is started again"
    if now.state is State.STOPPED:
        return f"  {name} is stopped"
    return None


def address_table(statuses: Sequence[Status]) -> Table:
    """The addresses, as a table."""
    table = Table("", "address")
    for status in statuses:
        table.add_row(status.name, status.address or "–")
    return table
