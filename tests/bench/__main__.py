"""`python -m tests.bench [--quick] [--cases=N] [--data=DIR] [SCENARIO …]`; `stafett bench` runs the same."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.table import Row, render

SCENARIOS = ("pipeline", "nodes", "history", "widget", "burst", "backlog")
LARGE = ("reports", "machine")
"""Run only when named: they take minutes; the first, gigabytes."""


def main(names: Sequence[str], *, quick: bool = False, **more: Any) -> int:
    """Runs the scenarios (none named: all but the large), prints the table; 1 when a bound is missed, 2 for one that there is
    not. `more` is for large ones: `cases`, and `data`, a folder for what they can keep.
    """
    for name in names:
        if name not in (*SCENARIOS, *LARGE):
            told = f"stafett: there is no benchmark {name}; there are {', '.join((*SCENARIOS, *LARGE))}, kb and flows"
            print(told, file=sys.stderr)
            return 2
    rows: list[Row] = []
    for name in names or SCENARIOS:
        print(f"{name} …", file=sys.stderr, flush=True)
        sizes = more if name in LARGE else {}
        rows += asyncio.run(importlib.import_module(f"tests.bench.{name}").run(quick=quick, **sizes))
    print(render(rows))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    given = sys.argv[1:]
    told = dict(one.removeprefix("--").split("=", 1) for one in given if one.startswith("--") and "=" in one)
    sizes = {
        "cases": int(told["cases"]) if "cases" in told else None,
        "data": Path(told["data"]) if "data" in told else None,
    }
    sys.exit(main([one for one in given if not one.startswith("-")], quick="--quick" in given, **sizes))
