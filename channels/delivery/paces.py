"""How much the platforms take: sends a second per bucket (a chat, a channel)."""

from __future__ import annotations

from collections.abc import Mapping

RATES: Mapping[str, float] = {"telegram": 1.0, "slack": 1.0}  # sends a second per bucket (chat, channel)


class Paces:
    """Sends per second and bucket: a burst of a few, then the platform's pace. Times are seconds, of any one clock."""

    def __init__(self, burst: int = 3) -> None:
        self._burst = burst
        self.free: dict[str, float] = {}

    def wait(self, bucket: str | None, now: float) -> float:
        """Seconds until this bucket may spend one; 0 if it just did."""
        rate = rate_of(bucket)
        if bucket is None or rate is None:
            return 0.0
        free = max(self.free.get(bucket, 0.0), now - self._burst / rate)
        if free > now:
            return free - now
        self.free[bucket] = free + 1 / rate
        if len(self.free) > 10_000:
            self.free = {name: at for name, at in self.free.items() if at > now - self._burst / rate}
        return 0.0


def rate_of(bucket: str | None) -> float | None:
    """Sends a second."""
    return RATES.get(bucket.split(":", 1)[0]) if bucket else None
