"""The embedded PostgreSQL: real servers on real folders."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import psycopg2
import pytest

from collect_pipelines.embedded.postgres import Postgres, PostgresFolder, find_postgres, start_postgres
from collect_pipelines.errors import ConfigurationError


def ask(url: str, query: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            return row[0] if row else None
    finally:
        connection.close()


def test_it_answers_under_its_address_and_flushes_to_disk(postgres: Postgres) -> None:
    assert ask(postgres.url, "SELECT current_database()") == "dagster"
    assert ask(postgres.url, "SHOW fsync") == "on"
    assert ask(postgres.url, "SHOW listen_addresses") == "127.0.0.1"


def test_it_lets_nobody_in_without_the_password_which_only_the_owner_can_read(postgres: Postgres) -> None:
    assert stat.S_IMODE((postgres.folder.path / "password").stat().st_mode) == 0o600
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(postgres.url.replace(postgres.folder.password, "wrong"))


def test_it_starts_again_after_a_kill_in_a_deep_folder_with_spaces_and_keeps_what_was_committed(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    folder = private / f"a b {'x' * 120}" / "postgres"
    server = start_postgres(folder)
    connection = psycopg2.connect(server.url)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 1 AS x")
    connection.close()
    server.process.kill()
    server.process.wait()
    lock = folder / "data" / "postmaster.pid"
    assert lock.exists()
    # As after a reboot: the old process id now belongs to a program that has nothing to do with it.
    with subprocess.Popen(["sleep", "60"]) as stranger:
        lock.write_text(lock.read_text().replace(str(server.process.pid), str(stranger.pid), 1))
        try:
            server = start_postgres(folder, server.port, timeout_seconds=20)
            assert ask(server.url, "SELECT x FROM kept") == 1
        finally:
            server.stop()
            stranger.kill()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_a_data_folder_of_another_major_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 9"):
        find_postgres(data)


def test_a_start_that_was_killed_while_it_made_the_folder_is_begun_anew(tmp_path: Path) -> None:
    folder = PostgresFolder(tmp_path)
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "half").touch()
    folder.make()
    assert (folder.data / "PG_VERSION").exists()
    assert not (folder.data / "half").exists()
