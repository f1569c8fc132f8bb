"""Who is draining. A lease saves a second run from doing the same work; correctness never depends on it.

Times are the server's: clocks of different machines do not matter.
"""

from __future__ import annotations

from collect_pipelines.source.state import Document, State

DRAIN = "drain"
STARTING = "(starting)"  # the holder while a run that was asked for has not begun
LONGEST_SECONDS = 60  # what expires later was written before the server's clock was set back


class Lease:
    """The lease of one name in the state database."""

    def __init__(self, state: State, name: str = DRAIN) -> None:
        self._leases = state["leases"]
        self._name = name

    def holder(self) -> str | None:
        """Who holds the lease now, or None."""
        soon: Document = {"$add": ["$$NOW", LONGEST_SECONDS * 1000]}
        held: list[Document] = [{"$gt": ["$expires_at", "$$NOW"]}, {"$lte": ["$expires_at", soon]}]
        query: Document = {"_id": self._name, "$expr": {"$and": held}}
        found = self._leases.find_one(query)
        return found["holder"] if found else None

    def take(self, holder: str, seconds: float) -> None:
        """Hold the lease for the next seconds, from whoever has it: the newest holder is the one that is working."""
        expires: Document = {"$add": ["$$NOW", int(seconds * 1000)]}
        change: Document = {"$set": {"holder": {"$literal": holder}, "expires_at": expires}}
        self._leases.update_one({"_id": self._name}, [change], upsert=True)

    def release(self, holder: str) -> None:
        """Give the lease back, if it is still ours."""
        self._leases.delete_one({"_id": self._name, "holder": holder})
