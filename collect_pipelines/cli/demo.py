"""`collect demo`"""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from collect_pipelines.audit.compare import Comparison, compare_form
from collect_pipelines.cli.console import console
from collect_pipelines.cli.serving import Live, serve
from collect_pipelines.draining.engine import Engine
from collect_pipelines.errors import FatalError, TransientError
from collect_pipelines.ingest.demo import load_demo, trickle
from collect_pipelines.settings import Settings, load_settings
from collect_pipelines.source.store import CollectStore

LONGEST_SECONDS = 600.0
RESPONSES_PER_SECOND = 0.5


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Deliver the demo data, compare every copy with the store, and exit.")
    ] = False,
) -> None:
    """Start everything with data flowing: a real survey, sample data of the old system and generated forms.

    Runs until Ctrl-C. With --once it waits until every response is in Parquet, sheet and CSV, compares them with the
    store and exits: 0 when they are equal, else 1 with the difference.
    """
    run_demo(load_settings(), once=once)


def run_demo(settings: Settings, *, once: bool) -> None:
    """Run `collect up` with the demo's story beside it."""

    def story(live: Live) -> None:
        store, engine = _load(live.settings)
        if once:
            _once(engine, store, live)
        else:
            _flow(store, live)

    serve(settings, story)


def _load(settings: Settings) -> tuple[CollectStore, Engine]:
    from collect_pipelines.definitions import SPECS  # imports Dagster: not for `collect --help`

    engine = Engine(settings, SPECS, writer="demo")
    store = CollectStore(engine.client, settings.mongo_database)
    with _progress() as progress:
        task = progress.add_task("storing the demo's responses", total=None)
        counts = load_demo(store, progress=lambda _form, count: progress.advance(task, count))
        progress.update(task, total=sum(counts.values()), completed=sum(counts.values()))
    return store, engine


def _flow(store: CollectStore, live: Live) -> None:
    """Add, edit and delete responses until Ctrl-C."""
    console.print(
        f"Responses of the generated forms come, change and go every {1 / RESPONSES_PER_SECOND:.0f} s.\n"
        f"Look at [link]{live.settings.portal_address}[/] (forms, sheets, downloads) and "
        f"[link]{live.settings.dagster_address}[/] (the pipeline). Ctrl-C stops everything."
    )
    trickle(store, RESPONSES_PER_SECOND, live.stopping.is_set)


def _once(engine: Engine, store: CollectStore, live: Live) -> None:
    """Wait until everything is delivered, compare, print the table. Raises FatalError with the difference."""
    counts = store.counts()
    forms = sorted({form.id for form in store.forms()} | counts.keys())
    _wait(engine, forms, live)
    comparisons = [compare_form(engine, form_id) for form_id in forms]
    console.print(_table(comparisons))
    if wrong := [comparison for comparison in comparisons if not comparison.equal]:
        lines = [f"{c.form_id}, {copy.name}: {copy.describe()}" for c in wrong for copy in c.copies if not copy.equal]
        raise FatalError(
            "These copies differ from the store:\n" + "\n".join(lines), hint="the logs are in COLLECT_HOME"
        )
    console.print("[green]Every response is in Parquet, sheet and CSV, with equal values.[/]")


def _wait(engine: Engine, forms: list[str], live: Live) -> None:
    """Wait until every destination has delivered every form."""
    wanted = len(forms) * len(engine.specs)
    end = time.monotonic() + LONGEST_SECONDS
    with _progress() as progress:
        task = progress.add_task("delivering", total=wanted)
        while True:
            done = engine.state["deliveries"].count_documents({"pending": False, "form_id": {"$in": forms}})
            progress.update(task, completed=done)
            if done >= wanted and not engine.ledger.journal.dirty_forms():
                return
            if live.stopping.wait(0.5):
                raise TransientError("stopped before everything was delivered")
            if time.monotonic() > end:
                raise FatalError(f"not delivered within {LONGEST_SECONDS:.0f} s:\n" + _pending(engine))


def _pending(engine: Engine) -> str:
    waiting = engine.state["deliveries"].find({"pending": True})
    return "\n".join(f"{entry['_id']}: {entry.get('error') or 'not tried yet'}" for entry in waiting)


def _table(comparisons: list[Comparison]) -> Table:
    table = Table("form", "store", *[copy.name for copy in comparisons[0].copies], "equal")
    for comparison in comparisons:
        rows = [str(copy.rows) for copy in comparison.copies]
        table.add_row(comparison.form_id, str(comparison.stored), *rows, "✓" if comparison.equal else "✗")
    return table


def _progress() -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)
