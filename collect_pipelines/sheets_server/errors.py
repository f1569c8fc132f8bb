"""What Google answers when it refuses, word for word where that is known (docs/sheets-server.md has the sources)."""

from __future__ import annotations

from collections.abc import Sequence

from collect_pipelines.sheets_server.json_types import Json

STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


class ApiError(Exception):
    """A refusal with its HTTP code, text and Google's `details` (or, for Drive, its `errors`)."""

    def __init__(self, code: int, message: str, *, details: Sequence[Json] = (), drive_reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.drive_reason = drive_reason

    def body(self) -> Json:
        """The JSON body of the answer."""
        error: Json = {"code": self.code, "message": self.message}
        if self.drive_reason:
            domain = "usageLimits" if self.code in (403, 429) else "global"
            error["errors"] = [{"message": self.message, "domain": domain, "reason": self.drive_reason}]
            return {"error": error}
        error["status"] = STATUS.get(self.code, "UNKNOWN")
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


class RequestRefused(Exception):
    """One request inside a batch is refused, and so is the batch. The text goes behind `Invalid requests[n].kind: `."""


def bad_request(message: str) -> ApiError:
    """400 with a text of our choice."""
    return ApiError(400, message)


def bad_fields(violations: Sequence[tuple[str, str]]) -> ApiError:
    """400 for a body that does not fit the discovery document: (field path, description) each."""
    listed = [{"field": field, "description": text} if field else {"description": text} for field, text in violations]
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": listed}]
    return ApiError(400, "\n".join(text for _, text in violations), details=details)


def not_found() -> ApiError:
    """404: no such spreadsheet."""
    return ApiError(404, "Requested entity was not found.")


def file_not_found(file_id: str) -> ApiError:
    """404 as Drive words it."""
    return ApiError(404, f"File not found: {file_id}.", drive_reason="notFound")


def not_shared() -> ApiError:
    """403: the caller may not see, or not change, this spreadsheet."""
    return ApiError(403, "The caller does not have permission")


def storage_full() -> ApiError:
    """403 that a service account gets when it creates a file (it owns no storage since 2025)."""
    return ApiError(403, "The user's Drive storage quota has been exceeded.", drive_reason="storageQuotaExceeded")


def too_many_requests(what: str, project: str = "local") -> ApiError:
    """429 that names the empty bucket. `what` is "Read" or "Write"."""
    limit = f"{what}RequestsPerMinutePerUser"
    message = (
        f"Quota exceeded for quota metric '{what} requests' and limit '{what} requests per minute per user' "
        f"of service 'sheets.googleapis.com' for consumer 'project_number:{project}'."
    )
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "googleapis.com",
        "metadata": {
            "consumer": f"projects/{project}",
            "quota_limit": limit,
            "quota_limit_value": "60",
            "quota_location": "global",
            "quota_metric": f"sheets.googleapis.com/{what.lower()}_requests",
            "quota_unit": "1/min/{project}/{user}",
            "service": "sheets.googleapis.com",
        },
    }
    return ApiError(429, message, details=[info])


def unavailable() -> ApiError:
    """503, after which nobody knows whether the write happened."""
    return ApiError(503, "The service is currently unavailable.")


def internal() -> ApiError:
    """500, likewise."""
    return ApiError(500, "Internal error encountered.")
