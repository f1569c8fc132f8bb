"""Cell formats: what Google adds to a format that is set, and what a cell without one looks like."""

from __future__ import annotations

import struct
from typing import Any

from collect_pipelines.sheets_server.json_types import Json

WHITE: Json = {"red": 1, "green": 1, "blue": 1}
DEFAULT_STYLE: Json = {
    "backgroundColor": WHITE,
    "padding": {"top": 2, "right": 3, "bottom": 2, "left": 3},
    "verticalAlignment": "BOTTOM",
    "wrapStrategy": "OVERFLOW_CELL",
    "textFormat": {
        "foregroundColor": {},
        "fontFamily": "arial,sans,sans-serif",
        "fontSize": 10,
        "bold": False,
        "italic": False,
        "strikethrough": False,
        "underline": False,
        "foregroundColorStyle": {"rgbColor": {}},
    },
    "backgroundColorStyle": {"rgbColor": WHITE},
}
_THEME = (
    ("TEXT", {}),
    ("BACKGROUND", WHITE),
    ("ACCENT1", {"red": 0.25882354, "green": 0.52156866, "blue": 0.95686275}),
    ("ACCENT2", {"red": 0.91764706, "green": 0.2627451, "blue": 0.20784314}),
    ("ACCENT3", {"red": 0.9843137, "green": 0.7372549, "blue": 0.015686275}),
    ("ACCENT4", {"red": 0.20392157, "green": 0.65882355, "blue": 0.3254902}),
    ("ACCENT5", {"red": 1, "green": 0.42745098, "blue": 0.003921569}),
    ("ACCENT6", {"red": 0.27450982, "green": 0.7411765, "blue": 0.7764706}),
    ("LINK", {"red": 0.06666667, "green": 0.33333334, "blue": 0.8}),
)
SPREADSHEET_THEME: Json = {
    "primaryFontFamily": "Arial",
    "themeColors": [{"colorType": kind, "color": {"rgbColor": color}} for kind, color in _THEME],
}
_COLORED = ("backgroundColor", "foregroundColor", "tabColor")


def clean_color(color: Json) -> Json:
    """A color as Google returns it: single precision cut to whole 255ths, no zeros."""
    kept: Json = {}
    for name in ("red", "green", "blue", "alpha"):
        value = color.get(name)
        if value:
            kept[name] = _single(int(float(value) * 255 + 1e-6) / 255)
    return kept


def _single(value: float) -> int | float:
    if value.is_integer():
        return int(value)
    stored = struct.pack("f", value)
    texts = (f"{value:.{digits}g}" for digits in range(6, 10))
    return next(float(text) for text in texts if digits_suffice(text, stored))


def digits_suffice(text: str, stored: bytes) -> bool:
    """Whether a decimal text is read back as this single-precision number."""
    return struct.pack("f", float(text)) == stored


def clean_style(style: Json) -> Json:
    """A format as Google returns it: colors cleaned, each color also as its newer `…Style`."""
    kept: Json = {}
    for name, value in style.items():
        if value is None or (name in _COLORED and name + "Style" in style and not value):
            continue
        kept[name] = _clean_field(name, value)
    for name in _COLORED:
        _pair_color(kept, name)
    return kept


def _clean_field(name: str, value: Any) -> Any:
    if name in _COLORED:
        return clean_color(value)
    if name.endswith("ColorStyle"):
        return {"rgbColor": clean_color(value["rgbColor"])} if "rgbColor" in value else value
    return clean_style(value) if isinstance(value, dict) and name == "textFormat" else value


def _pair_color(style: Json, name: str) -> None:
    newer: Json | None = style.get(name + "Style")
    if newer and "rgbColor" in newer:
        style[name] = newer["rgbColor"]
    elif name in style and not newer:
        style[name + "Style"] = {"rgbColor": style[name]}


def effective_style(style: Json) -> Json:
    """The format a cell is shown with: the default one under its own."""
    text = {**DEFAULT_STYLE["textFormat"], **style.get("textFormat", {})}
    return {**DEFAULT_STYLE, **style, "textFormat": text}
