"""A destination in memory that keeps the contract, and an engine around it for one test."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from collect_pipelines.delivery.contract import Delivered, Snapshot
from collect_pipelines.delivery.rows import rows
from collect_pipelines.draining.engine import Engine
from collect_pipelines.integration import DestinationSpec
from collect_pipelines.model import Form, Position
from collect_pipelines.settings import Settings


class Shelf:
    """Keeps the rows of each form in a dict, with the position, behind a lock."""

    def __init__(self) -> None:
        self.forms: dict[str, dict[str, Mapping[str, Any]]] = {}
        self.positions: dict[str, Position] = {}
        self.trouble: dict[str, Exception] = {}
        self.deliveries: list[tuple[str, bool]] = []
        self._lock = threading.Lock()

    def deliver(self, form: Form, snapshot: Snapshot, *, rebuild: bool = False) -> Delivered:
        if form.id in self.trouble:
            raise self.trouble[form.id]
        with self._lock:
            self.deliveries.append((form.id, rebuild))
            before, shelf = self.positions.get(form.id), self.forms.setdefault(form.id, {})
            same = before is not None and before.table_id == snapshot.position.table_id and not rebuild
            added = removed = 0
            for batch in snapshot.changes(before.sequence if before and same else 0):
                for row in rows(batch):
                    if row.deleted:
                        removed += shelf.pop(row.response_id, None) is not None
                    else:
                        added += row.response_id not in shelf
                        shelf[row.response_id] = dict(row.values)
            self.positions[form.id] = snapshot.position
            return Delivered(snapshot.position, added=added, removed=removed, rows=len(shelf))

    def answers(self, form_id: str, question_id: str) -> dict[str, Any]:
        """Answers to one question by response id."""
        return {response: row.get(question_id) for response, row in self.forms.get(form_id, {}).items()}


def make_engine(
    uri: str, database: str, home: Path, shelves: Mapping[str, Shelf], *, linger_seconds: float = 0.0
) -> Engine:
    """An engine on a real MongoDB whose destinations are shelves."""
    settings = Settings(
        home=home,
        mongo_uri=SecretStr(uri),
        mongo_database=database,
        state_database=f"{database}_state",
        linger_seconds=linger_seconds,
        sensor_seconds=1,
    )
    specs = [
        DestinationSpec(
            name, f"The shelf {name}.", lambda _engine, s=shelf: s, frozenset({"python"}), ("team:data",), 2
        )
        for name, shelf in shelves.items()
    ]
    return Engine(settings, specs, writer="test")
