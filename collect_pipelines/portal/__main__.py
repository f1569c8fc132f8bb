"""Run the portal: `python -m collect_pipelines.portal [--port N]`."""

from __future__ import annotations

import argparse
import sys

import uvicorn

from collect_pipelines.errors import CollectError, ConfigurationError
from collect_pipelines.portal.application import build_application
from collect_pipelines.portal.portal import open_portal
from collect_pipelines.settings import Settings, load_settings
from collect_pipelines.source.connection import connect

_MONGODB_PATIENCE_SECONDS = 3


def main() -> int:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m collect_pipelines.portal", description=main.__doc__)
    parser.add_argument("--port", type=int, help="port on 127.0.0.1 (default: COLLECT_PORTAL_PORT, else 4000)")
    try:
        settings = load_settings()
        serve(settings, parser.parse_args().port or settings.portal_port)
    except CollectError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def serve(settings: Settings, port: int) -> None:
    """Serve the portal on the loopback interface: whoever publishes it puts a proxy with a login before it."""
    if settings.mongo_uri is None:
        raise ConfigurationError(
            "COLLECT_MONGO_URI is not set", hint="set it, or let `collect up` start the portal with everything else"
        )
    with connect(settings.mongo_uri.get_secret_value(), timeout_seconds=_MONGODB_PATIENCE_SECONDS) as client:
        application = build_application(open_portal(settings, client))
        uvicorn.run(application, host="127.0.0.1", port=port, log_level="warning", server_header=False)


if __name__ == "__main__":
    sys.exit(main())
