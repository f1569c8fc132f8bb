"""`collect demo`"""

from __future__ import annotations

from typing import Annotated

import typer

from collect_pipelines.cli.serving import Live, serve
from collect_pipelines.settings import Settings, load_settings


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Deliver the demo data, compare every copy with the store, and exit.")
    ] = False,
) -> None:
    """Start everything with data flowing: a real survey, sample data of the old system and generated forms.

    Runs until Ctrl-C. With --once it waits until every response is in Parquet, sheet and CSV, compares them with the
    store and exits: 0 when they are equal, else 1 with the difference.
    """
    run_demo(load_settings(), once=once)


def run_demo(settings: Settings, *, once: bool) -> None:
    """Run `collect up` with the demo's story beside it."""

    def story(live: Live) -> None:
        # The seam: import and generate the demo data here with `live.settings`, then, when `once`, wait for the
        # deliveries and compare. Look at `live.stopping` in every loop; returning stops everything.
        if not once:
            live.stopping.wait()

    serve(settings, story)
