"""Everything that a run needs, opened once: the store, the state, the lake and the destinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import RLock
from typing import Any, Self, TypeVar, overload

from pymongo import MongoClient

from collect_pipelines.delivery.contract import Destination
from collect_pipelines.errors import ConfigurationError
from collect_pipelines.integration import DestinationSpec
from collect_pipelines.landing.landing import Landing
from collect_pipelines.landing.ledger import Ledger
from collect_pipelines.landing.rescan import Rescan
from collect_pipelines.settings import Settings
from collect_pipelines.source.capture import Capture
from collect_pipelines.source.connection import connect
from collect_pipelines.source.reader import Reader
from collect_pipelines.source.state import Document, State
from collect_pipelines.stores.objects import LocalObjects

T = TypeVar("T")
_OPENING = RLock()


class once(cached_property[T]):
    """`cached_property` that several threads may ask at the same time: since Python 3.12 that has no lock."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: object | None, owner: type[Any] | None = None) -> Self | T:
        with _OPENING:
            return super().__get__(instance, owner)


@dataclass(frozen=True)
class Engine:
    """The opened parts of one deployment. Thread-safe; opened lazily, so that importing costs nothing."""

    settings: Settings
    specs: Sequence[DestinationSpec] = ()
    writer: str = ""

    @once
    def client(self) -> MongoClient[Document]:
        """The MongoDB client, shared by all threads."""
        if self.settings.mongo_uri is None:
            raise ConfigurationError(
                "COLLECT_MONGO_URI is not set", hint="run `collect up`, which starts a MongoDB of its own, or set it"
            )
        return connect(self.settings.mongo_uri.get_secret_value())

    @once
    def state(self) -> State:
        """The state database, with its collections made."""
        state = State(self.client, self.settings.state_database)
        state.ensure()
        return state

    @once
    def objects(self) -> LocalObjects:
        """The lake."""
        return LocalObjects(self.settings.lake)

    @once
    def reader(self) -> Reader:
        """Majority reads of the store."""
        return Reader(self.client, self.settings.mongo_database)

    @once
    def ledger(self) -> Ledger:
        """Tables and deliveries as the state database knows them."""
        ledger = Ledger(self.state, [spec.name for spec in self.specs])
        ledger.want_what_is_missing()
        return ledger

    @once
    def landing(self) -> Landing:
        """From the store into response tables."""
        return Landing(self.reader, self.ledger, self.objects, self.writer)

    @once
    def rescan(self) -> Rescan:
        """Whole forms again."""
        return Rescan(self.reader, self.ledger, self.landing)

    @property
    def destinations(self) -> Mapping[str, Destination]:
        """The destinations, by name."""
        return {spec.name: self.destination(spec.name) for spec in self.specs}

    def destination(self, name: str) -> Destination:
        """One destination, opened when it is first needed: the wrong settings of one do not stop the others."""
        with _OPENING:
            if name not in self._destinations:
                self._destinations[name] = next(spec for spec in self.specs if spec.name == name).open(self)
            return self._destinations[name]

    @once
    def _destinations(self) -> dict[str, Destination]:
        return {}

    def capture(self) -> Capture:
        """A follower of the change stream; each thread that polls needs its own."""
        return Capture(self.client, self.settings.mongo_database, self.state)
