"""The addresses of what `collect up` runs, for the other commands."""

from __future__ import annotations

from collect_pipelines.embedded.home import Home
from collect_pipelines.embedded.parts import Parts, embedded_names, needs_port
from collect_pipelines.errors import ConfigurationError
from collect_pipelines.settings import Settings


def live_settings(settings: Settings) -> Settings:
    """Fill in the addresses of the embedded servers that run on this home.

    Unchanged when everything is configured. Raises ConfigurationError when an address is neither configured nor
    running.
    """
    home = Home(settings.home.absolute())
    ports = {name: port for name, port in home.recall("ports").items() if isinstance(port, int)}
    needed = [name for name in embedded_names(settings) if needs_port(name)]
    if home.is_locked() and all(name in ports for name in needed):
        return Parts(settings, home, {name: ports[name] for name in needed}).live_settings()
    if settings.mongo_uri is not None and settings.postgres_url is not None:
        return settings
    raise ConfigurationError(
        f"nothing runs on {home.path}, and COLLECT_MONGO_URI or COLLECT_POSTGRES_URL is not set",
        hint="start `collect up` in another terminal, or set them",
    )
