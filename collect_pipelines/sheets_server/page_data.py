"""What the page's script asks for: tabs and windows of rows, already as text."""

from __future__ import annotations

from collect_pipelines.sheets_server import limits
from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.cells import Cell, formula_of, unpack, value_of
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.looks import number_format, plain, shown_value, text_of

MOST_ROWS = 500
_MOST_LETTERS = 300


def book_state(book: Book) -> Json:
    """Title, version and tabs."""
    tabs = [_tab(sheet) for sheet in book.sheets if not sheet.properties.get("hidden")]
    return {"title": book.title, "version": book.version, "tabs": tabs}


def _tab(sheet: Sheet) -> Json:
    grid: Json = sheet.properties.get("gridProperties", {})
    columns = [
        0 if column.props.get("hiddenByUser") else column.props.get("pixelSize", limits.COLUMN_PIXELS)
        for column in sheet.columns
    ]
    return {
        "id": sheet.sheet_id,
        "title": sheet.title,
        "rows": sheet.row_count,
        "widths": columns,
        "frozenRows": grid.get("frozenRowCount", 0),
        "color": sheet.properties.get("tabColorStyle", {}).get("rgbColor"),
    }


def row_window(book: Book, sheet_id: int, start: int, end: int) -> Json | None:
    """The rows start…end-1, at most MOST_ROWS; None for an unknown sheet."""
    sheet = book.sheet(sheet_id)
    if sheet is None:
        return None
    end = min(end, sheet.row_count, start + MOST_ROWS)
    slots = sheet.slots(0, sheet.column_count)
    rows = [[_cell(book, sheet, row.get(slot)) for slot in slots] for row in sheet.grid.rows(start, max(start, end))]
    for row in rows:
        while row and row[-1] is None:
            row.pop()
    return {"version": book.version, "start": start, "rows": rows}


def _cell(book: Book, sheet: Sheet, cell: Cell) -> Json | None:
    """Text `t`; kind `k` (n number, b boolean, e error); what was entered `f` where it differs; note `n`; looks."""
    if cell is None:
        return None
    parts = unpack(cell)
    value = shown_value(book, sheet, cell)
    text = text_of(value, number_format(book, cell))
    shown: Json = {"t": text[:_MOST_LETTERS]}
    if isinstance(value, bool):
        shown["k"] = "b"
    elif isinstance(value, int | float):
        shown["k"] = "n"
    elif value is not None and not isinstance(value, str):
        shown["k"] = "e"
    entered = formula_of(cell) or str(plain(value_of(cell)) if value_of(cell) is not None else "")
    if entered != shown["t"] and not isinstance(value, bool):
        shown["f"] = entered
    if note := parts.more.get("note"):
        shown["n"] = note
    shown.update(_looks(book.styles[parts.style]))
    return shown


def _looks(style: Json) -> Json:
    text: Json = style.get("textFormat", {})
    looks: Json = {name[0]: True for name in ("bold", "italic", "strikethrough", "underline") if text.get(name)}
    if "s" in looks:
        looks["x"] = looks.pop("s")
    for name, key in (("backgroundColor", "bg"), ("foregroundColor", "fg")):
        color: Json | None = (style if key == "bg" else text).get(name)
        if color is not None:
            looks[key] = "#" + "".join(f"{round(color.get(part, 0) * 255):02x}" for part in ("red", "green", "blue"))
    if align := style.get("horizontalAlignment"):
        looks["a"] = align.lower()
    return looks
