"""A real mongod as a one-node replica set: on PATH, else from the wheel of the `embedded` extra."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from collect_pipelines.embedded.ports import free_port
from collect_pipelines.embedded.processes import tied_command
from collect_pipelines.errors import ConfigurationError, TransientError

REPLICA_SET = "collect"
_INVALID_CONFIG, _NOT_YET_INITIALIZED = 93, 94


def find_mongod() -> Path:
    """Find a mongod to run. Raises ConfigurationError that says how to get one."""
    if found := shutil.which("mongod"):
        return Path(found)
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        candidate = Path(folder) / "db" / "bin" / "mongod"
        if candidate.is_file():
            return candidate
    raise ConfigurationError(
        "No MongoDB: COLLECT_MONGO_URI is not set and there is no mongod here",
        hint="pip install 'collect-pipelines[embedded]', install MongoDB 7 or newer, or set COLLECT_MONGO_URI",
    )


def mongod_command(folder: Path, port: int, *, cache_gigabytes: float = 0.5) -> list[str]:
    """The command line of the embedded mongod. The oplog is bounded; the default is 5 % of the disk."""
    options = [
        "--replSet",
        REPLICA_SET,
        "--bind_ip",
        "127.0.0.1",
        "--port",
        str(port),
        "--dbpath",
        str(folder),
    ]
    limits = ["--oplogSize", "990", "--wiredTigerCacheSizeGB", str(cache_gigabytes), "--nounixsocket"]
    return [str(find_mongod()), *options, *limits]


def mongod_uri(port: int) -> str:
    """The address of the embedded mongod."""
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}"


def make_primary(port: int, *, timeout_seconds: float = 60) -> None:
    """Wait until the mongod on this port is a primary that takes writes. Raises TransientError after the time."""
    end = time.monotonic() + timeout_seconds
    while time.monotonic() < end:
        if becomes_primary(port):
            return
        time.sleep(0.1)
    raise TransientError(f"mongod on port {port} did not become a primary within {timeout_seconds:.0f} s")


def becomes_primary(port: int, *, timeout_seconds: float = 1) -> bool:
    """Tell whether the mongod on this port takes writes; if not, do the next thing that brings it there.

    A new one is initiated. A data folder that was used with another port keeps the old address and never elects
    itself: it is re-configured.
    """
    client: MongoClient[dict[str, object]] = MongoClient(
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=int(timeout_seconds * 1000)
    )
    with client:
        try:
            hello = client.admin.command("hello")
            if not hello.get("isWritablePrimary"):
                _configure(client, port)
            return bool(hello.get("isWritablePrimary"))
        except PyMongoError:
            return False


def _configure(client: MongoClient[dict[str, object]], port: int) -> None:
    """Initiate or re-configure the replica set, as its status says; nothing while it is electing."""
    config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}
    try:
        client.admin.command("replSetGetStatus")
    except OperationFailure as error:
        if error.code == _NOT_YET_INITIALIZED:
            client.admin.command("replSetInitiate", config)
        elif error.code == _INVALID_CONFIG:
            client.admin.command("replSetReconfig", {**config, "version": int(time.time())}, force=True)


@dataclass(slots=True)
class Mongod:
    """A running mongod of ours."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def uri(self) -> str:
        """Its address."""
        return mongod_uri(self.port)

    def stop(self) -> None:
        """Stop it cleanly; after ten seconds, at once."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_mongod(folder: Path, port: int | None = None, *, cache_gigabytes: float = 0.5) -> Mongod:
    """Start a mongod on the folder and return when it takes writes."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    with (folder / "mongod.log").open("ab") as log:
        process = subprocess.Popen(
            tied_command(mongod_command(folder, port, cache_gigabytes=cache_gigabytes), signal_number=signal.SIGTERM),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    mongod = Mongod(process, port)
    try:
        make_primary(port)
    except BaseException:
        mongod.stop()
        raise
    return mongod
