"""Measure decoding and response tables: `python bench/response_table.py [RESPONSES]`, a million by default.

Prints the environment, then ratios where there are any. Every figure is of this machine at this moment.
"""

from __future__ import annotations

import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bson
import pyarrow as pa
from bson import Decimal128, Int64

from collect_pipelines.model import Form, Question, QuestionType
from collect_pipelines.source.decode import decode
from collect_pipelines.stores.manifest import Manifest
from collect_pipelines.stores.objects import LocalObjects
from collect_pipelines.stores.response_table import ResponseTable

KINDS = [*QuestionType, *[kind for kind in QuestionType if kind is not QuestionType.REPEAT_GROUP]][:20]
FORM = Form("bench", {}, tuple(Question(f"q{number}", kind, {}) for number, kind in enumerate(KINDS)))
COLUMNS = {question.id: question.type for question in FORM.questions}
WORDS = ["lorem", "ipsum", "dolor", "sit", "amet", "Zürich", "naïve", "東京", "данные", "🙂", "magna", "aliqua", "आयु"]
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def value(kind: QuestionType, chance: random.Random) -> object:
    """Make one answer."""
    match kind:
        case QuestionType.INTEGER | QuestionType.RATING:
            return Int64(chance.randrange(10**6))
        case QuestionType.DECIMAL:
            return Decimal128(str(chance.randrange(10**8) / 100))
        case QuestionType.BOOLEAN:
            return chance.random() < 0.5
        case QuestionType.DATE:
            return str((DAY + timedelta(days=chance.randrange(300))).date())
        case QuestionType.DATETIME:
            return DAY + timedelta(seconds=chance.randrange(10**7))
        case QuestionType.MULTI_CHOICE:
            return chance.sample(WORDS, 3)
        case QuestionType.GEO_POINT:
            return {"type": "Point", "coordinates": [chance.uniform(-180, 180), chance.uniform(-90, 90)]}
        case QuestionType.FILE:
            return {"name": "photo.jpg", "url": f"https://files.example.org/{chance.getrandbits(64):x}", "bytes": 5}
        case QuestionType.REPEAT_GROUP:
            return [{"name": chance.choice(WORDS), "age": chance.randrange(90)} for _ in range(2)]
        case _:
            return " ".join(chance.choices(WORDS, k=chance.randrange(1, 12)))


def document(number: int, chance: random.Random) -> bytes:
    """Make one response of twenty questions, a tenth of them unanswered, with metadata for each answer."""
    at = DAY + timedelta(seconds=number)
    answers = {question.id: value(question.type, chance) for question in FORM.questions if chance.random() > 0.1}
    return bson.encode(
        {
            "_id": f"bench:{number:09d}",
            "form_id": "bench",
            "form_version": 3,
            "revision": Int64(1),
            "status": "submitted",
            "submitted_at": at,
            "updated_at": at,
            "client": {"started_at": at, "finished_at": at, "app": "1.2"},
            "collector": "asha",
            "language": "hi",
            "flags": [],
            "metadata": {"device": "tablet", "battery": 77},
            "answers": answers,
            "answer_metadata": {name: {"at": at, "source": "app"} for name in answers},
        }
    )


def drained(uri: str, raw: bytes) -> float:
    """Return documents per second of draining a cursor over the same documents, undecoded."""
    from pymongo import MongoClient

    with MongoClient(uri) as client:
        collection = client["bench"]["responses"]
        collection.drop()
        collection.insert_many(bson.decode_all(raw))
        for _ in range(2):
            start = time.perf_counter()
            list(collection.find_raw_batches(batch_size=5000))
            rate = collection.estimated_document_count() / (time.perf_counter() - start)
        client.drop_database("bench")
    return rate


def decoding() -> pa.Table:
    """Measure the decoder on one thread, against the drain if there is a mongod."""
    chance = random.Random(7)
    raw = b"".join(document(number, chance) for number in range(20_000))
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        table = decode(raw, FORM).table
        rates.append(20_000 / (time.perf_counter() - start))
    print(f"decode: {max(rates):,.0f} documents/s of {len(raw) // 20_000} bytes and 20 questions, one thread")
    if uri := os.environ.get("BENCH_MONGO_URI"):
        rate = drained(uri, raw)
        print(f"drain: {rate:,.0f} documents/s; decode / drain = {max(rates) / rate:.2f}")
    return table


def renamed(rows: pa.Table, first: int) -> pa.Table:
    """Give rows other ids."""
    ids = pa.array([f"bench:{number:09d}" for number in range(first, first + rows.num_rows)])
    return rows.set_column(0, rows.schema.field("_id"), ids)


def append(table: ResponseTable, rows: pa.Table) -> Manifest:
    """Append to the table as it is."""
    watermark = table.load().watermark
    time_after = watermark.cluster_time + 1
    return table.append(rows, expected=watermark, cluster_time=time_after, columns=COLUMNS, writer="bench")


def filled(root: Path, rows: pa.Table, count: int) -> ResponseTable:
    """Make a table of a number of responses, merged into a base as far as it would be."""
    table = ResponseTable(LocalObjects(root), f"form{count}")
    for first in range(0, count, rows.num_rows):
        append(table, renamed(rows.slice(0, min(rows.num_rows, count - first)), first))
        table.compact(datetime.now(UTC))
    return table


class Counting(LocalObjects):
    """Counts the bytes of what is opened."""

    read_bytes = 0

    def open(self, key: str) -> pa.NativeFile:
        """Open and count."""
        self.read_bytes += self.path(key).stat().st_size
        return super().open(key)

    def get(self, key: str) -> bytes:
        """Read and count."""
        body = super().get(key)
        self.read_bytes += len(body)
        return body


def ten_onto(root: Path, rows: pa.Table, count: int) -> tuple[float, int]:
    """Append ten responses and read them as a delivery would; return the median seconds and the bytes read."""
    seconds = []
    for turn in range(15):
        objects = Counting(root)
        table = ResponseTable(objects, f"form{count}")
        since = table.load().watermark.sequence
        start = time.perf_counter()
        append(table, renamed(rows.slice(0, 10), count + turn * 10))
        got = sum(batch.num_rows for batch in table.snapshot().changes(since))
        seconds.append(time.perf_counter() - start)
        assert got == 10
    return sorted(seconds)[7], objects.read_bytes


def commits(root: Path, rows: pa.Table) -> None:
    """Measure durable commits of ten rows."""
    table = ResponseTable(LocalObjects(root), "commits")
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < 3:
        append(table, renamed(rows.slice(0, 10), count * 10))
        count += 1
        if count % 50 == 0:
            table.compact(datetime.now(UTC))
            table.collect_garbage(datetime.now(UTC) + timedelta(days=1))
    print(f"durable commits of 10 rows: {count / (time.perf_counter() - start):,.0f}/s (upkeep every 50)")
    print(f"  an fsync of a small file here takes {_fsync_seconds(root) * 1000:.2f} ms, a commit makes four")


def _fsync_seconds(root: Path) -> float:
    times = []
    for number in range(50):
        handle = os.open(root / f"probe{number}", os.O_CREAT | os.O_WRONLY)
        os.write(handle, b"x" * 4096)
        start = time.perf_counter()
        os.fsync(handle)
        times.append(time.perf_counter() - start)
        os.close(handle)
    return sorted(times)[25]


def peak_of(work: str, root: Path, count: int) -> str:
    """Do some work on a table in a process of its own; return what it prints."""
    command = [sys.executable, __file__, "--child", work, str(root), str(count)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def child(work: str, root: Path, count: int) -> None:
    """Read or merge a table, and print the seconds and the peak of resident memory."""
    table = ResponseTable(LocalObjects(root), f"form{count}")
    pa.array([1])
    before = _peak_mb()
    start = time.perf_counter()
    works: dict[str, Callable[[], object]] = {
        "changes": lambda: sum(batch.num_rows for batch in table.snapshot().changes(0)),
        "ids": lambda: sum(batch.num_rows for batch in table.ids()),
        "verify": lambda: table.verify().version,
        "merge": lambda: merge_all(table),
    }
    result = works[work]()
    seconds = time.perf_counter() - start
    peak = _peak_mb()
    print(f"{work}: {seconds:.2f} s, peak {peak} MB ({before} MB before); result {result}")


def _peak_mb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def merge_all(table: ResponseTable) -> str:
    """Append a small commit and merge everything into a new base."""
    rows = next(iter(_tables(table)))
    append(table, renamed(rows.slice(0, 1), 2_000_000_000))
    done = table.compact(datetime.now(UTC), everything=True)
    return f"{done}, levels {[segment.level for segment in table.load().segments]}"


def _tables(table: ResponseTable) -> Iterator[pa.Table]:
    for batch in table.snapshot().changes(0):
        yield pa.Table.from_batches([batch]).drop_columns(["_sequence", "_read_at"])


def main(count: int) -> None:
    """Run everything."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    print(
        f"Python {platform.python_version()}, pyarrow {pa.__version__}, {os.cpu_count()} cores, load {os.getloadavg()}"
    )
    print(cpu)
    rows = decoding()
    with tempfile.TemporaryDirectory(prefix="collect-bench-") as folder:
        root = Path(folder)
        commits(root, rows)
        filled(root, rows, 1_000)
        start = time.perf_counter()
        table = filled(root, rows, count)
        size = sum(segment.bytes for segment in table.load().segments) >> 20
        print(f"filled with {count:,} in commits of 20k: {time.perf_counter() - start:.1f} s, {size} MB")
        small, large = ten_onto(root, rows, 1_000), ten_onto(root, rows, count)
        print(f"10 rows appended and read, onto 1k: {small[0] * 1000:.1f} ms, {small[1]:,} bytes read")
        print(f"10 rows appended and read, onto {count:,}: {large[0] * 1000:.1f} ms, {large[1]:,} bytes read")
        print(f"  ratio of times {large[0] / small[0]:.2f}, of bytes {large[1] / small[1]:.2f}")
        for work in ("changes", "ids", "verify", "merge", "changes"):
            print(peak_of(work, root, count))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
