"""Writing into the desk folder: several files as one change.

Each new text is first written and synced beside its file, under a hidden name that no loader reads; then a journal says
what is to be moved where; then everything is moved, and the journal goes. A process that dies before the journal has
changed nothing; one that dies after it leaves a journal that `finish` carries out at the next start or publication.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from bot.errors import DeskFault

JOURNAL = ".stafett-publishing.json"
HALF = ".stafett-new"


def is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and all(os.access(one, os.W_OK) for one in folder.iterdir() if one.is_dir())


def write(folder: Path, files: Mapping[str, str | None]) -> None:
    """Put these texts into the folder, None for a file that is to go: all of them or none. Raises DeskFault, in one line."""
    moves: dict[str, str | None] = {}
    try:
        for path, text in files.items():
            moves[path] = None if text is None else _half(folder, path, text)
        _sync_text(folder / (JOURNAL + HALF), json.dumps(moves))
        (folder / (JOURNAL + HALF)).replace(folder / JOURNAL)
        _sync_folder(folder)
    except OSError as error:
        for half in moves.values():
            if half is not None:
                with contextlib.suppress(OSError):
                    (folder / half).unlink()
        raise DeskFault(f"{folder}: cannot be written ({error.strerror or error}); nothing was changed") from error
    finish(folder)


def finish(folder: Path) -> bool:
    """Carry out what a journal says, if there is one; true if there was. Raises DeskFault, in one line."""
    journal = folder / JOURNAL
    try:
        moves: dict[str, str | None] = json.loads(journal.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise DeskFault(f"{journal}: cannot be read; look at the desk folder, then delete this file") from error
    try:
        for path, half in moves.items():
            if half is None:
                (folder / path).unlink(missing_ok=True)
            elif (folder / half).exists():  # else it was moved before we were interrupted
                (folder / half).replace(folder / path)
        for parent in {(folder / path).parent for path in moves}:
            _sync_folder(parent)
        journal.unlink()
    except OSError as error:
        why = error.strerror or error
        raise DeskFault(f"{folder}: a publication stopped half way ({why}); mend that, and publish again") from error
    return True


def _half(folder: Path, path: str, text: str) -> str:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(f".{file.name}{HALF}")
    _sync_text(half, text)
    with contextlib.suppress(OSError):
        half.chmod(file.stat().st_mode & 0o777)
    return half.relative_to(folder).as_posix()


def _sync_text(file: Path, text: str) -> None:
    with file.open("wb") as opened:
        opened.write(text.encode("utf-8"))
        opened.flush()
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
