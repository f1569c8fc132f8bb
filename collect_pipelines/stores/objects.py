"""Immutable objects in a folder, durable against power loss. The commit of a table rests on `put_if_absent` alone."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pyarrow as pa

from collect_pipelines.errors import CollectError, TransientError

TEMPORARY = ".tmp-"

Body = bytes | memoryview


class AlreadyThere(CollectError):
    """An object of this name exists; nothing was written."""


class Missing(CollectError):
    """There is no object of this name."""


class Objects(Protocol):
    """What tables need of a store of objects; keys are parts joined by `/`. A put is durable when it returns."""

    def put_if_absent(self, key: str, body: Body) -> None:
        """Write an object whole, or raise AlreadyThere; any other error leaves the outcome unknown."""
        ...

    def get(self, key: str) -> bytes:
        """Read an object whole, or raise Missing."""
        ...

    def open(self, key: str) -> pa.NativeFile:
        """Open an object for reading at any place, or raise Missing."""
        ...

    def list(self, folder: str) -> list[str]:
        """List the names of the objects directly in a folder, in order, without those that are being written."""
        ...

    def written_at_seconds(self, key: str) -> float:
        """Tell when an object was written, in seconds since 1970, or raise Missing."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; it may be gone already."""
        ...

    def settle(self, key: str) -> None:
        """Make an object that can be seen survive a power loss; its writer may have died before its last fsync."""
        ...

    def sweep(self, folder: str, before_seconds: float) -> int:
        """Remove what writers that died before the given time left behind; return how many."""
        ...


class LocalObjects:
    """Objects as files below one folder. `link`, not `rename`: a rename replaces what is there without a word."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._known_folders: set[Path] = set()

    def path(self, key: str) -> Path:
        """Return where an object lies."""
        return self.root / key

    def put_if_absent(self, key: str, body: Body) -> None:
        """Write an object whole and durably, or raise AlreadyThere."""
        path = self.path(key)
        temporary = path.with_name(f"{TEMPORARY}{uuid4().hex}")
        with _mapped(key):
            self._make_folder(path.parent)
            try:
                self._write(temporary, body)
                self._link(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
            self._sync_folder(path.parent)

    def get(self, key: str) -> bytes:
        """Read an object whole, or raise Missing."""
        with _mapped(key):
            return self.path(key).read_bytes()

    def open(self, key: str) -> pa.NativeFile:
        """Open an object for reading, or raise Missing."""
        with _mapped(key):
            return pa.OSFile(str(self.path(key)), "rb")

    def list(self, folder: str) -> list[str]:
        """List the names of the objects directly in a folder, in order; none if the folder is not there."""
        with _mapped(folder):
            try:
                names = os.listdir(self.path(folder))  # noqa: PTH208 - many names, of which paths are never made
            except FileNotFoundError:
                return []
        return sorted(name for name in names if not name.startswith(TEMPORARY))

    def written_at_seconds(self, key: str) -> float:
        """Tell when an object was written, in seconds since 1970, or raise Missing."""
        with _mapped(key):
            return self.path(key).stat().st_mtime

    def delete(self, key: str) -> None:
        """Remove an object; it may be gone already."""
        with _mapped(key):
            self.path(key).unlink(missing_ok=True)

    def settle(self, key: str) -> None:
        """Sync the entry of an object that can be seen."""
        with _mapped(key):
            self._sync_folder(self.path(key).parent)

    def sweep(self, folder: str, before_seconds: float) -> int:
        """Remove the leftovers of writers that died before the given time; return how many."""
        swept = 0
        with _mapped(folder):
            for path in self.path(folder).glob(f"{TEMPORARY}*"):
                if path.stat().st_mtime < before_seconds:
                    path.unlink(missing_ok=True)
                    swept += 1
        return swept

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and its parents; an entry is synced even if another process has just made it."""
        if folder in self._known_folders:
            return
        if not folder.is_dir() and folder.parent != folder:
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
        if folder != self.root and self.root in folder.parents:
            self._sync_folder(folder.parent)
        self._known_folders.add(folder)

    def _write(self, path: Path, body: Body) -> None:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
        try:
            rest = memoryview(body)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)

    def _link(self, temporary: Path, path: Path) -> None:
        try:
            path.hardlink_to(temporary)
        except FileExistsError as error:
            raise AlreadyThere(f"{path.name} is there already") from error
        except FileNotFoundError as error:
            raise TransientError(f"{path.name}: its temporary file was swept while it was written") from error

    def _sync_folder(self, folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _mapped(key: str) -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Missing(f"there is no {key}") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "make room on the disk of COLLECT_LAKE_URI" if full else "look at the disk of COLLECT_LAKE_URI"
        raise TransientError(f"{key}: {error.strerror or error}", hint=hint) from error
