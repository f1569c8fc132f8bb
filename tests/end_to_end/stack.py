"""A whole deployment as a person starts it: `collect up` in a process of its own, on a home and ports of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil

import assets
from collect_pipelines.audit.compare import Comparison, compare_form
from collect_pipelines.delivery.csv_export import CsvExports
from collect_pipelines.delivery.google_sheet import GoogleSheets
from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.lease import Lease
from collect_pipelines.embedded.home import Home
from collect_pipelines.embedded.live import live_settings
from collect_pipelines.embedded.ports import free_port
from collect_pipelines.embedded.processes import find_leftovers
from collect_pipelines.errors import TransientError
from collect_pipelines.integration import discover
from collect_pipelines.model import Form
from collect_pipelines.settings import Settings
from collect_pipelines.source.store import CollectStore
from tests.end_to_end.sheet import Sheet

ROOT = Path(__file__).parents[2]
RUN_WORKER = "run worker"
START_SECONDS, STOP_SECONDS = 180.0, 60.0


def new_home() -> Path:
    """A short path, because PostgreSQL's socket lies below it."""
    return Path(mkdtemp(prefix="e2e", dir="/tmp"))


def environment(home: Path) -> dict[str, str]:
    """What a `collect` command on this home is started with: nothing of ours but free ports."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COLLECT_", "DAGSTER_"))}
    ports = {f"COLLECT_{name}_PORT": str(free_port()) for name in ("PORTAL", "DAGSTER", "SHEETS")}
    return {**inherited, **ports, "COLLECT_HOME": str(home), "PYTHONPATH": str(ROOT)}


def wait_until(done: Callable[[], object], what: str, seconds: float = 60.0) -> float:
    """Ask until it is so, and return how long that took. A server that is away for a moment is asked again."""
    began = time.monotonic()
    while True:
        try:
            if done():
                return time.monotonic() - began
        except TransientError:
            pass
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)


@dataclass
class Stack:
    """A running deployment, seen from outside: its processes, its store and its copies."""

    home: Path
    process: subprocess.Popen[bytes]

    @cached_property
    def settings(self) -> Settings:
        return live_settings(Settings(home=self.home))

    @cached_property
    def engine(self) -> Engine:
        return Engine(self.settings, discover(assets), writer="test")

    @cached_property
    def store(self) -> CollectStore:
        return CollectStore(self.engine.client, self.settings.mongo_database)

    # Processes

    def statuses(self) -> dict[str, dict[str, Any]]:
        """What the supervisor says of each service."""
        services: Any = Home(self.home).recall("state").get("services") or []
        return {service["name"]: service for service in services}

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"`collect up` ended with exit code {self.process.returncode}")
        found = self.statuses()
        return bool(found) and all(service["state"] == "ready" for service in found.values())

    def pid(self, name: str) -> int:
        """The process id of a service, or of the worker of the run that drains now."""
        if name != RUN_WORKER:
            return int(self.statuses()[name]["pid"])
        wait_until(lambda: self.workers() and self.draining(), "a run that drains")
        return self.workers()[0].pid

    def workers(self) -> list[psutil.Process]:
        """The run workers, the newest first. They outlive a code server that was killed."""
        ours = find_leftovers(self.home, {})
        workers = [process for process in ours if "spawn_main" in " ".join(process.cmdline())]
        return sorted(workers, key=lambda process: -process.create_time())

    def draining(self) -> bool:
        """Whether a run drains now; one that was only asked for does not count."""
        holder = Lease(self.engine.state).holder()
        return holder is not None and not holder.startswith("(")

    def kill(self, name: str) -> None:
        """As the kernel does when memory runs out."""
        os.kill(self.pid(name), signal.SIGKILL)

    # Copies

    def compare(self, form_id: str) -> Comparison:
        return compare_form(self.engine, form_id)

    def wait_until_equal(self, *form_ids: str, seconds: float = 60.0) -> None:
        """Wait until every copy of these forms, or of all, equals the store."""
        names = form_ids or tuple(sorted({form.id for form in self.store.forms()} | self.store.counts().keys()))
        found: dict[str, Comparison] = {}

        def all_equal() -> bool:
            for form_id in names:
                if form_id not in found or not found[form_id].equal:
                    found[form_id] = self.compare(form_id)
                    if not found[form_id].equal:
                        return False
            return True

        try:
            wait_until(all_equal, "copies equal to the store", seconds)
        except AssertionError as late:
            texts = [f"{c.form_id}, {copy.name}: {copy.describe()}" for c in found.values() for copy in c.copies]
            raise AssertionError("\n".join([str(late), *texts])) from None

    def form(self, form_id: str) -> Form:
        with self.engine.reader.reading() as reading:
            return reading.form(form_id)

    def in_sheet(self, form_id: str, response_id: str) -> bool:
        sheets = self.engine.destinations["google_sheet"]
        assert isinstance(sheets, GoogleSheets)
        read_back = sheets.read_back(self.form(form_id))
        return read_back is not None and any(key == response_id for key, _ in read_back.rows())

    def csv(self, form_id: str) -> str:
        """The whole CSV, empty when there is none."""
        exports = self.engine.destinations["csv_export"]
        assert isinstance(exports, CsvExports)
        download = exports.open(form_id, byte_order_mark=False)
        if download is None:
            return ""
        with download:
            return b"".join(download).decode()

    def sheet(self, form_id: str) -> Sheet:
        """The form's sheet as its owner sees it."""
        wait_until(lambda: "url" in self.delivered("google_sheet", form_id), "the address of the sheet")
        return Sheet.at(self.delivered("google_sheet", form_id)["url"], self.settings.sheets_endpoint or "")

    def delivered(self, integration: str, form_id: str) -> dict[str, Any]:
        """What the state says of one delivery."""
        return self.engine.state["deliveries"].find_one({"_id": f"{integration}/{form_id}"}) or {}


@contextmanager
def running_stack(home: Path) -> Generator[Stack]:
    """Run `collect up` on this home, and stop it with Ctrl-C."""
    with (home / "up.log").open("wb") as log:
        command = [sys.executable, "-m", "collect_pipelines.cli", "up"]
        process = subprocess.Popen(command, env=environment(home), cwd=home, stdout=log, stderr=log)
    stack = Stack(home, process)
    try:
        wait_until(stack.is_ready, "every service ready", START_SECONDS)
        yield stack
    finally:
        if "engine" in vars(stack):
            stack.engine.client.close()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def remove(home: Path) -> None:
    """Remove a home, but keep the logs of one whose tests someone wants to look into."""
    if not os.environ.get("KEEP_E2E_HOME"):
        shutil.rmtree(home, ignore_errors=True)
