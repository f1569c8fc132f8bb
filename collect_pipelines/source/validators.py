"""JSON-schema validators and indexes of the Collect store, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING, IndexModel, MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from collect_pipelines.model import QuestionType
from collect_pipelines.source.connection import Document, mongo_errors
from collect_pipelines.source.documents import FORM_ID, QUESTION_ID

FORMS = "forms"
RESPONSES = "responses"
PAGING_INDEX = "form_submitted"
AUDIT_INDEX = "id_revision"

_TEXTS = {"bsonType": "object", "additionalProperties": {"bsonType": "string"}}
_WHOLE = {"bsonType": ["int", "long"]}
_NULLABLE_TEXT = {"bsonType": ["string", "null"]}

_OPTION = {
    "bsonType": "object",
    "required": ["id", "titles"],
    "properties": {"id": {"bsonType": "string", "minLength": 1}, "titles": _TEXTS},
}

_QUESTION: dict[str, Any] = {
    "bsonType": "object",
    "required": ["id", "type", "titles"],
    "properties": {
        "id": {"bsonType": "string", "pattern": QUESTION_ID},
        "type": {"enum": [kind.value for kind in QuestionType]},
        "titles": _TEXTS,
        "position": _WHOLE,
        "options": {"bsonType": "array", "items": _OPTION},
        "archived": {"bsonType": "bool"},
        "required": {"bsonType": "bool"},
        "questions": {"bsonType": "array"},
        "metadata": {"bsonType": "object"},
    },
}

_UNIQUE_QUESTIONS = {
    "$expr": {
        "$cond": [
            {"$isArray": "$questions"},
            {"$eq": [{"$size": "$questions"}, {"$size": {"$setUnion": ["$questions.id", []]}}]},
            False,
        ]
    }
}

FORM_VALIDATOR: dict[str, Any] = {
    "$and": [
        {
            "$jsonSchema": {
                "bsonType": "object",
                "required": ["_id", "titles", "version", "status", "questions", "created_at", "updated_at"],
                "properties": {
                    "_id": {"bsonType": "string", "pattern": FORM_ID},
                    "titles": _TEXTS,
                    "languages": {"bsonType": "array", "items": {"bsonType": "string"}},
                    "default_language": {"bsonType": "string"},
                    "version": _WHOLE,
                    "status": {"enum": ["draft", "published", "closed", "archived"]},
                    "questions": {"bsonType": "array", "items": _QUESTION},
                    "settings": {"bsonType": "object"},
                    "metadata": {"bsonType": "object"},
                    "created_at": {"bsonType": "date"},
                    "updated_at": {"bsonType": "date"},
                },
            }
        },
        _UNIQUE_QUESTIONS,
    ]
}

# The answers' own types are not checked here: questions change per form and version, and a collector in the field
# must never lose a response to a rule that came later. Misfits are kept and marked by the response table.
RESPONSE_VALIDATOR: dict[str, Any] = {
    "$and": [
        {
            "$jsonSchema": {
                "bsonType": "object",
                "required": ["_id", "form_id", "revision", "status", "submitted_at", "updated_at", "answers"],
                "properties": {
                    "_id": {"bsonType": "string", "pattern": r"^[^:\x00]+:[\s\S]", "maxLength": 500},
                    "form_id": {"bsonType": "string", "pattern": r"^[^:\x00]+$"},
                    "form_version": _WHOLE,
                    "revision": {"bsonType": "long", "minimum": 1},
                    "status": {"bsonType": "string", "minLength": 1},
                    "submitted_at": {"bsonType": "date"},
                    "updated_at": {"bsonType": "date"},
                    "client": {
                        "bsonType": "object",
                        "properties": {
                            "started_at": {"bsonType": ["date", "null"]},
                            "finished_at": {"bsonType": ["date", "null"]},
                            "time_zone": _NULLABLE_TEXT,
                            "device": _NULLABLE_TEXT,
                        },
                    },
                    "collector": _NULLABLE_TEXT,
                    "language": _NULLABLE_TEXT,
                    "flags": {"bsonType": "array", "items": {"bsonType": "object"}},
                    "metadata": {"bsonType": "object"},
                    "answers": {"bsonType": "object"},
                    "answer_metadata": {"bsonType": "object"},
                },
            }
        },
        {
            "$expr": {  # `_id` begins with "<form_id>:", so that a delete event, too, names its form
                "$cond": [
                    {"$eq": [[{"$type": "$_id"}, {"$type": "$form_id"}], ["string", "string"]]},
                    {"$eq": [{"$indexOfBytes": ["$_id", {"$concat": ["$form_id", ":"]}]}, 0]},
                    False,
                ]
            }
        },
    ]
}

RESPONSE_INDEXES = (
    # The portal's pages: newest first within a form, by key and never by offset. Counts per form are covered by it.
    IndexModel([("form_id", ASCENDING), ("submitted_at", ASCENDING), ("_id", ASCENDING)], name=PAGING_INDEX),
    # Audits: ids and revisions of a form without touching documents. By `_id`, not form_id: a response belongs to the
    # form that its `_id` names, whatever else it says.
    IndexModel([("_id", ASCENDING), ("revision", ASCENDING)], name=AUDIT_INDEX),
)


def ensure_store(client: MongoClient[Document], database: str = "collect") -> None:
    """Create the collections, validators and indexes, or bring existing ones up to date. Safe to repeat.

    Documents already stored are neither checked nor touched, and may still be edited ("moderate"). Nothing is asked of
    the server when all is in place, so that a user who may only read can call it.
    """
    with mongo_errors():
        found = client[database]
        _ensure_collection(found, FORMS, FORM_VALIDATOR)
        _ensure_collection(found, RESPONSES, RESPONSE_VALIDATOR)
        present = found[RESPONSES].index_information()
        if missing := [index for index in RESPONSE_INDEXES if index.document["name"] not in present]:
            found[RESPONSES].create_indexes(missing)


def _ensure_collection(database: Database[Document], name: str, validator: dict[str, Any]) -> None:
    rules: dict[str, Any] = {"validator": validator, "validationLevel": "moderate", "validationAction": "error"}
    for present in database.list_collections(filter={"name": name}):
        options: Mapping[str, Any] = present.get("options", {})
        if all(options.get(rule) == value for rule, value in rules.items()):
            return
    try:
        database.create_collection(name, check_exists=False, **rules)
    except OperationFailure as error:
        if error.code != 48:  # NamespaceExists
            raise
        database.command("collMod", name, **rules)
