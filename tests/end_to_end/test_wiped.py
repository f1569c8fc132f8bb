"""Dagster's database and our own state are hints: wiping either in mid-flow loses nothing and doubles nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg2
import pytest

from collect_pipelines.source.documents import response_document
from tests.end_to_end.conftest import NewForm
from tests.end_to_end.stack import Stack, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stack")]

LONGEST_SECONDS = 90.0


def wipe_dagster(stack: Stack) -> None:
    """Empty every table of Dagster but those that say which version the tables have."""
    url = stack.settings.postgres_url
    assert url is not None
    connection = psycopg2.connect(url.get_secret_value())
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            tables = [name for (name,) in cursor.fetchall() if name not in ("alembic_version", "secondary_indexes")]
            cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
    finally:
        connection.close()


def wipe_state(stack: Stack) -> None:
    """Drop the whole state database, as a careless person may."""
    stack.store.client.drop_database(stack.settings.state_database)


@pytest.mark.parametrize("wipe", [wipe_dagster, wipe_state], ids=["Dagster", "our state"])
def test_wiping_in_mid_flow_loses_and_doubles_nothing(
    wipe: Callable[[Stack], None], stack: Stack, new_form: NewForm, traffic: threading.Event
) -> None:
    form_id = new_form()
    stack.store.submit([response_document(form_id, "before", {"name": "before"})])
    stack.wait_until_equal(form_id)
    before = stack.sheet(form_id).spreadsheet_id

    workers = stack.workers()
    wipe(stack)
    for worker in workers:  # so that what was wiped has to start the next run
        worker.kill()
    stack.store.submit([response_document(form_id, "after", {"name": "after"})])
    waited = wait_until(lambda: stack.in_sheet(form_id, f"{form_id}:after"), "the next response", LONGEST_SECONDS)
    traffic.set()
    stack.wait_until_equal(seconds=LONGEST_SECONDS)
    print(f"next response in the sheet {waited:.1f} s after the wipe")
    wait_until(lambda: stack.delivered("google_sheet", form_id).get("url"), "the state is made anew")
    assert stack.sheet(form_id).spreadsheet_id == before
