"""The supervisor with small servers of our own: real processes, real kills."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
import pytest

from collect_pipelines.embedded.logs import rotate, tail
from collect_pipelines.embedded.ports import free_port
from collect_pipelines.embedded.processes import MARK, end_leftovers, find_leftovers, started_at
from collect_pipelines.embedded.service import Service, listens
from collect_pipelines.embedded.supervisor import Patience, State, Status, Supervisor
from collect_pipelines.errors import FatalError

QUICK = Patience(pauses_seconds=(0.05,), probe_seconds=0.02, attempts=3)
SERVER = textwrap.dedent(
    """
    import pathlib, signal, socket, sys
    name, port, journal, deaf = sys.argv[1:]
    def end(*_):
        with open(journal, "a") as file: file.write(f"stop {name}\\n")
        sys.exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf == "deaf" else end)
    listener = socket.create_server(("127.0.0.1", int(port)))
    with open(journal, "a") as file: file.write(f"start {name}\\n")
    print("listening", flush=True)
    while True: listener.accept()[0].close()
    """
)


class Watched:
    """A supervisor that runs in a test, with the last statuses it showed."""

    def __init__(self, tmp_path: Path, services: Sequence[Service]) -> None:
        self.statuses: dict[str, Status] = {}
        logs = tmp_path / "logs"
        logs.mkdir(exist_ok=True)
        self.supervisor = Supervisor(services, home=tmp_path, logs=logs, on_change=self._seen, patience=QUICK)

    def _seen(self, statuses: Sequence[Status]) -> None:
        self.statuses = {status.name: status for status in statuses}

    async def until(self, condition: Callable[[dict[str, Status]], bool], *, timeout_seconds: float = 10) -> None:
        end = time.monotonic() + timeout_seconds
        while not (self.statuses and condition(self.statuses)):
            assert time.monotonic() < end, self.statuses
            await asyncio.sleep(0.01)

    async def all_ready(self) -> None:
        await self.until(lambda seen: all(status.state is State.READY for status in seen.values()))

    def pid(self, name: str) -> int:
        pid = self.statuses[name].pid
        assert pid is not None
        return pid


def run_with(watched: Watched, story: Callable[[Watched], Awaitable[None]]) -> None:
    """Run the story beside the supervisor, then stop it."""

    async def both() -> None:
        running = asyncio.create_task(watched.supervisor.run())
        telling = asyncio.ensure_future(story(watched))
        try:
            await asyncio.wait((running, telling), return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
        finally:
            watched.supervisor.stop()
            telling.cancel()
            await running

    asyncio.run(both())


def dummy(tmp_path: Path, name: str, *, after: tuple[str, ...] = (), deaf: bool = False) -> Service:
    port = free_port()
    journal = tmp_path / "journal"
    return Service(
        name,
        (sys.executable, "-I", "-S", "-c", SERVER, name, str(port), str(journal), "deaf" if deaf else "polite"),
        ready=lambda _: listens(port),
        address=f"127.0.0.1:{port}",
        after=after,
        stop_seconds=0.5,
    )


def journal(tmp_path: Path) -> list[str]:
    return (tmp_path / "journal").read_text().splitlines()


def test_services_start_in_order_and_stop_in_reverse_order(tmp_path: Path) -> None:
    services = [dummy(tmp_path, "web", after=("code",)), dummy(tmp_path, "code", after=("db",)), dummy(tmp_path, "db")]
    run_with(Watched(tmp_path, services), Watched.all_ready)
    assert journal(tmp_path) == ["start db", "start code", "start web", "stop web", "stop code", "stop db"]


def test_a_killed_service_is_restarted_on_the_same_port_and_the_others_are_left_alone(tmp_path: Path) -> None:
    async def story(watched: Watched) -> None:
        await watched.all_ready()
        killed, other = watched.pid("code"), watched.pid("web")
        os.kill(killed, signal.SIGKILL)
        await watched.until(lambda seen: seen["code"].state is State.READY and seen["code"].pid != killed)
        assert watched.statuses["code"].restarts == 1
        assert watched.statuses["code"].last_exit == -signal.SIGKILL
        assert watched.pid("web") == other

    services = [dummy(tmp_path, "code"), dummy(tmp_path, "web", after=("code",))]
    run_with(Watched(tmp_path, services), story)


def test_a_service_deaf_to_sigterm_is_killed_in_bounded_time(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [dummy(tmp_path, "deaf", deaf=True)])
    pids: list[int] = []

    async def story(watched: Watched) -> None:
        await watched.all_ready()
        pids.append(watched.pid("deaf"))

    began = time.monotonic()
    run_with(watched, story)
    assert not psutil.pid_exists(pids[0])
    assert time.monotonic() - began < 5


def test_a_service_that_never_starts_is_given_up_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = Service("broken", (sys.executable, "-c", "raise SystemExit('no such module: definitions')"))
    hopeless = Service(**{**_fields(broken), "ready": lambda _: False})
    with pytest.raises(FatalError, match="no such module: definitions"):
        run_with(Watched(tmp_path, [hopeless, dummy(tmp_path, "db")]), partial(asyncio.sleep, 10))
    assert journal(tmp_path)[-1] == "stop db"


def _fields(service: Service) -> dict[str, object]:
    return {name: getattr(service, name) for name in Service.__dataclass_fields__}


def test_children_of_a_killed_child_are_ended_with_the_supervisor(tmp_path: Path) -> None:
    sleep = "import time; time.sleep(60)"
    nest = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}]); {sleep}"

    async def story(watched: Watched) -> None:
        await watched.all_ready()
        while not psutil.Process(watched.pid("nest")).children():
            await asyncio.sleep(0.01)
        os.kill(watched.pid("nest"), signal.SIGKILL)
        await watched.until(lambda seen: seen["nest"].restarts == 1 and seen["nest"].state is State.READY)
        assert len(find_leftovers(tmp_path, {})) >= 2

    run_with(Watched(tmp_path, [Service("nest", (sys.executable, "-c", nest), environment=dict(os.environ))]), story)
    assert find_leftovers(tmp_path, {}) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's tie between parent and child")
def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    code = textwrap.dedent(
        f"""
        import asyncio, pathlib
        from collect_pipelines.embedded.service import Service
        from collect_pipelines.embedded.supervisor import Supervisor
        home = pathlib.Path({str(tmp_path)!r})
        show = lambda seen: print(seen[0].pid or "", flush=True)
        service = Service("sleeper", ("sleep", "60"))
        asyncio.run(Supervisor([service], home=home, logs=home, on_change=show).run())
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ
    ) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        while psutil.Process(child).name() != "sleep":  # until then it would notice by itself
            time.sleep(0.01)
        supervisor.kill()
    end = time.monotonic() + 5
    while started_at(child) is not None:
        assert time.monotonic() < end, "the child outlived its supervisor"
        time.sleep(0.02)


def test_leftovers_are_found_by_their_mark_or_by_process_id_and_start_time(tmp_path: Path) -> None:
    marked = subprocess.Popen(["sleep", "60"], env={MARK: str(tmp_path)})
    recorded, reused = (subprocess.Popen(["sleep", "60"]) for _ in range(2))
    try:
        start = psutil.Process(recorded.pid).create_time()
        record = {recorded.pid: start, reused.pid: start - 100}
        found = find_leftovers(tmp_path, record)
        assert {process.pid for process in found} == {marked.pid, recorded.pid}
        end_leftovers(found)
        assert marked.wait(5) is not None
        assert reused.poll() is None
    finally:
        for process in (marked, recorded, reused):
            process.kill()
            process.wait()


def test_a_log_past_its_limit_is_rotated_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "db.log"
    with log.open("ab") as writer:
        for part in range(4):
            writer.write(b"%d" % part * 100)
            writer.flush()
            assert rotate(log, limit_bytes=50)
        writer.write(b"last\n")
    assert log.read_bytes() == b"last\n"
    assert (tmp_path / "db.log.1").read_bytes() == b"3" * 100
    assert (tmp_path / "db.log.2").read_bytes() == b"2" * 100
    assert not (tmp_path / "db.log.3").exists()
    assert not rotate(log, limit_bytes=50)
    assert tail(log) == "last"
