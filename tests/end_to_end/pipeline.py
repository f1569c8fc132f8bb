"""The engine with its real destinations in this process: a real MongoDB, a real local Sheets server, no Dagster."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pydantic import SecretStr

import assets
from collect_pipelines.audit.compare import Comparison, compare_form
from collect_pipelines.draining.drain import Drain, Limits
from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.stages import Outcome
from collect_pipelines.integration import discover
from collect_pipelines.settings import Settings
from collect_pipelines.sheets_server.in_thread import running_server
from collect_pipelines.source.store import CollectStore
from tests.end_to_end.sheet import Sheet

QUIET_SECONDS = 0.4
MOST_DRAINS = 10  # what fails each time is never done


@dataclass(frozen=True)
class Pipeline:
    """One deployment without its processes."""

    engine: Engine
    store: CollectStore

    def drain(self) -> list[Outcome]:
        """Follow the stream and work until nothing is left; return what was done."""
        outcomes: list[Outcome] = []
        for _ in range(MOST_DRAINS):
            self.catch_up()
            done = list(chain.from_iterable(Drain(self.engine, Limits(0, 120), capture=False).run()))
            outcomes += done
            if not done:
                break
        return outcomes

    def catch_up(self) -> None:
        """Follow the stream until it is quiet."""
        capture = self.engine.capture()
        while (polled := capture.poll(QUIET_SECONDS)).events or polled.rescan_reason:
            pass
        capture.close()

    def compare(self, form_id: str) -> Comparison:
        return compare_form(self.engine, form_id)

    def delivery(self, integration: str, form_id: str) -> dict[str, object]:
        """What the state says of one delivery; empty when there was none."""
        return self.engine.state["deliveries"].find_one({"_id": f"{integration}/{form_id}"}) or {}

    def sheet(self, form_id: str) -> Sheet:
        """The form's sheet as its owner sees it."""
        url = str(self.delivery("google_sheet", form_id)["url"])
        return Sheet.at(url, self.engine.settings.sheets_endpoint or "")


@contextmanager
def open_pipeline(mongo_uri: str, database: str, home: Path) -> Generator[Pipeline]:
    """Open a pipeline on databases and folders of its own."""
    with running_server(home / "sheets") as server:
        settings = Settings(
            home=home,
            mongo_uri=SecretStr(mongo_uri),
            mongo_database=database,
            state_database=f"{database}_state",
            sheets_endpoint=server.url,
        )
        engine = Engine(settings, discover(assets), writer="test")
        store = CollectStore(engine.client, database)
        store.ensure()
        yield Pipeline(engine, store)
        engine.client.close()
