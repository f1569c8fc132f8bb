"""The HTTP side of the Google clients: who we are, and a transport that sends every request exactly once.

httplib2, the official client's default, re-sends a POST by itself when the peer hangs up; a lost answer would then
write twice. This one is `requests` underneath, with no retries of its own.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import google.auth.exceptions
import httplib2
import requests
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import service_account
from requests.adapters import HTTPAdapter

from collect_pipelines.errors import ConfigurationError, TransientError
from collect_pipelines.settings import Settings

SCOPES = ("https://www.googleapis.com/auth/spreadsheets", "https://www.googleapis.com/auth/drive")
CONNECT_SECONDS = 10.0
READ_SECONDS = 200.0
"""Google ends a request after 180 s (Sheets API limits page); we must still be listening then."""
T = TypeVar("T")
_LOCAL_HOSTS = {"127.0.0.1", "::1", "localhost"}


class OutcomeUnknown(TransientError):
    """The request may or may not have been carried out: no answer, or one that proves nothing."""


class Account(Protocol):
    """Whose quota we use and who a spreadsheet is shared with."""

    @property
    def name(self) -> str:
        """The service account's e-mail address, or `anonymous`."""
        ...

    def session(self) -> requests.Session:
        """Return a new session that speaks as this account."""
        ...


class Anonymous:
    """Nobody in particular: what a local Sheets server accepts."""

    name = "anonymous"

    def session(self) -> requests.Session:
        """Return a plain session that takes no proxy or password from the environment."""
        session = requests.Session()
        session.trust_env = False
        return session


class ServiceAccount:
    """A service account of Google Cloud, from its key file."""

    def __init__(self, key_file: Path, *, local: bool = False) -> None:
        try:
            load: Any = service_account.Credentials.from_service_account_file
            self._credentials: Any = load(str(key_file), scopes=SCOPES)
        except (ValueError, OSError, google.auth.exceptions.GoogleAuthError) as error:
            raise ConfigurationError(
                f"COLLECT_GOOGLE_CREDENTIALS: {key_file} is not a service-account key ({error})",
                hint="download a JSON key of the service account in the Google Cloud console",
            ) from None
        self.name: str = self._credentials.service_account_email
        self._local = local

    def session(self) -> requests.Session:
        """Return a session that signs its requests; a refused token is renewed and the request sent again."""
        plain = requests.Session()
        plain.trust_env = not self._local
        session = AuthorizedSession(self._credentials, auth_request=Request(plain))
        session.trust_env = not self._local
        return session


def accounts(settings: Settings) -> tuple[Account, ...]:
    """List the accounts to work as: one per key file, or nobody against a Sheets server of our own."""
    local = is_local(settings.sheets_endpoint)
    if settings.google_credentials:
        return tuple(ServiceAccount(path, local=local) for path in settings.google_credentials)
    if settings.sheets_endpoint:
        return (Anonymous(),)
    raise ConfigurationError(
        "COLLECT_GOOGLE_CREDENTIALS: Google Sheets needs at least one service-account key file",
        hint="set it, or set COLLECT_SHEETS_ENDPOINT to the address of a local Sheets server",
    )


def pinned(choices: Sequence[T], key: str) -> T:
    """Choose one for ever by the key (rendezvous hashing over positions)."""
    weights = [
        hashlib.blake2b(f"{number}:{key}".encode("utf-8", "surrogatepass")).digest() for number in range(len(choices))
    ]
    return choices[max(range(len(choices)), key=weights.__getitem__)]


def is_local(endpoint: str | None) -> bool:
    """Tell whether an address is on this machine."""
    return bool(endpoint) and urlsplit(endpoint).hostname in _LOCAL_HOSTS


class OnceHttp:
    """What `googleapiclient.discovery.build(http=…)` expects, over one `requests` session per thread."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._threads = threading.local()

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> tuple[httplib2.Response, bytes]:
        """Send one request once. Raises OutcomeUnknown when no whole answer came back."""
        payload = body.encode() if isinstance(body, str) else body
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        try:
            answer = self._session.request(
                method, uri, data=payload, headers=dict(headers or {}), timeout=timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            raise OutcomeUnknown(f"No answer from {urlsplit(uri).netloc}: {type(error).__name__}") from error
        except google.auth.exceptions.RefreshError as error:
            raise ConfigurationError(
                f"Google refuses the key of {self._account.name}", hint="is the key still valid? make a new one"
            ) from error
        except google.auth.exceptions.TransportError as error:
            raise TransientError("Google's sign-in service does not answer") from error
        return _response(answer), answer.content

    def close(self) -> None:
        """Close this thread's connections."""
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is not None:
            session.close()
            del self._threads.session

    @property
    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._threads, "session", None)
        if session is None:
            session = self._account.session()
            for scheme in ("https://", "http://"):
                session.mount(scheme, HTTPAdapter(max_retries=0, pool_connections=2, pool_maxsize=2))
            self._threads.session = session
        return session


def _response(answer: requests.Response) -> httplib2.Response:
    response = httplib2.Response({name.lower(): value for name, value in answer.headers.items()})
    response.status = answer.status_code
    response.reason = answer.reason
    return response
