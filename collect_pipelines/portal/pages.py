"""The pages: what each shows, to people and to programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from collect_pipelines.model import Form, pick
from collect_pipelines.portal.freshness import Delivery, FormState, Standing
from collect_pipelines.portal.portal import Portal, form_path, response_path
from collect_pipelines.portal.rendering import Renderer
from collect_pipelines.portal.shown import Answer, shown_answers
from collect_pipelines.source.connection import Document
from collect_pipelines.source.pages import UNDECODABLE

PAGE_ROWS = 50
_PREVIEWED = 3
_DETAILS = ("status", "revision", "form_version", "submitted_at", "updated_at", "collector", "language")


class Pages:
    """The portal's pages. Each handler runs in a thread of its own, as the driver waits."""

    def __init__(self, portal: Portal, render: Renderer) -> None:
        self._portal = portal
        self._render = render

    def home(self, request: Request) -> Response:
        """All forms, with counts and freshness."""
        freshness, counts, now = self._portal.freshness(), self._portal.counts(), self._portal.now()
        listed = [(form, freshness.form(form.id), counts.get(form.id, 0)) for form in self._portal.forms()]
        integrations = sorted({d.integration for state in freshness.forms.values() for d in state.deliveries})
        shown = {
            "listed": listed,
            "integrations": integrations,
            "failed": [
                (form, d) for form, state, _ in listed for d in state.deliveries if d.standing is Standing.FAILED
            ],
            "deaf_seconds": freshness.deaf_seconds(now),
            "listened_at": freshness.listened_at,
        }
        data = [
            {**self._form_data(form), "responses": count, "freshness": self._freshness_data(state)}
            for form, state, count in listed
        ]
        return self._render(request, "home.html", shown, {"forms": data, "listened_at": freshness.listened_at})

    def form(self, request: Request) -> Response:
        """One form: its questions, and how fresh it is where."""
        form = self._wanted(request)
        state, count = self._portal.freshness().form(form.id), self._portal.counts().get(form.id, 0)
        shown = {"form": form, "state": state, "count": count}
        questions = [
            {
                "id": q.id,
                "type": q.type.value,
                "titles": q.titles,
                "position": q.position,
                "archived": q.archived,
                "options": [{"id": option.id, "titles": option.titles} for option in q.options],
            }
            for q in form.questions
        ]
        more = {"questions": questions, "problems": form.problems}
        data = {**self._form_data(form), **more, "responses": count, "freshness": self._freshness_data(state)}
        return self._render(request, "form.html", shown, data)

    def responses(self, request: Request) -> Response:
        """A form's responses, newest first, page by page."""
        form, page = self._wanted(request), request.query_params.get("page")
        try:
            found = self._portal.store.responses(form.id, page, limit=PAGE_ROWS)
        except ValueError:
            raise HTTPException(404, "There is no such page of responses") from None
        previewed = form.asked[:_PREVIEWED]
        rows = [(document, self._answers(form, document)[: len(previewed)]) for document in found.responses]
        shown = {
            "form": form,
            "rows": rows,
            "previewed": [pick(q.titles, self._portal.language, form.default_language, q.id) for q in previewed],
            "page": page,
            "next": found.next,
            "count": self._portal.counts().get(form.id, 0),
        }
        following = f"{form_path(form, '/responses')}?page={found.next}" if found.next else None
        data = {"form": form.id, "responses": [self._response_data(form, d) for d in found.responses]}
        return self._render(request, "responses.html", shown, {**data, "next": following})

    def response(self, request: Request) -> Response:
        """One response with its answers."""
        found = self._portal.store.response(request.path_params["response_id"])
        if found is None:
            raise HTTPException(404, "There is no such response")
        return self._response(request, found)

    def answer(self, request: Request) -> Response:
        """The older address of a response: an id that is unique in its form only, so there may be several."""
        address = request.path_params["response_id"]
        store = self._portal.store
        if (found := store.response(address)) is None:
            ids = store.response_ids(address)
            if len(ids) > 1:
                links = [{"id": one, "url": response_path(one)} for one in ids]
                return self._render(request, "choice.html", {"address": address, "ids": ids}, {"responses": links}, 300)
            found = store.response(ids[0]) if ids else None
        if found is None:
            raise HTTPException(404, "There is no such response")
        return self._response(request, found)

    def _response(self, request: Request, document: Document) -> Response:
        form = self._portal.form_of_response(document)
        details = {name: document[name] for name in _DETAILS if document.get(name) is not None}
        further = {name: document[name] for name in ("client", "flags", "metadata") if document.get(name)}
        shown = {
            "form": form,
            "response": document,
            "answers": self._answers(form, document),
            "details": details,
            "further": further,
            "answer_metadata": _by_question(document.get("answer_metadata")),
            "undecodable": document.get(UNDECODABLE),
        }
        return self._render(request, "response.html", shown, self._response_data(form, document))

    def _wanted(self, request: Request) -> Form:
        if (form := self._portal.form(request.path_params["form_id"])) is None:
            raise HTTPException(404, "There is no such form")
        return form

    def _answers(self, form: Form, document: Document) -> list[Answer]:
        return shown_answers(form, document.get("answers"), self._portal.language)

    def _form_data(self, form: Form) -> dict[str, Any]:
        links = {"page": form_path(form), "csv": form_path(form, "/responses.csv")}
        names = {"id": form.id, "key": form.key, "title": form.title(self._portal.language), "titles": form.titles}
        return {**names, "version": form.version, "status": form.status, "links": links}

    def _freshness_data(self, state: FormState) -> dict[str, Any]:
        now = self._portal.now()
        landed = {"landed_at": state.landed_at, "rows_landed": state.rows_landed, "unfit": state.unfit}
        waiting = {"journal_marks": state.marks, "rescan": state.rescan or None, "lag_seconds": state.lag_seconds(now)}
        deliveries = {delivery.integration: self._delivery_data(delivery) for delivery in state.deliveries}
        return {**landed, "unknown": state.unknown, **waiting, "deliveries": deliveries}

    def _delivery_data(self, delivery: Delivery) -> dict[str, Any]:
        return {
            "standing": delivery.standing.value,
            "lag_seconds": delivery.lag_seconds(self._portal.now()),
            "delivered_at": delivery.delivered_at,
            "rows": delivery.rows,
            "url": delivery.url,
            "attempts": delivery.attempts,
            "error": delivery.error or None,
        }

    def _response_data(self, form: Form, document: Document) -> dict[str, Any]:
        answers = [
            {"question_id": a.question_id, "title": a.title, "type": a.type, "value": a.value, "text": a.text}
            for a in self._answers(form, document)
        ]
        rest = {key: value for key, value in document.items() if key not in ("_id", "answers")}
        return {"id": document.get("_id"), "form_id": form.id, **rest, "answers": answers}


def _by_question(metadata: object) -> Mapping[str, Any]:
    return metadata if isinstance(metadata, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]
