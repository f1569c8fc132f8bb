"""`collect import` and `collect generate` as a person types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from pymongo import MongoClient
from typer.testing import CliRunner

from collect_pipelines.cli import app
from collect_pipelines.embedded.mongod import Mongod
from collect_pipelines.source.store import CollectStore


class Collect:
    """The command line with settings of its own."""

    def __init__(self, uri: str | None, database: str, home: Path) -> None:
        self.environment = {"COLLECT_HOME": str(home), "COLLECT_MONGO_DATABASE": database, "COLLECT_MONGO_URI": uri}

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, arguments, env=self.environment)


@pytest.fixture
def collect(mongod: Mongod, database_name: str, tmp_path: Path) -> Collect:
    return Collect(mongod.uri, database_name, tmp_path / "home")


def test_an_import_shows_what_it_inferred_and_counts_what_it_stored(
    collect: Collect, mongo: MongoClient, database_name: str, tmp_path: Path
) -> None:
    path = tmp_path / "survey.csv"
    path.write_text("Name,Mobile No.,Age\nAsh,0987654321,10\nMisty,0123456789,ten\n")
    tried = collect("import", str(path), "--dry-run")
    assert tried.exit_code == 0, tried.stderr
    assert "nothing was stored" in tried.stdout
    assert database_name not in mongo.list_database_names()
    done = collect("import", str(path), "--type", "age=integer")
    assert done.exit_code == 0, done.stderr
    assert "phone" in done.stdout
    assert "2 added, 0 changed, 0 unchanged" in done.stdout
    assert "1 answers to age of survey are no value of its type" in done.stdout
    assert CollectStore(mongo, database_name).count("survey") == 2
    assert "0 added, 0 changed, 2 unchanged" in collect("import", str(path)).stdout


def test_rejected_lines_are_listed_and_the_exit_code_tells(collect: Collect, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": 1}\nnonsense \x1b[31m[red]\n')
    done = collect("import", str(path))
    assert done.exit_code == 1
    assert "line 2: not valid JSON" in done.stdout
    assert "1 added" in done.stdout
    assert "1 rejected" in done.stdout


def test_a_hostile_header_cannot_write_to_the_terminal(collect: Collect, tmp_path: Path) -> None:
    path = tmp_path / "hostile.csv"
    path.write_text("\x1b]0;owned\x07[link=http://x.invalid]click[/link],\u202ertl\n1,2\n")
    done = collect("import", str(path), "--dry-run")
    assert done.exit_code == 0, done.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
    assert "[link=http" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import", "nowhere.csv"], "nowhere.csv: No such file"),
        (["import", "pyproject.toml", "--form", "a:b"], "a form id has 1 to 200 characters"),
        (["import", "pyproject.toml", "--type", "x=telepathy"], "is not COLUMN=TYPE"),
        (["generate", "--edit-share", "0.7", "--delete-share", "0.7"], "more than 1"),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(collect: Collect, arguments: list[str], message: str) -> None:
    done = collect(*arguments)
    assert done.exit_code == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_store_the_message_says_how_to_get_one(tmp_path: Path) -> None:
    done = Collect(None, "x", tmp_path)("generate")
    assert done.exit_code == 1
    assert "COLLECT_MONGO_URI" in done.stderr


def test_generated_responses_are_as_many_as_asked(collect: Collect, mongo: MongoClient, database_name: str) -> None:
    done = collect("generate", "--forms", "2", "--responses", "60", "--seed", "1", "--delete-share", "0.1")
    assert done.exit_code == 0, done.stderr
    assert "60 added, 0 edited, 6 deleted in 2 forms" in done.stdout
    assert sum(CollectStore(mongo, database_name).counts().values()) == 54
    live = collect("generate", "--forms", "2", "--rate", "200", "--responses", "40")
    assert live.exit_code == 0, live.stderr
    assert sum(CollectStore(mongo, database_name).counts().values()) >= 94
