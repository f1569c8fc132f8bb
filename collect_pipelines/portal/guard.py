"""What every answer of the portal obeys: reading only, our own host names, and headers that keep browsers strict."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'none'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_FOR_PROBES = ("/healthz", "/readyz", "/metrics")
"""Asked by machines, by address; they show no answers."""


class Guard:
    """Middleware. Other host names are refused, or a page elsewhere could read the portal by DNS rebinding."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, strict)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("The portal is for reading.\n", 405, {"Allow": "GET, HEAD"})
        if scope["path"] not in _FOR_PROBES and _name(Headers(scope=scope).get("host", "")) not in self._hosts:
            return PlainTextResponse(
                "The portal is not known by this host name. Is COLLECT_PORTAL_URL its public address?\n", 421
            )
        return None


def own_hosts(portal_address: str) -> frozenset[str]:
    """The host names by which the portal may be asked: this machine, and the public address of the settings."""
    return frozenset({"127.0.0.1", "localhost", "::1", (urlsplit(portal_address).hostname or "").lower()}) - {""}


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
