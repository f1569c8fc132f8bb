"""The shapes that cross the wire."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""A JSON object as a client sent it or is about to get it."""
