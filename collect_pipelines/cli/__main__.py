"""`python -m collect_pipelines.cli` is `collect`."""

from collect_pipelines.cli import app

app()
