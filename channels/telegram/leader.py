"""Which of the nodes polls Telegram: one, under a short lease that it renews while it lives.

The others ask once a second. Two that poll for a moment (one was frozen, and wakes) do no harm: Telegram ends the older
request, and what both received is one row of the inbox.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import structlog

from bot.storage.engine import Storage
from channels.telegram import store

log = structlog.get_logger()
LEASE = timedelta(seconds=5)
BEAT = 1.5  # seconds between renewals
EARLIER = 1.0  # second by which we stop believing in it before the others do


class Leader:
    """`leads` says whether this node may poll just now; `beats` renews until it is cancelled."""

    def __init__(self, storage: Storage, owner: str) -> None:
        self._storage = storage
        self._owner = owner
        self._until = 0.0

    async def leads(self) -> bool:
        if self._storage.poll is None or time.monotonic() < self._until:
            return True
        return await self._ask()

    async def beats(self) -> None:
        if self._storage.poll is None:
            return
        while True:
            await asyncio.sleep(BEAT)
            if self._until:
                try:
                    await self._ask()
                except Exception as error:  # noqa: BLE001 - who ends here polls no longer than its lease, each time anew
                    log.warning("the lease of Telegram's poller could not be renewed", error=repr(error))

    async def resign(self) -> None:
        """Another node may poll at once; where the database is away, when our lease is over."""
        if self._storage.poll is None:
            return
        self._until = 0.0
        try:
            await self._storage.write(lambda tx: store.resign(tx, self._owner))
        except Exception as error:  # noqa: BLE001 - not raised: who resigns is being cancelled, and would go on polling
            log.warning("the lease of Telegram's poller could not be given back", error=repr(error))

    async def _ask(self) -> bool:
        asked = time.monotonic()
        led = await self._storage.write(lambda tx: store.lead(tx, self._owner, LEASE), urgent=True)
        self._until = asked + LEASE.total_seconds() - EARLIER if led else 0.0
        return led
