"""Finding out what kind of file is to be imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.ingest.csv_file import CsvFile, detect
from collect_pipelines.ingest.json_lines import JsonLines, objects
from collect_pipelines.ingest.legacy import LegacyFiles, is_legacy
from collect_pipelines.ingest.records import Source, slug
from collect_pipelines.source.documents import is_form_id

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a person says about the files; what is left out is found out."""

    form_id: str | None = None
    title: str | None = None
    id_column: str | None = None
    encoding: str | None = None
    delimiter: str | None = None


def sources(paths: Iterable[Path], reading: Reading) -> list[Source]:
    """Return a source for each file, and one for all files of the old system. Folders stand for the files in them.

    Raises ConfigurationError for a file that is not there, is empty, or is no table, and for an unusable form id.
    """
    if reading.form_id is not None and not is_form_id(reading.form_id):
        raise ConfigurationError(f"--form {reading.form_id!r}: a form id has 1 to 200 characters and no colon")
    found = [file for path in paths for file in _files(path)]
    legacy = [path for path in found if _is_json(path) and _is_legacy(path)]
    others = [_source(path, reading) for path in found if path not in legacy]
    if legacy and reading.form_id is not None:
        raise ConfigurationError("--form: documents of the old system name their forms themselves")
    return [*([LegacyFiles(legacy)] if legacy else []), *others]


def _files(path: Path) -> Sequence[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not found:
        raise ConfigurationError(f"no files to import in {path}", hint=f"looked for {', '.join(SUFFIXES)}")
    return found


def _source(path: Path, reading: Reading) -> Source:
    form_id = reading.form_id or slug(path.stem) or "form"
    title = reading.title or path.stem.replace("_", " ").strip() or form_id
    if _is_json(path):
        return JsonLines(path, form_id, title, id_column=reading.id_column)
    dialect = detect(path, encoding=reading.encoding, delimiter=reading.delimiter)
    return CsvFile(path, form_id, title, dialect=dialect, id_column=reading.id_column)


def _is_json(path: Path) -> bool:
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return True
    try:
        with path.open("rb") as file:
            return path.suffix.lower() != ".csv" and file.read(200).lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"[")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def _is_legacy(path: Path) -> bool:
    return any(is_legacy(item) for _, item in objects(path) if isinstance(item, dict))
