"""Short spellings of batchUpdate requests on the sheet with the id 7."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def fence(metadata_id: int, value: str = "batch") -> Json:
    return metadata(metadata_id, "collect.batch", value, {"sheetId": 7})


def metadata(metadata_id: int, key: str, value: str, location: Json) -> Json:
    item = {"metadataId": metadata_id, "metadataKey": key, "metadataValue": value, "location": location}
    return {"createDeveloperMetadata": {"developerMetadata": {**item, "visibility": "DOCUMENT"}}}


def column(index: int) -> Json:
    return {"dimensionRange": lines("COLUMNS", index, index + 1)}


def lines(dimension: str, start: int, end: int) -> Json:
    return {"sheetId": 7, "dimension": dimension, "startIndex": start, "endIndex": end}


def insert(dimension: str, start: int, end: int, *, before: bool = True) -> Json:
    return {"insertDimension": {"range": lines(dimension, start, end), "inheritFromBefore": before}}


def delete(dimension: str, start: int, end: int) -> Json:
    return {"deleteDimension": {"range": lines(dimension, start, end)}}


def area(top: int, left: int, bottom: int, right: int) -> Json:
    rows = {"startRowIndex": top, "endRowIndex": bottom}
    return {"sheetId": 7, **rows, "startColumnIndex": left, "endColumnIndex": right}


def extended(value: Any) -> Json:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int | float):
        return {"numberValue": value}
    return {"formulaValue": value} if value.startswith("=") else {"stringValue": value}


def update(row: int, start: int, values: list[list[Any]], fields: str = "userEnteredValue") -> Json:
    rows = [{"values": [{} if v is None else {"userEnteredValue": extended(v)} for v in line]} for line in values]
    place = {"sheetId": 7, "rowIndex": row, "columnIndex": start}
    return {"updateCells": {"start": place, "rows": rows, "fields": fields}}
