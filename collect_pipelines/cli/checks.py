"""What `collect doctor` looks at: one function per subject, each returns what it found."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import orjson
import psycopg2
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from collect_pipelines.embedded.home import Home
from collect_pipelines.embedded.launch import NO_WAY_EXIT
from collect_pipelines.embedded.live import live_settings
from collect_pipelines.embedded.mongod import find_mongod
from collect_pipelines.embedded.parts import ports_in_use
from collect_pipelines.embedded.postgres import find_postgres
from collect_pipelines.embedded.processes import tied_command
from collect_pipelines.embedded.service import answers_http
from collect_pipelines.errors import ConfigurationError
from collect_pipelines.settings import Settings

_GIGABYTE = 1024**3
_LITTLE_DISK_BYTES, _SCARCE_DISK_BYTES = 5 * _GIGABYTE, 1 * _GIGABYTE
_FEW_OPEN_FILES = 1024
_SHORT_OPLOG_HOURS = 24
_CLOCK_SECONDS = 5.0
_WAIT_MILLISECONDS = 3000


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report. `advice` says what to do about it."""

    level: Level
    subject: str
    message: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one finding after the other."""
    home = Home(settings.home.absolute())
    running = home.is_locked()
    yield from check_home(home, running=running)
    yield check_open_files()
    if running:
        settings = live_settings(settings)
    else:
        yield from check_ports(settings)
    yield from check_mongodb(settings)
    yield check_postgresql(settings)
    yield from check_sheets(settings)


def check_home(home: Home, *, running: bool) -> Iterator[Finding]:
    """The state folder: who holds it, whether there is room."""
    there = next(path for path in (home.path, *home.path.parents) if path.exists())
    yield Finding(Level.OK, "home", f"{home.path}, {'in use by a running `collect up`' if running else 'not in use'}")
    free_bytes = shutil.disk_usage(there).free
    level = Level.OK if free_bytes > _LITTLE_DISK_BYTES else Level.WARN
    level = Level.FAIL if free_bytes < _SCARCE_DISK_BYTES else level
    advice = "" if level is Level.OK else "make room, or set COLLECT_HOME to a larger disk"
    yield Finding(level, "disk", f"{free_bytes / _GIGABYTE:.1f} GB free", advice)


def check_open_files() -> Finding:
    """How many files a process may have open."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = limit != resource.RLIM_INFINITY and limit < _FEW_OPEN_FILES
    advice = "MongoDB wants more: `ulimit -n 4096` before the start" if few else ""
    return Finding(Level.WARN if few else Level.OK, "open files", f"{limit} per process", advice)


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Whether the usual ports are free; others are found for those that are not, unless a person demanded them."""
    demanded, taken = ports_in_use(settings)
    for variable, port in demanded.items():
        yield Finding(Level.FAIL, "ports", f"{variable}={port} is taken", "choose another, or unset it")
    for name, port in taken.items():
        yield Finding(Level.WARN, "ports", f"{port} of {name} is taken", "nothing to do: a free one is used instead")
    if not demanded and not taken:
        yield Finding(Level.OK, "ports", "the usual ones are free")


def check_mongodb(settings: Settings) -> Iterator[Finding]:
    """The program when it is to be embedded; the server, its replica set, oplog and clock when it runs."""
    if settings.mongo_uri is None:
        yield _check_program("mongodb", lambda: find_mongod())
        return
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            settings.mongo_uri.get_secret_value(), serverSelectionTimeoutMS=_WAIT_MILLISECONDS, tz_aware=True
        )
    except (PyMongoError, ValueError):
        yield Finding(Level.FAIL, "mongodb", "COLLECT_MONGO_URI is not an address", "mongodb://host:port/?replicaSet=…")
        return
    with client:
        try:
            hello = client.admin.command("hello")
            version = client.server_info()["version"]
        except PyMongoError as error:
            advice = "start it, or correct COLLECT_MONGO_URI (address, user, TLS)"
            yield Finding(Level.FAIL, "mongodb", f"does not answer: {_first_line(error)}", advice)
            return
        if "setName" not in hello:
            advice = "start mongod with --replSet and initiate it: change streams need a replica set"
            yield Finding(Level.FAIL, "mongodb", f"{version} is not a replica set", advice)
            return
        yield Finding(Level.OK, "mongodb", f"{version}, replica set {hello['setName']}")
        yield _check_clock(hello["localTime"].timestamp())
        yield _check_oplog(client)


def _check_clock(server_seconds: float) -> Finding:
    skew_seconds = abs(time.time() - server_seconds)
    wrong = skew_seconds > _CLOCK_SECONDS
    advice = "set the clock (NTP): Google refuses sign-in by minutes; the order of responses does not depend on it"
    message = f"{skew_seconds:.1f} s from MongoDB's"
    return Finding(Level.WARN if wrong else Level.OK, "clock", message, advice if wrong else "")


def _check_oplog(client: MongoClient[dict[str, Any]]) -> Finding:
    """How far back the change stream can be resumed. A young oplog that is not full yet is fine."""
    try:
        oplog = client.local["oplog.rs"]
        ends = [next(oplog.find(projection={"ts": 1}).sort("$natural", way).limit(1)) for way in (1, -1)]
        statistics = client.local.command("collStats", "oplog.rs")
    except (PyMongoError, StopIteration):
        advice = "allow the user to read local.oplog.rs, to see how long the pipeline may be down"
        return Finding(Level.WARN, "oplog", "cannot be read by this user", advice)
    hours = (ends[1]["ts"].time - ends[0]["ts"].time) / 3600
    full = statistics["size"] > 0.9 * statistics["maxSize"]
    short = full and hours < _SHORT_OPLOG_HOURS
    advice = "enlarge it (replSetResizeOplog): a longer pause than this costs a full rescan" if short else ""
    return Finding(
        Level.WARN if short else Level.OK, "oplog", f"covers {hours:.1f} h{'' if full else ', not full yet'}", advice
    )


def check_postgresql(settings: Settings) -> Finding:
    """The program when it is to be embedded, else the server."""
    if settings.postgres_url is None:
        return _check_program("postgresql", lambda: find_postgres() / "postgres")
    try:
        connection = psycopg2.connect(settings.postgres_url.get_secret_value(), connect_timeout=3)
    except psycopg2.ProgrammingError:  # its message repeats the address, password included
        advice = "postgresql://user:password@host:port/database"
        return Finding(Level.FAIL, "postgresql", "COLLECT_POSTGRES_URL is not an address", advice)
    except psycopg2.Error as error:
        advice = "start it, or correct COLLECT_POSTGRES_URL (address, user, password, database)"
        return Finding(Level.FAIL, "postgresql", f"does not answer: {_first_line(error)}", advice)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version'), current_setting('max_connections')")
            version, connections = cast("tuple[str, str]", cursor.fetchone())
        return Finding(Level.OK, "postgresql", f"{version}, {connections} connections at most")
    finally:
        connection.close()


def _check_program(subject: str, find: Any) -> Finding:
    """Whether the program for the embedded server is here and runs; as root, whether it can give root up."""
    try:
        program: Path = find()
    except ConfigurationError as error:
        return Finding(Level.FAIL, subject, error.message, error.hint)
    with TemporaryDirectory() as folder:  # is given to the other user
        unprivileged = Path(folder) if subject == "postgresql" else None
        command = tied_command([str(program), "--version"], signal_number=9, unprivileged=unprivileged)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if done.returncode == NO_WAY_EXIT:
        return Finding(Level.FAIL, subject, done.stderr.strip(), "start as an ordinary user, or set the address")
    if done.returncode != 0:
        return Finding(Level.FAIL, subject, f"{program} does not run: {done.stderr.strip()[-300:]}", "install another")
    return Finding(Level.OK, subject, f"embedded: {done.stdout.splitlines()[0]} ({program})")


def check_sheets(settings: Settings) -> Iterator[Finding]:
    """The endpoint, or the service accounts for Google."""
    if settings.sheets_endpoint is not None:
        up = answers_http(settings.sheets_endpoint.rstrip("/") + "/healthz")
        advice = "" if up else "start it, or correct COLLECT_SHEETS_ENDPOINT (unset: Google or the embedded one)"
        message = f"{settings.sheets_endpoint} {'answers' if up else 'does not answer'}"
        yield Finding(Level.OK if up else Level.FAIL, "sheets", message, advice)
        return
    if not settings.google_credentials:
        yield Finding(Level.OK, "sheets", "embedded: the local Sheets server")
    for path in settings.google_credentials:
        yield _check_credentials(path)


def _check_credentials(path: Path) -> Finding:
    advice = "download a JSON key of a service account from the Google Cloud console"
    try:
        key = orjson.loads(path.read_bytes())
        if key.get("type") != "service_account" or not key.get("private_key"):
            return Finding(Level.FAIL, "sheets", f"{path} is not a service-account key", advice)
    except (OSError, ValueError, AttributeError) as error:
        return Finding(Level.FAIL, "sheets", f"{path}: {_first_line(error)}", advice)
    return Finding(Level.OK, "sheets", f"Google, as {key.get('client_email')}: share spreadsheets with this address")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def python_finding() -> Finding:
    """The interpreter."""
    return Finding(Level.OK, "python", f"{sys.version.split()[0]} ({sys.executable})")
