"""`collect doctor`"""


def doctor() -> None:
    """Check everything."""
