"""Delivery to Google Sheets: fenced batches, verified from their own answers. See docs/design.md."""

from collect_pipelines.delivery.google_sheet.config import SheetConfig, sheet_config
from collect_pipelines.delivery.google_sheet.deliver import GoogleSheets, open_google_sheets

__all__ = ["GoogleSheets", "SheetConfig", "open_google_sheets", "sheet_config"]
