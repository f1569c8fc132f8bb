"""The document names what there is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from collect_pipelines.sheets_server.batch_update import KINDS
from collect_pipelines.sheets_server.owner import ACTIONS
from collect_pipelines.sheets_server.switches import Settings

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sheets-server.md").read_text()


def test_every_switch_and_action_is_documented() -> None:
    names = [*(field.name for field in fields(Settings)), *ACTIONS, "not_shared", "reset", "seed"]
    assert [name for name in names if f"`{name}`" not in DOCUMENT] == []
    assert f"the {len(KINDS)} in `batch_update.py`" in DOCUMENT
