"""Forms, ids and keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect_pipelines.model import UNROUTED, Form, form_from_document, form_of, id_range, safe_key


@given(st.text(), st.text())
def test_two_form_ids_never_share_a_key(one: str, other: str) -> None:
    assert (safe_key(one) == safe_key(other)) == (one == other)


@given(st.text(max_size=5000))
def test_a_key_is_safe_for_folders_partitions_and_labels(form_id: str) -> None:
    key = safe_key(form_id)
    assert 1 <= len(key) <= 60
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


def test_a_key_is_its_own_key_only_when_plain() -> None:
    assert safe_key("fair") == "fair"
    assert safe_key(safe_key("Fair")) != safe_key("Fair")


@pytest.mark.parametrize(
    ("store_id", "form"),
    [
        ("fair:1", "fair"),
        ("fair:a:b", "fair"),
        ("fair", UNROUTED),
        (":1", UNROUTED),
        ("fair:", UNROUTED),
        (7, UNROUTED),
        (None, UNROUTED),
    ],
)
def test_the_form_is_known_from_the_id_alone(store_id: object, form: str) -> None:
    assert form_of(store_id) == form


@given(st.text(min_size=1).filter(lambda text: ":" not in text), st.text(min_size=1))
def test_every_id_of_a_form_lies_in_its_range(form_id: str, rest: str) -> None:
    low, high = id_range(form_id)
    assert low <= f"{form_id}:{rest}" < high


def test_a_malformed_form_is_read_as_far_as_possible() -> None:
    form = form_from_document(
        {
            "_id": "f",
            "titles": {"en": "F", "hi": 3},
            "questions": [
                {"id": "b", "type": "integer", "position": 2, "titles": {"en": "B"}},
                {"id": "a", "type": "wizardry", "position": 1},
                {"id": "b", "type": "text"},
                {"id": "_id", "type": "text"},
                {"id": 5},
                "nonsense",
            ],
            "settings": {"integrations": {"google_sheet": {"deletes": "remove"}, "csv_export": 3}},
        }
    )
    assert [question.id for question in form.questions] == ["a", "b"]
    assert form.title("hi") == "F"
    assert len(form.problems) == 5
    assert form.integration("google_sheet") == {"deletes": "remove"}
    assert form.integration("csv_export") == {} == Form("x", {}).integration("anything")
