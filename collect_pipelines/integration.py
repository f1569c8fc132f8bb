"""How a destination is plugged in: one file in `assets/` with one decorated function. No I/O here.

@destination(kinds={"csv"}, lanes=2)
def csv_export(engine: Engine) -> Destination:
    '''One CSV file per form.'''
    return CsvExports(engine.settings.exports, engine.settings.language)
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class DestinationSpec:
    """What is known of a destination before it is opened. Its name is the asset key and the settings block."""

    name: str
    description: str
    open: Callable[..., Any]
    kinds: frozenset[str]
    owners: tuple[str, ...]
    lanes: int


def destination(
    *, kinds: Iterable[str] = (), owners: Iterable[str] = ("team:data",), lanes: int = 2
) -> Callable[[F], F]:
    """Register a function that opens a destination. `lanes` is how many forms it delivers at the same time."""

    def register(function: F) -> F:
        spec = DestinationSpec(
            function.__name__, inspect.getdoc(function) or "", function, frozenset(kinds), tuple(owners), lanes
        )
        vars(function)["__destination__"] = spec
        return function

    return register


def discover(package: ModuleType) -> list[DestinationSpec]:
    """Import every module of the package and list the destinations they define, by name."""
    modules = [importlib.import_module(info.name) for info in _modules(package)]
    found = [vars(value)["__destination__"] for module in modules for value in vars(module).values() if _is_spec(value)]
    return sorted(found, key=lambda spec: spec.name)


def _modules(package: ModuleType) -> Iterable[pkgutil.ModuleInfo]:
    return pkgutil.iter_modules(package.__path__, package.__name__ + ".")


def _is_spec(value: object) -> bool:
    return callable(value) and isinstance(getattr(value, "__destination__", None), DestinationSpec)
