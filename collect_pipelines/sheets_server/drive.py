"""The bit of Drive v3 that people use with spreadsheets: files, copies, exports, permissions, about."""

from __future__ import annotations

import csv
import io
import re
import secrets

from collect_pipelines.sheets_server.book import Book, Sheet
from collect_pipelines.sheets_server.creation import add_file, blank_book, new_file_id
from collect_pipelines.sheets_server.entered_values import typed
from collect_pipelines.sheets_server.errors import ApiError, file_not_found, storage_full
from collect_pipelines.sheets_server.field_mask import EVERYTHING, Mask, apply_mask, parse_mask
from collect_pipelines.sheets_server.files import SPREADSHEET, File
from collect_pipelines.sheets_server.json_types import Json
from collect_pipelines.sheets_server.kinds.dimensions import insert_lines
from collect_pipelines.sheets_server.kinds.sheets import copy_sheet
from collect_pipelines.sheets_server.looks import shown_text
from collect_pipelines.sheets_server.service import now_text
from collect_pipelines.sheets_server.spreadsheet_calls import Call

_DEFAULT_FIELDS = parse_mask("kind,id,name,mimeType")
_TERM = re.compile(
    r"""\s*(?:(?P<field>\w+)\s*(?P<operator>=|!=|contains)\s*(?P<value>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|true|false)
    |(?P<map>appProperties|properties)\s+has\s+\{\s*key\s*=\s*(?P<key>'(?:[^'\\]|\\.)*')
        \s+and\s+value\s*=\s*(?P<held>'(?:[^'\\]|\\.)*')\s*\}
    |(?P<parent>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s+in\s+(?P<list>\w+))\s*(?:and\b|$)""",
    re.VERBOSE | re.IGNORECASE,
)


def about(call: Call) -> Json:
    """about.get: who is asking."""
    user = {"kind": "drive#user", "displayName": call.principal, "me": True, "emailAddress": call.principal}
    return apply_mask({"kind": "drive#about", "user": user}, call.mask)


def create_file(call: Call, body: Json, *, storage_is_full: bool) -> Json:
    """files.create, for spreadsheets and folders; without content."""
    if storage_is_full:
        raise storage_full()
    more: Json = {"parents": body["parents"]} if body.get("parents") else {}
    more.update((name, body[name]) for name in ("description", "appProperties", "properties") if body.get(name))
    mime_type = body.get("mimeType") or SPREADSHEET
    with call.service.writing():
        if mime_type == SPREADSHEET:
            book = blank_book(call.service, body.get("name") or "Untitled spreadsheet")
            file = add_file(call.service, book, call.principal, more)
        else:
            now = now_text()
            name = body.get("name") or "Untitled"
            file = File(new_file_id(), name, mime_type, call.principal, False, now, now, 1, more)
            call.service.files.add(file)
    return _answer(file, call.mask)


def _answer(file: File, mask: Mask) -> Json:
    return apply_mask(file.json(), mask or _DEFAULT_FIELDS)


def _readable(call: Call, file_id: str) -> File:
    file = call.service.files.get(file_id)
    if file is None or not call.service.files.may_read(file_id, call.principal):
        raise file_not_found(file_id)
    return file


def _writable(call: Call, file_id: str) -> File:
    file = _readable(call, file_id)
    if not call.service.files.may_write(file_id, call.principal):
        text = f"The user does not have sufficient permissions for file {file_id}."
        raise ApiError(403, text, drive_reason="insufficientFilePermissions")
    return file


def get_file(call: Call, file_id: str) -> Json:
    """files.get."""
    with call.service.reading():
        return _answer(_readable(call, file_id), call.mask)


def list_files(call: Call, query: str, page_size: int, page_token: str) -> Json:
    """files.list with the `q` terms name, mimeType, trashed, parents and (app)properties, joined by `and`."""
    with call.service.reading():
        mine = [f for f in call.service.files.all() if call.service.files.may_read(f.id, call.principal)]
    found = [file for file in mine if _matches(file, query)]
    start = int(page_token) if page_token.isdigit() else 0
    page = found[start : start + page_size]
    mask: Mask = call.mask.get("files", EVERYTHING) if call.mask else EVERYTHING
    answer: Json = {"kind": "drive#fileList", "incompleteSearch": False, "files": [_answer(f, mask) for f in page]}
    if start + page_size < len(found):
        answer["nextPageToken"] = str(start + page_size)
    return {name: value for name, value in answer.items() if not call.mask or name in call.mask}


def _matches(file: File, query: str) -> bool:
    at = 0
    while at < len(query.rstrip()):
        match = _TERM.match(query, at)
        if not match:
            raise ApiError(400, "Invalid Value", drive_reason="invalid")
        if not _term_holds(file, match):
            return False
        at = match.end()
    return True


def _term_holds(file: File, term: re.Match[str]) -> bool:
    if term["map"]:
        held: Json = file.more.get(term["map"], {})
        return held.get(_unquoted(term["key"])) == _unquoted(term["held"])
    if term["parent"]:
        return _unquoted(term["parent"]) in file.more.get("parents", ["root"])
    name, value = term["field"], _unquoted(term["value"])
    if name == "trashed":
        return (value == "false") == (term["operator"] == "=")
    if name not in ("name", "mimeType"):
        raise ApiError(400, "Invalid Value", drive_reason="invalid")
    has = file.name if name == "name" else file.mime_type
    if term["operator"] == "contains":
        return value.lower() in has.lower()
    return (has == value) == (term["operator"] == "=")


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] in "'\"" else text.lower()


def update_file(call: Call, file_id: str, body: Json, add_parents: str, remove_parents: str) -> Json:
    """files.update: name and parents."""
    with call.service.writing():
        file = _writable(call, file_id)
        if body.get("name"):
            call.service.files.rename(file_id, body["name"])
            if file.mime_type == SPREADSHEET:
                book = call.service.to_change(file_id, call.principal)
                book.properties["title"] = body["name"]
                book.changed = True
        parents = [p for p in file.more.get("parents", []) if p not in remove_parents.split(",")]
        parents.extend(p for p in add_parents.split(",") if p)
        if parents != file.more.get("parents", []):
            call.service.files.put_more(file_id, {**file.more, "parents": parents})
        return _answer(call.service.files.get(file_id) or file, call.mask)


def delete_file(call: Call, file_id: str) -> None:
    """files.delete: at once and for good."""
    with call.service.writing():
        _writable(call, file_id)
        call.service.database.delete_book(file_id)
        call.service.files.delete(file_id)


def copy_file(call: Call, file_id: str, body: Json) -> Json:
    """files.copy: a whole spreadsheet."""
    with call.service.writing():
        source_file = _readable(call, file_id)
        source = call.service.find(file_id)
        book = blank_book(call.service, body.get("name") or f"Copy of {source_file.name}")
        book.properties.update({k: v for k, v in source.properties.items() if k != "title"})
        book.sheets.clear()
        for sheet in source.sheets:
            made = copy_sheet(source, sheet, book, {"sheetId": sheet.sheet_id})
            made.grid.load = call.service.database.load
        more: Json = {"parents": body["parents"]} if body.get("parents") else {}
        return _answer(add_file(call.service, book, call.principal, more), call.mask)


def export_csv(call: Call, file_id: str, sheet_id: int | None = None, delimiter: str = ",") -> str:
    """files.export: the first sheet (or the one asked for) as people see it, up to its last filled row and column."""
    with call.service.reading():
        _readable(call, file_id)
        book = call.service.find(file_id)
        sheet = book.sheets[0] if sheet_id is None else book.grid_sheet(sheet_id)
        lines = _lines(book, sheet)
    width = max((len(line) for line in lines), default=0)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerows([*line, *[""] * (width - len(line))] for line in lines)
    return text.getvalue().removesuffix("\r\n")


def _lines(book: Book, sheet: Sheet) -> list[list[str]]:
    slots = sheet.slots(0, sheet.column_count)
    lines: list[list[str]] = []
    for row in sheet.grid.rows(0, sheet.row_count):
        line = [shown_text(book, sheet, row.get(slot)) for slot in slots]
        while line and not line[-1]:
            line.pop()
        lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def import_csv(call: Call, file_id: str, text: str) -> Json:
    """What gspread's `import_csv` does with Drive v2: the spreadsheet becomes the CSV, as if it were typed in."""
    lines = list(csv.reader(io.StringIO(text)))
    with call.service.writing():
        file = _writable(call, file_id)
        book = call.service.to_change(file_id, call.principal)
        fresh = blank_book(call.service, book.title)
        book.removed_sheets.extend(sheet.key for sheet in book.sheets if sheet.key is not None)
        book.sheets[:] = fresh.sheets
        book.changed = True
        sheet = book.sheets[0]
        sheet.properties["title"] = book.title[:100]
        for on_rows, size, wanted in (
            (True, sheet.row_count, len(lines)),
            (False, sheet.column_count, max((len(line) for line in lines), default=0)),
        ):
            if wanted > size:
                insert_lines(book, sheet, on_rows, size, wanted - size, size - 1)
        for row, line in zip(sheet.grid.edit(0, len(lines)), lines, strict=True):
            for slot, value in zip(sheet.slots(0, len(line)), line, strict=True):
                row.put(slot, typed(value).value or None)
        return file.json()


def create_permission(call: Call, file_id: str, body: Json) -> Json:
    """permissions.create: share the file."""
    kind, role = body.get("type") or "user", body.get("role") or "reader"
    permission: Json = {"kind": "drive#permission", "id": secrets.token_hex(10), "type": kind, "role": role}
    if body.get("emailAddress"):
        permission["emailAddress"] = body["emailAddress"]
    if kind == "anyone":
        permission["id"] = "anyoneWithLink"
    with call.service.writing():
        _writable(call, file_id)
        same = [p for p in call.service.files.permissions(file_id)[1:] if _same_person(p, permission)]
        if same:
            permission["id"] = same[0]["id"]
        call.service.files.put_permission(file_id, permission)
    return apply_mask(permission, call.mask or parse_mask("kind,id,type,role"))


def _same_person(one: Json, other: Json) -> bool:
    return "emailAddress" in other and one.get("emailAddress") == other["emailAddress"]


def list_permissions(call: Call, file_id: str) -> Json:
    """permissions.list."""
    with call.service.reading():
        _readable(call, file_id)
        listed = call.service.files.permissions(file_id)
    return apply_mask({"kind": "drive#permissionList", "permissions": listed}, call.mask)


def delete_permission(call: Call, file_id: str, permission_id: str) -> None:
    """permissions.delete: stop sharing."""
    with call.service.writing():
        _writable(call, file_id)
        if not call.service.files.delete_permission(file_id, permission_id):
            text = f"Permission not found: {permission_id}."
            raise ApiError(404, text, drive_reason="notFound")
