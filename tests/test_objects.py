"""Objects: whole or not there, first come first served."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collect_pipelines.errors import TransientError
from collect_pipelines.stores.objects import AlreadyThere, LocalObjects, Missing


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "lake")


def test_an_object_is_put_once_and_never_replaced(objects: LocalObjects) -> None:
    objects.put_if_absent("a/b/one", b"first")
    with pytest.raises(AlreadyThere):
        objects.put_if_absent("a/b/one", b"second")
    assert objects.get("a/b/one") == b"first"
    assert objects.list("a/b") == ["one"]
    assert [path.name for path in objects.path("a/b").iterdir()] == ["one"]


def test_of_many_writers_exactly_one_wins(objects: LocalObjects) -> None:
    def put(number: int) -> bool:
        try:
            objects.put_if_absent("m/1", b"%d" % number * 1000)
        except AlreadyThere:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(32)))
    assert sum(won) == 1
    assert objects.get("m/1") == b"%d" % won.index(True) * 1000


def test_what_is_not_there_is_missing_and_may_be_deleted(objects: LocalObjects) -> None:
    with pytest.raises(Missing):
        objects.get("a")
    with pytest.raises(Missing):
        objects.open("a")
    objects.delete("a")
    assert objects.list("nowhere") == []


def test_an_object_being_written_is_not_listed_and_its_leftover_is_swept(objects: LocalObjects) -> None:
    objects.put_if_absent("a/one", b"1")
    leftover = objects.path("a/.tmp-dead")
    leftover.write_bytes(b"half")
    os.utime(leftover, (1000, 1000))
    objects.path("a/.tmp-alive").write_bytes(b"half")
    assert objects.list("a") == ["one"]
    assert objects.sweep("a", before_seconds=2000) == 1
    assert sorted(path.name for path in objects.path("a").iterdir()) == [".tmp-alive", "one"]


def test_an_unusable_disk_is_a_passing_trouble(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    objects = LocalObjects(tmp_path / "file")
    with pytest.raises(TransientError, match="a/one"):
        objects.put_if_absent("a/one", b"1")
