"""A spreadsheet tab in memory that applies the requests of our planner, as Google documents them."""

from __future__ import annotations

from typing import Any

from collect_pipelines.delivery.google_sheet.keys import split_key

Json = dict[str, Any]


class Grid:
    def __init__(self, rows: list[list[Any]], tags: list[str | None]) -> None:
        self.rows = rows
        self.tags = tags
        self.replies: list[Json] = []

    def apply(self, requests: list[Json] | tuple[Json, ...]) -> None:
        for request in requests:
            ((kind, body),) = request.items()
            self.replies.append({})
            getattr(self, f"_{kind}")(body)

    def by_key(self, key_index: int) -> dict[str, list[Any]]:
        return {key[0]: row for row in self.rows[1:] if (key := split_key(row[key_index]))}

    def _insertDimension(self, body: Json) -> None:
        span = body["range"]
        start, count = span["startIndex"], span["endIndex"] - span["startIndex"]
        size = len(self.rows) if span["dimension"] == "ROWS" else len(self.tags)
        assert start < size or (start == size and body["inheritFromBefore"])
        assert start > 0 or not body["inheritFromBefore"]
        if span["dimension"] == "ROWS":
            self.rows[start:start] = [[None] * len(self.tags) for _ in range(count)]
            return
        self.tags[start:start] = [None] * count
        for row in self.rows:
            row[start:start] = [None] * count

    def _deleteDimension(self, body: Json) -> None:
        span = body["range"]
        assert span["dimension"] == "ROWS" and span["endIndex"] <= len(self.rows)
        del self.rows[span["startIndex"] : span["endIndex"]]

    def _updateCells(self, body: Json) -> None:
        start, fields = body["start"], body["fields"].split(",")
        if "userEnteredValue" not in fields:
            return
        for down, row in enumerate(body["rows"]):
            for across, cell in enumerate(row["values"]):
                value = next(iter(cell.get("userEnteredValue", {}).values()), None)
                self.rows[start["rowIndex"] + down][start["columnIndex"] + across] = value

    def _findReplace(self, body: Json) -> None:
        area = body["range"]
        row, column = area["startRowIndex"], area["startColumnIndex"]
        assert (area["endRowIndex"], area["endColumnIndex"]) == (row + 1, column + 1)
        found = self.rows[row][column] == body["find"]
        if found:
            self.rows[row][column] = body["replacement"]
        self.replies[-1] = {"findReplace": {"occurrencesChanged": 1} if found else {}}

    def _repeatCell(self, body: Json) -> None:
        area = body["range"]
        assert area["startRowIndex"] < len(self.rows) or "endRowIndex" not in area
        assert area.get("endRowIndex", 0) <= len(self.rows)

    def _createDeveloperMetadata(self, body: Json) -> None:
        metadata = body["developerMetadata"]
        if span := metadata["location"].get("dimensionRange"):
            value = metadata["metadataValue"]
            self.tags[span["startIndex"]] = value if metadata["metadataKey"] == "collect.column" else f"c:{value}"
