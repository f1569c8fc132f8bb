"""A batchUpdate: all its requests or none."""

from __future__ import annotations

from collections.abc import Callable

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.book import Book
from collect_pipelines.sheets_server.errors import RequestRefused, bad_request
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.kinds import (
    cells,
    developer_metadata,
    dimensions,
    marked_ranges,
    rearranging,
    sheets,
)

KINDS: dict[str, Callable[[Book, Json], Json]] = {
    "addDimensionGroup": dimensions.add_group,
    "addNamedRange": marked_ranges.add_named_range,
    "addProtectedRange": marked_ranges.add_protected_range,
    "addSheet": sheets.add_sheet,
    "appendCells": cells.append_cells,
    "appendDimension": dimensions.append_dimension,
    "autoResizeDimensions": dimensions.auto_resize,
    "clearBasicFilter": marked_ranges.clear_basic_filter,
    "copyPaste": rearranging.copy_paste,
    "createDeveloperMetadata": developer_metadata.create_metadata,
    "cutPaste": rearranging.cut_paste,
    "deleteDeveloperMetadata": developer_metadata.delete_metadata,
    "deleteDimension": dimensions.delete_dimension,
    "deleteDimensionGroup": dimensions.delete_group,
    "deleteNamedRange": marked_ranges.delete_named_range,
    "deleteProtectedRange": marked_ranges.delete_protected_range,
    "deleteRange": rearranging.delete_range,
    "deleteSheet": sheets.delete_sheet,
    "duplicateSheet": sheets.duplicate_sheet,
    "findReplace": rearranging.find_replace,
    "insertDimension": dimensions.insert_dimension,
    "insertRange": rearranging.insert_range,
    "mergeCells": marked_ranges.merge_cells,
    "moveDimension": dimensions.move_dimension,
    "repeatCell": cells.repeat_cell,
    "setBasicFilter": marked_ranges.set_basic_filter,
    "setDataValidation": cells.set_data_validation,
    "sortRange": rearranging.sort_range,
    "trimWhitespace": rearranging.trim_whitespace,
    "unmergeCells": marked_ranges.unmerge_cells,
    "updateCells": cells.update_cells,
    "updateDeveloperMetadata": developer_metadata.update_metadata,
    "updateDimensionProperties": dimensions.update_dimension_properties,
    "updateNamedRange": marked_ranges.update_named_range,
    "updateProtectedRange": marked_ranges.update_protected_range,
    "updateSheetProperties": sheets.update_sheet_properties,
    "updateSpreadsheetProperties": sheets.update_spreadsheet_properties,
}
_REPLY_UNDER_OWN_NAME = {"deleteDimensionGroup"}


def apply_requests(book: Book, requests: list[Json]) -> list[Json]:
    """Apply the requests in order and return their replies. Raises ApiError; the caller then rolls all of them back."""
    if not requests:
        raise bad_request("Must specify at least one request.")
    if len(requests) > limits.REQUESTS:
        raise bad_request(f"Cannot exceed {limits.REQUESTS} requests in a single batch.")
    return [_apply(book, number, request) for number, request in enumerate(requests)]


def _apply(book: Book, number: int, request: Json) -> Json:
    named = [name for name, body in request.items() if body is not None]
    if len(named) != 1:
        raise bad_request(f"Invalid requests[{number}]: No request set.")
    kind = named[0]
    if kind not in KINDS:
        raise bad_request(f"Invalid requests[{number}].{kind}: The local Sheets server does not know this request.")
    try:
        reply = KINDS[kind](book, request[kind])
    except RequestRefused as refused:
        raise bad_request(f"Invalid requests[{number}].{kind}: {refused}") from None
    return {kind: reply} if reply or kind in _REPLY_UNDER_OWN_NAME else {}
