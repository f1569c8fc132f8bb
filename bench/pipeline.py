"""Measure the pipeline: `python -m bench.pipeline [all|drain|latency|backfill|growth] [SIZE]`.

drain     300 dirty forms in one Dagster run: wall and CPU seconds of the run's process
latency   response acknowledged → row visible in the sheet, with a server that answers in 0.4 s
backfill  a form of 200,000 responses landed from the store, against draining the cursor; peak memory
growth    ten new responses on a form of a million against one of a thousand: time, requests, bytes

Figures are of this machine at this moment; the ratios are what holds elsewhere.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.servers import ROOT, child_environment, environment, servers
from collect_pipelines.draining.drain import Drain, Limits
from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.stages import LANDING, deliver, land
from collect_pipelines.ingest.generate import Generator, generated_forms
from collect_pipelines.model import QuestionType
from collect_pipelines.settings import Settings
from collect_pipelines.source.capture import request_rescan
from collect_pipelines.source.connection import connect
from collect_pipelines.source.documents import form_document, question_document, response_document
from collect_pipelines.source.store import CollectStore

FORMS = 300


def engine_of(settings: Settings) -> Engine:
    """Open the engine with the destinations of `assets/`."""
    from collect_pipelines.definitions import SPECS

    return Engine(settings, SPECS, writer="bench")


def store_of(settings: Settings) -> CollectStore:
    """Open the store, made if need be."""
    assert settings.mongo_uri
    store = CollectStore(connect(settings.mongo_uri.get_secret_value()), settings.mongo_database)
    store.ensure()
    return store


def small_form(form_id: str) -> dict[str, Any]:
    """A form of three questions: a million responses fit into one spreadsheet."""
    kinds = {"name": "text", "age": "integer", "seen": "boolean"}
    return form_document(form_id, form_id, [question_document(q, QuestionType(kind), q) for q, kind in kinds.items()])


def small_responses(form_id: str, first: int, count: int) -> Iterator[dict[str, Any]]:
    """Responses of a small form."""
    for number in range(first, first + count):
        answers = {"name": f"Person {number}", "age": number % 90, "seen": number % 2 == 0}
        yield response_document(form_id, f"{number:09d}", answers)


def submit(store: CollectStore, documents: Iterator[dict[str, Any]]) -> None:
    """Submit responses that the store takes."""
    assert not (rejected := store.submit(documents).rejected), rejected[0]


# drain


def drain(_size: int) -> None:
    """Make 300 forms dirty, twice, and drain each time in one run of the job."""
    with servers(with_postgres=True) as settings:
        store = store_of(settings)
        for number in range(FORMS):
            store.save_form(small_form(f"form{number:03d}"))
        for turn, responses in enumerate((5, 1, 1)):
            for number in range(FORMS):
                submit(store, small_responses(f"form{number:03d}", turn * 10, responses))
            seconds, cpu = _run_job(settings)
            delivered = {"pending": False, "added": responses}
            count = engine_of(settings).state["deliveries"].count_documents(delivered)
            what = "first time (spreadsheets are made)" if turn == 0 else "one new response each"
            print(f"drain: {FORMS} forms, {what}: {seconds:.1f} s, {cpu:.1f} CPU-s; {count} deliveries made")


def _run_job(settings: Settings) -> tuple[float, float]:
    """Run the job in a process of its own, as a run worker does; return its wall and CPU seconds."""
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    variables = {**child_environment(settings), "DAGSTER_HOME": str(home), "COLLECT_LINGER_SECONDS": "0"}
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "collect_pipelines.definitions", "-j", "drain"]
    before, start = _children_cpu(), time.perf_counter()
    with (settings.home / "job.log").open("w") as log:
        subprocess.run(command, env=variables, cwd=ROOT, check=True, stdout=log, stderr=log)
    return time.perf_counter() - start, _children_cpu() - before


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# latency


def latency(size: int) -> None:
    """Submit a response every half second to a draining pipeline; time until its row is in the sheet."""
    with servers(answer_seconds=0.4) as settings:
        engine, store = engine_of(settings), store_of(settings)
        store.save_form(small_form("fast"))
        submit(store, small_responses("fast", 0, 10))
        runner = Drain(engine, Limits(linger_seconds=3600, most_seconds=3600))
        thread = threading.Thread(target=lambda: list(runner.run()))
        thread.start()
        time.sleep(5)
        waits = [_one_response(store, engine, number) for number in range(100, 100 + (size or 60))]
        runner.stop()
        thread.join()
    ordered = sorted(waits)
    marks = {mark: ordered[min(len(ordered) - 1, int(len(ordered) * mark / 100))] for mark in (50, 95, 99)}
    figures = ", ".join(f"p{mark} {value:.2f} s" for mark, value in marks.items())
    print(f"latency: acknowledged → row in the sheet, {len(waits)} responses, warm, server answers in 0.4 s: {figures}")


def _one_response(store: CollectStore, engine: Engine, number: int) -> float:
    """Submit one response and wait until the sheet's row index, written from the write's own answer, has it."""
    submit(store, small_responses("fast", number, 1))
    start = time.perf_counter()
    deliveries = engine.state["deliveries"]
    while True:
        entry = deliveries.find_one({"_id": "google_sheet/fast"})
        landed = engine.landing.table("fast").load()
        done = entry and not entry["pending"] and entry["sequence"] >= landed.watermark.sequence
        if done and landed.counters.rows >= 10 + number - 99:
            break
        time.sleep(0.02)
    waited = time.perf_counter() - start
    time.sleep(0.5)
    return waited


# backfill


def backfill(size: int) -> None:
    """Land a form of generated responses from the store, in a process of its own that reports its peak memory."""
    with servers() as settings:
        store, count = store_of(settings), size or 200_000
        [form] = generated_forms(1)
        store.save_form(form)
        Generator(store, [form], seed=1).bulk(count)
        rates = {what: _child(what, settings, form["_id"]) for what in ("raw", "land")}
        ratio = rates["land"]["rate"] / rates["raw"]["rate"]
        print(
            f"backfill: {count:,} responses: landed {rates['land']['rate']:,.0f}/s, raw drain "
            f"{rates['raw']['rate']:,.0f}/s, ratio {ratio:.3f}, peak {rates['land']['peak']:.0f} MB"
        )


def _child(what: str, settings: Settings, form_id: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.pipeline", f"--{what}", form_id]
    done = subprocess.run(
        command, env=child_environment(settings), cwd=ROOT, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def child(what: str, form_id: str) -> None:
    """Drain the cursor, or land the form; print rate and peak memory."""
    settings = Settings()
    engine = engine_of(settings)
    rows, start = 0, time.perf_counter()
    if what == "--raw":
        with engine.reader.reading() as reading:
            rows = sum(len(raw) > 0 for raw in reading.of_form(form_id))
        rows = store_of(settings).count(form_id)
    else:
        request_rescan(engine.state, form_id, "bench", datetime.now(UTC), full=True)
        start = time.perf_counter()
        while (outcome := land(engine, form_id)).landed and outcome.landed.more:
            rows += outcome.landed.rows
        assert outcome.ok, outcome.error
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rate": rows / seconds, "peak": peak}))


# growth


def growth(size: int) -> None:
    """Fill a small and a large form everywhere, then bring ten new responses to each, in turn."""
    with servers() as settings:
        engine, store = engine_of(settings), store_of(settings)
        sizes = {"small": 1_000, "large": size or 1_000_000}
        for form_id, count in sizes.items():
            store.save_form(small_form(form_id))
            submit(store, small_responses(form_id, 0, count))
        with closing(engine.capture()) as capture:
            capture.poll(0.0)  # the first start: every form is read whole
        for form_id, count in sizes.items():
            start = time.perf_counter()
            while (landed := land(engine, form_id).landed) and landed.more:
                pass
            _settle(engine, form_id)
            print(f"growth: {form_id}: {count:,} responses everywhere after {time.perf_counter() - start:.0f} s")
        figures: dict[str, list[dict[str, float]]] = {form_id: [] for form_id in sizes}
        for turn in range(11):
            for form_id, count in sizes.items():
                submit(store, small_responses(form_id, count + turn * 10, 10))
                figures[form_id].append(_ten(engine, form_id))
        medians = {f: {k: statistics.median(t[k] for t in turns) for k in turns[0]} for f, turns in figures.items()}
        for key in medians["small"]:
            small, large = medians["small"][key], medians["large"][key]
            ratio = f"ratio {large / small:.2f}" if small else ""
            print(f"growth: {key}: {large:.3f} against {small:.3f}; {ratio}")


def _settle(engine: Engine, form_id: str) -> None:
    for spec in engine.specs:
        while not (outcome := deliver(engine, spec.name, form_id)).ok:
            print(f"growth: {spec.name} of {form_id}: {outcome.error}")
            time.sleep(1)


def _ten(engine: Engine, form_id: str) -> dict[str, float]:
    """Capture, land and deliver what is new; return seconds per stage, requests and bytes read from disk."""
    with closing(engine.capture()) as capture:
        while form_id not in engine.ledger.journal.dirty_forms():
            capture.poll(0.2)
    figures: dict[str, float] = {}
    for stage in (LANDING, *[spec.name for spec in engine.specs]):
        read, start = _bytes_read(), time.perf_counter()
        outcome = land(engine, form_id) if stage == LANDING else deliver(engine, stage, form_id)
        assert outcome.ok, outcome.error
        figures[f"{stage} seconds"] = time.perf_counter() - start
        figures[f"{stage} megabytes read"] = (_bytes_read() - read) / 1e6
        if outcome.delivered and "requests" in outcome.delivered.notes:
            figures["requests per sheet sync"] = float(outcome.delivered.notes["requests"])
    figures["all seconds"] = sum(value for key, value in figures.items() if key.endswith("seconds"))
    return figures


def _bytes_read() -> int:
    """Bytes that this process has read, from files and sockets (/proc, Linux)."""
    lines = Path(f"/proc/{os.getpid()}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


MEASURES = {"drain": drain, "latency": latency, "backfill": backfill, "growth": growth}


def main(arguments: list[str]) -> None:
    """Run what was asked for."""
    if arguments and arguments[0] in ("--raw", "--land"):
        child(*arguments)
        return
    print(environment())
    size = int(arguments[1]) if len(arguments) > 1 else 0
    chosen = arguments[0] if arguments else "all"
    for name, measure in MEASURES.items():
        if chosen in (name, "all"):
            measure(size)


if __name__ == "__main__":
    main(sys.argv[1:])
