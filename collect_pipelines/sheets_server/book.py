"""One spreadsheet in memory: its sheets, columns, formats, named ranges and developer metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.cells import Cell
from collect_pipelines.sheets_server.errors import RequestRefused
from collect_pipelines.sheets_server.grid import Grid
from collect_pipelines.sheets_server.json_types import Json

RANGED = ("merges", "basicFilter", "protectedRanges", "bandedRanges", "conditionalFormats", "rowGroups", "columnGroups")
"""What a sheet keeps beside its cells, under the API's own names."""


@dataclass(slots=True)
class Column:
    """A column of a sheet. Rows keep their cells by `slot`, so inserting or moving a column changes no row."""

    slot: int
    props: Json = field(default_factory=dict)


@dataclass(slots=True)
class Sheet:
    """One tab. `properties` are the API's SheetProperties without index and the counts of rows and columns."""

    sheet_id: int
    properties: Json
    columns: list[Column]
    next_slot: int
    grid: Grid
    extras: dict[str, Any] = field(default_factory=dict)
    changed: bool = False
    key: int | None = None

    @property
    def title(self) -> str:
        """The title on the tab."""
        return self.properties["title"]

    @property
    def row_count(self) -> int:
        """Rows of the grid."""
        return self.grid.row_count

    @property
    def column_count(self) -> int:
        """Columns of the grid."""
        return len(self.columns)

    def slots(self, left: int, right: int) -> list[int]:
        """The slots of the columns left…right-1."""
        return [column.slot for column in self.columns[left:right]]

    def new_columns(self, count: int, like: Column | None = None) -> list[Column]:
        """Columns with slots that were never used before."""
        made = [Column(self.next_slot + i, dict(like.props) if like else {}) for i in range(count)]
        self.next_slot += count
        self.changed = True
        return made

    def cell(self, row: int, column: int) -> Cell:
        """One cell."""
        return self.grid.row(row).get(self.columns[column].slot)

    def listed(self, name: str) -> list[Json]:
        """One of the lists in `extras`, made if it is not there."""
        return self.extras.setdefault(name, [])


@dataclass(slots=True)
class Book:
    """A spreadsheet. The flags say what must be written at the end of the request."""

    spreadsheet_id: str
    properties: Json
    sheets: list[Sheet] = field(default_factory=list)
    named_ranges: list[Json] = field(default_factory=list)
    metadata: dict[int, Json] = field(default_factory=dict)
    styles: list[Json] = field(default_factory=lambda: [{}])
    style_numbers: dict[bytes, int] = field(default_factory=dict)
    stored_styles: int = 1
    changed: bool = False
    removed_sheets: list[int] = field(default_factory=list)
    changed_metadata: set[int] = field(default_factory=set)
    version: int = 0

    @property
    def title(self) -> str:
        """The spreadsheet's name."""
        return self.properties["title"]

    @property
    def cell_count(self) -> int:
        """Cells of all sheets, blank ones included: what Google's limit counts."""
        return sum(sheet.row_count * sheet.column_count for sheet in self.sheets)

    def sheet(self, sheet_id: int) -> Sheet | None:
        """The sheet with this id."""
        return next((sheet for sheet in self.sheets if sheet.sheet_id == sheet_id), None)

    def sheet_titled(self, title: str) -> Sheet | None:
        """The sheet with this title; Google does not mind upper and lower case."""
        exact = next((sheet for sheet in self.sheets if sheet.title == title), None)
        return exact or next((sheet for sheet in self.sheets if sheet.title.lower() == title.lower()), None)

    def grid_sheet(self, sheet_id: int) -> Sheet:
        """The sheet with this id, or Google's refusal."""
        sheet = self.sheet(sheet_id)
        if sheet is None:
            raise RequestRefused(f"No grid with id: {sheet_id}")
        return sheet

    def style_number(self, style: Json) -> int:
        """The number under which a cell format is kept; equal formats share one."""
        if not style:
            return 0
        key = orjson.dumps(style, option=orjson.OPT_SORT_KEYS)
        if key not in self.style_numbers:
            self.style_numbers[key] = len(self.styles)
            self.styles.append(style)
        return self.style_numbers[key]

    def check_size(self, added: int) -> None:
        """Refuse what would take the spreadsheet over Google's ten million cells."""
        if added > 0 and self.cell_count + added > limits.CELLS:
            raise RequestRefused(
                "This action would increase the number of cells in the workbook above the limit of "
                f"{limits.CELLS} cells."
            )
