"""Which port each embedded server gets: the one it had, else the usual one, else a free one."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from collect_pipelines.errors import ConfigurationError

_TRIED = 500


def free_port() -> int:
    """A TCP port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections still linger counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_ports(usual: Mapping[str, int], kept: Mapping[str, object], demanded: Mapping[str, str]) -> dict[str, int]:
    """Choose a port per name, all different.

    `usual` are the first choices, `kept` what an earlier start chose, `demanded` maps a name whose usual port a person
    asked for to the variable that says so. Raises ConfigurationError that lists every demanded port that is taken.
    """
    if taken := [f"{demanded[name]}={usual[name]}" for name in usual if name in demanded and not is_free(usual[name])]:
        raise ConfigurationError(
            f"These ports are taken by another program: {', '.join(taken)}",
            hint="choose others, or leave the variables unset: then free ones are found",
        )
    chosen: dict[str, int] = {name: usual[name] for name in usual if name in demanded}
    for name, first in usual.items():
        if name not in chosen:
            chosen[name] = _choose(first, kept.get(name), set(chosen.values()))
    return chosen


def _choose(usual: int, kept: object, used: set[int]) -> int:
    """The kept port, the usual one, else the next free one after it.

    Not one that the system would hand out: those may be taken by outgoing connections while a server restarts.
    """
    kept_first = [kept] if isinstance(kept, int) else []
    for port in (*kept_first, *range(usual, min(usual + _TRIED, 65536))):
        if port not in used and is_free(port):
            return port
    raise ConfigurationError(f"no port is free from {usual} to {usual + _TRIED - 1}", hint="stop other programs")
