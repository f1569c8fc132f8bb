"""Field masks: `sheets(properties.title,data/rowData)` for answers, `userEnteredFormat.numberFormat` for updates."""

from __future__ import annotations

from typing import Any

from collect_pipelines.sheets_server.errors import bad_request
from collect_pipelines.sheets_server.json_types import Json

Mask = dict[str, Any]
"""Field → mask of what is below it; an empty mask means everything below. `*` stands for every field."""

EVERYTHING: Mask = {}


def parse_mask(text: str) -> Mask:
    """Parse a mask. `*` alone and the empty text are everything."""
    mask: Mask = {}
    rest = _parse_list(text.replace(" ", ""), mask)
    if rest:
        raise bad_request(f"Invalid field selection {text}")
    return EVERYTHING if "*" in mask else mask


def _parse_list(text: str, into: Mask) -> str:
    while text:
        text = _parse_path(text, into)
        if not text.startswith(","):
            break
        text = text[1:]
    return text


def _parse_path(text: str, into: Mask) -> str:
    end = next((i for i, letter in enumerate(text) if letter in ",()./"), len(text))
    name, rest = text[:end], text[end:]
    if not name:
        raise bad_request(f"Invalid field selection {text}")
    known = name in into and into[name] == {}
    below: Mask = into.setdefault(name, {})
    if rest[:1] in (".", "/"):
        target: Mask = {} if known else below
        return _parse_path(rest[1:], target)
    if rest[:1] == "(":
        rest = _parse_list(rest[1:], {} if known else below)
        if rest[:1] != ")":
            raise bad_request("Invalid field selection: unbalanced parentheses")
        rest = rest[1:]
    else:
        below.clear()
    if "*" in below:
        below.clear()
    return rest


def wants(mask: Mask, *path: str) -> bool:
    """Whether the mask lets this field, or something below it, through."""
    for name in path:
        if not mask:
            return True
        if name not in mask:
            return False
        mask = mask[name]
    return True


def below(mask: Mask, *path: str) -> Mask:
    """The mask of what is below a field that the mask lets through."""
    for name in path:
        if not mask:
            return EVERYTHING
        mask = mask.get(name, EVERYTHING)
    return mask


def apply_mask(value: Any, mask: Mask) -> Any:
    """The part of a JSON value that the mask lets through. A list is masked item by item."""
    if not mask:
        return value
    if isinstance(value, list):
        return [apply_mask(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: apply_mask(item, mask[name]) for name, item in value.items() if name in mask}


def leaves(mask: Mask, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths that an update mask names."""
    if not mask and prefix:
        return [prefix]
    return [path for name, lower in mask.items() for path in leaves(lower, (*prefix, name))]


def update_by_mask(target: Json, source: Json, mask: Mask) -> Json:
    """A copy of `target` with every field of the mask set as in `source`, or taken away where `source` lacks it."""
    if not mask:
        return dict(source)
    result = dict(target)
    for name, lower in mask.items():
        if not lower:
            if name in source and source[name] is not None:
                result[name] = source[name]
            else:
                result.pop(name, None)
            continue
        inner = update_by_mask(result.get(name) or {}, source.get(name) or {}, lower)
        if inner:
            result[name] = inner
        else:
            result.pop(name, None)
    return result
