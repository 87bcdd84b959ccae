"""`python3 -m tests.seeded [WORD…]`: put in one bug at a time, in a copy, and see which test notices it.

First the same tests run without any bug: what fails then says nothing about bugs, and ends it with exit 1. With words,
only the bugs whose names hold one of them. Exit 1 too if a bug stays unnoticed. A test counts only when it fails again
alone, and does not without the bug: on a busy machine one may fail by itself. Beside it stands what it saw.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.bootstrap import DEV_LOCK, ensure
from tests.seeded.bugs import BUGS, Bug

ROOT = Path(__file__).resolve().parent.parent.parent
COPIED = ("bot", "channels", "handoff", "surveys", "tests", "docs", "pyproject.toml", "README.md", "CHANGELOG.md")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?(?:\[.*?\])?)(?: - .*)?$", re.MULTILINE)
REASON = re.compile(r"^E +(\S.*)$", re.MULTILINE)
TRIES = 2  # of a test that failed, alone


def main(words: Sequence[str]) -> int:
    ensure("tests.seeded", DEV_LOCK)
    chosen = [bug for bug in BUGS if not words or any(word.casefold() in bug.name.casefold() for word in words)]
    if not chosen:
        print(f"no bug is named like that; there are: {'; '.join(bug.name for bug in BUGS)}", file=sys.stderr)
        return 2
    named = tuple(sorted({file for bug in chosen for file in bug.caught_by}))
    broken = in_copy(None, named)
    if broken is not None:
        print(f"without any bug {broken} fails already; mend that first", file=sys.stderr)
        return 1
    survivors = 0
    for number, bug in enumerate(chosen, 1):
        noticed = in_copy(bug, bug.caught_by)
        survivors += noticed is None
        print(
            f"{number:>3}/{len(chosen)}  {bug.name}\n         {noticed or 'NOT NOTICED by ' + ', '.join(bug.caught_by)}"
        )
        sys.stdout.flush()
    print(f"{len(chosen) - survivors} of {len(chosen)} bugs were noticed")
    return 1 if survivors else 0


def in_copy(bug: Bug | None, tests: Sequence[str]) -> str | None:
    """The first of these tests that fails in a copy of the tree with the bug in, and by what; None if they all pass."""
    with tempfile.TemporaryDirectory(prefix="stafett-seeded-") as name:
        folder = Path(name)
        copy(folder)
        if bug is not None:
            file = folder / bug.file
            file.write_text(planted(bug, file.read_text(encoding="utf-8")), encoding="utf-8")
        by_chance: list[str] = []
        while True:
            without = [f"--deselect={test}" for test in by_chance]
            found = first_failure(folder, [*without, *tests])
            if found is None or found.test in by_chance:
                return None if found is None else str(found)
            if found.test is None or (fails(folder, found.test) and (bug is None or not fails(ROOT, found.test))):
                return str(found)
            by_chance.append(found.test)


@dataclass(frozen=True, slots=True)
class Failure:
    """`test` is None where pytest ended without naming one."""

    test: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.test}: {self.reason}" if self.test else self.reason


def fails(folder: Path, test: str) -> bool:
    """Whether it fails there alone, each time."""
    return all(first_failure(folder, [test]) for _ in range(TRIES))


def first_failure(folder: Path, arguments: Sequence[str]) -> Failure | None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *arguments]
    kept = {**os.environ, "PYTHONPATH": str(folder)}
    run = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return None
    named, why = FAILED.search(run.stdout), REASON.search(run.stdout)
    if named is None:
        return Failure(None, f"pytest ended with {run.returncode}: {(run.stdout + run.stderr).strip()[-500:]}")
    return Failure(named[1], why[1][:200] if why else "see its output")


def copy(folder: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)


def planted(bug: Bug, source: str) -> str:
    """The file with the bug in. Raises ValueError where the code has moved, so that there is no such place any more."""
    if source.count(bug.old) != 1:
        msg = f"{bug.file}: {source.count(bug.old)} places for the bug {bug.name!r}; mend tests/seeded/bugs.py"
        raise ValueError(msg)
    return source.replace(bug.old, bug.new)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
