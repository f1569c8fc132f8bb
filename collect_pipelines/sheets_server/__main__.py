"""`python -m collect_pipelines.sheets_server --folder F --port P`: serve the folder until told to stop."""

from __future__ import annotations

import argparse
import gc
import logging
from contextlib import suppress
from pathlib import Path

from collect_pipelines.sheets_server.service import SheetsService
from collect_pipelines.sheets_server.switches import Switches
from collect_pipelines.sheets_server.web_server import WebServer

_LOG = logging.getLogger("collect_pipelines.sheets_server")


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m collect_pipelines.sheets_server", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the spreadsheets are kept")
    parser.add_argument("--port", type=int, default=4010, help="port on 127.0.0.1 (default 4010)")
    parser.add_argument(
        "--not-power-safe", action="store_true", help="do not fsync every write: faster, survives kill -9 only"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    gc.set_threshold(100_000, 20, 20)  # rows in memory hold no cycles: looking for them took half of a long read
    service = SheetsService(options.folder, power_safe=not options.not_power_safe)
    _LOG.info("serving %s on http://127.0.0.1:%d", options.folder, options.port)
    try:
        with suppress(KeyboardInterrupt):
            WebServer(service, Switches(), options.port).run()
    finally:
        service.close()


if __name__ == "__main__":
    main()
