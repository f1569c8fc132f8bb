"""The switches of `POST /_control`: latency, lost answers, refusals, quotas. Off until someone turns them on."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, fields
from typing import Any

from collect_pipelines.sheets_server.errors import ApiError, bad_request, internal, too_many_requests, unavailable
from collect_pipelines.sheets_server.json_types import Json

WINDOW_SECONDS = 60.0


@dataclass(slots=True)
class Settings:
    """What the switches are set to. Counts are of the next writes; rates are probabilities per write."""

    latency_seconds: float = 0.0
    apply_then_drop: int = 0
    drop: int = 0
    unavailable_applied: int = 0
    unavailable: int = 0
    internal_error_applied: int = 0
    internal_error: int = 0
    too_many_requests: int = 0
    apply_then_drop_rate: float = 0.0
    drop_rate: float = 0.0
    unavailable_applied_rate: float = 0.0
    unavailable_rate: float = 0.0
    storage_full: bool = False
    quotas: bool = False
    reads_per_minute: int = 60
    writes_per_minute: int = 60


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one request: whether it is applied, and whether (or with which error) it is answered."""

    applied: bool = True
    answered: bool = True
    error: ApiError | None = None


NORMAL = Fate()


class Switches:
    """The settings, what is left of the counts, and what was counted. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.settings = Settings()
        self._counts: Counter[str] = Counter()
        self._recent: dict[tuple[str, str], deque[float]] = {}
        self._random = random.Random(0)

    def state(self) -> Json:
        """Settings and counts."""
        with self._lock:
            return {"settings": asdict(self.settings), "counts": dict(self._counts)}

    def change(self, wished: Json) -> None:
        """Set switches by name; `reset` puts all back first, `seed` fixes the random rates."""
        known = {field.name: field for field in fields(Settings)}
        with self._lock:
            values = dict(wished)
            if values.pop("reset", False):
                self.settings = Settings()
                self._counts.clear()
                self._recent.clear()
            if (seed := values.pop("seed", None)) is not None:
                self._random = random.Random(seed)
            for name, value in values.items():
                if name not in known:
                    raise bad_request(f"Unknown switch {name!r}. Known: reset, seed, {', '.join(known)}")
                setattr(self.settings, name, _typed(name, value, getattr(Settings(), name)))

    def count(self, name: str) -> None:
        """Count a call."""
        with self._lock:
            self._counts[name] += 1

    def check_quota(self, principal: str, *, is_write: bool) -> None:
        """Refuse with 429 what is over the per-minute quota of this user, or hit by a 429 storm."""
        what = "Write" if is_write else "Read"
        with self._lock:
            if self.settings.too_many_requests > 0:
                self.settings.too_many_requests -= 1
                self._counts["refused_429"] += 1
                raise too_many_requests(what)
            if not self.settings.quotas:
                return
            limit = self.settings.writes_per_minute if is_write else self.settings.reads_per_minute
            recent = self._recent.setdefault((principal, what), deque())
            now = time.monotonic()
            while recent and now - recent[0] >= WINDOW_SECONDS:
                recent.popleft()
            if len(recent) >= limit:
                self._counts["refused_429"] += 1
                raise too_many_requests(what)
            recent.append(now)

    def fate_of_write(self) -> Fate:
        """What is to become of the next write."""
        with self._lock:
            for name, fate in _FATES.items():
                left = getattr(self.settings, name)
                rate = getattr(self.settings, f"{name}_rate", 0.0)
                if left > 0:
                    setattr(self.settings, name, left - 1)
                if left > 0 or (rate and self._random.random() < rate):
                    self._counts[name] += 1
                    return fate
        return NORMAL


_FATES = {
    "apply_then_drop": Fate(answered=False),
    "drop": Fate(applied=False, answered=False),
    "unavailable_applied": Fate(error=unavailable()),
    "unavailable": Fate(applied=False, error=unavailable()),
    "internal_error_applied": Fate(error=internal()),
    "internal_error": Fate(applied=False, error=internal()),
}


def _typed(name: str, value: Any, default: Any) -> Any:
    """Numbers may come as integers where a float is kept; nothing else is converted."""
    if isinstance(default, bool) != isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_request(f"{name} takes a {type(default).__name__}")
    if isinstance(default, int) and not isinstance(value, int):
        raise bad_request(f"{name} takes an int")
    if value < 0:
        raise bad_request(f"{name} cannot be negative")
    return type(default)(value)
