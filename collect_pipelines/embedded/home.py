"""The state folder on disk: where each thing lies, who owns it now, what is remembered between two starts."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from collect_pipelines.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of COLLECT_HOME that the embedded servers use. `path` is absolute."""

    path: Path

    @property
    def run(self) -> Path:
        """The lock, the chosen ports and the state of the supervisor."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        """One log per server, and its older parts."""
        return self.path / "logs"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME: the instance settings, compute logs, artifacts."""
        return self.path / "dagster"

    def make(self) -> None:
        """Make the folders; a new home is closed to other users, because it holds people's answers."""
        if not self.path.exists():
            self.path.mkdir(parents=True, mode=0o700)
        for folder in (self.run, self.logs, self.dagster):
            folder.mkdir(exist_ok=True, mode=0o700)

    @contextmanager
    def lock(self) -> Generator[None]:
        """Hold the home for this process; the kernel lets go when the process ends, however it ends."""
        with (self.run / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ConfigurationError(
                    f"Collect pipelines already runs on {self.path} (process {file.read().strip() or 'unknown'})",
                    hint="`collect status` shows it; stop it with Ctrl-C, or set another COLLECT_HOME",
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def is_locked(self) -> bool:
        """Tell whether a supervisor holds the home now."""
        try:
            with (self.run / "lock").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
        return False

    def remember(self, name: str, value: Mapping[str, object]) -> None:
        """Keep a small table under `run/NAME.json`, replaced whole."""
        target = self.run / f"{name}.json"
        part = target.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
        part.replace(target)

    def recall(self, name: str) -> dict[str, object]:
        """Give back what was remembered; nothing when it is absent or was torn by a power loss."""
        try:
            value = orjson.loads((self.run / f"{name}.json").read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return {}
        return cast("dict[str, object]", value) if isinstance(value, dict) else {}
