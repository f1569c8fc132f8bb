"""Connecting to MongoDB, and its library's errors as ours. Every MongoClient of the project is made here."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC
from typing import Any, TypeAlias

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient
from pymongo.errors import BulkWriteError, ConnectionFailure, ExecutionTimeout, InvalidURI, OperationFailure
from pymongo.errors import ConfigurationError as MongoConfigurationError

from collect_pipelines.errors import CollectError, ConfigurationError, FatalError, HistoryLost, TransientError

Document: TypeAlias = dict[str, Any]

TOLERANT: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    tzinfo=UTC,
    # STANDARD refuses a malformed UUID, and with it the whole document.
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
"""How stored documents are read: invalid UTF-8 becomes U+FFFD, dates beyond year 9999 become DatetimeMS."""

HISTORY_LOST = {
    136,  # CappedPositionLost: a lagging open cursor was overtaken
    260,  # InvalidResumeToken
    280,  # ChangeStreamFatalError: the token is not found
    286,  # ChangeStreamHistoryLost: the token left the oplog
    *(9, 40647, 40648, 40649, 50811),  # the token cannot be parsed
    10334,  # BSONObjectTooLarge: the id of a response is so long that its event does not fit; it would for ever
}
"""Error codes of a change stream that mean: this position cannot be used any more."""
TRANSIENT_CODES = {
    *(6, 7, 89, 9001),  # the network
    *(91, 189, 10107, 11600, 11602, 13435, 13436),  # stepdown, shutdown, no primary
    *(24, 50, 64, 112, 202, 262),  # lock, time limit, write concern, write conflict
    14031,  # OutOfDiskSpace: goes on by itself once there is room
}
_TRANSIENT_LABELS = ("RetryableWriteError", "TransientTransactionError", "ResumableChangeStreamError")


def connect(uri: str, *, timeout_seconds: float = 10, appname: str = "collect-pipelines") -> MongoClient[Document]:
    """Make a client with durable writes and majority reads from the primary, whatever the address says.

    Returns at once; the first command waits at most `timeout_seconds` for a server. Raises ConfigurationError for an
    address that cannot be read.
    """
    with mongo_errors():
        try:
            return MongoClient(
                uri,
                appname=appname,
                tz_aware=True,
                uuidRepresentation="standard",
                w="majority",
                journal=True,
                readConcernLevel="majority",
                readPreference="primary",
                retryWrites=True,
                retryReads=True,
                serverSelectionTimeoutMS=int(timeout_seconds * 1000),
                connectTimeoutMS=int(timeout_seconds * 1000),
            )
        except (InvalidURI, ValueError):  # the text may quote a piece of the password
            raise ConfigurationError(
                "COLLECT_MONGO_URI is not a MongoDB address",
                hint="mongodb://user:password@host:27017/?replicaSet=name; / : @ % in the password are written %2F …",
            ) from None


@contextmanager
def mongo_errors() -> Generator[None]:
    """Raise pymongo's errors as ours: TransientError, ConfigurationError, HistoryLost or FatalError."""
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout) as error:
        raise TransientError(
            f"MongoDB cannot be reached: {_brief(error)}",
            hint="is it running, and is COLLECT_MONGO_URI right? `collect doctor` looks",
        ) from error
    except MongoConfigurationError as error:
        raise ConfigurationError(f"COLLECT_MONGO_URI: {_brief(error)}", hint="`collect doctor` checks it") from None
    except OperationFailure as error:  # `from None`: its text may quote documents, and so answers
        raise _refused(error) from None


def _refused(error: OperationFailure) -> CollectError:
    name = str((error.details or {}).get("codeName") or type(error).__name__)
    if error.code in HISTORY_LOST:
        return HistoryLost(f"the change stream cannot go on from the saved token: {name} ({error.code})")
    if error.code in TRANSIENT_CODES or any(error.has_error_label(label) for label in _TRANSIENT_LABELS):
        return TransientError(f"MongoDB asks to try again: {name} ({error.code})")
    if isinstance(error, BulkWriteError):
        return _bulk_refused(error)
    return _explained(error) or FatalError(f"MongoDB refused: {name} ({error.code})")


def _explained(error: OperationFailure) -> FatalError | None:
    if error.code in (18, 8000):
        return ConfigurationError(
            "MongoDB refused the user name or password", hint="correct COLLECT_MONGO_URI; mind authSource"
        )
    if error.code == 13:
        found = re.search(r"not authorized on (\S+) to execute command \{ (\w+):", str(error))
        what = f"{found[2]} on {found[1]}" if found else "this command"
        return ConfigurationError(
            f"MongoDB does not allow {what} for our user", hint='the roles it needs: docs/data-model.md, "Roles"'
        )
    if error.code == 121:
        return FatalError(
            "a document does not fit the rules of the store",
            hint="docs/data-model.md has the rules",
        )
    if error.code == 40573 or (error.code == 20 and "replica set" in str(error)):
        return ConfigurationError(
            "MongoDB runs alone; change streams and transactions need a replica set (of one node, if you like)",
            hint="start mongod with --replSet, then rs.initiate() in mongosh",
        )
    return None


def _bulk_refused(error: BulkWriteError) -> CollectError:
    details: dict[str, Any] = dict(error.details)
    if details.get("writeConcernErrors") and not details.get("writeErrors"):
        return TransientError("MongoDB did not confirm a write by a majority in time; its outcome is unknown")
    codes = sorted({int(fault["code"]) for fault in details.get("writeErrors", ())})
    return FatalError(f"MongoDB refused {len(details.get('writeErrors', ()))} writes, codes {codes}")


def _brief(error: Exception) -> str:
    return str(error).split(", Timeout:")[0].split(" (configured timeouts")[0][:300]
