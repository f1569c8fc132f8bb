"""The journal gives every id back as it was put in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from bson import Binary, DatetimeMS, Decimal128, Int64, MaxKey, ObjectId, Timestamp
from pymongo import MongoClient

from collect_pipelines.source.connection import connect
from collect_pipelines.source.journal import FORM_ITSELF, Journal, Mark
from collect_pipelines.source.reader import Reader
from collect_pipelines.source.state import State

IDS = [
    *(None, "", "text", True, 7, Int64(2**60), 1.25, ObjectId("650000000000000000000001"), Decimal128("1.5")),
    *(Binary(b"\0\xff"), Binary.from_uuid(UUID(int=7)), Binary(b"odd", 4), {"a": [1]}, MaxKey(), Timestamp(1, 1)),
    *(DatetimeMS(2**62), DatetimeMS(0)),
]


@pytest.fixture
def client(mongod: Any) -> Any:
    with connect(mongod.uri) as client:
        yield client


def test_a_response_of_any_id_is_found_again_through_its_mark(client: MongoClient, database_name: str) -> None:
    client[database_name]["responses"].insert_many([{"_id": store_id} for store_id in IDS])
    state = State(client, f"{database_name}_state")
    state.ensure()
    journal = Journal(state)
    journal.put([Mark("f", store_id, "1") for store_id in [*IDS, FORM_ITSELF]], datetime.now(UTC))
    marks = journal.take("f", 100)
    assert sum(mark.store_id is FORM_ITSELF for mark in marks) == 1
    responses = [mark.store_id for mark in marks if mark.store_id is not FORM_ITSELF]
    with Reader(client, database_name).reading() as reading:
        found = b"".join(reading.by_ids(responses))
    assert found.count(b"_id\0") == len(IDS)
    journal.acknowledge(marks)
    assert journal.take("f", 100) == []
