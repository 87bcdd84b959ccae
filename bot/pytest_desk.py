"""Conversation tests of a desk under pytest: every file in the `tests/` folder beside a `desk.yaml`, one item a test.

A failure reads as `stafett test` prints it: file:line, what was expected, and what came. A desk that cannot be loaded is an
error of its test files, with every fault. Nothing of Stafett is imported before such a file is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk
    from bot.flows.transcripts import ConversationTest

_DESKS: pytest.StashKey[dict[Path, Any]] = pytest.StashKey()


class ConversationFailed(Exception):
    """A line of a script did not come true; the message names it."""


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    folder = desk_of(file_path)
    if folder is None:
        return None
    collected: pytest.Collector = DeskTests.from_parent(parent, path=file_path)
    return collected


def desk_of(file: Path) -> Path | None:
    """The desk folder whose conversation tests this file holds."""
    if file.suffix.lower() not in {".yaml", ".yml"} or file.name.startswith((".", "~", "#")):
        return None
    tests = next((one for one in file.parents if one.name == "tests"), None)
    return tests.parent if tests is not None and (tests.parent / "desk.yaml").is_file() else None


class DeskTests(pytest.File):
    """One file of tests. The desk is loaded once a session."""

    def collect(self) -> Iterator[pytest.Item]:
        folder = desk_of(self.path)
        assert folder is not None
        desk = self._loaded(folder)
        for number, test in enumerate(one for one in desk.tests if Path(one.file) == self.path):
            yield ConversationItem.from_parent(self, name=test.name or str(number), desk=desk, test=test)

    def _loaded(self, folder: Path) -> Desk:
        from bot.desk_folder import DeskFaults, load

        loaded = self.config.stash.setdefault(_DESKS, {})
        if folder not in loaded:
            try:
                loaded[folder] = load(folder)
            except DeskFaults as broken:
                loaded[folder] = "\n".join(str(one) for one in broken.faults)
        if isinstance(loaded[folder], str):
            raise self.CollectError(loaded[folder])
        desk: Desk = loaded[folder]
        return desk


class ConversationItem(pytest.Item):
    def __init__(self, *, desk: Desk, test: ConversationTest, **more: Any) -> None:
        super().__init__(**more)
        self.desk = desk
        self.test = test

    def runtest(self) -> None:
        from bot.flows.transcripts import run_test

        result = run_test(self.desk, self.test)
        if not result.ok:
            raise ConversationFailed(result.message)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, ConversationFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.test.line - 1, self.test.name
