"""The generated parts of the docs: the commands and the settings. `python -m tests.reference` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from collect_pipelines.cli import app
from collect_pipelines.delivery.csv_export.options import CsvOptions
from collect_pipelines.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
PAGES = ("docs/cli.md", "docs/configuration.md")


def commands(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield (name as typed after `collect`, command) of every command."""
    found: Any = group or typer.main.get_command(app)
    for name, command in sorted(found.commands.items()):
        if getattr(command, "commands", None):
            yield from commands(command, (*before, name))
        elif not command.hidden:
            yield " ".join((*before, name)), command


def commands_text() -> str:
    """Describe every command with its arguments and options."""
    return "\n".join(_command(name, command) for name, command in commands())


def _command(name: str, command: Any) -> str:
    lines = [f"## collect {name}", "", _paragraphs(command.help), ""]
    shown = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    if shown:
        lines += ["| | |", "|---|---|"]
        lines += [f"| {_usage(one)} | {_cell(getattr(one, 'help', None) or '')} |" for one in shown]
        lines += [""]
    return "\n".join(lines)


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n"))


def _usage(one: Any) -> str:
    if one.param_type_name == "argument":
        return f"`{one.name.upper()}`"
    return ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))


def settings_text() -> str:
    """List every setting with its default and meaning."""
    rows = [_setting(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows, ""])


def _setting(name: str, field: Any) -> str:
    return f"| `{PREFIX}{name.upper()}` | {_default(field.default)} | {_cell(field.description)} |"


def csv_options_text() -> str:
    """List the choices of `integrations.csv_export`."""
    rows = [f"| `{n}` | {_default(f.default)} | {_cell(f.description)} |" for n, f in CsvOptions.model_fields.items()]
    return "\n".join(["| name | default | meaning |", "|---|---|---|", *rows, ""])


def _default(value: object) -> str:
    empty = value is None or value == ()
    return "" if empty else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PARTS = {"commands": commands_text, "settings": settings_text, "csv options": csv_options_text}


def rendered(page: str) -> str:
    """Return a page with its generated parts made anew. A part stands between `<!-- NAME -->` and `<!-- end -->`."""

    def made(match: re.Match[str]) -> str:
        return f"{match[1]}\n{PARTS[match[2]]()}{match[3]}"

    text = (ROOT / page).read_text(encoding="utf-8")
    return re.sub(r"(<!-- ([a-z ]+), generated.*? -->\n)[\s\S]*?(<!-- end -->)", made, text)


if __name__ == "__main__":
    for one_page in PAGES:
        (ROOT / one_page).write_text(rendered(one_page), encoding="utf-8")
