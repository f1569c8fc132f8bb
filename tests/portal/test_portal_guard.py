"""Hostile titles, foreign host names, other methods, a store that is away."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import pytest
from pymongo import MongoClient

from collect_pipelines.embedded.mongod import free_port
from collect_pipelines.model import QuestionType
from collect_pipelines.portal.application import build_application
from collect_pipelines.portal.portal import open_portal
from collect_pipelines.settings import Settings
from collect_pipelines.source.connection import connect
from collect_pipelines.source.documents import form_document, option_document, question_document, response_document
from collect_pipelines.source.store import CollectStore
from tests.portal.conftest import serving

_TAGS = (
    "script",
    "img src=x onerror=alert(1)",
    "svg/onload=alert(1)",
    "iframe src=javascript:alert(1)",
    "a href=//e",
    "b",
)
HOSTILE = [
    *(f"<{tag}>alert(1)</{tag.split()[0]}>" for tag in _TAGS),
    *(f'"><{tag}>' for tag in _TAGS),
    *(f"'><{tag}>" for tag in _TAGS),
    *(f"</{around}><script>alert(1)</script>" for around in ("title", "textarea", "style", "script", "bdi", "dd")),
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "${7*7}#{7*7}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!--<script>alert(1)//-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "\u202e<script>alert(1)</script>",
    "＜script＞alert(1)＜/script＞",
    "<scr\x00ipt>alert(1)</script>",
    "]]>-->\"'`=<base href=//evil>",
    "<meta http-equiv=refresh content=0;url=//evil>",
    "<link rel=stylesheet href=//evil>",
    "<form action=//evil><button>x",
    "<style>*{display:none}</style>",
]


class Inspector(HTMLParser):
    """Counts what must not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name.startswith("on") or name == "style" or re.match(r"\s*(javascript|data):", value or "", re.I):
                self.faults.append(f"{tag} {name}={value}")


ALLOWED = {"html", "head", "meta", "title", "link", "body", "a", "header", "nav", "main", "footer", "p", "code", "time"}
ALLOWED |= {"h1", "h2", "section", "div", "table", "thead", "tbody", "tr", "th", "td", "span", "br", "bdi"}
ALLOWED |= {"dl", "dt", "dd", "ul", "li"}


def test_no_title_answer_or_id_becomes_markup(portal: httpx.Client, store: CollectStore) -> None:
    assert len(HOSTILE) >= 40
    questions = [
        question_document(f"q{n}", QuestionType.MULTI_CHOICE, text, options=[option_document("o", text)], metadata={})
        for n, text in enumerate(HOSTILE)
    ]
    store.save_form(form_document("evil", HOSTILE[0], questions))
    answers = {f"q{n}": [text] if n % 2 else ["o"] for n, text in enumerate(HOSTILE)}
    for text in HOSTILE:
        document = response_document("evil", text, {**answers, "unknown": text}, collector=text, metadata={"m": text})
        assert store.submit([document]).added == 1
    addresses = ["/", "/forms/evil", "/forms/evil/responses"]
    listed = portal.get("/forms/evil/responses").text
    addresses += [f"/responses/{path}" for path in re.findall(r'href="/responses/([^"]+)"', listed)]
    assert len(addresses) == 3 + len(HOSTILE)
    for address in addresses:
        page = portal.get(address)
        seen = Inspector()
        seen.feed(page.text)
        assert (page.status_code, seen.faults, seen.tags - ALLOWED) == (200, [], set()), address
        assert page.text.count("<link") == 2 and page.text.count("<meta") == 3


def test_every_answer_keeps_browsers_strict(portal: httpx.Client, store: CollectStore) -> None:
    for address in ("/", "/nothing", "/healthz", "/static/portal.css", "/forms/x/responses.csv"):
        headers = portal.get(address).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "script-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "no-store" in headers["cache-control"] or address.startswith("/static")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_the_portal_only_reads(portal: httpx.Client, method: str) -> None:
    assert portal.request(method, "/").status_code == 405


def test_a_foreign_host_name_is_refused_but_not_to_probes(portal: httpx.Client) -> None:
    foreign = {"Host": "evil.example:4000"}
    assert portal.get("/", headers=foreign).status_code == 421
    assert portal.get("/", headers={"Host": "[::1"}).status_code == 421
    assert portal.get("/", headers={"Host": "localhost:1"}).status_code == 200
    assert portal.get("/healthz", headers=foreign).status_code == 200


def test_the_public_address_is_a_host_name_of_ours(settings: Settings, mongo: MongoClient) -> None:
    public = settings.model_copy(update={"portal_url": "https://Portal.Example/collect"})
    with serving(build_application(open_portal(public, mongo))) as address:
        assert httpx.get(address, headers={"Host": "portal.example"}).status_code == 200


def test_a_store_that_is_away_is_said_to_be_away(settings: Settings) -> None:
    with (
        connect(f"mongodb://127.0.0.1:{free_port()}/?replicaSet=x", timeout_seconds=0.3) as client,
        serving(build_application(open_portal(settings, client))) as address,
    ):
        page = httpx.get(f"{address}/")
        assert page.status_code == 503 and "MongoDB cannot be reached" in page.text
        assert page.headers["retry-after"] == "5"
        assert httpx.get(f"{address}/healthz").status_code == 200
        ready = httpx.get(f"{address}/readyz")
        assert ready.status_code == 503 and ready.json()["checks"]["exports"] == "ok"
        assert "collect_state_up 0.0" in httpx.get(f"{address}/metrics").text
