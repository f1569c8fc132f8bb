"""Bringing the whole pipeline up to date: land what is dirty, deliver what is pending, several forms at a time."""
