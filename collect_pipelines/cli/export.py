"""`collect export FORM`: write a form's CSV, with a manifest beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from collect_pipelines.delivery.csv_export import CsvDownload, CsvExports
from collect_pipelines.errors import FatalError
from collect_pipelines.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("export")(export)


def export(
    form: Annotated[str, typer.Argument(help="Id of the form.")],
    out: Annotated[Path | None, typer.Option(help="File to write. Default: FORM-DATE.csv here.")] = None,
    byte_order_mark: Annotated[
        bool | None, typer.Option("--bom/--no-bom", help="Begin with a byte order mark, as Excel wants it.")
    ] = None,
) -> None:
    """Write a form's CSV to a file, and FILE.manifest.json with its rows, watermark and checksum."""
    settings = load_settings()
    download = CsvExports(settings.exports, settings.language).open(form, byte_order_mark=byte_order_mark)
    if download is None:
        raise FatalError(
            f"there is no CSV export of form {form!r}",
            hint="the portal lists the forms and what was delivered; "
            "`collect backfill FORM --only csv_export` makes an export anew",
        )
    with download:
        path = out or Path(download.filename)
        try:
            write_export(download, path)
        except OSError as error:
            raise FatalError(
                f"{path} cannot be written: {error.strerror}", hint="choose another file with --out"
            ) from error
        Console(stderr=True).print(f"{download.rows:,} responses in {path}", highlight=False, markup=False)


def write_export(download: CsvDownload, path: Path) -> None:
    """Write the file, then its manifest: each is there whole or not at all."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = progress.add_task("Exporting", total=download.bytes)
    with progress:
        _write_whole(path, _watched(download, lambda size: progress.advance(task, size)))
    manifest = {**download.manifest, "sha256": download.sha256, "file": path.name}
    _write_whole(path.with_name(f"{path.name}.manifest.json"), [orjson.dumps(manifest, option=orjson.OPT_INDENT_2)])


def _watched(chunks: Iterable[bytes], report: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        report(len(chunk))


def _write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write beside, make it durable, then put it in place: a crash leaves the old file or none."""
    beside = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        with beside.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
