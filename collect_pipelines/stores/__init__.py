"""Durable files: immutable objects, response tables."""
