"""Drive's side of a spreadsheet: its file, its owner, and with whom it is shared."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

import orjson

from collect_pipelines.sheets_server.json_types import Json

SPREADSHEET = "application/vnd.google-apps.spreadsheet"
ANONYMOUS = "anonymous"
OWNER = "owner@local.invalid"
_WRITERS = ("owner", "organizer", "fileOrganizer", "writer")


@dataclass(frozen=True, slots=True)
class File:
    """A file as Drive knows it. `restricted`: only those it is shared with may open it; else anybody may edit."""

    id: str
    name: str
    mime_type: str
    owner: str
    restricted: bool
    created: str
    modified: str
    version: int
    more: Json

    def json(self) -> Json:
        """The files resource with every field we know."""
        return {
            "kind": "drive#file",
            "id": self.id,
            "name": self.name,
            "mimeType": self.mime_type,
            "createdTime": self.created,
            "modifiedTime": self.modified,
            "version": str(self.version),
            "trashed": False,
            "owners": [{"kind": "drive#user", "emailAddress": self.owner, "displayName": self.owner}],
            **self.more,
        }


class Files:
    """Files and permissions, in the database of the spreadsheets."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, file: File) -> None:
        """Add a file."""
        row = (file.id, file.name, file.mime_type, file.owner, file.restricted, file.created, file.modified)
        self._connection.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)", (*row, orjson.dumps(file.more).decode())
        )

    def get(self, file_id: str) -> File | None:
        """A file by its id."""
        row = self._connection.execute("SELECT * FROM files WHERE id = ?", (file_id,)).fetchone()
        return _file(row) if row else None

    def all(self) -> list[File]:
        """All files, the last changed first."""
        rows = self._connection.execute("SELECT * FROM files ORDER BY modified DESC, created DESC, id").fetchall()
        return [_file(row) for row in rows]

    def touch(self, file_id: str, now: str) -> None:
        """Note that the file was changed."""
        self._connection.execute("UPDATE files SET modified = ?, version = version + 1 WHERE id = ?", (now, file_id))

    def rename(self, file_id: str, name: str) -> None:
        """Give the file another name."""
        self._connection.execute("UPDATE files SET name = ? WHERE id = ?", (name, file_id))

    def put_more(self, file_id: str, more: Json) -> None:
        """Set the properties that have no column of their own."""
        self._connection.execute("UPDATE files SET more = ? WHERE id = ?", (orjson.dumps(more).decode(), file_id))

    def restrict(self, file_id: str, *, restricted: bool) -> None:
        """Close the file to all whom it is not shared with, or open it to everybody."""
        self._connection.execute("UPDATE files SET restricted = ? WHERE id = ?", (restricted, file_id))

    def delete(self, file_id: str) -> None:
        """Delete the file and its permissions."""
        self._connection.execute("DELETE FROM permissions WHERE file = ?", (file_id,))
        self._connection.execute("DELETE FROM files WHERE id = ?", (file_id,))

    def permissions(self, file_id: str) -> list[Json]:
        """With whom it is shared, the owner first."""
        file = self.get(file_id)
        rows = self._connection.execute(
            "SELECT body FROM permissions WHERE file = ? ORDER BY id", (file_id,)
        ).fetchall()
        owner = {"kind": "drive#permission", "id": "owner", "type": "user", "role": "owner"}
        own = [{**owner, "emailAddress": file.owner}] if file else []
        return [*own, *(orjson.loads(body) for (body,) in rows)]

    def put_permission(self, file_id: str, permission: Json) -> None:
        """Add or change a permission."""
        row = (file_id, permission["id"], orjson.dumps(permission).decode())
        self._connection.execute("INSERT OR REPLACE INTO permissions VALUES (?, ?, ?)", row)

    def delete_permission(self, file_id: str, permission_id: str) -> bool:
        """Take a permission away; False if there was none."""
        row = (file_id, permission_id)
        return self._connection.execute("DELETE FROM permissions WHERE file = ? AND id = ?", row).rowcount > 0

    def may_read(self, file_id: str, principal: str) -> bool:
        """Whether this principal may open the file."""
        return self._role(file_id, principal) != ""

    def may_write(self, file_id: str, principal: str) -> bool:
        """Whether this principal may change the file."""
        return self._role(file_id, principal) in _WRITERS

    def _role(self, file_id: str, principal: str) -> str:
        file = self.get(file_id)
        return "owner" if file is None or principal == OWNER else self._shared(file, principal)

    def _shared(self, file: File, principal: str) -> str:
        roles = [
            str(permission["role"])
            for permission in self.permissions(file.id)[1:]
            if permission.get("type") == "anyone" or permission.get("emailAddress", "").lower() == principal.lower()
        ]
        if best := next((role for role in roles if role in _WRITERS), roles[0] if roles else ""):
            return best
        return "" if file.restricted else "writer"


def _file(row: tuple[Any, ...]) -> File:
    file_id, name, mime_type, owner, restricted, created, modified, version, more = row
    kept = orjson.loads(more)
    return File(file_id, name, mime_type, owner, bool(restricted), created, modified, version, kept)
