"""What Google's answers mean for us, in Google's own words; and a transport that sends once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httplib2
import pytest
from googleapiclient.errors import HttpError

from collect_pipelines.clients.google_errors import (
    FenceTaken,
    LayoutMoved,
    QuotaEmpty,
    RequestRefused,
    TabGone,
    raise_meaning,
)
from collect_pipelines.clients.google_http import Anonymous, OnceHttp, OutcomeUnknown, accounts, pinned
from collect_pipelines.clients.quota import Unlimited
from collect_pipelines.clients.sheets import Sheets
from collect_pipelines.errors import CollectError, ConfigurationError, DestinationChanged
from collect_pipelines.settings import Settings

PREFIX = "Invalid requests[0].createDeveloperMetadata: Cannot add developer metadata with ID [7] because"


def meaning(status: int, message: str = "", **more: object) -> CollectError:
    response = httplib2.Response({"status": str(status)})
    body = json.dumps({"error": {"code": status, "message": message, **more}}).encode()
    with pytest.raises(CollectError) as told:
        raise_meaning(HttpError(response, body), account="robot@x.iam.gserviceaccount.com", what="The spreadsheet S")
    return told.value


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, f"{PREFIX} developer metadata with that ID already exists.", FenceTaken),
        (
            400,
            "Invalid requests[1].insertDimension: range.startIndex is larger than current grid size (9)",
            LayoutMoved,
        ),
        (400, "Unable to parse range: 'Fair'!1:1", LayoutMoved),
        (400, "Range ('Fair'!A1:Z9) exceeds grid limits. Max rows: 5, max columns: 9", LayoutMoved),
        (400, "Invalid requests[3].updateCells: No grid with id: 7", TabGone),
        (
            400,
            "This action would increase the number of cells in the workbook above the limit of 10000000 cells.",
            DestinationChanged,
        ),
        (400, "Your input contains more than the maximum of 50000 characters in a single cell.", RequestRefused),
        (403, "The caller does not have permission", DestinationChanged),
        (404, "Requested entity was not found.", DestinationChanged),
        (500, "Internal error encountered.", OutcomeUnknown),
        (503, "The service is currently unavailable.", OutcomeUnknown),
    ],
)
def test_an_answer_says_what_happens_next(status: int, message: str, expected: type[CollectError]) -> None:
    assert type(meaning(status, message)) is expected


def test_a_sheet_that_is_not_shared_says_with_whom_to_share_it() -> None:
    assert "robot@x.iam.gserviceaccount.com as Editor" in meaning(403, "The caller does not have permission").hint


def test_a_full_drive_is_not_taken_for_a_quota() -> None:
    reason = [{"domain": "usageLimits", "reason": "storageQuotaExceeded", "message": "x"}]
    error = meaning(403, "The user's Drive storage quota has been exceeded.", errors=reason)
    assert isinstance(error, ConfigurationError) and "COLLECT_GOOGLE_FOLDER" in error.hint


def test_an_empty_quota_names_its_bucket() -> None:
    details = [{"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "WriteRequestsPerMinutePerUser"}}]
    error = meaning(429, "Quota exceeded", details=details)
    assert isinstance(error, QuotaEmpty) and error.bucket == "WriteRequestsPerMinutePerUser"


def test_an_html_page_of_the_front_end_is_no_crash() -> None:
    with pytest.raises(OutcomeUnknown):
        raise_meaning(HttpError(httplib2.Response({"status": "502"}), b"<html>"), account="a", what="S")


def test_an_account_is_chosen_for_ever_and_all_are_used() -> None:
    chosen = [pinned("abc", f"key {n}") for n in range(300)]
    assert chosen == [pinned("abc", f"key {n}") for n in range(300)]
    assert all(60 < chosen.count(one) < 140 for one in "abc")


def test_without_credentials_and_address_the_settings_are_wrong() -> None:
    with pytest.raises(ConfigurationError, match="COLLECT_GOOGLE_CREDENTIALS"):
        accounts(Settings())
    assert [account.name for account in accounts(Settings(sheets_endpoint="http://127.0.0.1:1"))] == ["anonymous"]


@pytest.fixture
def silent() -> Iterator[tuple[str, list[str]]]:
    """A server that takes every request and hangs up without an answer."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.append(self.path)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_without_an_answer_is_sent_once(silent: tuple[str, list[str]]) -> None:
    url, seen = silent
    book = Sheets(Anonymous(), Unlimited(), endpoint=url).spreadsheet("s")
    with pytest.raises(OutcomeUnknown):
        book.update([{"addSheet": {}}], ["A1"])
    assert len(seen) == 1


def test_proxies_of_the_environment_are_not_used_for_a_local_server(
    silent: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, seen = silent
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(OutcomeUnknown):
        OnceHttp(Anonymous()).request(f"{url}/x", "POST", b"{}")
    assert seen == ["/x"]
