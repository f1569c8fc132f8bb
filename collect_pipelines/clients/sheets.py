"""Google Sheets v4: exactly the calls we need, each counted, under quota, with errors as our own."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import orjson
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from collect_pipelines.clients.google_errors import QuotaEmpty, raise_meaning
from collect_pipelines.clients.google_http import Account, OnceHttp, OutcomeUnknown
from collect_pipelines.clients.quota import Kind, Quota
from collect_pipelines.errors import DestinationChanged

Json = dict[str, Any]
T = TypeVar("T")

READ_ATTEMPTS = 3
_DESCRIPTION = (
    "spreadsheetUrl,properties(timeZone),sheets(properties(sheetId,title,gridProperties(rowCount,columnCount)))"
)
_CELLS = "data(startRow,startColumn,rowData(values(userEnteredValue)))"
_SHEET = f"properties(sheetId,title,gridProperties(rowCount,columnCount)),{_CELLS}"
_ANSWER = f"replies(findReplace(occurrencesChanged)),updatedSpreadsheet(sheets({_SHEET}))"


class Sheets:
    """The Sheets API as one account. Safe to share between threads."""

    def __init__(
        self,
        account: Account,
        quota: Quota,
        *,
        endpoint: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.account = account
        self.quota = quota
        self.sleep = sleep
        self.http = OnceHttp(account)
        options = {"api_endpoint": endpoint.rstrip("/")} if endpoint else {}
        built: Any = build(
            "sheets", "v4", static_discovery=True, cache_discovery=False, client_options=options, http=self.http
        )
        self.spreadsheets: Any = built.spreadsheets()

    def spreadsheet(self, spreadsheet_id: str) -> Spreadsheet:
        """Return one spreadsheet, with counters of its own."""
        return Spreadsheet(self, spreadsheet_id)


class Spreadsheet:
    """One spreadsheet during one delivery. Counts what it costs."""

    def __init__(self, sheets: Sheets, spreadsheet_id: str) -> None:
        self._sheets = sheets
        self.id = spreadsheet_id
        self.reads = 0
        self.writes = 0
        self.sent_bytes = 0
        self.waited_seconds = 0.0

    @property
    def account(self) -> str:
        """The address to share the spreadsheet with."""
        return self._sheets.account.name

    @property
    def what(self) -> str:
        """The spreadsheet in words, for messages."""
        return f"The spreadsheet {self.id}"

    def describe(self) -> Json:
        """Read address, time zone, and the id, title and size of every tab."""
        return self._read(self._sheets.spreadsheets.get(spreadsheetId=self.id, fields=_DESCRIPTION))

    def metadata(self, keys: Sequence[str]) -> list[Json]:
        """Read all developer metadata with one of these keys."""
        filters = [{"developerMetadataLookup": {"metadataKey": key}} for key in keys]
        search = self._sheets.spreadsheets.developerMetadata().search(
            spreadsheetId=self.id, body={"dataFilters": filters}
        )
        found = self._read(search).get("matchedDeveloperMetadata", [])
        return [match["developerMetadata"] for match in found if "developerMetadata" in match]

    def metadata_value(self, metadata_id: int) -> str | None:
        """Read the value of one piece of developer metadata; None when there is none with this id."""
        get = self._sheets.spreadsheets.developerMetadata().get(spreadsheetId=self.id, metadataId=metadata_id)
        try:
            return str(self._read(get).get("metadataValue", ""))
        except DestinationChanged:
            return None

    def values(self, ranges: Sequence[Json]) -> list[list[list[Any]]]:
        """Read the entered values of grid ranges in one request: per range a list of rows, in the same order."""
        body = {
            "dataFilters": [{"gridRange": grid_range} for grid_range in ranges],
            "valueRenderOption": "FORMULA",
        }
        get = self._sheets.spreadsheets.values().batchGetByDataFilter(
            spreadsheetId=self.id, body=body, fields="valueRanges(dataFilters(gridRange),valueRange(values))"
        )
        found: dict[tuple[int, int], list[list[Any]]] = {}
        for matched in self._read(get).get("valueRanges", []):
            for data_filter in matched.get("dataFilters", []):
                found[_corner(data_filter.get("gridRange", {}))] = matched.get("valueRange", {}).get("values", [])
        return [found.get(_corner(grid_range), []) for grid_range in ranges]

    def update(self, requests: Sequence[Json], answer_ranges: Sequence[str] = ()) -> Json:
        """Send one atomic batch once. OutcomeUnknown: it may have been applied; every other error: it was not.

        The answer holds the reply of every `findReplace`, and size and entered values of `answer_ranges` (A1).
        """
        body: Json = {"requests": list(requests)}
        if answer_ranges:
            body |= {"includeSpreadsheetInResponse": True, "responseRanges": list(answer_ranges)}
        call = self._sheets.spreadsheets.batchUpdate(
            spreadsheetId=self.id, body={}, fields=_ANSWER if answer_ranges else "replies(findReplace)"
        )
        call.body = orjson.dumps(body)  # half the size of the client's own ASCII JSON for most of the world's scripts
        call.body_size = len(call.body)
        self.writes += 1
        self.sent_bytes += call.body_size
        return self._send(call, "write")

    def _read(self, call: Any) -> Json:
        for attempt in range(1, READ_ATTEMPTS + 1):
            self.reads += 1
            try:
                return self._send(call, "read")
            except OutcomeUnknown:
                if attempt == READ_ATTEMPTS:
                    raise
                self._sheets.sleep(random.uniform(0.1, 0.5) * attempt)
        raise AssertionError("unreachable")

    def _send(self, call: Any, kind: Kind) -> Json:
        self.waited_seconds += self._sheets.quota.take(self.account, kind)
        try:
            return executed(call, account=self.account, what=self.what)
        except QuotaEmpty as error:
            wait_seconds = self._sheets.quota.refused(self.account, kind, error.retry_after_seconds)
            raise QuotaEmpty(error.message, bucket=error.bucket, retry_after_seconds=wait_seconds) from error


def executed(call: Any, *, account: str, what: str) -> Json:
    """Send a request of the Google client once and return its answer; errors become ours."""
    try:
        return cast(Json, call.execute(num_retries=0))
    except HttpError as error:
        raise_meaning(error, account=account, what=what)
    except json.JSONDecodeError as error:
        raise OutcomeUnknown(f"{what}: the answer was cut short") from error


def _corner(grid_range: Mapping[str, Any]) -> tuple[int, int]:
    return int(grid_range.get("startRowIndex", 0)), int(grid_range.get("startColumnIndex", 0))
