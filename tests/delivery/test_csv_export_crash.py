"""A delivery that is killed at any moment leaves the export whole, and the next one completes it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from collect_pipelines.delivery.csv_export import CsvExports
from tests.delivery.tables import Table
from tests.delivery.test_csv_export import FORM

VICTIM = """
import sys
from pathlib import Path
from collect_pipelines.delivery.csv_export import CsvExports
from tests.delivery.tables import Table
from tests.delivery.test_csv_export import FORM

table = Table(FORM, sequence=int(sys.argv[2]), batch_rows=50)
exports = CsvExports(Path(sys.argv[1]), "en")
while True:
    changes = [{"_id": f"fair:{n}", "age": table.sequence + 1} for n in range(200)]
    exports.deliver(FORM, table.commit(*changes), rebuild=table.sequence % 3 == 0)
    print("delivered", flush=True)
"""


def test_a_killed_delivery_leaves_one_commit_or_the_other(tmp_path: Path) -> None:
    exports, sequence, dice = CsvExports(tmp_path, "en"), 0, random.Random(7)
    for _ in range(2):
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(tmp_path), str(sequence)], stdout=subprocess.PIPE, text=True
        )
        assert victim.stdout is not None and victim.stdout.readline() == "delivered\n"
        time.sleep(dice.uniform(0, 0.15))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        victim.stdout.close()
        known = exports.verify("fair")
        assert known is not None and known["watermark"]["sequence"] > sequence
        sequence = known["watermark"]["sequence"]
        opened = exports.open("fair")
        assert opened is not None
        with opened:
            lines = b"".join(opened).decode().splitlines()[1:]
        assert {line.split(",")[5] for line in lines} == {str(sequence)} and len(lines) == 200
    table = Table(FORM, sequence=sequence).commit({"_id": "fair:0", "_deleted": True})
    assert exports.deliver(FORM, table).rows == 199
