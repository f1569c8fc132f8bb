"""The Dagster line: nothing below imports dagster."""
