"""The tests. Deadlines are off: a busy machine is no fault of the code."""

from hypothesis import settings

settings.register_profile("collect", deadline=None)
settings.load_profile("collect")
