"""The primary dies and a standby takes its place: what COMMIT waited for is there, and of the rest nothing is half there."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.doctor import Finding, standby
from bot.storage import replication, schema
from bot.storage.engine import Storage
from tests.fakes.telegram import TelegramServer
from tests.faults import chance, invariants
from tests.faults.nodes import Gate, SharedBooks, Standby, node
from tests.faults.program import Nursery, Program
from tests.faults.test_nodes import PATIENCE, QUESTION, Widget
from tests.support import needs, postgres

KEPT = "a failover loses nothing"
FOLLOWS = "SELECT count(*) FROM pg_stat_replication WHERE {}"
pytestmark = pytest.mark.postgresql


@dataclass
class House:
    """A node, behind it the primary, behind that the standby."""

    node: Program
    primary: postgres.Cluster
    standby: Standby
    gate: Gate

    def books(self, of: postgres.Cluster) -> SharedBooks:
        return SharedBooks(of.url("stafett"))

    async def until(self, of: postgres.Cluster, query: str) -> None:
        """Until it counts something."""
        await self.books(of).has(query)

    async def doctor(self) -> Finding:
        """What `stafett doctor` says of a failover."""
        storage = Storage(self.node.environment["STAFETT_DATABASE_URL"])
        try:
            return standby(*await storage.read(replication.read))
        finally:
            await storage.close()

    async def fails_over(self) -> None:
        await asyncio.to_thread(self.primary.stop)
        if self.books(self.standby).one("SELECT pg_is_in_recovery()"):
            await asyncio.to_thread(self.standby.promote)
        self.gate.to = self.standby.port


@pytest.fixture
async def house(nursery: Nursery, tmp_path: Path, tg: TelegramServer) -> AsyncIterator[House]:
    binaries = postgres.find_binaries()
    if binaries is None:
        needs.missing(needs.GET_POSTGRESQL)
    primary = postgres.Cluster(binaries, durable=True)
    follower = Standby(binaries, durable=True, of=primary)
    await asyncio.to_thread(lambda: primary.create().start())
    postgres.create_database(primary.url(), "stafett")
    await asyncio.to_thread(lambda: follower.create().start())
    async with Gate(primary.port) as gate:
        url = f"postgresql+asyncpg://{postgres.SUPERUSER}@127.0.0.1:{gate.port}/stafett"
        await schema.upgrade(url)
        made = House(node(nursery, tmp_path / "a", url, tg), primary, follower, gate)
        await made.until(primary, FOLLOWS.format("state = 'streaming'"))
        yield made
        if made.node.pid:
            await made.node.dies()
        print(made.node.logged())  # shown where the test failed
    for cluster in (primary, follower):
        await asyncio.to_thread(cluster.remove)


async def test_f34_a_failover_to_a_synchronous_standby_loses_nothing(house: House, tg: TelegramServer) -> None:
    """Under load: who was acknowledged is there, who was not comes again, and the node goes on by itself."""
    books = house.books(house.primary)
    books.rows("ALTER SYSTEM SET synchronous_standby_names = '*'")
    books.rows("SELECT pg_reload_conf()")
    await house.until(house.primary, FOLLOWS.format("sync_state = 'sync'"))
    assert KEPT in (await house.doctor()).told
    await house.node.starts()
    await tg.called("getUpdates")
    persons = [tg.person(2000 + number) for number in range(3)]
    widgets = [Widget(itertools.repeat(house.node)) for _ in range(3)]
    lines = [[f"widget {number} line {line}" for line in range(4)] for number in range(3)]
    told = [f"{person.id} line {number}" for person in persons for number in range(4)]
    writing = [asyncio.create_task(one.writes(mine)) for one, mine in zip(widgets, lines, strict=True)]
    for text, person in zip(told, [one for one in persons for _ in range(4)], strict=True):
        await person.says(text)
    async with asyncio.timeout(PATIENCE):
        while not any(widget.acknowledged for widget in widgets):  # noqa: ASYNC110 - as they come
            await asyncio.sleep(0.01)
    await house.fails_over()
    await asyncio.wait_for(asyncio.gather(*writing), 120)
    await tg.settled(timeout=PATIENCE)
    after = house.books(house.standby)
    await after.at_rest()
    invariants.check(after, [*told, *itertools.chain.from_iterable(lines)], tg)
    assert house.node.exit_code is None
    assert KEPT not in (await house.doctor()).told, "it has no standby now"


@pytest.mark.skipif(not chance.is_long(), reason="the long run's")
async def test_f34_behind_an_asynchronous_standby_the_last_words_are_gone_and_the_rest_is_whole(
    house: House, tg: TelegramServer
) -> None:
    """As docs/scaling.md says. What the standby never heard of is gone whole, and whoever writes now is answered."""
    assert KEPT not in (await house.doctor()).told
    await house.node.starts()
    kari = tg.person(1001)
    await kari.says(QUESTION)
    await kari.hears("order number", timeout=PATIENCE)
    tab = await house.node.visitor()
    await tab.says(QUESTION + " (web)")
    await tab.hears("order number", "bot")
    await house.books(house.primary).at_rest()
    heard = house.books(house.primary).one("SELECT pg_current_wal_lsn()::text")
    await house.until(house.standby, f"SELECT pg_last_wal_replay_lsn() >= '{heard}'::pg_lsn")
    await asyncio.to_thread(house.standby.promote)  # from here on it hears nothing
    await kari.says("K1001")
    await tab.says("K1002")
    await tg.settled(timeout=PATIENCE)
    last = tab.last_seq
    await house.fails_over()
    after = house.books(house.standby)
    async with asyncio.timeout(PATIENCE):
        while await house.node.figure("faults"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    await tab.connects(after=last)
    await kari.says("thank you")
    await tab.says("thank you too")
    await tg.settled(timeout=PATIENCE)
    await after.at_rest()
    invariants.inputs_are_handled(after, [QUESTION, QUESTION + " (web)", "thank you", "thank you too"])
    assert after.rows("SELECT id FROM messages WHERE text IN ('K1001', 'K1002')") == []
    for look in (
        invariants.numbers_have_no_gaps, invariants.nothing_is_anothers, invariants.one_of_each,
        invariants.nothing_lies_idle, invariants.sends_have_ended,
    ):  # fmt: skip
        look(after)
    await tab.leaves()
