"""Telling Dagster of outcomes as they come, and failing the run at its end if a form needs a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg

from collect_pipelines.draining.stages import Outcome
from collect_pipelines.orchestration.events import log_materialisations, materialisation, report_failure
from collect_pipelines.orchestration.partitions import add_forms
from collect_pipelines.settings import Settings

NAMED_AT_MOST = 20


class Report:
    """What one run has told Dagster so far."""

    def __init__(self, context: dg.AssetExecutionContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._partitions: set[str] = set()
        self._failed: dict[tuple[str, str], Outcome] = {}

    def tell(self, outcomes: Iterable[Outcome]) -> None:
        """Report outcomes, in their order."""
        done: list[dg.AssetMaterialization] = []
        for outcome in outcomes:
            step = (outcome.stage, outcome.form_id)
            if outcome.ok:
                self._failed.pop(step, None)
                if event := materialisation(outcome, self._settings):
                    self._know(outcome.form_id)
                    done.append(event)
                continue
            if outcome.final:
                self._know(outcome.form_id)
            self._log(done)
            done, self._failed[step] = [], outcome
            report_failure(self._context, outcome)
        self._log(done)

    def finish(self, *, complete: bool) -> None:
        """Fail the run if a form needs a person, or if one that had to be `complete` did not get through in time."""
        if final := [outcome for outcome in self._failed.values() if outcome.final or complete]:
            names = [f"{outcome.stage}/{outcome.form_id}" for outcome in final[:NAMED_AT_MOST]]
            raise dg.Failure(_summary(final), metadata={"failed": names}, allow_retries=False)

    def _log(self, events: Sequence[dg.AssetMaterialization]) -> None:
        if events:
            log_materialisations(self._context, events)

    def _know(self, form_id: str) -> None:
        if form_id and form_id not in self._partitions:
            self._partitions.add(form_id)
            add_forms(self._context.instance, [form_id])


def _summary(final: Sequence[Outcome]) -> str:
    named = [f"{outcome.name}: {outcome.error.splitlines()[0]}" for outcome in final[:NAMED_AT_MOST]]
    return "\n".join([f"{len(final)} of the forms' steps failed; the others went on.", *named])
