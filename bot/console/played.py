"""The last results of the conversation tests, by the desk that they were played on: kept by this process, for a few desks."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from bot.flows.transcripts import TestResult, run_tests

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

MOST = 8
"""Desks whose results are kept: drafts come and go."""


@dataclass(frozen=True, slots=True)
class Played:
    """`took` in seconds."""

    results: Sequence[TestResult]
    took: float
    at: datetime


@dataclass(slots=True)
class LastPlayed:
    """By the hash of the desk's files: a changed file means that nothing has been played yet."""

    _by_desk: OrderedDict[str, Played] = field(default_factory=OrderedDict)

    def get(self, desk_hash: str) -> Played | None:
        return self._by_desk.get(desk_hash)

    def play(self, desk: Desk, now: datetime) -> Played:
        """Play them, and keep the result. A ms a test: for a thread."""
        began = time.perf_counter()
        results = tuple(run_tests(desk))
        played = self._by_desk[desk.hash] = Played(results, time.perf_counter() - began, now)
        self._by_desk.move_to_end(desk.hash)
        while len(self._by_desk) > MOST:
            self._by_desk.popitem(last=False)
        return played

    def failed(self, desk: Desk, now: datetime) -> list[str]:
        """What the tests complain of, as `file:line: expected …, got …`; played if they have not been on this desk."""
        played = self.get(desk.hash) or self.play(desk, now)
        return [one.message.replace(f"{desk.folder}/", "") for one in played.results if not one.ok]
