"""The demo's data: a real survey, the old system's sample data, generated forms, and live traffic on these."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.resources import as_file, files
from typing import Any

from collect_pipelines.errors import FatalError, TransientError
from collect_pipelines.ingest.fair import fair_form, fair_responses
from collect_pipelines.ingest.generate import Done, Generator, generated_forms, run_at_rate
from collect_pipelines.ingest.legacy import LegacyFiles
from collect_pipelines.ingest.load import load, plan, scan
from collect_pipelines.source.connection import mongo_errors
from collect_pipelines.source.store import CollectStore
from collect_pipelines.source.writes import Submitted

GENERATED_FORMS = 4
GENERATED_RESPONSES = 250
"""Responses of each generated form."""
SEED = 20260101

Progress = Callable[[str, int], None]
"""Called with a form id and the number of its responses just stored."""


def load_demo(store: CollectStore, *, progress: Progress = lambda _form, _count: None) -> dict[str, int]:
    """Make the store hold the demo's forms; return the number of stored responses of each.

    A form that was loaded before is left alone, with whatever was edited or deleted since; an interrupted load is
    completed. Raises ConfigurationError without statsmodels, which carries the survey.
    """
    store.ensure()
    _load_once(store, fair_form(), fair_responses(), progress)
    _load_samples(store, progress)
    forms = generated_forms(GENERATED_FORMS)
    for form in forms:
        fresh = Generator(store, [form], seed=SEED).documents(GENERATED_RESPONSES)
        _load_once(store, form, fresh, progress)
    return store.counts()


def trickle(
    store: CollectStore,
    rate_per_second: float,
    stop: Callable[[], bool],
    *,
    seed: int | None = None,
    progress: Callable[[Done], None] = lambda _: None,
) -> Done:
    """Add, edit and delete responses of the generated forms until `stop()`; forms that are gone are left out.

    While the server is away it waits.
    """
    forms = [form for form in generated_forms(GENERATED_FORMS) if store.form(form["_id"])]
    if not forms:
        raise FatalError("the demo's forms are not in the store", hint="`collect demo` loads them")
    generator = Generator(store, forms, seed=seed, edit_share=0.3, delete_share=0.05)
    done = Done()
    while not stop():
        try:
            generator.adopt()
            done += run_at_rate(generator, rate_per_second, stop=stop, progress=progress)
        except TransientError:  # a server that restarts is part of the demo
            time.sleep(1)
    return done


def _load_once(
    store: CollectStore, form: Mapping[str, Any], responses: Iterable[Mapping[str, Any]], progress: Progress
) -> None:
    if _is_loaded(store, form["_id"]):
        return
    store.save_form(form)
    _complain(store.submit(_counted(form["_id"], responses, progress)))
    _mark_loaded(store, form["_id"])


def _load_samples(store: CollectStore, progress: Progress) -> None:
    with as_file(files("collect_pipelines.ingest") / "samples") as folder:
        source = LegacyFiles(sorted(folder.glob("*.json")))
        if all(_is_loaded(store, form_id) for form_id in source.declared()):
            return
        plans = plan(scan(source), source, store.form_document)
        _complain(load(store, source, plans).submitted)
        for one in plans:
            progress(one.form_id, store.count(one.form_id))
            _mark_loaded(store, one.form_id)


def _is_loaded(store: CollectStore, form_id: str) -> bool:
    metadata = (store.form_document(form_id) or {}).get("metadata")
    return isinstance(metadata, dict) and metadata.get("demo_loaded") is True


def _mark_loaded(store: CollectStore, form_id: str) -> None:
    with mongo_errors():
        store.forms_collection.update_one({"_id": form_id}, {"$set": {"metadata.demo_loaded": True}})


def _complain(outcome: Submitted) -> None:
    if outcome.rejected:
        first = outcome.rejected[0]
        raise FatalError(f"{len(outcome.rejected)} responses of the demo were refused: {first.id}: {first.reason}")


def _counted(form_id: str, documents: Iterable[Mapping[str, Any]], progress: Progress) -> Iterator[Mapping[str, Any]]:
    waiting = 0
    for document in documents:
        yield document
        waiting += 1
        if waiting == 500:
            progress(form_id, waiting)
            waiting = 0
    progress(form_id, waiting)
