"""Where the commands write, and how they show what went wrong."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from collect_pipelines.errors import CollectError

console = Console(highlight=False)
if not console.is_terminal:
    console.width = 160  # in a file or a pipe nothing is cut
errors = Console(stderr=True, highlight=False)


class FriendlyGroup(TyperGroup):
    """Shows our own errors as a message and a hint, without a traceback; exit code 1. Others are bugs and show all."""

    def invoke(self, ctx: typer.Context) -> object:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CollectError as error:
            errors.print(f"[bold red]{escape(error.message)}[/]", soft_wrap=True)
            if error.hint:
                errors.print(f"→ {escape(error.hint)}", soft_wrap=True)
            raise typer.Exit(1) from error
