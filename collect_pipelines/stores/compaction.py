"""Upkeep of a table: merging segments and deleting what nobody needs; moves no watermark and blocks no append."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from collect_pipelines.errors import Fenced
from collect_pipelines.stores.history import History
from collect_pipelines.stores.manifest import Manifest, Retired, Segment
from collect_pipelines.stores.merge import Plan, in_order, plan_all, plan_compaction, table_columns
from collect_pipelines.stores.objects import AlreadyThere, Missing, Objects
from collect_pipelines.stores.segments import Segments
from collect_pipelines.stores.snapshot import TableSnapshot

GRACE = timedelta(hours=1)
"""How long a file that was given up stays for snapshots that still read it."""
ORPHAN_AGE = timedelta(hours=24)
"""Age at which a file that was never committed is given up."""


class Collected(NamedTuple):
    """What was deleted, and how many files were given up, to be deleted after GRACE."""

    manifests: int = 0
    files: int = 0
    given_up: int = 0


def compact(history: History, segments: Segments, now: datetime, *, everything: bool) -> bool:
    """Merge what the plan chooses and commit it; False if there was nothing to do, or somebody else did it."""
    start = history.newest()
    plan = plan_all(start.segments) if everything else plan_compaction(start.segments)
    if plan is None:
        return False
    schema = table_columns(start.columns)
    rows = TableSnapshot(segments, start).current(plan.sources, 0, schema)
    merged = tuple(segments.put_all(rows, schema, plan.level))
    return _replace(history, start, plan, merged, now)


def _replace(history: History, start: Manifest, plan: Plan, merged: Sequence[Segment], now: datetime) -> bool:
    current, seen = start, start.version
    while _still_there(plan, current) and not history.condemned(_names(merged), after=seen, upto=current.version):
        seen = current.version
        kept = [segment for segment in current.segments if segment not in plan.sources]
        given_up = tuple(Retired(segment.name, int(now.timestamp())) for segment in plan.sources)
        following = replace(
            current,
            version=current.version + 1,
            segments=in_order([*kept, *merged]),
            retired=(*current.retired, *given_up),
            prev_sha256=current.sha256,
        )
        try:
            history.commit(following)
        except AlreadyThere:  # an append came first: its rows are newer than all that was merged
            current = history.newest()
        except Fenced:
            return False
        else:
            return True
    return False


def _still_there(plan: Plan, manifest: Manifest) -> bool:
    return set(_names(plan.sources)) <= set(_names(manifest.segments))


def _names(segments: Sequence[Segment]) -> list[str]:
    return [segment.name for segment in segments]


def collect_garbage(objects: Objects, history: History, segments: Segments, now: datetime) -> Collected:
    """Delete old manifests, and files that were given up at least GRACE ago; give up files nobody ever committed.

    A file is deleted only after a commit gave it up. A writer that lost the race against that commit looks for its
    files there and writes them again, so no clock, however wrong, makes a table name a deleted file.
    """
    current = history.newest()
    manifests = history.forget_old(now)
    due = [item for item in current.retired if item.at_seconds <= (now - GRACE).timestamp()]
    for item in due:
        objects.delete(f"{segments.folder}/{item.name}")
    named = {*_names(current.segments), *(item.name for item in current.retired)}
    aged = (now - ORPHAN_AGE).timestamp()
    unnamed = [name for name in objects.list(segments.folder) if name not in named]
    orphans = [Retired(name, int(now.timestamp())) for name in unnamed if _written(objects, segments, name) < aged]
    for folder in (segments.folder, history.folder):
        objects.sweep(folder, aged)
    if due or orphans:
        _keep_retired(history, current, [item for item in current.retired if item not in due], orphans)
    return Collected(manifests, len(due), len(orphans))


def _written(objects: Objects, segments: Segments, name: str) -> float:
    """Return when a file was written; one that is gone by now is as good as new."""
    try:
        return objects.written_at_seconds(f"{segments.folder}/{name}")
    except Missing:
        return inf


def _keep_retired(history: History, current: Manifest, kept: Sequence[Retired], orphans: Sequence[Retired]) -> None:
    following = replace(current, version=current.version + 1, retired=(*kept, *orphans), prev_sha256=current.sha256)
    try:
        history.commit(following)
    except (AlreadyThere, Fenced):
        return  # somebody else committed: what is due stays listed and is looked at again next time
