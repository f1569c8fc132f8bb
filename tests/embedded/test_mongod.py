"""The embedded mongod: real servers on real folders."""

from __future__ import annotations

from pathlib import Path

from pymongo import MongoClient

from collect_pipelines.embedded.mongod import start_mongod
from collect_pipelines.embedded.ports import free_port


def test_it_takes_writes_again_after_a_kill_and_a_move_to_another_port(tmp_path: Path) -> None:
    server = start_mongod(tmp_path / "a b", cache_gigabytes=0.25)
    with MongoClient(server.uri) as client:
        client.collect.kept.insert_one({"_id": 1})
    server.process.kill()
    server.process.wait()
    moved = start_mongod(tmp_path / "a b", free_port(), cache_gigabytes=0.25)
    try:
        with MongoClient(moved.uri) as client:
            client.collect.kept.insert_one({"_id": 2})
            assert {row["_id"] for row in client.collect.kept.find()} == {1, 2}
    finally:
        moved.stop()
