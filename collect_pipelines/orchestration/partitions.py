"""One partition per form, added as forms appear. Keys are safe for any form id; the state knows which is whose."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from collect_pipelines.model import safe_key

FORMS = dg.DynamicPartitionsDefinition(name="forms")


def add_forms(instance: dg.DagsterInstance, form_ids: Iterable[str]) -> None:
    """Make sure that each form has its partition."""
    keys = {safe_key(form_id) for form_id in form_ids}
    add_keys(instance, keys)


def add_keys(instance: dg.DagsterInstance, keys: Iterable[str]) -> None:
    """Add the partition keys that Dagster does not have yet."""
    if new := sorted(set(keys) - set(instance.get_dynamic_partitions("forms"))):
        instance.add_dynamic_partitions("forms", new)
