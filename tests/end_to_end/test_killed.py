"""kill -9 of any one process while responses come, change and go: everything catches up by itself, and soon."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from collect_pipelines.embedded.parts import CODE_SERVER, DAEMON, MONGODB, PORTAL, POSTGRESQL, SHEETS, WEBSERVER
from collect_pipelines.source.documents import response_document
from tests.end_to_end.conftest import NewForm
from tests.end_to_end.stack import RUN_WORKER, Stack, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stack")]

KILLED = (MONGODB, POSTGRESQL, SHEETS, CODE_SERVER, WEBSERVER, DAEMON, PORTAL, RUN_WORKER)
LONGEST_SECONDS = 60.0


@pytest.fixture(scope="module")
def times() -> Iterator[dict[str, tuple[float, float]]]:
    """Seconds by what was killed: until the next response was everywhere, until all was equal. Printed at the end."""
    found: dict[str, tuple[float, float]] = {}
    yield found
    print("\nkilled               next response everywhere   all copies equal")
    for name, (next_seconds, equal_seconds) in found.items():
        print(f"{name:20} {next_seconds:22.1f} s {equal_seconds:16.1f} s")


def submit(stack: Stack, form_id: str, unique: str) -> None:
    """Submit as a collector does: again and again until the store has acknowledged it."""
    document = response_document(form_id, unique, {"name": unique})

    def acknowledged() -> bool:
        stack.store.submit([document])
        return True

    wait_until(acknowledged, "the store takes a response")


def everywhere(stack: Stack, form_id: str, unique: str) -> bool:
    response_id = f"{form_id}:{unique}"
    return response_id in stack.csv(form_id) and stack.in_sheet(form_id, response_id)


@pytest.mark.parametrize("name", KILLED)
def test_all_catches_up_after_a_kill(
    name: str,
    stack: Stack,
    new_form: NewForm,
    traffic: threading.Event,
    times: dict[str, tuple[float, float]],
) -> None:
    form_id, unique = new_form(), uuid4().hex
    submit(stack, form_id, "before")
    wait_until(lambda: everywhere(stack, form_id, "before"), "the response before the kill")
    time.sleep(2)  # so that the kill meets work under way

    pid = stack.pid(name)
    stack.kill(name)
    killed_at = time.monotonic()
    submit(stack, form_id, unique)
    wait_until(lambda: everywhere(stack, form_id, unique), "the response after the kill", LONGEST_SECONDS)
    next_seconds = time.monotonic() - killed_at
    wait_until(stack.is_ready, "every service is back", LONGEST_SECONDS)
    if name != RUN_WORKER:
        assert stack.pid(name) != pid

    traffic.set()
    time.sleep(1)
    stack.wait_until_equal(seconds=LONGEST_SECONDS)
    times[name] = next_seconds, time.monotonic() - killed_at
