"""One CSV file per form, to download."""

from collect_pipelines.delivery.contract import Destination
from collect_pipelines.delivery.csv_export import CsvExports
from collect_pipelines.draining.engine import Engine
from collect_pipelines.integration import destination


@destination(kinds={"csv"}, lanes=2)
def csv_export(engine: Engine) -> Destination:
    """A typed CSV file that spreadsheet programs can open safely; whole or not at all. Download it from the portal."""
    return CsvExports(engine.settings.exports, engine.settings.language)
