"""`collect status`"""

from __future__ import annotations

import time
from typing import cast

from rich.table import Table

from collect_pipelines.cli.console import console
from collect_pipelines.embedded.home import Home
from collect_pipelines.embedded.processes import started_at
from collect_pipelines.errors import FatalError
from collect_pipelines.settings import load_settings

_COLOURS = {"ready": "green", "stopped": "red", "dead": "red"}


def status() -> None:
    """Show what runs on this home: each server, its address, since when, and how often it was started again.

    Exit code 1 when nothing runs.
    """
    settings = load_settings()
    home = Home(settings.home.absolute())
    if not home.is_locked():
        raise FatalError(f"nothing runs on {home.path}", hint="start it with `collect up`")
    services = cast("list[dict[str, object]]", home.recall("state").get("services", []))
    console.print(status_table(services, now=time.time()))
    console.print(f"logs: {home.logs}", soft_wrap=True)


def status_table(services: list[dict[str, object]], *, now: float) -> Table:
    """The services as a table; a recorded process that is gone is shown as dead."""
    table = Table("", "state", "address", "process", "up for", "restarts", "last exit", box=None, padding=(0, 2, 0, 0))
    for row in services:
        pid, since = row.get("pid"), row.get("started_at")
        dead = isinstance(pid, int) and started_at(pid) is None
        state = "dead" if dead else str(row.get("state"))
        table.add_row(
            str(row.get("name")),
            f"[{_COLOURS.get(state, 'yellow')}]{state}[/]",
            str(row.get("address") or "–"),
            str(pid or "–"),
            _duration(now - since) if isinstance(since, float) and pid else "–",
            str(row.get("restarts", 0)),
            "–" if row.get("last_exit") is None else str(row["last_exit"]),
        )
    return table


def _duration(seconds: float) -> str:
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole:02} s"
