"""CSV exports: per form a typed, formula-safe CSV that is always whole, consistent and cheap to keep up to date."""

from collect_pipelines.delivery.csv_export.download import CsvDownload
from collect_pipelines.delivery.csv_export.exports import CsvExports
from collect_pipelines.delivery.csv_export.options import CsvOptions, csv_options

__all__ = ["CsvDownload", "CsvExports", "CsvOptions", "csv_options"]
