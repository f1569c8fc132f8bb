"""`collect export`: a file and its manifest, or an error that says what to do."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from collect_pipelines.cli.export import write_export
from collect_pipelines.delivery.csv_export import CsvExports
from collect_pipelines.errors import IntegrityError
from tests.delivery.tables import Table
from tests.delivery.test_csv_export import FORM

PROGRAM = """
import typer
from collect_pipelines.cli.export import register
app = typer.Typer(pretty_exceptions_enable=False)
app.callback()(lambda: None)
register(app)
app()
"""


def collect_export(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "export", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"COLLECT_HOME": str(home), "PYTHONPATH": str(Path.cwd())},
        cwd=Path.cwd(),
    )


def test_the_file_is_what_its_manifest_says(tmp_path: Path) -> None:
    table = Table(FORM).commit(*({"_id": f"fair:{n}", "name": "Åsa"} for n in range(500)))
    CsvExports(tmp_path / "exports", "en").deliver(FORM, table)
    done = collect_export(tmp_path, "fair", "--out", str(tmp_path / "out.csv"), "--bom")
    assert done.returncode == 0, done.stderr
    assert "500 responses" in done.stderr
    content, manifest = (
        (tmp_path / "out.csv").read_bytes(),
        json.loads((tmp_path / "out.csv.manifest.json").read_text()),
    )
    assert content.startswith(b"\xef\xbb\xbf")
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert (manifest["bytes"], manifest["rows"], manifest["form"]) == (len(content), 500, "fair")
    assert manifest["watermark"] == {"table_id": "t1", "sequence": 1}


def test_a_form_without_export_is_said_to_have_none(tmp_path: Path) -> None:
    done = collect_export(tmp_path, "nowhere")
    assert done.returncode != 0
    assert "no CSV export of form 'nowhere'" in done.stderr


def test_an_export_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    exports, target = CsvExports(tmp_path, "en"), tmp_path / "out.csv"
    exports.deliver(FORM, Table(FORM).commit(*({"_id": f"fair:{n}", "name": "x" * 5000} for n in range(300))))
    database = tmp_path / "fair.sqlite"
    content = bytearray(database.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 300_000] = bytes(300_000)
    database.write_bytes(content)
    target.write_text("the old file")
    opened = exports.open("fair")
    assert opened is not None
    with opened, pytest.raises(IntegrityError):
        write_export(opened, target)
    assert target.read_text() == "the old file"
    assert {path.name for path in tmp_path.glob("*out*")} == {"out.csv"}
