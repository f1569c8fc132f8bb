"""The first destination that CONTRIBUTING shows is one that works."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from collect_pipelines.integration import discover
from collect_pipelines.model import Form
from collect_pipelines.stores.objects import LocalObjects
from collect_pipelines.stores.response_table import ResponseTable
from tests.reference import ROOT
from tests.tables import append


def test_the_destination_in_contributing_is_found_and_delivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block
    package = tmp_path / "assets_of_a_contributor"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "json_lines.py").write_text(block[1], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        [spec] = discover(importlib.import_module(package.name))
    finally:
        for name in [name for name in sys.modules if name.startswith(package.name)]:
            del sys.modules[name]
    assert (spec.name, spec.kinds, spec.description) == ("json_lines", {"json"}, "One JSON-lines file per form.")

    table = ResponseTable(LocalObjects(tmp_path / "lake"), "fair")
    append(table, {"fair:1": 7, "fair:2": 8})
    append(table, {"fair:1": None, "fair:3": 9})
    engine = SimpleNamespace(settings=SimpleNamespace(home=tmp_path))
    for _ in range(2):
        delivered = spec.open(engine).deliver(Form("fair", {}), table.snapshot())
        lines = (tmp_path / "json_lines/fair.jsonl").read_text(encoding="utf-8").splitlines()
        assert {row["_id"]: row["age"] for row in map(json.loads, lines)} == {"fair:2": 8, "fair:3": 9}
        assert (delivered.rows, delivered.position.sequence) == (2, 2)
