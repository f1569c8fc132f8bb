"""One answer, two readers: a page for people, JSON for programs that say `Accept: application/json`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from collect_pipelines.portal.portal import Portal, form_path, response_path
from collect_pipelines.portal.shown import ago, duration, for_programs, plain, web_link


def templates(portal: Portal) -> Environment:
    """Make the template engine. Everything is escaped; a misspelt name is an error."""
    environment = Environment(
        loader=PackageLoader("collect_pipelines.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    known: dict[str, Any] = {
        "form_path": form_path,
        "response_path": response_path,
        "dagster_url": portal.dagster_url,
        "dagster_address": portal.settings.dagster_address,
        "language": portal.language,
    }
    filters: dict[str, Any] = {
        "duration": duration,
        "plain": plain,
        "web_link": web_link,
        "ago": ago,
        "clock": _clock,
        "tally": _tally,
    }
    environment.globals.update(known)
    environment.filters.update(filters)
    return environment


class Renderer:
    """Turns what a page shows into a response."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._templates = templates(portal)

    def __call__(
        self, request: Request, template: str, shown: Mapping[str, Any], data: Mapping[str, Any], status: int = 200
    ) -> Response:
        """Answer with the template filled from `shown`, or with `data` as JSON."""
        headers = {"Vary": "Accept"}
        if wants_json(request):
            content = orjson.dumps(data, default=for_programs, option=orjson.OPT_INDENT_2)
            return Response(content, status, headers, media_type="application/json")
        page = self._templates.get_template(template).render(now=self._portal.now(), **shown)
        return Response(page.encode("utf-8", "replace"), status, headers, media_type="text/html")


def wants_json(request: Request) -> bool:
    """Whether the reader is a program."""
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment.year >= 1000 else moment.isoformat()


def _tally(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"
