"""The text by which a response is known everywhere outside the store, made from any `_id`. Pure."""

from __future__ import annotations

from collect_pipelines.model import UNROUTED, form_of
from collect_pipelines.source.json_text import clean, extended

_PREFIX = f"{UNROUTED}:"


def response_id(store_id: object) -> str:
    """Name a response by its `_id`: a text is its own name, any other BSON value gets one in extended JSON.

    Different ids have different names. Bytes that are not UTF-8 (lone surrogates here) are written in hexadecimal.

    >>> response_id("fair:7"), response_id(7)
    ('fair:7', '_unrouted:7')
    """
    if type(store_id) is not str:
        return _PREFIX + extended(store_id)
    if store_id.startswith(_PREFIX):
        return _PREFIX + extended(store_id)  # quoted, so that it is no other value's name
    try:
        store_id.encode()
    except UnicodeEncodeError:
        return f"{clean(form_of(store_id))}:\ufffd{store_id.encode('utf-8', 'surrogatepass').hex()}"
    return store_id
