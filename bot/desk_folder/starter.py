"""The built-in demo desk, and the folder that `stafett init` begins with: the same files."""

from __future__ import annotations

import shutil
from pathlib import Path

from bot.errors import StafettError

DEMO_DESK = Path(__file__).resolve().parent.parent / "demo_desk"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "__init__.py")


def write_starter(target: Path) -> list[Path]:
    """Copy the demo desk to `target`, a folder that is new or empty, and name the files written, in order.

    Raises StafettError in one line when something lies there already or the folder cannot be written.
    """
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise StafettError(f"{target} holds something already; name a new or empty folder")
        shutil.copytree(DEMO_DESK, target, ignore=_LEFT_OUT, dirs_exist_ok=True)
    except shutil.Error as error:  # copytree's list of (from, to, reason)
        raise StafettError(f"can't write the desk to {target}: {error.args[0][0][2]}") from error
    except OSError as error:
        raise StafettError(f"can't write the desk to {target}: {error.strerror or error}") from error
    return sorted(path for path in target.rglob("*") if path.is_file())
