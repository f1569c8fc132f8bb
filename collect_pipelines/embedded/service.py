"""What the supervisor has to know of a server, and how to tell that one is ready."""

from __future__ import annotations

import http.client
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PROBE_SECONDS = 2.0


def _nothing() -> None: ...


def _alive(_started_at: float) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Service:
    """A server to be kept running.

    `ready` is asked again and again until it says yes; it gets the time of the start (Unix seconds) and answers within
    about two seconds. `prepare` runs before each start. `after` names the services that must be ready first and are
    stopped later. A server that refuses to run as root names its data folder in `unprivileged`.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    ready: Callable[[float], bool] = _alive
    address: str = ""
    after: tuple[str, ...] = ()
    prepare: Callable[[], None] = _nothing
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10
    ready_seconds: float = 120
    unprivileged: Path | None = None


def answers_http(url: str, *, timeout_seconds: float = PROBE_SECONDS) -> bool:
    """Tell whether the address answers a GET with 2xx or 3xx."""
    parts = urlsplit(url)
    client = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = client(parts.hostname or "127.0.0.1", parts.port, timeout=timeout_seconds)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listens(port: int, *, timeout_seconds: float = PROBE_SECONDS) -> bool:
    """Tell whether something accepts connections on this loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_seconds):
            return True
    except OSError:
        return False


def serves_grpc(port: int, service: str, *, timeout_seconds: float = PROBE_SECONDS) -> bool:
    """Ask a gRPC server by the standard health protocol whether the service is up."""
    import grpc

    request = b"\x0a" + bytes([len(service)]) + service.encode()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return check(request, timeout=timeout_seconds) == b"\x08\x01"
        except grpc.RpcError:
            return False
