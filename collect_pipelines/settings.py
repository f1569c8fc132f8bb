"""The settings, read once from the environment (prefix COLLECT_). Nothing else reads the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from collect_pipelines.errors import ConfigurationError

PREFIX = "COLLECT_"


class Settings(BaseSettings):
    """Every setting, its default and what it does. An empty address means: use the embedded part."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    home: Path = Field(default=Path(".collect"), description="State folder: embedded servers, logs, tables.")
    mongo_uri: SecretStr | None = Field(default=None, description="MongoDB replica set. Empty: embedded.")
    mongo_database: str = Field(default="collect", description="Database with forms and responses.")
    state_database: str = Field(default="collect_pipelines", description="Database with our own state.")
    lake_uri: str | None = Field(default=None, description="Folder of the response tables. Empty: HOME/lake.")
    sheets_endpoint: str | None = Field(
        default=None, description="Address of a Sheets server. Empty with credentials: Google; else embedded."
    )
    google_credentials: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="Service-account key files, separated by commas."
    )
    google_folder: str | None = Field(
        default=None, description="Id of the shared-drive folder in which new spreadsheets are made."
    )
    sheets_writes_per_minute: int = Field(
        default=54, ge=1, description="Write requests per minute and service account; reads likewise."
    )
    postgres_url: SecretStr | None = Field(default=None, description="PostgreSQL of Dagster. Empty: embedded.")
    portal_port: int = Field(default=4000, ge=1, le=65535, description="Port of the portal.")
    portal_url: str | None = Field(default=None, description="Public address of the portal, for links.")
    dagster_port: int = Field(default=3000, ge=1, le=65535, description="Port of the Dagster UI.")
    dagster_url: str | None = Field(default=None, description="Public address of the Dagster UI, for links.")
    sheets_port: int = Field(default=4010, ge=1, le=65535, description="Port of the embedded Sheets server.")
    language: str = Field(default="en", description="Language of headers where the form has it.")
    linger_seconds: float = Field(
        default=60, ge=0, description="How long a run keeps waiting for further changes before it ends."
    )
    sensor_seconds: float = Field(
        default=20, ge=0, le=50, description="How long one sensor evaluation listens to the change stream."
    )

    @field_validator("google_credentials", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("google_credentials")
    @classmethod
    def _readable(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if missing := [str(path) for path in value if not path.is_file()]:
            raise ValueError(f"no such file: {', '.join(missing)}")
        return value

    @field_validator("lake_uri")
    @classmethod
    def _local_lake(cls, value: str | None) -> str | None:
        if value and "://" in value and not value.startswith("file://"):
            raise ValueError("only a folder (or file://) is supported so far")
        return value

    @property
    def lake(self) -> Path:
        """Folder of the response tables."""
        return Path(self.lake_uri.removeprefix("file://")) if self.lake_uri else self.home / "lake"

    @property
    def exports(self) -> Path:
        """Folder of the CSV exports."""
        return self.home / "exports"

    @property
    def sheet_rows(self) -> Path:
        """Folder of the row indexes of the sheets (a cache: it may be deleted at any time)."""
        return self.home / "sheet_rows"

    @property
    def portal_address(self) -> str:
        """Where people reach the portal."""
        return (self.portal_url or f"http://127.0.0.1:{self.portal_port}").rstrip("/")

    @property
    def dagster_address(self) -> str:
        """Where people reach the Dagster UI."""
        return (self.dagster_url or f"http://127.0.0.1:{self.dagster_port}").rstrip("/")


def load_settings() -> Settings:
    """Read the environment. Raises ConfigurationError that lists every wrong variable at once."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        message = "These settings are wrong:\n" + "\n".join(f"  {fault}" for fault in faults)
        raise ConfigurationError(
            message, hint="correct them in the environment; `collect doctor` checks them"
        ) from None


def inherited_environment() -> dict[str, str]:
    """The environment that the processes we start begin with; our own variables are then set by their starter."""
    return dict(os.environ)


def as_environment(settings: Settings, names: Iterable[str]) -> dict[str, str]:
    """The variables that give another process the same values of these settings. Absent ones are left out."""
    values = {name: getattr(settings, name) for name in names}
    return {
        PREFIX + name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if value is not None
    }
