"""`collect up`"""

from __future__ import annotations

from collect_pipelines.cli.serving import serve
from collect_pipelines.settings import load_settings


def up() -> None:
    """Start everything and keep it running until Ctrl-C.

    MongoDB, PostgreSQL and the Sheets server are started when no address is configured for them (COLLECT_MONGO_URI,
    COLLECT_POSTGRES_URL, COLLECT_SHEETS_ENDPOINT or COLLECT_GOOGLE_CREDENTIALS); Dagster and the portal always are.
    What ends is started again. Data, logs and the chosen ports are in COLLECT_HOME (default: .collect).
    """
    serve(load_settings())
