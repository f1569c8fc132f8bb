"""What the portal knows: the store, the exports and the state, asked the way the pages need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from pymongo import MongoClient

from collect_pipelines.delivery.csv_export import CsvExports
from collect_pipelines.model import UNROUTED, Form, form_of
from collect_pipelines.portal.freshness import Freshness, read_freshness
from collect_pipelines.portal.recent import Recent
from collect_pipelines.settings import Settings
from collect_pipelines.source.connection import Document
from collect_pipelines.source.store import CollectStore

_COUNTS_SECONDS, _FRESHNESS_SECONDS = 2.0, 0.5


def utc_now() -> datetime:
    """The time, aware and in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Portal:
    """Everything that the pages read from."""

    settings: Settings
    client: MongoClient[Document]
    store: CollectStore
    exports: CsvExports
    freshness: Callable[[], Freshness]
    counts: Callable[[], Mapping[str, int]]
    now: Callable[[], datetime] = utc_now

    @property
    def language(self) -> str:
        """The language of titles, where a form has it."""
        return self.settings.language

    def forms(self) -> list[Form]:
        """All forms by title; those of which only responses or state exist come last."""
        forms = self.store.forms()
        orphans = sorted({*self.counts(), *self.freshness().forms} - {form.id for form in forms})
        listed = sorted(forms, key=lambda form: (form.title(self.language).casefold(), form.id))
        return [*listed, *(orphan(form_id) for form_id in orphans if form_id != UNROUTED or self._unrouted())]

    def form(self, address: str) -> Form | None:
        """Find a form by its id or its key."""
        if found := self.store.form(address):
            return found
        form_id = self.freshness().keys.get(address, address)
        if form_id != address and (found := self.store.form(form_id)):
            return found
        return next((form for form in self.forms() if address in (form.id, form.key)), None)

    def form_of_response(self, response: Document) -> Form:
        """The form of a response; a bare one when the form is gone."""
        form_id = form_of(response.get("_id"))
        return self.store.form(form_id) or orphan(form_id)

    def dagster_url(self, form: Form, asset: str = "responses") -> str:
        """Where Dagster shows a form's partition."""
        return f"{self.settings.dagster_address}/assets/{quote(asset, safe='')}?view=partitions&partition={form.key}"

    def _unrouted(self) -> bool:
        state = self.freshness().form(UNROUTED)
        return bool(state.rows_landed or state.marks or self.counts().get(UNROUTED))


def open_portal(settings: Settings, client: MongoClient[Document], now: Callable[[], datetime] = utc_now) -> Portal:
    """Put a portal together. Nothing is asked of MongoDB before the first visitor comes."""
    store = CollectStore(client, settings.mongo_database)
    return Portal(
        settings=settings,
        client=client,
        store=store,
        exports=CsvExports(settings.exports, settings.language),
        freshness=Recent(lambda: read_freshness(client, settings.state_database), _FRESHNESS_SECONDS),
        counts=Recent(store.counts, _COUNTS_SECONDS),
        now=now,
    )


def orphan(form_id: str) -> Form:
    """Stand in for a form that has no document."""
    title = "Responses whose id names no form" if form_id == UNROUTED else form_id
    return Form(form_id, {"en": title}, status="unknown")


def form_path(form: Form, page: str = "") -> str:
    """Address of a form's page. The key is safe in any address; an id may be `..`."""
    return f"/forms/{form.key}{page}"


def response_path(response_id: object) -> str | None:
    """Address of a response's page; None when its id is no text."""
    return f"/responses/{quote(response_id, safe=':')}" if isinstance(response_id, str) else None
