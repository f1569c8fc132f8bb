"""`collect import` and `collect generate`"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from collect_pipelines.cli.console import console
from collect_pipelines.embedded.live import live_settings
from collect_pipelines.errors import ConfigurationError
from collect_pipelines.ingest.files import Reading, sources
from collect_pipelines.ingest.generate import Done, generated_forms, run_at_rate
from collect_pipelines.ingest.generate import Generator as Generated
from collect_pipelines.ingest.load import Outcome, Plan, Scan, load, plan, scan
from collect_pipelines.ingest.records import RejectedLine, Rejects, Source
from collect_pipelines.model import QuestionType
from collect_pipelines.settings import Settings, load_settings
from collect_pipelines.source.connection import connect
from collect_pipelines.source.store import CollectStore

SHOWN_OPTIONS = 4


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("import")(import_command)
    app.command("generate")(generate_command)


def import_command(
    files: Annotated[list[Path], typer.Argument(help="CSV, JSON lines, JSON lists, or folders of them.")],
    form: Annotated[str | None, typer.Option(help="Id of the form. Default: made of the file's name.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of a new form. Default: the file's name.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Type of a column, as COLUMN=TYPE. May be repeated.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Column with each response's own id. Default: found, else row numbers.")
    ] = None,
    language: Annotated[str, typer.Option(help="Language of the titles.")] = "en",
    encoding: Annotated[str | None, typer.Option(help="Encoding of a CSV. Default: found out.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Delimiter of a CSV. Default: found out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be stored, and store nothing.")] = False,
) -> None:
    """Store responses from files: any CSV, JSON lines, or documents of the old system.

    The types of new questions are inferred and shown. Repeating an import changes nothing; a row that was changed in
    the file becomes an edit. Exit code 1 when a line was rejected; all others are stored nevertheless.

    Examples: `collect import survey.csv --type zip=text` or `collect import questions.json answers.json`.
    """
    wanted = _types(types or [])
    found = sources(files, Reading(form, title, id_column, encoding, delimiter))
    with _store_if_any() if dry_run else _store(_configured()) as store:
        rejected = sum(_import(source, None if dry_run else store, store, wanted, language) for source in found)
    if rejected:
        raise typer.Exit(1)


def _types(given: list[str]) -> dict[str, QuestionType]:
    wanted: dict[str, QuestionType] = {}
    for item in given:
        column, _, kind = item.rpartition("=")
        try:
            wanted[column] = QuestionType(kind)
        except ValueError:
            column = ""
        if not column:
            raise ConfigurationError(
                f"--type {item!r} is not COLUMN=TYPE", hint=f"types: {', '.join(sorted(QuestionType))}"
            )
    return wanted


def _configured() -> Settings:
    """The settings, with the address of the embedded server when none is configured."""
    settings = load_settings()
    return settings if settings.mongo_uri is not None else live_settings(settings)


@contextmanager
def _store(settings: Settings) -> Generator[CollectStore]:
    with connect(settings.mongo_uri.get_secret_value() if settings.mongo_uri else "") as client:
        yield CollectStore(client, settings.mongo_database)


def _store_if_any() -> AbstractContextManager[CollectStore | None]:
    try:
        return _store(_configured())
    except ConfigurationError:
        return nullcontext()


def _import(
    source: Source,
    into: CollectStore | None,
    known: CollectStore | None,
    wanted: Mapping[str, QuestionType],
    language: str,
) -> int:
    """Import one source; return how many of its lines were rejected. Forms are looked up in `known`, if any."""
    console.print(escape(_printable(source.description, 200)))
    with _progress() as progress:
        learnt = scan(source, _advance(progress, "reading", None))
    stored: Callable[[str], Mapping[str, Any] | None] = known.form_document if known else lambda _: None
    plans = plan(learnt, source, stored, types=wanted, language=language)
    for one in plans:
        console.print(_plan_table(one))
    if into is None:
        console.print(f"{learnt.records:,} responses found; nothing was stored (--dry-run)")
        _show_rejects(learnt.rejects)
        return learnt.rejects.count
    into.ensure()
    with _progress() as progress:
        outcome = load(into, source, plans, _advance(progress, "storing", learnt))
    return _show(outcome)


def _show(outcome: Outcome) -> int:
    stored = outcome.submitted
    console.print(f"{stored.added:,} added, {stored.changed:,} changed, {stored.unchanged:,} unchanged")
    for (form_id, question_id), count in sorted(outcome.misfits.items()):
        what = escape(_printable(f"{question_id} of {form_id}"))
        console.print(f"[yellow]{count:,} answers to {what} are no value of its type; they are kept as they are[/]")
    _show_rejects(outcome.rejects)
    for refused in islice(stored.rejected, 1000):
        console.print(f"[red]{escape(_printable(str(refused.id)))}: {escape(refused.reason)}[/]")
    count = outcome.rejects.count + len(stored.rejected)
    console.print(f"[bold red]{count:,} rejected[/]" if count else "none rejected")
    return count


def _show_rejects(rejects: Rejects) -> None:
    for line in rejects.lines:
        console.print(f"[red]{_where(line)}[/]")
    if rejects.count > len(rejects.lines):
        console.print(f"[red]… and {rejects.count - len(rejects.lines):,} more lines[/]")


def _where(line: RejectedLine) -> str:
    return f"line {line.line}: {escape(_printable(line.reason, 300))}"


def _plan_table(one: Plan) -> Table:
    heading = _printable(next(iter(one.document["titles"].values()), one.form_id))
    table = Table("question", "title", "type", "because of", "values", "options", title=escape(heading))
    for column in one.columns:
        options = list(dict.fromkeys(column.choices.values()))
        shown = ", ".join(options[:SHOWN_OPTIONS]) + (f" … ({len(options)})" if len(options) > SHOWN_OPTIONS else "")
        texts = (column.id, column.title, column.type.value, column.why, f"{column.values:,}", shown)
        table.add_row(*(escape(_printable(text)) for text in texts))
    return table


def generate_command(
    forms: Annotated[int, typer.Option(min=1, max=10_000, help="Number of forms.")] = 3,
    responses: Annotated[
        int | None, typer.Option(min=0, help="Number of responses, spread evenly. Default: 100 without --rate.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Changes per second. Default: as fast as possible.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="With --rate: stop after this time.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same answers. Default: new ones.")] = None,
    edit_share: Annotated[float, typer.Option(min=0, max=1, help="Share of changes that are edits.")] = 0.0,
    delete_share: Annotated[float, typer.Option(min=0, max=1, help="Share of changes that are deletes.")] = 0.0,
) -> None:
    """Make realistic forms and responses: every question type, five scripts, late ones, long texts, edits, deletes.

    At once (--responses), or as live traffic (--rate) until --responses or --seconds is reached, or Ctrl-C.

    Examples: `collect generate --forms 10 --responses 5000` or `collect generate --rate 5 --edit-share 0.3`.
    """
    if edit_share + delete_share > 1:
        raise ConfigurationError("--edit-share and --delete-share are together more than 1")
    with _store(_configured()) as store:
        store.ensure()
        documents = generated_forms(forms)
        for document in documents:
            store.save_form(document)
        generator = Generated(store, documents, seed=seed, edit_share=edit_share, delete_share=delete_share)
        done = _in_bulk(generator, responses) if rate is None else _live(generator, rate, responses, seconds)
    console.print(f"{done.added:,} added, {done.edited:,} edited, {done.deleted:,} deleted in {forms:,} forms")


def _in_bulk(generator: Generated, responses: int | None) -> Done:
    count = 100 if responses is None else responses
    with _progress() as progress:
        task = progress.add_task("storing", total=count)
        return generator.bulk(count, lambda more: progress.advance(task, more))


def _live(generator: Generated, rate: float, responses: int | None, seconds: float | None) -> Done:
    done = Done()
    with _progress() as progress:
        task = progress.add_task("changes", total=responses)

        def note(step: Done) -> None:
            nonlocal done
            done += step
            progress.advance(task, step.added + step.edited + step.deleted)

        def enough() -> bool:
            return responses is not None and done.added + done.edited + done.deleted >= responses

        generator.adopt()
        try:
            run_at_rate(generator, rate, stop=enough, seconds=seconds, progress=note)
        except KeyboardInterrupt:
            console.print("stopped")
    return done


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console)


def _advance(progress: Progress, what: str, learnt: Scan | None) -> Callable[[int], None]:
    total = None if learnt is None else learnt.records + learnt.rejects.count
    task = progress.add_task(what, total=total)
    return lambda count: progress.advance(task, count)


def _printable(text: str, limit: int = 60) -> str:
    """What a file says, safe for a terminal: no control or bidirectional characters, and not too long."""
    plain = "".join(character if character.isprintable() else "�" for character in text[: limit + 1])
    return plain if len(text) <= limit else f"{plain[:limit]}…"
