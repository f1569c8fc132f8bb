"""The portal as a process: it serves, it stops when asked to, and it lets go of what it had open."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from collect_pipelines.delivery.csv_export import CsvExports
from collect_pipelines.embedded.mongod import Mongod, free_port
from collect_pipelines.model import QuestionType
from collect_pipelines.settings import Settings
from collect_pipelines.source.documents import form_document, question_document
from collect_pipelines.source.store import CollectStore
from tests.delivery.tables import Table


def run_portal(port: int, **environment: str) -> subprocess.Popen[str]:
    known = {"PYTHONPATH": str(Path.cwd()), "PATH": os.environ["PATH"], **environment}
    command = [sys.executable, "-m", "collect_pipelines.portal", "--port", str(port)]
    return subprocess.Popen(command, env=known, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_the_portal_serves_until_it_is_stopped(mongod: Mongod, database_name: str, tmp_path: Path) -> None:
    port = free_port()
    process = run_portal(
        port, COLLECT_MONGO_URI=mongod.uri, COLLECT_MONGO_DATABASE=database_name, COLLECT_HOME=str(tmp_path)
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as visitor:
            for _ in range(200):
                try:
                    if visitor.get("/healthz").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.05)
            assert visitor.get("/").status_code == 200
            assert "server" not in visitor.get("/").headers
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert said == ""


def test_without_a_store_it_says_what_to_set(tmp_path: Path) -> None:
    process = run_portal(free_port(), COLLECT_HOME=str(tmp_path))
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "COLLECT_MONGO_URI is not set" in said and "Traceback" not in said


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at the open files of the process")
def test_a_reader_who_leaves_half_way_leaves_nothing_open(
    portal: httpx.Client, store: CollectStore, exports: CsvExports, settings: Settings
) -> None:
    store.save_form(form_document("fair", "Fair", [question_document("name", QuestionType.TEXT, "Name")]))
    form = store.form("fair")
    assert form is not None
    exports.deliver(form, Table(form).commit(*({"_id": f"fair:{n}", "name": "x" * 5000} for n in range(5000))))
    with portal.stream("GET", "/forms/fair/responses.csv") as answer:
        received = answer.iter_bytes()
        assert next(received).startswith(b"Response,")
        assert open_files(settings.exports)
    end = time.monotonic() + 10
    while open_files(settings.exports) and time.monotonic() < end:
        time.sleep(0.02)
    assert open_files(settings.exports) == []


def open_files(folder: Path) -> list[str]:
    found: list[str] = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found
