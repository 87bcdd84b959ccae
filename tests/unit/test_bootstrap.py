"""A fresh checkout needs nothing but Python; what cannot be done is told in one line."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot import bootstrap

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that set-up reads, a lock that asks for nothing, and a program that says where it runs."""
    root = tmp_path / "checkout"
    (root / "bot").mkdir(parents=True)
    for name in ("__init__.py", "__main__.py", "bootstrap.py"):
        shutil.copy(ROOT / "bot" / name, root / "bot" / name)
    (root / "bot" / "cli.py").write_text("import sys\ndef app():\n    print(sys.prefix, *sys.argv[1:])\n")
    (root / "pyproject.toml").touch()
    (root / "requirements.txt").write_text("# nothing\n")
    return root


def start(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """With the Python that the virtual environment was made from, which has none of our libraries, and without uv."""
    clean = {"PATH": str(checkout), "HOME": str(checkout), "PIP_NO_INDEX": "1", **environment}
    python = os.path.realpath(sys.executable)
    command = [python, "-m", "bot", *arguments]
    return subprocess.run(command, cwd=checkout, env=clean, capture_output=True, text=True, check=False)


def test_the_first_start_sets_up_the_next_ones_do_not_until_the_lock_changes(checkout: Path) -> None:
    venv = str((checkout / ".venv").resolve())
    first = start(checkout, "serve", "--port", "8081")
    assert first.stdout.split() == [venv, "serve", "--port", "8081"], first.stderr
    assert "setting up" in first.stderr
    again = start(checkout)
    assert (again.stdout.split(), again.stderr) == ([venv], "")
    (checkout / "requirements.txt").write_text("# changed\n")
    assert "setting up" in start(checkout).stderr
    (checkout / "requirements.txt").write_text("no-such-library==1.0 --hash=sha256:" + "0" * 64 + "\n")
    failed = start(checkout)
    assert failed.returncode == 1
    assert "could not install requirements.txt" in failed.stderr.splitlines()[-1]
    assert failed.stdout == ""


def test_a_missing_venv_module_is_told_with_its_remedy(checkout: Path, tmp_path: Path) -> None:
    """Debian's Python comes without ensurepip until python3-venv is installed."""
    (tmp_path / "ensurepip.py").write_text("raise ImportError\n")
    done = start(checkout, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        "stafett: Python's venv module is missing. On Debian or Ubuntu: apt install python3-venv"
    ]


def test_a_venv_that_may_not_be_used_is_told_in_one_line(checkout: Path) -> None:
    """It was made by another user, root for one: here its Python may not be run, which binds root, too."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o644)
    lock = checkout / "requirements.txt"
    (checkout / ".venv" / "stafett-requirements.sha256").write_text(hashlib.sha256(lock.read_bytes()).hexdigest())
    done = start(checkout, "serve")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"stafett: {checkout.resolve() / '.venv'}: Permission denied; let this user read and write ")


def test_an_old_python_is_told_which_one_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 6))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed, this is 3\.9"):
        bootstrap._install_with_pip(tmp_path / ".venv", tmp_path / "requirements.txt")


def test_an_old_python_hands_over_to_a_newer_one_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    newer = tmp_path / "python3.12"
    newer.touch(mode=0o755)
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 6))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap._base_python() == str(newer)


def test_installed_as_a_package_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap, "__file__", str(tmp_path / "bot" / "bootstrap.py"))
    monkeypatch.setattr(bootstrap, "_set_up", lambda *_: pytest.fail("set up"))
    assert bootstrap.ensure("bot") is None


@pytest.mark.parametrize("name", ["bot/__init__.py", "bot/__main__.py", "bot/bootstrap.py", "tests/__main__.py"])
def test_what_runs_first_parses_on_a_python_that_is_too_old(name: str) -> None:
    """macOS brings 3.9: it must get as far as the line that says so."""
    compile((ROOT / name).read_text(encoding="utf-8"), name, "exec", flags=0, dont_inherit=True, _feature_version=9)
