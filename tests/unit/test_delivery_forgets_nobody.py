"""A courier looks for nobody while nobody waits: whoever does wait is looked at again, whatever comes together in one commit.

The loop sleeps until it is woken or until the time that it has told, as its worker has it: so what it forgets stays where it is.
"""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.errors import NotSent, RateLimited, Refused, Uncertain
from bot.outbox import enqueue
from bot.storage.outbox_rows import LIVE
from channels.delivery import claims, loop
from channels.port import Delivery, Sent, Verdict
from tests.support.rooms import Rooms, SetClock, rooms

VIAS = (("paper",), ("paper", "telegram"), ("paper", "telegram", "slack"))


class Sleeper:
    """The outbox's worker, without its sleep."""

    def __init__(self, house: Rooms) -> None:
        self._house = house
        self._woken = True
        self._due: datetime | None = None
        house.delivery.wake = self._wake
        house.storage.wiring.wake = lambda worker: self._wake() if worker == "outbox" else None
        house.storage.wiring.courier = house.delivery.courier

    def _wake(self) -> None:
        self._woken = True

    async def looks(self) -> None:
        self._woken = False
        self._due = await self._house.delivery.run()

    async def rests(self) -> None:
        """Until nothing is on its way, and it would sleep on."""
        while True:
            await self._house.delivery.idle()
            await self._house.storage.write(lambda _: None, quick=True)  # what was to follow the last commit has begun
            if self._house.delivery._under_way():
                continue
            if not self._woken and (self._due is None or self._due > self._house.clock.now):
                return
            await self.looks()

    async def lives_on(self) -> None:
        """From one of the times that it has told to the next, until all has come to its end."""
        while True:
            await self.rests()
            live = [row for row in await self._house.rows("outbox") if row.state in LIVE]
            if not live:
                return
            assert self._due is not None, f"it sleeps for ever, and {len(live)} wait"
            self._house.clock.now = max(self._house.clock.now, self._due)


def some(chance: random.Random, vias: tuple[str, ...], now: datetime) -> dict[str, Any]:
    via, number = chance.choice(vias), chance.randrange(12)
    lane = f"{via}:{number}"
    bucket = {"paper": None, "telegram": lane, "slack": f"slack:C{number % 2}"}[via]
    later = timedelta(seconds=chance.choice([0, 0, 0, 3, 20]))
    row = {"via": via, "lane": lane, "bucket": bucket, "kind": "text", "payload": {"text": "x"}, "due_at": now + later}
    return {**row, "bulk": chance.random() < 0.2}


@pytest.mark.parametrize("seed", range(12))
async def test_all_come_to_their_end_though_nobody_comes_any_more(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance, clock = random.Random(seed), SetClock()
    vias, goes_wrong = chance.choice(VIAS), chance.choice([0, 0.4])
    monkeypatch.setattr(loop, "AT_ONCE", chance.choice([1, 2, 3, 5]))
    monkeypatch.setattr(claims, "monotonic", lambda: clock().timestamp())
    under_way = set[str]()

    async def send(delivery: Delivery) -> Sent:
        assert delivery.lane not in under_way
        under_way.add(delivery.lane)
        for _ in range(chance.choice([0, 1, 5, 20])):
            await asyncio.sleep(0)
        under_way.remove(delivery.lane)
        if chance.random() < goes_wrong:
            raise chance.choice([NotSent("no"), RateLimited("429", retry_after=7), Uncertain("?"), Refused("no")])
        return Sent(delivery.id)

    async def resolve(delivery: Delivery) -> Sent | Verdict:
        return chance.choice([Verdict.WAIT, Verdict.RESEND, Verdict.GIVE_UP, Sent(delivery.id)])

    async with rooms(sqlite_url, clock=clock) as house:
        house.sender.send, house.sender.resolve = send, resolve  # type: ignore[method-assign]
        house.delivery.senders = dict.fromkeys(vias, house.sender)
        sleeper = Sleeper(house)

        def unit(tx: Any) -> None:
            for _ in range(chance.randrange(1, 6)):
                enqueue(tx, **some(chance, vias, tx.now))

        for _ in range(6):
            together = [house.storage.write(unit, quick=True) for _ in range(chance.randrange(1, 5))]
            await asyncio.gather(*([sleeper.looks()] if chance.random() < 0.5 else []), *together)
            if chance.random() < 0.5:
                await sleeper.rests()
        async with asyncio.timeout(60):
            await sleeper.lives_on()
