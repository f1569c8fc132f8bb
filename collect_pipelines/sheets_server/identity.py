"""Who is asking. Nothing is verified: the server listens on the loopback interface and believes what it is told.

A service account gets a token from `/token` that carries its e-mail address in clear. A request without a token, or
with one from elsewhere, is `anonymous`, and may use everything that is not closed to it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from urllib.parse import parse_qs

import orjson

from collect_pipelines.sheets_server.errors import ApiError
from collect_pipelines.sheets_server.files import ANONYMOUS
from collect_pipelines.sheets_server.json_types import Json

LIFETIME_SECONDS = 3600
_PREFIX = "local."


def principal_of(authorization: str) -> str:
    """The e-mail address behind an Authorization header, or `anonymous`."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not token.startswith(_PREFIX):
        return ANONYMOUS
    try:
        return _decoded(token.removeprefix(_PREFIX).partition(".")[0]).decode() or ANONYMOUS
    except (binascii.Error, UnicodeDecodeError):
        return ANONYMOUS


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def issue_token(form: bytes) -> Json:
    """The answer of the token endpoint to a service account's JWT assertion. The signature is not checked."""
    fields = parse_qs(form.decode("ascii", "replace"))
    assertion = fields.get("assertion", [""])[0].split(".")
    try:
        email = str(orjson.loads(_decoded(assertion[1]))["iss"])
    except (IndexError, KeyError, TypeError, binascii.Error, orjson.JSONDecodeError):
        raise ApiError(400, "invalid_grant: the assertion is no JWT with an issuer") from None
    name = base64.urlsafe_b64encode(email.encode()).decode().rstrip("=")
    token = f"{_PREFIX}{name}.{secrets.token_urlsafe(12)}"
    return {"access_token": token, "expires_in": LIFETIME_SECONDS, "token_type": "Bearer"}
