"""Which servers `collect up` runs: an embedded one for every address that is not configured."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg2
from pydantic import SecretStr

from collect_pipelines.embedded.dagster_home import make_dagster_home
from collect_pipelines.embedded.home import Home
from collect_pipelines.embedded.mongod import becomes_primary, mongod_command, mongod_uri
from collect_pipelines.embedded.ports import choose_ports, is_free
from collect_pipelines.embedded.postgres import PostgresFolder
from collect_pipelines.embedded.service import Service, answers_http, serves_grpc
from collect_pipelines.errors import TransientError
from collect_pipelines.settings import PREFIX, Settings, as_environment
from collect_pipelines.source.connection import connect
from collect_pipelines.source.store import ensure_store

MONGODB = "mongodb"
POSTGRESQL = "postgresql"
SHEETS = "sheets"
CODE_SERVER = "dagster-code"
WEBSERVER = "dagster-webserver"
DAEMON = "dagster-daemon"
PORTAL = "portal"

# Below the ports that systems hand out to outgoing connections.
_USUAL_PORTS = {MONGODB: 27117, POSTGRESQL: 25432, CODE_SERVER: 3030}
_PORT_SETTINGS = {PORTAL: "portal_port", WEBSERVER: "dagster_port", SHEETS: "sheets_port"}
# What every child is told, by the variables that production sets too.
_TOLD = (
    *("home", "mongo_uri", "postgres_url", "sheets_endpoint", "sheets_port"),
    *("portal_port", "portal_url", "dagster_port", "dagster_url"),
)
# After this the code server cuts off sensors that still listen; Dagster's own default is a minute.
_CODE_SERVER_GRACE_SECONDS = 1


def embedded_names(settings: Settings) -> list[str]:
    """The names of the servers to run, in the order in which they are shown."""
    uses_google = settings.sheets_endpoint is None and bool(settings.google_credentials)
    configured = {
        MONGODB: settings.mongo_uri is not None,
        POSTGRESQL: settings.postgres_url is not None,
        SHEETS: settings.sheets_endpoint is not None or uses_google,
    }
    return [
        *(name for name, is_configured in configured.items() if not is_configured),
        *(CODE_SERVER, WEBSERVER, DAEMON, PORTAL),
    ]


def needs_port(name: str) -> bool:
    """Tell whether the server listens."""
    return name in _USUAL_PORTS or name in _PORT_SETTINGS


def _usual_ports(settings: Settings) -> tuple[dict[str, int], dict[str, str]]:
    """The first choice of each server to run, and the variables by which a person demanded some of them."""
    of_settings = {name: int(getattr(settings, setting)) for name, setting in _PORT_SETTINGS.items()}
    running = embedded_names(settings)
    usual = {name: port for name, port in (_USUAL_PORTS | of_settings).items() if name in running}
    demanded = {name: setting for name, setting in _PORT_SETTINGS.items() if setting in settings.model_fields_set}
    return usual, {name: PREFIX + setting.upper() for name, setting in demanded.items() if name in usual}


def choose_and_keep_ports(settings: Settings, home: Home) -> dict[str, int]:
    """Choose the ports and remember them, so that the next start has the same. Hold the home's lock."""
    usual, demanded = _usual_ports(settings)
    kept = home.recall("ports")
    ports = choose_ports(usual, kept, demanded)
    home.remember("ports", {**kept, **ports})
    return ports


def ports_in_use(settings: Settings) -> tuple[dict[str, int], dict[str, int]]:
    """The taken ports among those that `collect up` would use: demanded ones by variable, the others by server."""
    usual, demanded = _usual_ports(settings)
    taken = {name: port for name, port in usual.items() if not is_free(port)}
    strict = {demanded[name]: port for name, port in taken.items() if name in demanded}
    return strict, {name: port for name, port in taken.items() if name not in demanded}


@dataclass(frozen=True, slots=True)
class Parts:
    """The servers of one home, built from the settings and the chosen ports."""

    settings: Settings
    home: Home
    ports: Mapping[str, int]

    @property
    def postgres(self) -> PostgresFolder:
        """The folder of the embedded PostgreSQL."""
        return PostgresFolder(self.home.path / "postgres")

    def live_settings(self) -> Settings:
        """The settings with the address of every part filled in, as every child gets them."""
        values: dict[str, object] = {"home": self.home.path, "portal_port": self.ports[PORTAL]}
        values["portal_url"] = self.settings.portal_url or _local(self.ports[PORTAL])
        values["dagster_port"] = self.ports[WEBSERVER]
        values["dagster_url"] = self.settings.dagster_url or _local(self.ports[WEBSERVER])
        if MONGODB in self.ports:
            values["mongo_uri"] = SecretStr(mongod_uri(self.ports[MONGODB]))
        if POSTGRESQL in self.ports:
            values["postgres_url"] = SecretStr(self.postgres.url(self.ports[POSTGRESQL]))
        if SHEETS in self.ports:
            values["sheets_port"] = self.ports[SHEETS]
            values["sheets_endpoint"] = _local(self.ports[SHEETS])
        return self.settings.model_copy(update=values)

    def services(self, inherited: Mapping[str, str]) -> list[Service]:
        """The servers in the order in which they are shown; makes what they need to be told of each other."""
        if POSTGRESQL in self.ports:
            self.postgres.make_password()
        environment = {
            **inherited,
            **as_environment(self.live_settings(), _TOLD),
            "DAGSTER_HOME": str(self.home.dagster),
            "DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": str(_CODE_SERVER_GRACE_SECONDS),
        }
        makers = {
            MONGODB: self._mongodb,
            POSTGRESQL: self._postgresql,
            SHEETS: self._sheets,
            CODE_SERVER: self._code_server,
            WEBSERVER: self._webserver,
            DAEMON: self._daemon,
            PORTAL: self._portal,
        }
        return [makers[name](environment) for name in embedded_names(self.settings)]

    def _stores(self) -> tuple[str, ...]:
        return tuple(name for name in (MONGODB, POSTGRESQL) if name in self.ports)

    def _mongodb(self, environment: Mapping[str, str]) -> Service:
        port, folder = self.ports[MONGODB], self.home.path / "mongodb"
        return Service(
            MONGODB,
            tuple(mongod_command(folder, port)),
            environment,
            ready=lambda _: becomes_primary(port) and self._has_store(port),
            address=mongod_uri(port),
            prepare=lambda: folder.mkdir(exist_ok=True, mode=0o700),
            stop_seconds=20,
        )

    def _has_store(self, port: int) -> bool:
        """Make the store's collections; on a MongoDB of theirs, people do it with their own rights."""
        with connect(mongod_uri(port), timeout_seconds=5) as client:
            try:
                ensure_store(client, self.settings.mongo_database)
            except TransientError:
                return False
        return True

    def _postgresql(self, environment: Mapping[str, str]) -> Service:
        port, folder = self.ports[POSTGRESQL], self.postgres
        return Service(
            POSTGRESQL,
            folder.command(port),
            environment,
            ready=lambda _: folder.ready(port),
            address=f"127.0.0.1:{port}",
            prepare=folder.prepare,
            stop_signal=signal.SIGINT,  # "fast": without waiting for clients
            unprivileged=folder.path,
        )

    def _sheets(self, environment: Mapping[str, str]) -> Service:
        port = self.ports[SHEETS]
        options = ("--folder", str(self.home.path / "sheets"), "--port", str(port))
        return self._web(SHEETS, "collect_pipelines.sheets_server", options, environment, health="/healthz")

    def _code_server(self, environment: Mapping[str, str]) -> Service:
        port = self.ports[CODE_SERVER]
        where = ("-m", "collect_pipelines.definitions", "-h", "127.0.0.1", "-p", str(port))
        return Service(
            CODE_SERVER,
            _module("dagster", "api", "grpc", *where),
            environment,
            ready=lambda _: serves_grpc(port, "DagsterApi"),
            address=f"127.0.0.1:{port}",
            after=(*self._stores(), *((SHEETS,) if SHEETS in self.ports else ())),
            # A sensor that listens does not hear that it should end. Its runs are in its group and do.
            stop_seconds=_CODE_SERVER_GRACE_SECONDS + 2,
        )

    def _webserver(self, environment: Mapping[str, str]) -> Service:
        workspace = make_dagster_home(self.home.dagster, self.ports[CODE_SERVER])
        options = ("-h", "127.0.0.1", "-p", str(self.ports[WEBSERVER]), "-w", str(workspace))
        after = (*self._stores(), CODE_SERVER)
        return self._web(WEBSERVER, "dagster_webserver", options, environment, health="/server_info", after=after)

    def _daemon(self, environment: Mapping[str, str]) -> Service:
        workspace = self.home.dagster / "workspace.yaml"
        url = environment[f"{PREFIX}POSTGRES_URL"]
        return Service(
            DAEMON,
            _module("dagster._daemon", "run", "-w", str(workspace)),
            environment,
            ready=lambda began: daemon_beats(url, since=began),
            after=(*self._stores(), CODE_SERVER),
            # It waits for sensors that listen; killed in the middle of a tick it repeats the tick.
            stop_seconds=2,
        )

    def _portal(self, environment: Mapping[str, str]) -> Service:
        options = ("--port", str(self.ports[PORTAL]))
        after = (MONGODB,) if MONGODB in self.ports else ()
        return self._web(PORTAL, "collect_pipelines.portal", options, environment, health="/healthz", after=after)

    def _web(
        self,
        name: str,
        module: str,
        options: tuple[str, ...],
        environment: Mapping[str, str],
        *,
        health: str,
        after: tuple[str, ...] = (),
    ) -> Service:
        address = _local(self.ports[name])
        return Service(
            name,
            _module(module, *options),
            environment,
            ready=lambda _: answers_http(address + health),
            address=address,
            after=after,
        )


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _module(name: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *options)


def daemon_beats(postgres_url: str, *, since: float) -> bool:
    """Tell whether Dagster's daemon wrote a heartbeat after that time (Unix seconds)."""
    try:
        connection = psycopg2.connect(postgres_url, connect_timeout=2)
    except psycopg2.OperationalError:
        return False
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM max(timestamp) AT TIME ZONE 'UTC') FROM daemon_heartbeats")
            row = cursor.fetchone()
            return bool(row and row[0] is not None and float(row[0]) >= since)
    except psycopg2.Error:
        return False
    finally:
        connection.close()
