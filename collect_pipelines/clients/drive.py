"""Google Drive v3: find the spreadsheet of a form, or make it, without ever making two."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from googleapiclient.discovery import build

from collect_pipelines.clients.google_http import Account, OnceHttp, OutcomeUnknown
from collect_pipelines.clients.sheets import READ_ATTEMPTS, Json, executed
from collect_pipelines.errors import TransientError

SPREADSHEET = "application/vnd.google-apps.spreadsheet"
FORM_PROPERTY = "collect_form"


class Drive:
    """The Drive API as one account, in one folder (None: the account's own drive)."""

    def __init__(
        self,
        account: Account,
        *,
        folder: str | None = None,
        endpoint: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._account = account
        self._folder = folder
        self._sleep = sleep
        options = {"api_endpoint": f"{endpoint.rstrip('/')}/drive/v3/"} if endpoint else {}
        built: Any = build(
            "drive", "v3", static_discovery=True, cache_discovery=False, client_options=options, http=OnceHttp(account)
        )
        self._files: Any = built.files()

    def find_or_create(self, form_key: str, title: str) -> str:
        """Return the id of the form's spreadsheet; the oldest, should there be several.

        A spreadsheet made by somebody else, or by us before a crash, is found by its property.
        """
        found = self._find(form_key)
        if found is None:
            self._create(form_key, title)
            found = self._find(form_key)
        if found is None:
            raise TransientError("Drive does not list the new spreadsheet yet", retry_after_seconds=5)
        return found

    def _find(self, form_key: str) -> str | None:
        query = [
            f"appProperties has {{ key='{FORM_PROPERTY}' and value='{form_key}' }}",
            f"mimeType = '{SPREADSHEET}'",
            "trashed = false",
        ]
        if self._folder:
            query.append(f"'{_quoted(self._folder)}' in parents")
        call = self._files.list(
            q=" and ".join(query),
            orderBy="createdTime",
            fields="files(id,createdTime)",
            supportsAllDrives=True,
            includeItemsFromAllDrives=True,
        )
        files = sorted(self._read(call).get("files", []), key=lambda f: (str(f.get("createdTime", "")), str(f["id"])))
        return str(files[0]["id"]) if files else None

    def _create(self, form_key: str, title: str) -> None:
        body: Json = {"name": title, "mimeType": SPREADSHEET, "appProperties": {FORM_PROPERTY: form_key}}
        if self._folder:
            body["parents"] = [self._folder]
        call = self._files.create(body=body, fields="id", supportsAllDrives=True)
        try:
            executed(call, account=self._account.name, what=self._what)
        except OutcomeUnknown:
            self._sleep(0.5)  # the search that follows tells whether it was made

    def _read(self, call: Any) -> Json:
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                return executed(call, account=self._account.name, what=self._what)
            except OutcomeUnknown:
                if attempt == READ_ATTEMPTS:
                    raise
                self._sleep(0.3 * attempt)
        raise AssertionError("unreachable")

    @property
    def _what(self) -> str:
        return f"The Drive folder {self._folder}" if self._folder else "The account's drive"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
