"""A desk's conversation tests under pytest, as an admin's programmer runs them: in a process of their own."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bot.desk_folder.starter import write_starter
from bot.pytest_desk import desk_of

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "bot.pytest_desk", "-q", "-rf", "--rootdir", str(folder), *more]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    write_starter(tmp_path / "desk")
    for one in ("articles.yaml",):  # they load word lists, which take seconds
        (tmp_path / "desk" / "tests" / one).unlink()
    return tmp_path / "desk"


def test_each_conversation_is_a_test_and_a_failure_names_its_line(desk: Path) -> None:
    own = desk / "tests" / "own.yaml"
    own.write_text("- test: goes wrong\n  script:\n    - {user: where is my order}\n    - {bot: No such words}\n")
    done = run(desk)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{own}:4: expected bot «No such words», got «I'll look it up" in done.stdout
    assert "1 failed" in done.stdout
    assert "Traceback" not in done.stdout

    chosen = run(desk, "tests/people.yaml")
    assert chosen.returncode == 0, chosen.stdout
    assert "4 passed" in chosen.stdout


def test_a_broken_desk_is_an_error_with_its_faults(desk: Path) -> None:
    page = desk / "desk.yaml"
    page.write_text(page.read_text(encoding="utf-8").replace("timezone: Europe/Oslo", "timezone: Europe/Osl"))
    done = run(desk)
    assert done.returncode == 2
    assert f"{page}:8:11: timezone: unknown" in done.stdout


def test_other_yaml_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    assert desk_of(tmp_path / "tests" / "data.yaml") is None
    (tmp_path / "desk.yaml").touch()
    assert desk_of(tmp_path / "tests" / "data.yaml") == tmp_path
    assert desk_of(tmp_path / "tests" / "more" / "data.yml") == tmp_path
    assert desk_of(tmp_path / "flows" / "data.yaml") is None
    assert desk_of(tmp_path / "tests" / ".data.yaml") is None


def test_the_plugin_is_announced_to_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"stafett": "bot.pytest_desk"}
