"""Least-privilege roles in MongoDB. A user of the pipeline can read the store and write its own state, no more."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from collect_pipelines.source.connection import Document, mongo_errors
from collect_pipelines.source.validators import FORMS, RESPONSES

READER = "collectReader"
STATE = "collectState"
WRITER = "collectWriter"
OWNER = "collectOwner"
_ROLE_EXISTS = 51002


def roles(database: str = "collect", state_database: str = "collect_pipelines") -> dict[str, dict[str, Any]]:
    """Return the roles as createRole takes them: {name: {privileges, roles}}.

    READER and STATE together are the pipeline's user; READER alone is the portal's. WRITER is for collectors,
    `collect import` and `collect generate`. OWNER adds what `ensure_store` needs, once.
    """
    store = [{"db": database, "collection": name} for name in (FORMS, RESPONSES)]
    # On the database: a change stream of a collection dies when the collection is dropped or renamed.
    reading = ["find", "changeStream", "listCollections", "listIndexes"]
    writing = ["find", "insert", "update", "remove"]  # bypassDocumentValidation is deliberately absent
    making = ["createCollection", "createIndex", "collMod"]
    return {
        READER: {"privileges": [{"resource": {"db": database, "collection": ""}, "actions": reading}], "roles": []},
        STATE: {"privileges": [], "roles": [{"role": "readWrite", "db": state_database}]},
        WRITER: {
            "privileges": [{"resource": one, "actions": writing} for one in store],
            "roles": [{"role": READER, "db": "admin"}],
        },
        OWNER: {
            "privileges": [{"resource": one, "actions": [*writing, *making]} for one in store],
            "roles": [{"role": READER, "db": "admin"}],
        },
    }


def ensure_roles(
    client: MongoClient[Document], database: str = "collect", state_database: str = "collect_pipelines"
) -> None:
    """Create the roles in the database `admin`, or bring existing ones up to date. Needs userAdminAnyDatabase."""
    with mongo_errors():
        for name, role in roles(database, state_database).items():
            try:
                client.admin.command("createRole", name, **role)
            except OperationFailure as error:
                if error.code != _ROLE_EXISTS:
                    raise
                client.admin.command("updateRole", name, **role)
