"""What a form's owner may choose about its CSV, under `settings.integrations.csv_export` of the form."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from collect_pipelines.errors import ConfigurationError
from collect_pipelines.model import Form

NAME = "csv_export"


class CsvOptions(BaseModel):
    """The choices and their defaults. A wrong or unknown name is a fault, not a guess."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    enabled: bool = Field(default=True, description="Whether the form is exported at all.")
    language: str | None = Field(
        default=None, description="Language of headers and options. Default: COLLECT_LANGUAGE."
    )
    multi_choice: Literal["joined", "split"] = Field(
        default="joined", description="Joined: one column, options joined by '; '. Split: one 1/0 column per option."
    )
    archived_questions: bool = Field(default=True, description="Keep columns of questions that are no longer asked.")
    byte_order_mark: bool = Field(default=False, description="Begin with a byte order mark, as Excel wants it.")


def csv_options(form: Form) -> CsvOptions:
    """Read the form's choices. Raises ConfigurationError that lists every wrong one."""
    try:
        return CsvOptions.model_validate(dict(form.integration(NAME)))
    except ValidationError as error:
        known = ", ".join(CsvOptions.model_fields)
        faults = [f"  {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ConfigurationError(
            f"The CSV settings of form {form.id!r} are wrong:\n" + "\n".join(faults),
            hint=f"correct settings.integrations.{NAME} of the form; known: {known}",
        ) from None
