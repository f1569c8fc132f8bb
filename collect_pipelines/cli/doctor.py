"""`collect doctor`"""

from __future__ import annotations

import typer
from rich.markup import escape

from collect_pipelines.cli.checks import Finding, Level, examine, python_finding
from collect_pipelines.cli.console import console
from collect_pipelines.errors import ConfigurationError
from collect_pipelines.settings import load_settings

_SIGNS = {Level.OK: "[green]ok  [/]", Level.WARN: "[yellow]warn[/]", Level.FAIL: "[bold red]fail[/]"}


def doctor() -> None:
    """Check the settings, the servers or the programs for them, and the machine; say what to do about each fault.

    Works before and while `collect up` runs. Changes nothing. Exit code 1 when something fails.
    """
    found = [show(python_finding())]
    try:
        settings = load_settings()
    except ConfigurationError as error:
        show(Finding(Level.FAIL, "settings", error.message, "correct them in the environment"))
        raise typer.Exit(1) from None
    found.append(show(Finding(Level.OK, "settings", "complete")))
    found.extend(show(finding) for finding in examine(settings))
    if any(finding.level is Level.FAIL for finding in found):
        raise typer.Exit(1)


def show(finding: Finding) -> Finding:
    """Print a finding and give it back."""
    console.print(f"{_SIGNS[finding.level]} {finding.subject:<10} {escape(finding.message)}", soft_wrap=True)
    if finding.advice:
        console.print(f"     {'':<10} → {escape(finding.advice)}", soft_wrap=True)
    return finding
