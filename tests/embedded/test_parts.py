"""Which servers run for which settings, on which ports, and what they are told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from collect_pipelines.embedded.dagster_home import find_instance_file
from collect_pipelines.embedded.home import Home
from collect_pipelines.embedded.live import live_settings
from collect_pipelines.embedded.parts import Parts, choose_and_keep_ports, embedded_names, ports_in_use
from collect_pipelines.embedded.ports import choose_ports, free_port, is_free
from collect_pipelines.errors import ConfigurationError
from collect_pipelines.settings import Settings

ALWAYS = {"dagster-code", "dagster-webserver", "dagster-daemon", "portal"}


def own_settings(tmp_path: Path, **values: object) -> Settings:
    """Settings that do not see this machine's environment for what matters here."""
    return Settings.model_validate({"home": tmp_path, **values})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.make()
    return home


def test_every_configured_address_replaces_its_embedded_server(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.touch()
    configured = {
        "mongodb": {"mongo_uri": SecretStr("mongodb://db")},
        "postgresql": {"postgres_url": SecretStr("postgresql://db/x")},
        "sheets": {"sheets_endpoint": "http://sheets"},
    }
    everything = set(embedded_names(own_settings(tmp_path)))
    assert everything == {*configured, *ALWAYS}
    for name, values in configured.items():
        assert set(embedded_names(own_settings(tmp_path, **values))) == everything - {name}
    assert set(embedded_names(own_settings(tmp_path, google_credentials=str(key)))) == everything - {"sheets"}


def test_children_are_told_the_addresses_by_the_variables_of_production(home: Home) -> None:
    settings = own_settings(home.path, mongo_uri=SecretStr("mongodb://elsewhere/?replicaSet=x"))
    ports = choose_and_keep_ports(settings, home)
    services = {service.name: service for service in Parts(settings, home, ports).services({"PATH": "/bin"})}
    told = services["dagster-code"].environment
    assert told["PATH"] == "/bin"
    assert told["COLLECT_MONGO_URI"] == "mongodb://elsewhere/?replicaSet=x"
    assert told["COLLECT_POSTGRES_URL"].endswith(f"@127.0.0.1:{ports['postgresql']}/dagster")
    assert told["COLLECT_SHEETS_ENDPOINT"] == f"http://127.0.0.1:{ports['sheets']}"
    assert told["COLLECT_PORTAL_URL"] == f"http://127.0.0.1:{ports['portal']}"
    assert told["DAGSTER_HOME"] == str(home.dagster)
    assert (home.dagster / "dagster.yaml").read_bytes() == find_instance_file().read_bytes()


def test_ports_are_the_same_at_the_next_start_and_others_when_the_usual_ones_are_taken(home: Home) -> None:
    usual = free_port()
    with socket.create_server(("127.0.0.1", usual)):
        assert not is_free(usual)
        first = choose_ports({"portal": usual, "web": usual}, {}, {})
        assert len({usual, *first.values()}) == 3
    assert choose_ports({"portal": usual, "web": usual}, dict(first), {}) == first
    assert choose_ports({"portal": usual}, {"portal": "nonsense"}, {}) == {"portal": usual}


def test_a_demanded_port_that_is_taken_is_an_error_and_not_replaced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = own_settings(tmp_path, portal_port=port)
        assert ports_in_use(settings)[0] == {"COLLECT_PORTAL_PORT": port}
        with pytest.raises(ConfigurationError, match=f"COLLECT_PORTAL_PORT={port}"):
            choose_and_keep_ports(settings, Home(tmp_path))


def test_a_second_supervisor_of_a_home_is_refused_while_the_first_lives(home: Home) -> None:
    assert not home.is_locked()
    with home.lock():
        assert home.is_locked()
        with pytest.raises(ConfigurationError, match="already runs on"), home.lock():
            pass
    assert not home.is_locked()


def test_other_commands_find_the_running_servers_or_say_how_to_start_them(home: Home) -> None:
    settings = own_settings(home.path)
    with pytest.raises(ConfigurationError, match="nothing runs"):
        live_settings(settings)
    with home.lock():
        ports = choose_and_keep_ports(settings, home)
        Parts(settings, home, ports).postgres.make_password()
        live = live_settings(settings)
    assert live.mongo_uri is not None
    assert f":{ports['mongodb']}/" in live.mongo_uri.get_secret_value()
    assert live.sheets_endpoint == f"http://127.0.0.1:{ports['sheets']}"


def test_what_a_power_loss_tore_is_forgotten_and_not_fatal(home: Home) -> None:
    home.remember("ports", {"portal": 4000})
    assert home.recall("ports") == {"portal": 4000}
    (home.run / "ports.json").write_bytes(b'{"portal": 40')
    assert home.recall("ports") == {}
