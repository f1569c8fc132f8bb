"""How a spreadsheet comes into the world: its id, its defaults, its file."""

from __future__ import annotations

import secrets

from collect_pipelines.sheets_server.book import Book
from collect_pipelines.sheets_server.files import SPREADSHEET, File
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.kinds.sheets import new_sheet
from collect_pipelines.sheets_server.service import SheetsService, now_text


def new_book(properties: Json) -> Book:
    """A spreadsheet without sheets, with Google's defaults."""
    kept: Json = {
        "title": properties.get("title") or "Untitled spreadsheet",
        "locale": properties.get("locale") or "en_US",
        "autoRecalc": properties.get("autoRecalc") or "ON_CHANGE",
        "timeZone": properties.get("timeZone") or "Etc/GMT",
    }
    return Book(new_file_id(), kept)


def new_file_id() -> str:
    """An id that looks like Google's: 44 letters."""
    return "1" + secrets.token_urlsafe(33)[:43]


def blank_book(service: SheetsService, title: str) -> Book:
    """A spreadsheet with one blank sheet."""
    book = new_book({"title": title})
    new_sheet(book, {}, service.database.load)
    return book


def add_file(service: SheetsService, book: Book, owner: str, more: Json | None = None) -> File:
    """Take a new spreadsheet and its file in, within the current transaction."""
    service.add_book(book)
    now = now_text()
    file = File(book.spreadsheet_id, book.title, SPREADSHEET, owner, False, now, now, 1, more or {})
    service.files.add(file)
    return file
