"""Holding every copy against the store."""
