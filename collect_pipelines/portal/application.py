"""The portal as an ASGI application: addresses, probes, and what is said when something is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ExceptionHandler

from collect_pipelines.errors import CollectError, IntegrityError, TransientError
from collect_pipelines.portal.csv_download import byte_order_mark, csv_response
from collect_pipelines.portal.guard import Guard, own_hosts
from collect_pipelines.portal.health import folder_fault, mongodb_fault, registry_of
from collect_pipelines.portal.pages import Pages
from collect_pipelines.portal.portal import Portal
from collect_pipelines.portal.rendering import Renderer


class _Anything(Convertor[str]):
    """A piece of an address that may hold any character; ids come from users."""

    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def build_application(portal: Portal) -> Starlette:
    """Build the application. Handlers are synchronous: Starlette runs each in a thread."""
    register_url_convertor("anything", _Anything())
    render = Renderer(portal)
    pages, machines = Pages(portal, render), _Machines(portal)
    routes: list[BaseRoute] = [
        Route("/", pages.home),
        Route("/healthz", machines.healthz),
        Route("/readyz", machines.readyz),
        Route("/metrics", machines.metrics),
        Mount("/static", StaticFiles(packages=[("collect_pipelines.portal", "static")])),
        Route("/forms/{form_id:anything}/responses.csv", machines.csv),
        Route("/forms/{form_id:anything}/responses", pages.responses),
        Route("/forms/{form_id:anything}", pages.form),
        Route("/responses/{response_id:anything}", pages.response),
        Route("/question/{form_id:anything}", pages.form),
        Route("/answers/question/{form_id:anything}", pages.responses),
        Route("/answer/{response_id:anything}", pages.answer),
    ]
    application = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, hosts=own_hosts(portal.settings.portal_address))],
        exception_handlers=_handlers(render),
    )
    application.router.redirect_slashes = False
    return application


def _handlers(render: Renderer) -> Mapping[Any, ExceptionHandler]:
    def not_there(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = error.detail if isinstance(error, HTTPException) else "Something went wrong"
        return _said(render, request, status, "There is nothing at this address" if said == "Not Found" else said, "")

    def in_trouble(request: Request, error: Exception) -> Response:
        message, hint = (error.message, error.hint) if isinstance(error, CollectError) else ("", "")
        later = isinstance(error, TransientError | IntegrityError)
        response = _said(render, request, 503 if later else 500, message, hint)
        if later:
            response.headers["Retry-After"] = "5"
        return response

    return {HTTPException: not_there, CollectError: in_trouble}


def _said(render: Renderer, request: Request, status: int, message: str, hint: str) -> Response:
    shown = {"status": status, "message": message, "hint": hint}
    return render(request, "problem.html", shown, {"status": status, "error": message, "hint": hint}, status)


class _Machines:
    """What programs ask for: probes, metrics, files."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._registry = registry_of(portal.freshness, portal.now)

    async def healthz(self, _: Request) -> Response:
        """Say that the process is alive; nothing else is looked at."""
        return PlainTextResponse("ok\n")

    def readyz(self, _: Request) -> Response:
        """Say whether visitors can be served."""
        settings = self._portal.settings
        faults = {
            "mongodb": mongodb_fault(self._portal.client, settings.state_database),
            "exports": folder_fault(settings.exports),
        }
        ready = not any(faults.values())
        checks = {name: fault or "ok" for name, fault in faults.items()}
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    def metrics(self, _: Request) -> Response:
        """Give the figures in Prometheus' text format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def csv(self, request: Request) -> Response:
        """Stream a form's CSV."""
        form = self._portal.form(request.path_params["form_id"])
        if form is None:
            raise HTTPException(404, "There is no such form")
        download = self._portal.exports.open(form.id, byte_order_mark=byte_order_mark(request))
        if download is None:
            raise HTTPException(404, "This form has no CSV yet: it is written soon after the first response")
        return csv_response(request, download)
