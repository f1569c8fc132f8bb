"""DAGSTER_HOME of the embedded servers: the repository's dagster.yaml, and a workspace with the one code server."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent

from collect_pipelines.errors import ConfigurationError

LOCATION = "collect_pipelines"


def find_instance_file() -> Path:
    """Find dagster.yaml: at the top of the repository, or in the package when it was installed from a wheel."""
    package = Path(__file__).parents[1]
    for folder in (package.parent, package):
        if (folder / "dagster.yaml").is_file() and (folder / "workspace.yaml").is_file():
            return folder / "dagster.yaml"
    raise ConfigurationError("dagster.yaml is missing", hint="install collect-pipelines again, or restore the file")


def make_dagster_home(folder: Path, code_server_port: int) -> Path:
    """Write the instance and the workspace file anew; returns the workspace file."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(find_instance_file(), folder / "dagster.yaml")
    workspace = folder / "workspace.yaml"
    workspace.write_text(
        dedent(
            f"""\
            # Written by `collect up` at each start.
            load_from:
              - grpc_server:
                  host: 127.0.0.1
                  port: {code_server_port}
                  location_name: {LOCATION}
            """
        )
    )
    return workspace
