"""`python -m tests.bench [--quick] [SCENARIO …]`; `stafett bench` runs the same."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Sequence

from tests.bench.table import Row, render

SCENARIOS = ("pipeline", "nodes", "history", "widget", "burst", "backlog")


def main(names: Sequence[str], *, quick: bool = False) -> int:
    """Runs the scenarios (none named: all), prints the table; 1 when a bound is missed, 2 for one that there is not."""
    for name in names:
        if name not in SCENARIOS:
            print(f"there is no benchmark {name}; there are {', '.join(SCENARIOS)}, kb and flows")
            return 2
    rows: list[Row] = []
    for name in names or SCENARIOS:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += asyncio.run(importlib.import_module(f"tests.bench.{name}").run(quick=quick))
    print(render(rows))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main([one for one in given if not one.startswith("-")], quick="--quick" in given))
