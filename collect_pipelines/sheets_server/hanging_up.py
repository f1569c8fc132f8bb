"""Closing a connection without an answer, as Google does when a write takes too long."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_KEY = "collect.transport"


class CanHangUp:
    """Outermost layer: remembers the connection of a request, which the framework's own layers hide."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # uvicorn's `send` is a method of the object that owns the transport; ASGI has no word for hanging up.
        scope[_KEY] = getattr(getattr(send, "__self__", None), "transport", None)
        await self._app(scope, receive, send)


class NoAnswer(Response):
    """Sends nothing and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: Any = scope.get(_KEY)
        if transport is None:
            raise RuntimeError("this server cannot hang up: its connection is not known")
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass
