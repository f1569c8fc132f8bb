"""Figures that are kept for a while: few look, nobody waits, nothing old stays for ever."""

from __future__ import annotations

import threading

import pytest

from collect_pipelines.portal.recent import Recent


def test_a_figure_is_found_once_and_anew_after_its_time() -> None:
    seconds, found = [0.0], iter(range(9))
    recent = Recent(lambda: next(found), 2, clock=lambda: seconds[0])
    assert [recent(), recent()] == [0, 0]
    seconds[0] = 1.9
    assert recent() == 0
    seconds[0] = 2.1
    assert [recent(), recent()] == [1, 1]


def test_a_slow_figure_is_kept_for_longer() -> None:
    seconds, found = [0.0], [0]

    def find() -> int:
        seconds[0] += 3
        found[0] += 1
        return found[0]

    recent = Recent(find, 2, clock=lambda: seconds[0])
    recent()
    seconds[0] += 59
    assert recent() == 1
    seconds[0] += 2
    assert recent() == 2


def test_one_thread_looks_while_the_others_take_what_is_known() -> None:
    seconds, looking, go_on, found = [0.0], threading.Event(), threading.Event(), iter(["old", "new"])

    def find() -> str:
        if seconds[0] > 0:
            looking.set()
            go_on.wait(10)
        return next(found)

    recent = Recent(find, 1, clock=lambda: seconds[0])
    assert recent() == "old"
    seconds[0] = 5
    looker = threading.Thread(target=recent)
    looker.start()
    assert looking.wait(10)
    assert recent() == "old"
    go_on.set()
    looker.join()
    assert recent() == "new"


def test_a_failure_to_look_is_passed_on_and_tried_again() -> None:
    outcomes = iter([ZeroDivisionError, None])

    def find() -> str:
        if error := next(outcomes):
            raise error
        return "found"

    recent = Recent(find, 1)
    with pytest.raises(ZeroDivisionError):
        recent()
    assert recent() == "found"
