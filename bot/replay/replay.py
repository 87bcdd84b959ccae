"""The verb: read, play, report. The command line and the console call it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from bot.answers.knowledge import Knowledge
from bot.replay.compare import Finding, compare
from bot.replay.recording import Recording
from bot.replay.report import Report

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

T = TypeVar("T")
SAMPLE = 1000


class Read(Protocol):
    """`Storage.read`: a query on the database, which it cannot change."""

    def __call__(self, query: Callable[[Any], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conversations: those whose case opened in [since, until), of these topics; at most `sample`, drawn by `seed`."""

    since: datetime | None = None
    until: datetime | None = None
    topics: tuple[str, ...] = ()
    sample: int = SAMPLE
    seed: int = 1


async def replay(read: Read, desk: Desk, wanted: Wanted | None = None) -> Report:
    """Play stored conversations against a desk. Some hundred a second, in a thread: whoever else runs here goes on."""
    from bot.replay import store

    which = wanted or Wanted()
    span = (which.since, which.until, which.topics, which.sample, which.seed)
    chosen = await read(lambda conn: store.choose(conn, *span))
    recordings = await read(lambda conn: store.load(conn, chosen.case_ids))
    findings = await asyncio.to_thread(play, desk, recordings)
    return Report(desk.name, tuple(findings), chosen.of, which.seed)


def play(desk: Desk, recordings: Sequence[Recording]) -> list[Finding]:
    knowledge = Knowledge.build(desk.articles)
    return [compare(desk, knowledge, one) for one in recordings]
