"""The documents, held against the code: what they name exists, and what exists is named."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from collect_pipelines.delivery.google_sheet.config import SheetConfig
from collect_pipelines.settings import PREFIX, Settings
from collect_pipelines.source.roles import roles
from tests.reference import PAGES, ROOT, commands, rendered

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
COMMAND = re.compile(r"(?:^|[\s;&|/`])collect +([a-z][a-z-]*(?: [a-z][a-z-]*)?)")
ELSEWHERE = re.compile(r"/(?:home|root|work|Users|tmp)/|pypi\.org|pythonhosted|localhost:\d|artifactory", re.IGNORECASE)
# Words after `collect` in prose and addresses that are no commands, and variables that tests and processes set.
NOT_SETTINGS = {"COLLECT_SUPERVISED_HOME"}


def pages() -> list[Path]:
    """Every Markdown page that is ours."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


PAGE = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))


def shell_lines(page: Path) -> Iterator[str]:
    """Yield the lines of a page's shell blocks, and its code spans."""
    text = page.read_text(encoding="utf-8")
    for language, body in FENCE.findall(text):
        if language in ("sh", "shell", "bash", "console"):
            yield from body.splitlines()
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def make_targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, as code hosts do."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_generated_parts_are_up_to_date(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == rendered(page), "run `make docs`"


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert re.findall(r"^## collect (.+)$", text, re.MULTILINE) == [name for name, _ in commands()]


def test_every_command_says_what_it_does() -> None:
    for name, command in commands():
        first = (command.help or "").strip().split("\n\n")[0]
        assert first.endswith("."), name


@PAGE
def test_commands_in_examples_exist(page: Path) -> None:
    known = {name for name, _ in commands()}
    for line in shell_lines(page):
        for words in COMMAND.findall(line):
            assert words in known or words.split()[0] in known, f"{page.name}: collect {words}"


@PAGE
def test_make_targets_in_examples_exist(page: Path) -> None:
    for line in shell_lines(page):
        for target in re.findall(r"(?:^|[;&|]\s*)make ([a-z][a-z-]*)", line):
            assert target in make_targets(), f"{page.name}: make {target}"


def test_every_target_with_an_explanation_is_one_that_help_shows() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "make test " in shown
    assert "make demo " in shown


def test_settings_in_the_docs_exist() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | NOT_SETTINGS
    for page in pages():
        named = set(re.findall(r"\bCOLLECT_[A-Z_]+\b", page.read_text(encoding="utf-8")))
        assert named <= known, f"{page.name}: {sorted(named - known)}"


def test_every_setting_says_what_it_does() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_the_settings_of_a_sheet_are_documented() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    section = text.split("### google_sheet")[1].split("###")[0]
    known = {"spreadsheet_url" if name == "spreadsheet_id" else name for name in SheetConfig.__dataclass_fields__}
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == known


@PAGE
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(to), f"{page.name}: no heading for {target}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
        linked = {(page.parent / unquote(target).partition("#")[0]).resolve() for target in targets}
        waiting += [to for to in linked - reached if to.suffix == ".md" and to.exists() and to not in waiting]
    assert not [page.name for page in pages() if page not in reached]


@PAGE
def test_files_and_tests_that_are_named_exist(page: Path) -> None:
    for span in re.findall(r"`([\w./-]+)`", FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"(collect_pipelines|assets|sensors|tests|docs|bench)/[\w./-]*$", span):
            assert (ROOT / span).exists(), f"{page.name}: {span}"


@PAGE
def test_nothing_is_tied_to_one_machine(page: Path) -> None:
    found = ELSEWHERE.search(page.read_text(encoding="utf-8"))
    assert not found, f"{page.name}: {found and found[0]}"


@PAGE
def test_json_in_examples_is_json(page: Path) -> None:
    for language, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "json":
            json.loads(body)


def test_every_picture_is_shown_and_small() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in pages()
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if target.endswith((".png", ".svg"))
    }
    for picture in (ROOT / "docs/images").iterdir():
        assert picture in shown, picture.name
        assert picture.stat().st_size < 200_000, picture.name


def test_every_decision_is_listed() -> None:
    listing = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs/adr").glob("0*.md")):
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert f"[{title}]({page.name})" in listing, page.name


def roles_snippet() -> str:
    """The commands that make the roles, as mongosh takes them."""
    made = [json.dumps({"role": name, **role}) for name, role in roles().items()]
    return "\n".join(['admin = db.getSiblingDB("admin")', *(f"admin.createRole({one})" for one in made)])


def test_the_roles_in_the_data_model_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "data-model.md").read_text(encoding="utf-8")
    assert roles_snippet() in page
