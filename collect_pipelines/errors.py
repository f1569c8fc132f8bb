"""All errors we raise, grouped by what happens next. Foreign errors never leave the module that wraps their library.

CollectError
├── TransientError            this batch is tried again later
├── RejectedResponse          this response is set aside with its reason, the rest goes on
└── FatalError                a person must act; the position does not move
    ├── ConfigurationError    a setting is wrong; all faults are listed at once
    ├── HistoryLost           the resume token is unusable: a rescan starts by itself and is reported
    ├── SchemaConflict        what is stored cannot be read under the form's schema
    ├── IntegrityError        stored bytes differ from their checksum
    └── DestinationChanged    the destination was taken away: not shared, deleted, key column gone
Fenced                        somebody else committed first: drop the work, look again
"""

from __future__ import annotations


class CollectError(Exception):
    """Base of all our errors. `hint` is the command to run or the place to look."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class TransientError(CollectError):
    """Try again later. `retry_after_seconds` is the other side's own wish, where it gave one."""

    def __init__(self, message: str, *, hint: str = "", retry_after_seconds: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class RejectedResponse(CollectError):
    """This one response cannot be delivered; the others go on."""


class FatalError(CollectError):
    """A person must act. Nothing is lost: the position stays where it was."""


class ConfigurationError(FatalError):
    """Settings are wrong. The message lists every fault with the variable's name and what to do."""


class HistoryLost(FatalError):
    """The saved resume token can no longer be used; everything must be looked at again."""


class SchemaConflict(FatalError):
    """Stored data does not fit the schema it is read with."""


class IntegrityError(FatalError):
    """Stored bytes differ from their checksum."""


class DestinationChanged(FatalError):
    """The destination is gone, closed to us or no longer in the shape we left it in."""


class Fenced(CollectError):
    """Another writer moved the position first. Drop the batch and start from the new position."""
