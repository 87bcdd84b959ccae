"""What the documentation says is so: settings, links, commands, and the README's two commands themselves."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from bot.cli import app
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FIRST_SCREEN = 45  # lines
START_LIMIT_S = 60
FROM_THE_COMMAND_LINE = {"host", "port"}
OTHERS = ("apt ", "apt-get ", "brew ", "pip install ", "git clone ", "cd ", "curl ", "docker ", ".venv/bin/", "export ")
"""Programs that are not ours to check."""


def shell_lines() -> Iterator[tuple[str, str]]:
    """(page, line) of each command in a block that is marked as shell."""
    for page in PAGES:
        for block in re.findall(
            r"^```(?:sh|bash|console)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ").partition(" #")[0].strip()
                if command and not command.startswith("#"):
                    yield page.name, command


def our_arguments(command: str) -> list[str] | None:
    """What follows `stafett`, however it is started; None for another program."""
    words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+=.*", word)]
    for prefix in (["stafett"], ["python3", "-m", "bot"]):
        if words[: len(prefix)] == prefix:
            return words[len(prefix) :]
    return None


def wrong_words(arguments: list[str]) -> list[str]:
    """Those of `arguments` that are no command or option of ours."""
    command: Any = typer.main.get_command(app)
    while arguments and isinstance(command, TyperGroup) and not arguments[0].startswith("-"):
        found = command.commands.get(arguments[0])
        if found is None:
            return [arguments[0]]
        command, arguments = found, arguments[1:]
    known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
    return [word for word in arguments if word.startswith("--") and word.partition("=")[0] not in known]


@pytest.mark.parametrize(("page", "command"), list(shell_lines()))
def test_a_shown_command_exists(page: str, command: str) -> None:
    arguments = our_arguments(command)
    if arguments is not None:
        assert wrong_words(arguments) == [], f"{page} shows {command}"
    elif command.startswith("make "):
        assert f"\n{command.split()[1]}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    else:
        assert command.startswith(("python3 -m tests", "uv ", *OTHERS)), f"{page} shows {command}"


def test_a_command_that_is_not_ours_is_noticed() -> None:
    assert wrong_words(["sarve"]) == ["sarve"]
    assert wrong_words(["serve", "--prot", "80"]) == ["--prot"]
    assert wrong_words(["serve", "--port", "80"]) == []


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    settings = {f"STAFETT_{name.upper()}" for name in Settings.model_fields if name not in FROM_THE_COMMAND_LINE}
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    documented = {name for name in re.findall(r"\bSTAFETT_[A-Z_]*[A-Z]\b", text) if "_TEST_" not in name}
    assert documented == settings


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", page.read_text(encoding="utf-8"))
    targets = [target.partition("#")[0] for pair in links for target in pair if target and "://" not in target]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_the_first_screen_shows_the_two_commands() -> None:
    first = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:FIRST_SCREEN])
    assert "python3 -m bot serve" in first
    assert "python3 -m tests" in first


def test_the_first_command_runs_the_product_with_nothing_configured(tmp_path: Path) -> None:
    """It answers at `/`, is ready, and Ctrl-C's sibling SIGTERM ends it well."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STAFETT_")}
    environment["PYTHONPATH"] = str(ROOT)
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "bot", "serve", "--port", str(port)],
            cwd=tmp_path, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        assert answers(f"http://127.0.0.1:{port}/readyz", server), (tmp_path / "log").read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
            assert "/widget.js" in page.read().decode()
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == 0, (tmp_path / "log").read_text()
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def answers(url: str, server: subprocess.Popen[bytes]) -> bool:
    """Whether `url` gives 200 before the server ends or START_LIMIT_S have passed."""
    end = time.monotonic() + START_LIMIT_S
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.05)  # another process: there is nothing to await
    return False
