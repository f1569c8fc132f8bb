"""What machines ask: is the process alive, can it work, how late is what."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pymongo
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from collect_pipelines.errors import CollectError
from collect_pipelines.model import safe_key
from collect_pipelines.portal.freshness import Freshness, Standing
from collect_pipelines.source.connection import Document, mongo_errors

READY_WITHIN_SECONDS = 2.0


def mongodb_fault(client: MongoClient[Document], state_database: str) -> str:
    """Write and read back with a majority of the replica set; return what is wrong, empty when nothing is."""
    probes = client[state_database].get_collection(
        "probes", write_concern=WriteConcern("majority"), read_concern=ReadConcern("majority")
    )
    begun = time.monotonic()
    try:
        with mongo_errors(), pymongo.timeout(READY_WITHIN_SECONDS):
            probes.update_one({"_id": "portal"}, {"$set": {"at": datetime.now(UTC)}}, upsert=True)
            probes.find_one({"_id": "portal"})
    except CollectError as error:
        return error.message
    took = time.monotonic() - begun
    return f"a write and a read took {took:.1f} s" if took > READY_WITHIN_SECONDS else ""


def folder_fault(folder: Path) -> str:
    """Look whether exports can be read; return what is wrong. A folder that is not there yet is fine."""
    if not folder.exists():
        return ""
    return "" if os.access(folder, os.R_OK | os.X_OK) else "the export folder cannot be read"


class FormCollector(Collector):
    """Lag and standing of every form at every destination, found when they are asked for."""

    def __init__(self, read: Callable[[], Freshness], clock: Callable[[], datetime]) -> None:
        self._read = read
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield the figures; only `collect_state_up 0` when MongoDB is away."""
        up = GaugeMetricFamily("collect_state_up", "1 when the state database can be read.")
        try:
            freshness = self._read()
        except CollectError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _capture(freshness)
        yield from _forms(freshness, self._clock())
        yield from _deliveries(freshness, self._clock())


def registry_of(read: Callable[[], Freshness], clock: Callable[[], datetime]) -> CollectorRegistry:
    """Make the registry behind `/metrics`."""
    registry = CollectorRegistry()
    registry.register(FormCollector(read, clock))
    return registry


def _capture(freshness: Freshness) -> Iterator[Metric]:
    polled = GaugeMetricFamily(
        "collect_capture_polled_timestamp_seconds", "When the change stream was last listened to (Unix time)."
    )
    if freshness.listened_at:
        polled.add_metric([], freshness.listened_at.timestamp())
    yield polled


def _forms(freshness: Freshness, now: datetime) -> Iterator[Metric]:
    labels = ["form"]
    marks = GaugeMetricFamily("collect_journal_marks", "Responses that changed and have not landed.", labels=labels)
    lag = GaugeMetricFamily("collect_form_lag_seconds", "Age of the oldest change missing somewhere.", labels=labels)
    for state in freshness.forms.values():
        marks.add_metric([safe_key(state.form_id)], state.marks)
        lag.add_metric([safe_key(state.form_id)], state.lag_seconds(now))
    yield from (marks, lag)


def _deliveries(freshness: Freshness, now: datetime) -> Iterator[Metric]:
    labels = ["integration", "form"]
    lag = GaugeMetricFamily("collect_delivery_lag_seconds", "Age of the oldest undelivered change.", labels=labels)
    pending = GaugeMetricFamily("collect_delivery_pending", "1 when something waits to be delivered.", labels=labels)
    failed = GaugeMetricFamily("collect_delivery_failed", "1 when a person must act.", labels=labels)
    rows = GaugeMetricFamily("collect_delivery_rows", "Rows at the destination, where known.", labels=labels)
    for delivery in (delivery for state in freshness.forms.values() for delivery in state.deliveries):
        names = [delivery.integration, safe_key(delivery.form_id)]
        lag.add_metric(names, delivery.lag_seconds(now))
        pending.add_metric(names, int(delivery.pending_since is not None))
        failed.add_metric(names, int(delivery.standing is Standing.FAILED))
        if delivery.rows is not None:
            rows.add_metric(names, delivery.rows)
    yield from (lag, pending, failed, rows)
