"""Faults on request, quotas, sharing."""

from __future__ import annotations

import time

import pytest
import requests

from collect_pipelines.sheets_server.in_thread import RunningServer
from tests.sheets_server.conftest import Spreadsheet, make_spreadsheet


@pytest.fixture
def faulty(own_server: RunningServer) -> Spreadsheet:
    return make_spreadsheet(own_server)


@pytest.mark.parametrize(("switch", "applied"), [("apply_then_drop", True), ("drop", False)])
def test_a_dropped_write_has_no_answer(faulty: Spreadsheet, switch: str, applied: bool) -> None:
    faulty.server.control(**{switch: 1})
    with pytest.raises(requests.ConnectionError, match="RemoteDisconnected"):
        faulty.write("Data!A1", [["x"]])
    assert faulty.values() == ([["x"]] if applied else [])
    assert faulty.write("Data!A1", [["y"]]).status_code == 200


@pytest.mark.parametrize(
    ("switch", "status", "applied"),
    [
        ("unavailable_applied", 503, True),
        ("unavailable", 503, False),
        ("internal_error_applied", 500, True),
        ("internal_error", 500, False),
    ],
)
def test_an_error_says_nothing_about_the_write(faulty: Spreadsheet, switch: str, status: int, applied: bool) -> None:
    faulty.server.control(**{switch: 1})
    assert faulty.write("Data!A1", [["x"]]).status_code == status
    assert faulty.values() == ([["x"]] if applied else [])


def test_rates_of_faults_repeat_with_their_seed(faulty: Spreadsheet) -> None:
    def statuses() -> list[int]:
        faulty.server.control(reset=True, seed=4, unavailable_rate=0.5)
        return [faulty.write("Data!A1", [["x"]]).status_code for _ in range(12)]

    first = statuses()
    assert set(first) == {200, 503}
    assert statuses() == first


def test_a_storm_of_429_names_the_empty_bucket(faulty: Spreadsheet) -> None:
    faulty.server.control(too_many_requests=2)
    answer = faulty.write("Data!A1", [["x"]])
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert error["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    assert error["details"][0]["metadata"]["quota_limit"] == "WriteRequestsPerMinutePerUser"
    assert faulty.send("GET", "").status_code == 429
    assert faulty.send("GET", "").status_code == 200


def test_quotas_count_reads_and_writes_of_each_user(faulty: Spreadsheet) -> None:
    faulty.server.control(quotas=True, writes_per_minute=3, reads_per_minute=2)
    writes = [faulty.write("Data!A1", [["x"]]).status_code for _ in range(4)]
    assert writes == [200, 200, 200, 429]
    assert [faulty.send("GET", "").status_code for _ in range(3)] == [200, 200, 429]
    other = requests.post(
        f"{faulty.server.url}/token", data={"assertion": "e30.eyJpc3MiOiAiYkBsb2NhbCJ9.x"}, timeout=10
    )
    bearer = {"Authorization": f"Bearer {other.json()['access_token']}"}
    assert faulty.send("GET", "", headers=bearer).status_code == 200


def test_latency_is_added(faulty: Spreadsheet) -> None:
    faulty.server.control(latency_seconds=0.2)
    start = time.monotonic()
    faulty.send("GET", "")
    assert time.monotonic() - start >= 0.2


def test_what_is_not_shared_is_403_until_it_is_shared(faulty: Spreadsheet) -> None:
    token = requests.post(
        f"{faulty.server.url}/token", data={"assertion": "e30.eyJpc3MiOiAiYUBsb2NhbCJ9.x"}, timeout=10
    )
    headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
    assert faulty.send("GET", "", headers=headers).status_code == 200
    faulty.server.control(not_shared={faulty.id: True})
    answer = faulty.send("GET", "", headers=headers)
    assert answer.json()["error"] == {
        "code": 403,
        "message": "The caller does not have permission",
        "status": "PERMISSION_DENIED",
    }
    assert faulty.send("GET", "").status_code == 403
    faulty.server.act(faulty.id, "edit_cell", row=0, column=0, value="the owner still may")
    faulty.server.service.files.put_permission(
        faulty.id, {"id": "1", "type": "user", "role": "reader", "emailAddress": "A@local"}
    )
    assert faulty.send("GET", "", headers=headers).status_code == 200
    write = faulty.send("POST", ":batchUpdate", {"requests": [{"clearBasicFilter": {"sheetId": 7}}]}, headers=headers)
    assert write.status_code == 403
    faulty.server.control(not_shared={faulty.id: False})
    assert faulty.send("GET", "").status_code == 200


def test_a_full_storage_refuses_new_files_only(faulty: Spreadsheet) -> None:
    faulty.server.control(storage_full=True)
    answer = requests.post(f"{faulty.server.url}/drive/v3/files", json={"name": "x"}, timeout=10)
    assert answer.status_code == 403
    assert answer.json()["error"]["errors"][0]["reason"] == "storageQuotaExceeded"
    assert requests.post(f"{faulty.server.url}/v4/spreadsheets", json={}, timeout=10).status_code == 403
    assert faulty.write("Data!A1", [["x"]]).status_code == 200


def test_an_unknown_switch_or_a_wrong_value_is_refused(faulty: Spreadsheet) -> None:
    for body in ({"dropp": 1}, {"drop": "1"}, {"drop": -1}, {"quotas": 1}, {"drop": 1.5}):
        assert requests.post(f"{faulty.server.url}/_control", json=body, timeout=10).status_code == 400
    state = faulty.server.control()
    assert state["settings"]["drop"] == 0
    assert state["counts"]["writes"] == 1
