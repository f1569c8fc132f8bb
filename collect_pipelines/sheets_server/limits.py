"""Google's limits. Sources: support.google.com/drive/answer/37603, developers.google.com/workspace/sheets/api/limits,
and errors that people posted (docs/sheets-server.md)."""

from __future__ import annotations

CELLS = 10_000_000
COLUMNS = 18_278
CELL_CHARACTERS = 50_000
BODY_BYTES = 10_485_760
REQUESTS = 100_000
TITLE_CHARACTERS = 100
METADATA_CHARACTERS = 30_000

DEFAULT_ROWS = 1000
DEFAULT_COLUMNS = 26
ROW_PIXELS = 21
COLUMN_PIXELS = 100
