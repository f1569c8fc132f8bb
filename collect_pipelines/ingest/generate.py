"""Realistic forms and responses: in bulk for benchmarks, or as live traffic of new, edited and deleted responses."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from random import Random
from typing import Any

from collect_pipelines.ingest.answers import maker, responses
from collect_pipelines.ingest.words import LANGUAGES, QUESTIONS, THEMES, Asked
from collect_pipelines.model import Form, QuestionType, form_from_document
from collect_pipelines.source.documents import form_document, option_document, question_document
from collect_pipelines.source.store import CollectStore
from collect_pipelines.source.writes import Edit

REMEMBERED = 10_000
"""How many responses per form stay candidates for edits and deletes."""
CHUNK_ROWS = 10_000

Progress = Callable[[int], None]
"""Called with the number of operations just done."""


def generated_forms(count: int) -> list[dict[str, Any]]:
    """Make forms, always the same ones. Each of the first eight has its own theme; all question types are in each."""
    return [_form(number) for number in range(count)]


def _form(number: int) -> dict[str, Any]:
    slug, titles = THEMES[number % len(THEMES)]
    again = number // len(THEMES)
    suffix = f" {again + 1}" if again else ""
    random = Random(f"form {number}")
    extra = random.sample(QUESTIONS, len(QUESTIONS))
    kinds: dict[QuestionType, Asked] = {question.type: question for question in extra}
    chosen = [q for q in extra if q.required or kinds[q.type] is q or random.random() < 0.6]
    chosen.sort(key=lambda question: (not question.required, QUESTIONS.index(question)))
    return form_document(
        f"{slug}-{again + 1}" if again else slug,
        {language: title + suffix for language, title in zip(LANGUAGES, titles, strict=True)},
        [_question(asked) for asked in chosen],
        metadata={"generated": True},
    )


def _question(asked: Asked) -> dict[str, Any]:
    options = [option_document(option_id, _titled(titles)) for option_id, titles in asked.options]
    inner = [question for question in QUESTIONS if question.id in ("name", "age", "visited_on")]
    return question_document(
        asked.id,
        asked.type,
        _titled(asked.titles),
        options=options,
        questions=[_question(one) for one in inner] if asked.type is QuestionType.REPEAT_GROUP else (),
        required=asked.required,
    )


def _titled(titles: Sequence[str]) -> Mapping[str, str]:
    return dict(zip(LANGUAGES, titles, strict=True))


@dataclass(slots=True)
class _Source:
    form: Form
    fresh: Iterator[dict[str, Any]]
    known: deque[str] = field(default_factory=lambda: deque[str](maxlen=REMEMBERED))


@dataclass(frozen=True, slots=True)
class Done:
    """How many operations of each kind were done."""

    added: int = 0
    edited: int = 0
    deleted: int = 0

    def __add__(self, other: Done) -> Done:
        return Done(self.added + other.added, self.edited + other.edited, self.deleted + other.deleted)


class Generator:
    """Writes generated responses of some forms into a store. The same seed and clock give the same responses.

    Without a seed they are new ones each time.
    """

    def __init__(
        self,
        store: CollectStore,
        forms: Sequence[Mapping[str, Any]],
        *,
        seed: int | None = None,
        now: datetime | None = None,
        edit_share: float = 0.0,
        delete_share: float = 0.0,
    ) -> None:
        self.store = store
        seed = Random().getrandbits(64) if seed is None else seed
        self.random = Random(seed)
        self.edit_share, self.delete_share = edit_share, delete_share
        now = now or datetime.now(UTC).replace(microsecond=0)
        self.now = now
        read = [form_from_document(form) for form in forms]
        self.sources = [_Source(form, responses(form, Random(f"{seed} {form.id}"), now)) for form in read]

    def documents(self, count: int) -> Iterator[dict[str, Any]]:
        """Make responses of the first form without storing them."""
        return islice(self.sources[0].fresh, count)

    def bulk(self, count: int, progress: Progress = lambda _: None) -> Done:
        """Add `count` responses, spread evenly over the forms, then the shares of edits and deletes."""
        done = Done()
        per_form, rest = divmod(count, len(self.sources))
        for number, source in enumerate(self.sources):
            wanted = per_form + (number < rest)
            while wanted > 0:
                part = min(CHUNK_ROWS, wanted)
                done += self._add(source, part)
                wanted -= part
                progress(part)
        done += self._edit(int(count * self.edit_share))
        return done + self._delete(int(count * self.delete_share))

    def traffic(self, count: int) -> Done:
        """Do `count` operations: new responses, and the shares of edits and deletes among those made before."""
        draws = [self.random.random() for _ in range(count)]
        deletes = sum(draw < self.delete_share for draw in draws)
        edits = sum(self.delete_share <= draw < self.delete_share + self.edit_share for draw in draws)
        done = Done()
        for source in self.random.choices(self.sources, k=count - edits - deletes):
            done += self._add(source, 1)
        return done + self._edit(edits) + self._delete(deletes)

    def adopt(self) -> None:
        """Make responses that are in the store already candidates for edits and deletes."""
        for source in self.sources:
            page = self.store.responses(source.form.id, limit=200)
            source.known.extend(document["_id"] for document in page.responses if isinstance(document["_id"], str))

    def _add(self, source: _Source, count: int) -> Done:
        made: list[str] = []
        outcome = self.store.submit(_noted(islice(source.fresh, count), made))
        source.known.extend(made)
        return Done(added=outcome.added)

    def _edit(self, count: int) -> Done:
        edits = [edit for _ in range(count) if (edit := self._new_answer())]
        return Done(edited=self.store.edit(edits))

    def _new_answer(self) -> Edit | None:
        source = self.random.choice(self.sources)
        if not source.known or not source.form.asked:
            return None
        question = self.random.choice(source.form.asked)
        language = self.random.choice([language for language in source.form.titles if language in LANGUAGES] or ["en"])
        response_id = source.known[self.random.randrange(len(source.known))]
        if self.random.random() < 0.1:
            return Edit(response_id, removed=(question.id,))
        return Edit(response_id, {question.id: maker(question)(self.random, language, self.now)})

    def _delete(self, count: int) -> Done:
        chosen: list[str] = []
        for _ in range(count):
            source = self.random.choice(self.sources)
            if source.known:
                at = self.random.randrange(len(source.known))
                chosen.append(source.known[at])
                del source.known[at]
        return Done(deleted=self.store.delete(chosen) if chosen else 0)


def _noted(documents: Iterator[dict[str, Any]], made: list[str]) -> Iterator[dict[str, Any]]:
    for document in documents:
        made.append(document["_id"])
        yield document


def run_at_rate(
    generator: Generator,
    rate_per_second: float,
    *,
    stop: Callable[[], bool],
    seconds: float | None = None,
    progress: Callable[[Done], None] = lambda _: None,
) -> Done:
    """Do operations at the rate until `stop()` or the time is over. It falls behind rather than burst after a stall."""
    done, start, due = Done(), time.monotonic(), 0.0
    last = start
    while not stop() and (seconds is None or time.monotonic() - start < seconds):
        now = time.monotonic()
        due = min(due + (now - last) * rate_per_second, max(rate_per_second, 1.0))
        last = now
        if due >= 1:
            step = generator.traffic(int(due))
            due -= int(due)
            done += step
            progress(step)
        time.sleep(min(0.2, max(0.01, (1 - due) / rate_per_second)))
    return done
