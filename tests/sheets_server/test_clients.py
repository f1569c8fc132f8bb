"""The clients that people and we use: google-api-python-client, google-auth and gspread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import google.auth.transport.requests
import gspread
import httplib2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials
from google.oauth2 import service_account
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from gspread.http_client import HTTPClient

from collect_pipelines.sheets_server.in_thread import RunningServer
from tests.sheets_server.conftest import Spreadsheet
from tests.sheets_server.requests_of import fence, update


@pytest.fixture
def google_client(server: RunningServer) -> Iterator[Callable[[str, str, str], Any]]:
    made: list[Any] = []

    def make(path: str, name: str, version: str) -> Any:
        http = httplib2.Http(proxy_info=None)
        options = {"api_endpoint": server.url + path}
        made.append(build(name, version, static_discovery=True, client_options=options, http=http))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_googles_own_client_works_and_maps_errors(server: RunningServer, google_client: Callable[..., Any]) -> None:
    sheets = google_client("", "sheets", "v4").spreadsheets()
    made = sheets.create(body={"properties": {"title": "Von Google"}}).execute()
    assert made["spreadsheetUrl"] == server.page(made["spreadsheetId"])
    first = made["sheets"][0]["properties"]["sheetId"]
    write = update(0, 0, [["a", 1]])
    write["updateCells"]["start"]["sheetId"] = first
    sheets.batchUpdate(spreadsheetId=made["spreadsheetId"], body={"requests": [write]}).execute()
    read = sheets.values().get(spreadsheetId=made["spreadsheetId"], range="'Sheet1'!A1:B1").execute()
    assert read["values"] == [["a", "1"]]
    with pytest.raises(HttpError) as refused:
        sheets.values().get(spreadsheetId="nope", range="A1").execute()
    assert (refused.value.status_code, refused.value.reason) == (404, "Requested entity was not found.")


def test_drive_lists_shares_copies_and_deletes(google_client: Callable[..., Any]) -> None:
    drive = google_client("/drive/v3/", "drive", "v3")
    folder = {"name": "Ordner", "mimeType": "application/vnd.google-apps.folder"}
    parent = drive.files().create(body=folder).execute()["id"]
    body = {"name": 'It\'s a "test"', "mimeType": "application/vnd.google-apps.spreadsheet", "parents": [parent]}
    made = drive.files().create(body=body, supportsAllDrives=True, fields="id,name,parents").execute()
    assert made["parents"] == [parent]
    query = rf"name = 'It\'s a \"test\"' and '{parent}' in parents and trashed = false"
    found = drive.files().list(q=query, fields="files(id)", includeItemsFromAllDrives=True).execute()
    assert found == {"files": [{"id": made["id"]}]}
    writer = {"type": "user", "role": "writer", "emailAddress": "me@example.org"}
    drive.permissions().create(fileId=made["id"], body=writer, sendNotificationEmail=False).execute()
    listed = drive.permissions().list(fileId=made["id"], fields="permissions(role,emailAddress)").execute()
    assert {"role": "writer", "emailAddress": "me@example.org"} in listed["permissions"]
    copy = drive.files().copy(fileId=made["id"], body={}).execute()
    assert copy["name"] == 'Copy of It\'s a "test"'
    drive.files().delete(fileId=made["id"]).execute()
    with pytest.raises(HttpError, match="File not found"):
        drive.files().get(fileId=made["id"]).execute()
    assert drive.about().get(fields="user").execute()["user"]["emailAddress"] == "anonymous"


def test_a_service_account_is_known_by_its_address(book: Spreadsheet) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    info = {"client_email": "robot@project.iam.gserviceaccount.com", "token_uri": f"{book.server.url}/token"}
    scopes = ["https://www.googleapis.com/auth/spreadsheets"]
    credentials = service_account.Credentials.from_service_account_info({**info, "private_key": pem}, scopes=scopes)
    session = google.auth.transport.requests.AuthorizedSession(credentials)
    with session:
        answer = session.get(f"{book.server.url}/drive/v3/about?fields=user", timeout=10)
        assert answer.json()["user"]["emailAddress"] == info["client_email"]
        batch = {"requests": [fence(1)]}
        url = f"{book.server.url}/v4/spreadsheets/{book.id}:batchUpdate"
        assert session.post(url, json=batch, timeout=10).status_code == 200


@pytest.fixture
def gspread_client(server: RunningServer) -> Iterator[gspread.Client]:
    class LocalClient(HTTPClient):
        def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> Any:
            for host in ("https://sheets.googleapis.com", "https://www.googleapis.com"):
                endpoint = endpoint.replace(host, server.url)
            return super().request(method, endpoint, *args, **kwargs)

    client = gspread.Client(auth=AnonymousCredentials(), http_client=LocalClient)
    yield client
    client.http_client.session.close()


def test_gspread_does_ordinary_work(gspread_client: gspread.Client) -> None:
    spreadsheet = gspread_client.create("gspread's own")
    sheet = spreadsheet.sheet1
    sheet.append_row(["name", "age"])
    sheet.append_rows([["Ada", 36], ["Grace", 85]], value_input_option="USER_ENTERED")
    sheet.update_acell("C1", "note")
    sheet.format("A1:C1", {"textFormat": {"bold": True}})
    sheet.freeze(rows=1)
    sheet.insert_row(["Alan", 41], 2)
    sheet.sort((2, "des"), range="A2:B4")
    assert sheet.get_all_records() == [
        {"name": "Grace", "age": 85, "note": ""},
        {"name": "Alan", "age": 41, "note": ""},
        {"name": "Ada", "age": 36, "note": ""},
    ]
    found = sheet.find("Ada")
    assert found is not None and found.address == "A4"
    sheet.update_note("A4", "Lovelace")
    assert sheet.get_note("A4") == "Lovelace"
    sheet.delete_rows(2)
    other = spreadsheet.add_worksheet("Second", rows=5, cols=5)
    other.batch_update([{"range": "A1", "values": [[1, 2]]}, {"range": "B2", "values": [["x"]]}])
    assert other.get_all_values() == [["1", "2"], ["", "x"]]
    copied = other.copy_to(spreadsheet.id)
    assert copied["title"] == "Copy of Second"
    assert spreadsheet.export(gspread.utils.ExportFormat.CSV) == b"name,age,note\r\nAlan,41,\r\nAda,36,"
    assert [each.title for each in gspread_client.open_by_key(spreadsheet.id).worksheets()] == [
        "Sheet1",
        "Second",
        "Copy of Second",
    ]
    gspread_client.del_spreadsheet(spreadsheet.id)
    with pytest.raises(gspread.SpreadsheetNotFound):
        gspread_client.open_by_key(spreadsheet.id)
