"""A spreadsheet on the local server, read and changed over HTTP as its owner does in the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from collect_pipelines.delivery.google_sheet.keys import split_key


@dataclass(frozen=True)
class Sheet:
    """One spreadsheet. Rows and columns are counted from 0; row 0 is the header."""

    spreadsheet_id: str
    server: str

    @classmethod
    def at(cls, url: str, server: str) -> Sheet:
        """The spreadsheet of an address like `…/spreadsheets/d/<id>/edit#gid=0`."""
        return cls(url.split("/d/")[1].split("/")[0], server)

    def act(self, action: str, **arguments: Any) -> None:
        """Act as the owner: sort, edit_cell, set_note, add_column … (docs/sheets-server.md)."""
        address = f"{self.server}/_user/{self.spreadsheet_id}/{action}"
        requests.post(address, json=arguments, timeout=20).raise_for_status()

    def describe(self, **parameters: str) -> dict[str, Any]:
        return self._get("", **parameters)

    def grid(self, render: str = "UNFORMATTED_VALUE") -> list[list[Any]]:
        """All values of the first tab."""
        tab = self.describe()["sheets"][0]["properties"]["title"].replace("'", "''")
        return self._get("/values/" + quote(f"'{tab}'", safe=""), valueRenderOption=render).get("values", [])

    def header(self) -> list[Any]:
        return self.grid()[0]

    def column(self, title: str) -> int:
        return self.header().index(title)

    def row_of(self, response_id: str) -> int:
        """The row that holds a response now."""
        return next(at for at, row in enumerate(self.grid()) if _holds(row, response_id))

    def cell(self, response_id: str, title: str) -> Any:
        """One response's value in the column with this header; None when it is empty."""
        header, *rows = self.grid()
        row = next(row for row in rows if _holds(row, response_id))
        at = header.index(title)
        return row[at] if at < len(row) and row[at] != "" else None

    def note(self, row: int, column: int) -> str | None:
        data = self.describe(includeGridData="true")["sheets"][0]["data"][0]["rowData"]
        return data[row]["values"][column].get("note")

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = requests.get(
            f"{self.server}/v4/spreadsheets/{self.spreadsheet_id}{path}", params=parameters, timeout=20
        )
        answer.raise_for_status()
        return answer.json()


def _holds(row: list[Any], response_id: str) -> bool:
    """Whether one of the row's cells is the key of this response."""
    return any((key := split_key(cell)) is not None and key[0] == response_id for cell in row)
