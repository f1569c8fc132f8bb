"""The `collect` command: one module per topic, put together here."""

from __future__ import annotations

import typer

from collect_pipelines.cli import backfill, demo, doctor, export, ingest, status, up
from collect_pipelines.cli.console import FriendlyGroup

app = typer.Typer(
    name="collect",
    cls=FriendlyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Every response of every form, in Parquet, Google Sheets, CSV and wherever else it is wanted.",
)
app.command()(demo.demo)
app.command()(up.up)
app.command()(status.status)
app.command()(doctor.doctor)
backfill.register(app)
export.register(app)
ingest.register(app)
