"""`collect backfill`"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from collect_pipelines.cli.console import console
from collect_pipelines.draining.backfill import backfill as run_backfill
from collect_pipelines.draining.engine import Engine
from collect_pipelines.draining.stages import LANDING, Outcome
from collect_pipelines.embedded.live import live_settings
from collect_pipelines.errors import ConfigurationError, FatalError
from collect_pipelines.settings import load_settings
from collect_pipelines.source.store import CollectStore


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("backfill")(backfill)


def backfill(
    forms: Annotated[list[str] | None, typer.Argument(help="Ids of the forms.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All forms.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Only these assets: responses, google_sheet, csv_export … May be repeated.")
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="Bring only what is new, instead of reading and comparing everything.")
    ] = False,
) -> None:
    """Rebuild forms from the store: read every response again, and compare every row at every destination.

    What the same backfill in the Dagster UI does. It may run beside the pipeline, and be repeated, at any time.

    Examples: `collect backfill fair` · `collect backfill --all --only csv_export`
    """
    from collect_pipelines.definitions import SPECS  # imports Dagster: not for `collect --help`

    engine = Engine(live_settings(load_settings()), SPECS, writer="collect backfill")
    stages = _stages(only or [], [LANDING, *[spec.name for spec in SPECS]])
    chosen = _forms(engine, forms or [], every=every)
    outcomes = _shown(run_backfill(engine, chosen, stages, rebuild=not changes), len(chosen) * len(stages))
    if failed := [outcome for outcome in outcomes if not outcome.ok]:
        lines = [f"{o.stage} of {o.form_id}: {o.error}" for o in failed]
        raise FatalError("\n".join(lines), hint=failed[0].hint or "see `collect status`")


def _stages(only: list[str], known: list[str]) -> set[str]:
    if unknown := set(only) - set(known):
        raise ConfigurationError(
            f"there is no asset {', '.join(sorted(unknown))}", hint=f"these are there: {', '.join(known)}"
        )
    return set(only or known)


def _forms(engine: Engine, given: list[str], *, every: bool) -> list[str]:
    store = CollectStore(engine.client, engine.settings.mongo_database)
    known = {form.id for form in store.forms()} | set(engine.ledger.journal.partitions().values())
    if unknown := set(given) - known:
        raise ConfigurationError(
            f"there is no form {', '.join(map(repr, sorted(unknown)))}",
            hint=f"these are there: {', '.join(sorted(known))}",
        )
    if not given and not every:
        raise ConfigurationError("which forms?", hint="name them, or give --all")
    return sorted(known) if every else given


def _shown(outcomes: Iterable[Outcome], steps: int) -> list[Outcome]:
    """Show progress while outcomes come, then a table of them."""
    done: list[Outcome] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("backfill", total=steps)
        for outcome in outcomes:
            done.append(outcome)
            if not (outcome.landed and outcome.landed.more):
                progress.advance(task)
    console.print(_table(done))
    return done


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("form", "asset", "result")
    for outcome in outcomes:
        if outcome.landed:
            result = f"{outcome.landed.rows} rows landed, {outcome.landed.deleted} deleted"
        elif delivered := outcome.delivered:
            result = f"{delivered.added} added, {delivered.changed} changed, {delivered.removed} removed"
        else:
            result = outcome.error or "nothing to do"
        table.add_row(outcome.form_id, outcome.stage, result)
    return table
