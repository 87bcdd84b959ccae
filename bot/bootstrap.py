"""From a fresh checkout to a running program with nothing but Python: `.venv` is made, the lock file installed, once.

What lives here: the few steps between `python3 -m bot …` in a checkout and a Python that has everything. What it must
not do: import anything beyond the standard library, or run when Stafett was installed as a package. This file and
`__main__.py` parse on Pythons older than we support, so that those can say what is wrong.

What was installed is remembered as the hash of the lock file, inside `.venv`: when the lock changes (git pull) the next
start installs again, else a start costs one file's hash. A `.venv` that somebody else made is left alone while it has
what we need.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

MINIMUM = (3, 11)
NEWEST_TRIED = 14
RUN_LOCK = "requirements.txt"
DEV_LOCK = "requirements-dev.txt"
PROBES = {
    RUN_LOCK: ("typer", "sqlalchemy", "fastapi", "aiogram", "slack_bolt", "re2", "scipy"),
    DEV_LOCK: ("typer", "sqlalchemy", "fastapi", "aiogram", "slack_bolt", "pytest", "xdist", "mypy", "playwright"),
}


def ensure(module: str, lock: str = RUN_LOCK) -> None:
    """Return when this Python has all that `lock` names; else set up `.venv` and start `module` there instead.

    Ends the process with one line on stderr and status 1 where that cannot be done.
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / "pyproject.toml").is_file() or not (root / lock).is_file():
        return  # installed as a package: whoever installed it answers for its dependencies
    try:
        _ensure(root, module, lock)
    except OSError as error:
        where = error.filename or root / ".venv"
        _fail(
            f"{where}: {error.strerror}; let this user read and write {root / '.venv'}, or delete it to make it anew."
        )


def _ensure(root: Path, module: str, lock: str) -> None:
    venv = root / ".venv"
    if _inside(venv):
        if _is_current(root, lock) or (not _stamp(venv, lock).exists() and _has(lock)):
            return
    elif sys.version_info >= MINIMUM and _has(lock):
        return
    if not _is_current(root, lock):
        _set_up(root, lock)
    _restart(_python(venv), module)


def _inside(venv: Path) -> bool:
    return Path(sys.prefix).resolve() == venv.resolve()


def _has(lock: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in PROBES[lock])


def _python(venv: Path) -> Path:
    return venv / "bin" / "python"


def _stamp(venv: Path, lock: str) -> Path:
    return venv / f"stafett-{Path(lock).stem}.sha256"


def _digest(root: Path, lock: str) -> str:
    return hashlib.sha256((root / lock).read_bytes()).hexdigest()


def _is_current(root: Path, lock: str) -> bool:
    stamp = _stamp(root / ".venv", lock)
    return _python(root / ".venv").exists() and stamp.is_file() and stamp.read_text() == _digest(root, lock)


def _set_up(root: Path, lock: str) -> None:
    venv = root / ".venv"
    print(f"stafett: setting up {venv} from {lock} (once; a minute or so)", file=sys.stderr)
    uv = shutil.which("uv")
    if not (uv and _install_with_uv(uv, venv, root / lock)):
        _install_with_pip(venv, root / lock)
    # The development lock holds the other one whole: same versions, more names.
    for done in (RUN_LOCK, DEV_LOCK) if lock == DEV_LOCK else (RUN_LOCK,):
        _stamp(venv, done).write_text(_digest(root, done))


def _install_with_uv(uv: str, venv: Path, lock: Path) -> bool:
    """True when uv did it all; what it said otherwise stays on stderr, and pip tries next."""
    made = _python(venv).exists() or _succeeds([uv, "venv", "--quiet", "--python", _base_python() or "3.13", str(venv)])
    return made and _succeeds(
        [uv, "pip", "install", "--quiet", "--python", str(_python(venv)), "--require-hashes", "-r", str(lock)]
    )


def _install_with_pip(venv: Path, lock: Path) -> None:
    base = _base_python()
    if base is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        _fail(f"Python 3.11 or newer is needed, this is {version}. Install one (or uv) and run the same again.")
    if not _succeeds([str(_python(venv)), "-c", "import pip"], quiet=True):
        if not _succeeds([base, "-c", "import ensurepip, venv"], quiet=True):
            _fail("Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv")
        if not _succeeds([base, "-m", "venv", "--clear", str(venv)]):
            _fail(f"{base} could not make {venv} (see above).")
    pip = [str(_python(venv)), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if not _succeeds([*pip, "--require-hashes", "-r", str(lock)]):
        _fail(f"could not install {lock.name} (see above). Is there a network? Run the same again to go on.")


def _base_python() -> str | None:
    """A Python that we support: the one that runs, else the newest on the path."""
    if sys.version_info >= MINIMUM:
        return getattr(sys, "_base_executable", None) or sys.executable
    names = (f"python3.{minor}" for minor in range(NEWEST_TRIED, MINIMUM[1] - 1, -1))
    return next((found for found in map(shutil.which, names) if found), None)


def _succeeds(command: Sequence[str], *, quiet: bool = False) -> bool:
    sink = subprocess.DEVNULL if quiet else sys.stderr
    try:
        return subprocess.run(command, check=False, stdout=sink, stderr=sink).returncode == 0
    except OSError:
        return False


def _restart(python: Path, module: str) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(str(python), [str(python), "-m", module, *sys.argv[1:]])


def _fail(message: str) -> NoReturn:
    sys.exit("stafett: " + message)
