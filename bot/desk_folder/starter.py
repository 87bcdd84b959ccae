"""The built-in demo desk, and a copy of it for a newcomer."""

from __future__ import annotations

import shutil
from pathlib import Path

from bot.errors import DeskFault

DEMO_DESK = Path(__file__).resolve().parent.parent / "demo_desk"


def write_starter(target: Path) -> list[Path]:
    """Copy the demo desk to `target`, which must be new or empty, and name the files written.

    Raises DeskFault, in one line, otherwise.
    """
    if target.exists() and not target.is_dir():
        raise DeskFault(f"{target} is a file; name a folder that is new or empty")
    if target.is_dir() and any(target.iterdir()):
        raise DeskFault(f"{target} is not empty; name a folder that is new or empty")
    try:
        shutil.copytree(DEMO_DESK, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    except OSError as error:
        raise DeskFault(f"{target} cannot be written: {error.strerror or error}") from error
    return sorted(path for path in target.rglob("*") if path.is_file())
