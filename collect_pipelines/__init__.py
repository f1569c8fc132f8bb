"""Collect pipelines: every response of every form, in every integration."""
