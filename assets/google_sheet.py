"""One spreadsheet per form in Google Sheets."""

from collect_pipelines.delivery.contract import Destination
from collect_pipelines.delivery.google_sheet import open_google_sheets
from collect_pipelines.draining.engine import Engine
from collect_pipelines.integration import destination


@destination(kinds={"googlesheets"}, lanes=8)
def google_sheet(engine: Engine) -> Destination:
    """Rows in Google Sheets: a question is a column, a response a row, found again by its key and changed in place.

    People's own columns, sorting, filters, notes and inserted rows stay as they are.
    """
    return open_google_sheets(engine.settings, engine.client)
