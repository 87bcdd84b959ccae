"""Whoever follows the guide to the letter gets what it says: each file written, each command run, each shown line seen."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
PLACES = re.compile(
    r"^`(?P<file>shop/[\w./]+)`\n\n```yaml\n(?P<text>.*?)^```"
    r"|^`(?P<changed>shop/[\w./]+)`: `(?P<old>[^`]+)` → `(?P<new>[^`]+)`"
    r"|^```sh\n(?P<command>.*?)\n```(?:\n\n```text\n(?P<shown>.*?)^```)?",
    re.DOTALL | re.MULTILINE,
)
TALKS = {
    2: "where is my order\nAB123456\n1\ncall me back\n",
    4: "can you call me back?\nsoon\n+31 6 12345678\n2\n",
}
"""What is to be written in the chats of these sections."""


def steps() -> Iterator[tuple[int, re.Match[str]]]:
    """(section, one thing to do), in order."""
    for found in PLACES.finditer(PAGE):
        yield int(re.findall(r"^## (\d)\.", PAGE[: found.start()], re.MULTILINE)[-1]), found


def test_the_guide_can_be_followed_to_the_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STAFETT_{name.upper()}", raising=False)
    done: list[str] = []
    heard: dict[int, str] = {}
    for section, step in steps():
        if step["file"]:
            Path(step["file"]).write_text(step["text"], encoding="utf-8")
        elif step["changed"]:
            file = Path(step["changed"])
            before = file.read_text(encoding="utf-8")
            assert step["old"] in before
            file.write_text(before.replace(step["old"], step["new"]), encoding="utf-8")
        elif "serve" not in step["command"]:
            arguments = shlex.split(step["command"])[1:]
            told = CliRunner().invoke(app, arguments, input=TALKS.get(section))
            assert (told.exit_code == 0) == ("unknown slot" not in (step["shown"] or "")), told.output
            for line in (step["shown"] or "").splitlines():
                assert line in told.output
            done.append(arguments[0])
            heard[section] = told.output
    assert done == ["init", "test", "chat", "check", "chat", "check", "check", "test"]
    assert "is on its way" in heard[2]
    assert "A colleague calls you." not in heard[2]
    assert "When suits you best?" in heard[4]
    assert "A colleague calls you." in heard[4]


def test_the_minutes_add_up_to_a_quarter_of_an_hour() -> None:
    assert sum(int(found) for found in re.findall(r"^## \d\. .*\((\d) minutes?\)$", PAGE, re.MULTILINE)) == 15
