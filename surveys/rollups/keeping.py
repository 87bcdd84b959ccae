"""Facts kept as cases change, and read for a question. See the package's docstring for how and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from bot.events import CustomersMerged
from bot.staffing.hours import Hours
from bot.storage.engine import Storage
from bot.storage.marks import CASES, FAMILIES, mark_all_of
from bot.storage.tx import Tx
from surveys.figures.answer import answer, needed
from surveys.figures.shape import Figures, Question
from surveys.rollups import blocks, store
from surveys.rollups.blocks import Table
from surveys.rollups.facts import BACKLOG, STEPS, WHO, Fact, HoursOf, micros, who
from surveys.rollups.raw import store as raw
from surveys.rollups.raw.store import Made

EVERY: Final = timedelta(minutes=1)  # a report is never behind: what is marked it makes by itself
LATELY = timedelta(days=30)
FRESH = timedelta(minutes=1)
SOME = 200  # facts written in one go: the chat waits for no more
PACKED = 5_000  # facts packed in one go, or one day's
DAY_US = 86_400_000_000


class Rollups:
    """`run` is the work of a Worker. `hours_of` and what flows ask (`asking`, as in a Question) the desk in force says; so many
    facts (`some`) are written in one go.
    """

    def __init__(
        self,
        storage: Storage,
        hours_of: HoursOf,
        some: int = SOME,
        asking: Callable[[], frozenset[str] | None] = lambda: None,
    ) -> None:
        self._storage, self._hours_of, self._some, self._asking = storage, hours_of, some, asking
        self._looked_at: datetime | None = None
        self._lately: Mapping[str, tuple[float, int]] = {}

    async def ask(self, question: Question) -> Figures:
        """The figures of now, on a connection and a thread of their own. Raises ValueError for a metric that there is not."""
        now, asked = self._storage.clock(), replace(question, asking=self._asking())
        return await self._storage.read_apart(lambda conn: ask(conn, asked, self._hours_of, now))

    async def lately(self) -> Mapping[str, tuple[float, int]]:
        """Metric → (value, n) over the last 30 days, for whoever looks often: made once a minute. Hidden ones are left out.

        As it was, while much is still to be made: who looks often must not make all of it each time.
        """
        now = self._storage.clock()
        if self._looked_at is not None and timedelta() <= now - self._looked_at < FRESH:
            return self._lately
        if not await self._storage.read(store.is_far_behind):
            self._looked_at = now
            made = await self.ask(Question(since=now - LATELY))
            self._lately = {one.metric: (one.value, one.n) for one in made.figures if one.value is not None}
        return self._lately

    async def run(self) -> datetime:
        """Everything that is marked, then what was never made, then the days that are over."""
        await self.catch_up()
        await self.pack()
        return self._storage.clock() + EVERY

    async def catch_up(self) -> None:
        """Until no mark is left, and every case, answer and invitation has its fact."""
        if not (await self._storage.read(store.progress)).is_ours:
            await self._storage.write(store.begin_anew)
        for family in FAMILIES:
            for batch in (self._of_marks, self._of_new):
                while await self._write(family, batch):
                    pass

    async def pack(self) -> None:
        """Put days that are over into blocks, and those into blocks of months. Today's are left: they change with every case."""
        today = micros(self._storage.clock()) // DAY_US
        for family in FAMILIES:
            days = await self._storage.read(partial(store.unpacked_days, family=family, before=today))
            for some in _heaps(days, PACKED):
                made = await self._storage.read_apart(partial(store.pack_days, family=family, days=some))
                if not await self._storage.write(partial(store.keep_blocks, made=made)):
                    return  # facts are being written: the next round is soon
            for month in await self._storage.read(partial(store.loose_months, family=family, before=today)):
                made = await self._storage.read_apart(partial(store.pack_month, family=family, month=month))
                if not await self._storage.write(partial(store.keep_blocks, made=made)):
                    return

    async def _write(self, family: str, batch: Callable[[store.Reader, str], store.Batch | None]) -> bool:
        """Whether there may be more. Another node that was faster leaves the rest to the next round."""
        made = await self._storage.read_apart(lambda conn: batch(conn, family))
        return made is not None and await self._storage.write(lambda tx: store.write(tx, made))

    def _of_marks(self, conn: store.Reader, family: str) -> store.Batch | None:
        marks = store.marked(conn, family, self._some)
        if not marks:
            return None
        ids, facts = _made(conn, family, [ref for _, ref in marks], self._hours_of)
        return store.Batch(family, store.progress(conn).turn, ids, facts, [n for n, _ in marks])

    def _of_new(self, conn: store.Reader, family: str) -> store.Batch | None:
        known = store.progress(conn)
        found = store.unmade(conn, family, known.cursor(family), self._some)
        if not found:
            return None
        return store.Batch(family, known.turn, *_made(conn, family, found, self._hours_of), to=found[-1])


def _heaps(days: Sequence[tuple[int, int]], most: int) -> Iterator[list[int]]:
    """Days with so many facts each, in heaps of `most` facts; a day that has more is one of its own."""
    heap: list[int] = []
    inside = 0
    for day, n in days:
        if heap and inside + n > most:
            yield heap
            heap, inside = [], 0
        heap.append(day)
        inside += n
    if heap:
        yield heap


def on_merged(tx: Tx, event: CustomersMerged) -> None:
    """Two customers became one, or parted: whether they came back with a topic, and who answered, is to be seen anew."""
    mark_all_of(tx, event.winner_id, event.loser_id)


def _made(conn: store.Reader, family: str, ids: list[str], hours_of: HoursOf) -> tuple[list[str], Made]:
    """The facts of these, and of the cases that they are a return to: (their ids, the facts of those that exist)."""
    every = list(dict.fromkeys([*ids, *(raw.returned_to(conn, ids) if family == CASES else ())]))
    return every, raw.make(conn, family, every, hours_of)


def ask(conn: store.Reader, question: Question, hours_of: HoursOf, now: datetime) -> Figures:
    """A question answered on an open connection, which should be one snapshot."""
    made = answer(question, material(conn, question, hours_of, now), now)
    return replace(made, pending=store.pending(conn))


def material(
    conn: store.Reader, question: Question, hours_of: HoursOf, now: datetime, patience: int = 1
) -> dict[str, Table]:
    """The facts of a span: stored ones, and in their place those of what has changed since."""
    wanted = needed(question)
    first = micros(question.since) // DAY_US if question.since else None
    last = (micros(question.until) - 1) // DAY_US if question.until else None
    found = {
        family: store.table(conn, family, (first, last), _pending(conn, family, hours_of, patience), wanted[family])
        for family in FAMILIES
    }
    found[BACKLOG] = blocks.of(BACKLOG, raw.waiting(conn, now))
    found[STEPS] = blocks.of(STEPS, raw.steps(conn, (first, last), question.zone, question.asking))
    return found


def _pending(conn: store.Reader, family: str, hours_of: HoursOf, patience: int) -> dict[str, Fact | None]:
    """What is not as its stored fact says: id → the fact as it is now, None for what is gone.

    Of much (an old house after an upgrade, a large import) nothing: the worker is at it, and `store.pending` tells how much.
    """
    ids, facts = _made(conn, family, store.few_to_make(conn, family, patience), hours_of)
    return {one: {**facts[one][1], WHO: who(facts[one][0])} if one in facts else None for one in ids}


def happened(conn: store.Reader, family: str, since: datetime, until: datetime, wanted: Collection[str]) -> Table:
    """One family's facts of a span, of the columns `wanted`, in the order of their times. For what needs no opening hours: in
    what is not made yet, they are not known here.
    """
    import numpy as np

    start, end = micros(since), micros(until)
    pending = _pending(conn, family, lambda _team: Hours(UTC), 1)
    table = store.table(conn, family, (start // DAY_US, (end - 1) // DAY_US), pending, wanted)
    table = blocks.only(table, (table.at >= start) & (table.at < end))
    in_order = not (np.diff(table.at) < 0).any()
    return table if in_order else blocks.taken(table, np.argsort(table.at, kind="stable"))
