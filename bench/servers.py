"""Real servers of its own for a benchmark, as separate processes, and the settings that point at them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from pydantic import SecretStr

from collect_pipelines.embedded.mongod import start_mongod
from collect_pipelines.embedded.ports import free_port
from collect_pipelines.embedded.postgres import start_postgres
from collect_pipelines.settings import Settings

ROOT = Path(__file__).parents[1]


def environment() -> str:
    """Say on what this runs."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}, load {load}"


@contextmanager
def servers(*, with_postgres: bool = False, answer_seconds: float = 0.0) -> Iterator[Settings]:
    """Start MongoDB, the Sheets server that answers after `answer_seconds`, and PostgreSQL if asked for."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        mongod = start_mongod(home / "mongo", cache_gigabytes=2)
        postgres = start_postgres(home / "pg") if with_postgres else None
        port = free_port()
        command = [sys.executable, "-m", "collect_pipelines.sheets_server", "--folder", str(home / "sheets")]
        sheets = subprocess.Popen([*command, "--port", str(port)], cwd=ROOT, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(f"{url}/healthz")
            requests.post(f"{url}/_control", json={"latency_seconds": answer_seconds}, timeout=10).raise_for_status()
            yield Settings(
                home=home / "collect",
                mongo_uri=SecretStr(mongod.uri),
                sheets_endpoint=url,
                postgres_url=SecretStr(postgres.url) if postgres else None,
                linger_seconds=0,
            )
        finally:
            sheets.terminate()
            sheets.wait()
            if postgres:
                postgres.stop()
            mongod.stop()


def child_environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, for a process of its own."""
    secrets = {"MONGO_URI": settings.mongo_uri, "POSTGRES_URL": settings.postgres_url}
    given = {f"COLLECT_{name}": value.get_secret_value() for name, value in secrets.items() if value}
    plain = {"COLLECT_HOME": str(settings.home), "COLLECT_SHEETS_ENDPOINT": settings.sheets_endpoint or ""}
    plain["PYTHONDONTWRITEBYTECODE"] = ""  # every process would compile everything again
    return {**os.environ, **given, **plain, "PYTHONPATH": str(ROOT)}


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise TimeoutError(url)
