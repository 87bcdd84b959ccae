"""How long the fault tests go on, and by which seed they choose: short and always alike, unless `python3 -m tests --long` runs them."""

from __future__ import annotations

import os
import random

SEED, LONG = "STAFETT_TEST_SEED", "STAFETT_TEST_LONG"


def is_long() -> bool:
    return bool(os.environ.get(LONG))


def seed() -> int:
    return int(os.environ.get(SEED, "1"))


def several(count: int, in_a_long_run: int) -> list[int]:
    """The seeds of a test that is run with several."""
    return [seed() * 1000 + number for number in range(in_a_long_run if is_long() else count)]


def chance(name: str) -> random.Random:
    """Chance of a test's own, the same for the same seed."""
    return random.Random(f"{name} {seed()}")
