"""Manifests survive being written and read, and nothing else passes for one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect_pipelines.errors import IntegrityError
from collect_pipelines.model import QuestionType
from collect_pipelines.stores.manifest import (
    Counters,
    Manifest,
    Retired,
    Segment,
    Watermark,
    file_name,
    seal,
    unseal,
    version_of,
)

TEXT = st.text(st.characters(codec="utf-8"))
NUMBER = st.integers(0, 2**63 - 1)
MANIFESTS = st.builds(
    Manifest,
    form_id=TEXT,
    table_id=TEXT,
    version=NUMBER,
    watermark=st.builds(Watermark, NUMBER, NUMBER),
    segments=st.lists(st.builds(Segment, TEXT, *[NUMBER] * 4, TEXT, TEXT, *[NUMBER] * 3), max_size=3).map(tuple),
    columns=st.dictionaries(TEXT, st.sampled_from(QuestionType)),
    counters=st.builds(Counters, NUMBER, NUMBER, NUMBER),
    last_append=TEXT,
    retired=st.lists(st.builds(Retired, TEXT, NUMBER), max_size=3).map(tuple),
    writer=st.dictionaries(TEXT, TEXT),
    prev_sha256=TEXT,
)


@given(MANIFESTS)
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    raw, digest = seal(manifest)
    read = unseal(raw, "here")
    assert read == replace(manifest, sha256=digest)
    assert list(read.columns) == list(manifest.columns)


@given(st.data())
def test_no_changed_byte_passes(data: st.DataObject) -> None:
    raw, _ = seal(Manifest("fair", "id", 1, Watermark(1, 2)))
    place = data.draw(st.integers(0, len(raw) - 2))
    changed = bytearray(raw)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        unseal(bytes(changed), "here")
    with pytest.raises(IntegrityError):
        unseal(raw[:place], "here")


def test_names_sort_as_versions_do() -> None:
    assert [version_of(name) for name in sorted(map(file_name, (10, 9, 2**62)))] == [9, 10, 2**62]
    assert version_of("x.json") is version_of("1.json") is version_of(file_name(1) + ".bak") is None
