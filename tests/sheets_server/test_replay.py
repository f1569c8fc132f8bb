from __future__ import annotations

import pytest

from collect_pipelines.sheets_server.in_thread import RunningServer
from tests.sheets_server.replay import find_recordings, replay

RECORDINGS = find_recordings()


@pytest.mark.skipif(RECORDINGS is None, reason="the recordings of gspread's test suite are not here (shared/data)")
def test_it_answers_what_google_answered_in_the_recordings(own_server: RunningServer) -> None:
    assert RECORDINGS is not None
    result = replay(own_server.url, RECORDINGS)
    assert result.same.total() + result.different.total() > 1900
    # What differs: listings of somebody's whole account, a Drive v2 answer, text widths. docs/sheets-server.md
    assert result.ratio >= 0.993, result.examples[:3]
    assert not result.different["values"] and not result.different["batchUpdate"]
