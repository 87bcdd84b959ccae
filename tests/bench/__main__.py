"""`python -m tests.bench [--quick] [--cases=N] [--data=DIR] [SCENARIO …]`; `stafett bench` runs the same."""

from __future__ import annotations

import argparse
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


def asked(arguments: Sequence[str]) -> argparse.Namespace:
    """What the command line asks for. Ends the process where it asks how it is used, or for what there is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the running product here.")
    known = f"{', '.join(SCENARIOS)} (all of them unless told), {', '.join(LARGE)}"
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help=known)
    parser.add_argument("--quick", action="store_true", help="in small sizes")
    parser.add_argument("--cases", type=int, metavar="N", help="of a large one")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where a large one keeps what it can")
    return parser.parse_intermixed_args(arguments)


if __name__ == "__main__":
    sys.exit(main(**vars(asked(sys.argv[1:]))))
