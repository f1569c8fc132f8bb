"""Replays what gspread's test suite recorded against real Google, and compares the answers.

Method: per recording start empty; send each request in order; before a call put the ids of the recorded answer where
the server takes its next ids from; compare status and JSON exactly, less what cannot be equal (times, addresses) and
the two blocks that every new spreadsheet carries (default format, theme).
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests

_IGNORED = ("defaultFormat", "spreadsheetTheme", "spreadsheetUrl", "createdTime", "modifiedTime")
_FILE_ID = re.compile(r"/(?:spreadsheets|files)/([A-Za-z0-9_-]{20,})")
_EMAIL = "sa@example.iam.gserviceaccount.com"


def find_recordings() -> Path | None:
    """The recordings, wherever `shared/data` lies beside or above the repository."""
    for parent in Path(__file__).resolve().parents:
        candidate = parent / "shared" / "data" / "gspread_recordings.jsonl.gz"
        if candidate.is_file():
            return candidate
    return None


@dataclass(slots=True)
class Result:
    """Counts by kind of call, and what differed."""

    same: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[str, str, Any, Any]] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Identical answers among those replayed."""
        same, different = self.same.total(), self.different.total()
        return same / (same + different)


def recordings(path: Path) -> Iterator[list[dict[str, Any]]]:
    """Every recording: its interactions in order."""
    with gzip.open(path, "rb") as lines:
        listed = [orjson.loads(line) for line in lines]
    listed.sort(key=lambda each: (each["c"], each["n"]))
    for _, group in groupby(listed, key=lambda each: each["c"]):
        yield list(group)


def replay(url: str, path: Path) -> Result:
    """Replay all recordings against the server at `url`."""
    result = Result()
    with requests.Session() as session:
        for recording in recordings(path):
            _Replayer(url, session, result).run(recording)
    return result


class _Replayer:
    """One recording. `ids` maps recorded ids to the server's own."""

    def __init__(self, url: str, session: requests.Session, result: Result) -> None:
        self._url = url
        self._session = session
        self._result = result
        self._ids: dict[str, str] = {}

    def run(self, recording: list[dict[str, Any]]) -> None:
        for each in recording:
            kind = call_kind(each)
            if reason := self._unreplayable(each, kind):
                self._result.skipped[reason] += 1
                continue
            answer = self._send(each)
            self._learn(each, answer)
            self._compare(each, kind, answer)
        for mine in self._ids.values():
            self._session.delete(f"{self._url}/drive/v3/files/{mine}")

    def _unreplayable(self, each: dict[str, Any], kind: str) -> str:
        found = _FILE_ID.search(each["u"])
        if found and found[1] not in self._ids and each["s"] < 400:
            return "a file the recording does not create"
        if found and each["s"] == 403:
            return "a file of somebody else"
        return "answer of Drive v2" if False else ""

    def _send(self, each: dict[str, Any]) -> requests.Response:
        parts = urlsplit(each["u"])
        path = parts.path.replace("/drive/v3", "/drive/v3")
        address = self._own(f"{self._url}{path}" + (f"?{parts.query}" if parts.query else ""))
        body = each["b"]
        data = self._own(body).encode() if isinstance(body, str) else None
        request = requests.Request(each["m"], address, data=data, headers={"Content-Type": "application/json"})
        prepared = self._session.prepare_request(request)
        prepared.url = address  # as it was recorded, not as requests would encode it again
        return self._session.send(prepared, timeout=60)

    def _own(self, text: str) -> str:
        for recorded, mine in self._ids.items():
            text = text.replace(recorded, mine)
        return text

    def _learn(self, each: dict[str, Any], answer: requests.Response) -> None:
        """Pair the random ids in the recorded answer with ours, by their place."""
        if each["s"] >= 400 or answer.status_code >= 400 or not answer.content:
            return
        recorded, mine = _parsed(each["r"]), _parsed(answer.text)
        for theirs, ours in _paired_ids(recorded, mine):
            if theirs != ours:
                self._ids.setdefault(str(theirs), str(ours))

    def _compare(self, each: dict[str, Any], kind: str, answer: requests.Response) -> None:
        wanted = _comparable(_parsed(self._own(each["r"]) if each["r"] else ""))
        got = _comparable(_parsed(answer.text))
        if answer.status_code == each["s"] and wanted == got:
            self._result.same[kind] += 1
            return
        self._result.different[kind] += 1
        self._result.examples.append((each["c"], f"{each['m']} {each['u']} {each['b']}"[:300], wanted, got))


def call_kind(each: dict[str, Any]) -> str:
    """The API call's name, near enough to count by."""
    path = urlsplit(each["u"]).path
    if "/upload/" in path:
        return "drive.upload"
    if "/drive/" in path:
        return f"drive.{each['m'].lower()}" + (".list" if path.endswith("/files") and each["m"] == "GET" else "")
    if ":batchUpdate" in path and "/values" not in path:
        return "batchUpdate"
    return "values" if "/values" in path else "spreadsheets.get"


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.replace("\r\n", "\n")


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {k: _comparable(v) for k, v in value.items() if k not in _IGNORED}
    return "<owner>" if value in (_EMAIL, "owner@local.invalid", "anonymous") else value


_ID_FIELDS = ("id", "spreadsheetId", "sheetId", "namedRangeId", "protectedRangeId")


def _paired_ids(one: Any, other: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() & other.keys():
            if name in _ID_FIELDS and not isinstance(one[name], dict):
                yield one[name], other[name]
            yield from _paired_ids(one[name], other[name])
    elif isinstance(one, list) and isinstance(other, list):
        for first, second in zip(one, other, strict=False):
            yield from _paired_ids(first, second)
