"""What Google's answers mean for us: every error answer becomes one of our errors. Pure.

The texts are Google's own, as quoted by people who met them; a reason or a status decides where there is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn, cast

from googleapiclient.errors import HttpError

from collect_pipelines.clients.google_http import OutcomeUnknown
from collect_pipelines.errors import CollectError, ConfigurationError, DestinationChanged, Fenced, TransientError


class FenceTaken(Fenced):
    """An id in this batch exists already: the batch, or another writer's, came first. Nothing was applied."""


class LayoutMoved(CollectError):
    """A row, column or tab name of this request is not there any more. Nothing was applied, as far as we know."""


class RequestRefused(CollectError):
    """Google finds something wrong with the request itself. Nothing was applied; never send it unchanged."""


class TabGone(DestinationChanged):
    """The tab is not in the spreadsheet any more."""


class QuotaEmpty(TransientError):
    """A per-minute quota is used up. `bucket` is Google's name of it."""

    def __init__(self, message: str, *, bucket: str, retry_after_seconds: float | None) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.bucket = bucket


CELLS_LIMIT = 10_000_000
"""Cells per spreadsheet, empty ones included (support.google.com/drive/answer/37603)."""

_MOVED = re.compile(
    r"larger than current grid size|must be less than the grid size|exceeds grid limits|Unable to parse range"
    r"|out of bounds|after last (row|column) in sheet|beyond the grid|outside the grid",
    re.IGNORECASE,
)
_RATE_REASONS = {"RATE_LIMIT_EXCEEDED", "rateLimitExceeded", "userRateLimitExceeded"}


def raise_meaning(error: HttpError, *, account: str, what: str) -> NoReturn:
    """Raise the error that an HTTP error answer stands for; `what` names the spreadsheet or folder."""
    raise _meaning(int(error.resp.status), _details(error), error.resp, account, what) from error


def _meaning(status: int, told: _Told, headers: Mapping[str, str], account: str, what: str) -> CollectError:
    if status == 429 or (status == 403 and told.reasons & _RATE_REASONS):
        bucket = told.bucket or "a per-minute quota"
        message = f"Google's quota is used up: {bucket} of {account}"
        return QuotaEmpty(message, bucket=bucket, retry_after_seconds=_seconds(headers.get("retry-after")))
    if status >= 500 or status == 408:
        return OutcomeUnknown(f"Google answered {status}: {told.message[:200]}")
    if status == 404:
        hint = "take it out of the bin, give another address in the form's settings, or run a full refresh"
        return DestinationChanged(f"{what} does not exist (any more)", hint=hint)
    if status in (401, 403):
        return _forbidden(told, account, what)
    return _bad_request(told, what)


def _forbidden(told: _Told, account: str, what: str) -> CollectError:
    if "storageQuotaExceeded" in told.reasons or "storage quota" in told.message.lower():
        return ConfigurationError(
            f"{account} cannot own files: Google gives service accounts no storage",
            hint="set COLLECT_GOOGLE_FOLDER to a folder on a shared drive of which it is a member, or put the address "
            "of a spreadsheet that is shared with it into the form's settings (spreadsheet_url)",
        )
    if "SERVICE_DISABLED" in told.reasons or "accessNotConfigured" in told.reasons:
        return ConfigurationError(told.message, hint="enable the Sheets and Drive APIs in the Google Cloud project")
    return DestinationChanged(f"{what} is not shared with {account}", hint=f"share it with {account} as Editor")


def _bad_request(told: _Told, what: str) -> CollectError:
    text = told.message
    if "already exists" in text:
        return FenceTaken(text)
    if "limit of 10000000 cells" in text:
        return full_spreadsheet(what)
    if "No grid with id" in text or "No sheet with id" in text:
        hint = "undo that in the version history, or run a full refresh, which makes a new tab"
        return TabGone(f"The tab was deleted: {what}", hint=hint)
    return LayoutMoved(text) if _MOVED.search(text) else RequestRefused(text)


def full_spreadsheet(what: str) -> DestinationChanged:
    """Say that a spreadsheet cannot take more cells, and what a person can do."""
    return DestinationChanged(
        f"{what} is full: Google allows {CELLS_LIMIT:,} cells per spreadsheet, empty ones included",
        hint="delete unused tabs, columns or blank rows in it, or give another spreadsheet in the form's settings",
    )


class _Told:
    """The parts of an error answer that decide."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        details = [cast(Mapping[str, Any], d) for d in error.get("details") or () if isinstance(d, Mapping)]
        listed = [cast(Mapping[str, Any], e) for e in error.get("errors") or () if isinstance(e, Mapping)]
        self.message = str(error.get("message") or "")
        self.reasons = {str(item["reason"]) for item in (*details, *listed) if "reason" in item}
        limits = [d.get("metadata", {}).get("quota_limit") for d in details]
        self.bucket: str | None = next((str(limit) for limit in limits if limit), None)


def _details(error: HttpError) -> _Told:
    try:
        body: Any = json.loads(error.content)
    except ValueError:  # an HTML page of the front end
        body = None
    told: Any = cast(Any, body).get("error") if isinstance(body, dict) else None
    return _Told(cast(Mapping[str, Any], told) if isinstance(told, dict) else {"message": str(error.reason)})


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
