"""What a form's settings say about its sheet. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.model import Form

NAME = "google_sheet"


class Deletes(StrEnum):
    """What becomes of the row of a deleted response."""

    STRIKE = "strike"
    REMOVE = "remove"
    KEEP = "keep"


class DeletedRows(StrEnum):
    """What becomes of a response whose row people deleted in the sheet."""

    RESPECT = "respect"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class SheetConfig:
    """The settings under `integrations.google_sheet` of a form."""

    enabled: bool = True
    spreadsheet_id: str | None = None
    tab: str | None = None
    language: str | None = None
    deletes: Deletes = Deletes.STRIKE
    deleted_rows: DeletedRows = DeletedRows.RESPECT


_ID = re.compile(r"(?:/spreadsheets/(?:u/\d+/)?d/)?([A-Za-z0-9_-]{20,})(?:[/?#].*)?$")


def sheet_config(form: Form) -> SheetConfig:
    """Read and check a form's settings. Raises ConfigurationError that lists every fault."""
    block = form.integration(NAME)
    faults = [f"unknown setting {name!r}" for name in sorted(set(block) - set(_READERS))]
    values: dict[str, Any] = {}
    for name, (field, read) in _READERS.items():
        if (given := block.get(name)) is None:
            continue
        try:
            values[field] = read(given)
        except ValueError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise ConfigurationError(
            f"Form {form.id!r}, settings.integrations.{NAME}: " + "; ".join(faults),
            hint=f"known settings: {', '.join(_READERS)}",
        )
    return SheetConfig(**values)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text")
    return value.strip()


def _tab(value: object) -> str:
    title = _text(value)
    if len(title) > 100:
        raise ValueError("must have at most 100 characters")
    return title


def _spreadsheet(value: object) -> str:
    match = _ID.search(_text(value))
    if not match:
        raise ValueError("is not the address of a spreadsheet (https://docs.google.com/spreadsheets/d/…)")
    return match[1]


def _deletes(value: object) -> Deletes:
    return _one_of(Deletes, value)


def _deleted_rows(value: object) -> DeletedRows:
    return _one_of(DeletedRows, value)


def _one_of(choices: Any, value: object) -> Any:
    if value not in list(choices):
        raise ValueError(f"must be one of {', '.join(choices)}")
    return choices(value)


_READERS: Mapping[str, tuple[str, Any]] = {
    "enabled": ("enabled", _flag),
    "spreadsheet_url": ("spreadsheet_id", _spreadsheet),
    "tab": ("tab", _tab),
    "language": ("language", _text),
    "deletes": ("deletes", _deletes),
    "deleted_rows": ("deleted_rows", _deleted_rows),
}
