"""Facts kept as cases change, and read for a question. See the package's docstring for how and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from bot.events import CustomersMerged
from bot.storage.engine import Storage
from bot.storage.marks import CASES, FAMILIES, mark_cases_of
from bot.storage.tx import Tx
from surveys.figures.answer import answer, needed
from surveys.figures.shape import Figures, Question
from surveys.rollups import blocks, store
from surveys.rollups.blocks import Table
from surveys.rollups.facts import BACKLOG, STEPS, Fact, HoursOf, micros

EVERY: Final = timedelta(seconds=10)
SOME = 200  # facts made in one go
PACKED = 50  # days packed in one round
DAY_US = 86_400_000_000

Made = Mapping[str, tuple[str | None, Fact]]


class Rollups:
    """`run` is the work of a Worker. `hours_of` the desk in force says."""

    def __init__(self, storage: Storage, hours_of: HoursOf) -> None:
        self._storage, self._hours_of = storage, hours_of

    async def ask(self, question: Question) -> Figures:
        """The figures of now, on a connection and a thread of their own. Raises ValueError for a metric that there is not."""
        now = self._storage.clock()
        return await self._storage.read_apart(lambda conn: ask(conn, question, self._hours_of, now))

    async def run(self) -> datetime:
        """Everything that is marked, then what was never made, then the days that are over."""
        await self.catch_up()
        await self.pack(PACKED)
        return self._storage.clock() + EVERY

    async def catch_up(self) -> None:
        """Until no mark is left, and every case, answer and invitation has its fact."""
        if not (await self._storage.read(store.progress)).is_ours:
            await self._storage.write(store.begin_anew)
        for family in FAMILIES:
            for batch in (self._of_marks, self._of_new):
                while await self._write(family, batch):
                    pass

    async def pack(self, most: int | None = None) -> int:
        """Put days that are over into blocks; how many. Today's are left as they are: they change with every case."""
        today = micros(self._storage.clock()) // DAY_US
        done = 0
        for family in FAMILIES:
            days = await self._storage.read(partial(store.unpacked_days, family=family, before=today))
            for day in days[:most]:
                await self._storage.write(partial(store.pack_day, family=family, day=day))
            done += len(days[:most])
        return done

    async def _write(self, family: str, batch: Callable[[store.Reader, str], store.Batch | None]) -> bool:
        """Whether there may be more. Another node that was faster leaves the rest to the next round."""
        made = await self._storage.read_apart(lambda conn: batch(conn, family))
        return made is not None and await self._storage.write(lambda tx: store.write(tx, made))

    def _of_marks(self, conn: store.Reader, family: str) -> store.Batch | None:
        marks = store.marked(conn, family, SOME)
        if not marks:
            return None
        ids, facts = _made(conn, family, [ref for _, ref in marks], self._hours_of)
        return store.Batch(family, store.progress(conn).turn, ids, facts, [n for n, _ in marks])

    def _of_new(self, conn: store.Reader, family: str) -> store.Batch | None:
        known = store.progress(conn)
        found = store.unmade(conn, family, known.cursor(family), SOME)
        if not found:
            return None
        return store.Batch(family, known.turn, *_made(conn, family, found, self._hours_of), to=found[-1])


def on_merged(tx: Tx, event: CustomersMerged) -> None:
    """Two customers became one, or parted: whether they came back with a topic is to be seen anew."""
    mark_cases_of(tx, event.winner_id, event.loser_id)


def _made(conn: store.Reader, family: str, ids: list[str], hours_of: HoursOf) -> tuple[list[str], Made]:
    """The facts of these, and of the cases that they are a return to: (their ids, the facts of those that exist)."""
    every = list(dict.fromkeys([*ids, *(store.returned_to(conn, ids) if family == CASES else ())]))
    return every, store.make(conn, family, every, hours_of)


def ask(conn: store.Reader, question: Question, hours_of: HoursOf, now: datetime) -> Figures:
    """A question answered on an open connection, which should be one snapshot."""
    return answer(question, material(conn, question, hours_of, now), now)


def material(conn: store.Reader, question: Question, hours_of: HoursOf, now: datetime) -> dict[str, Table]:
    """The facts of a span: stored ones, and in their place those of what has changed since."""
    wanted = needed(question)
    first = micros(question.since) // DAY_US if question.since else None
    last = (micros(question.until) - 1) // DAY_US if question.until else None
    found = {
        family: store.table(conn, family, (first, last), _pending(conn, family, hours_of), wanted[family])
        for family in FAMILIES
    }
    found[BACKLOG] = blocks.of(BACKLOG, store.waiting(conn, now))
    found[STEPS] = blocks.of(STEPS, store.steps(conn, (first, last)))
    return found


def _pending(conn: store.Reader, family: str, hours_of: HoursOf) -> dict[str, Fact | None]:
    """What is not as its stored fact says: id → the fact as it is now, None for what is gone."""
    waiting = [ref for _, ref in store.marked(conn, family)]
    waiting += store.unmade(conn, family, store.progress(conn).cursor(family))
    ids, facts = _made(conn, family, waiting, hours_of)
    return {one: facts[one][1] if one in facts else None for one in ids}
