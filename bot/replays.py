"""Dead letters read again, from their raw copy: after an update that can read what the last program could not.

`stafett audit --retry ID` asks for it, whether a server runs or not: what is asked stands in the database as a timer, and
the next server that rings it gives the copy to the reader of its source. What was read is dead no longer; what still can't
be read stays, with the new reason. The platform's own id is known as ever: what had been taken meanwhile is no second message.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import structlog

from bot import timers
from bot.errors import Conflict
from bot.storage import letters
from bot.storage.engine import Storage
from bot.storage.tx import Tx

log = structlog.get_logger()
KIND = "replay"
UNREAD = {
    "web": "its page alone knows whose it was; let the customer send it again, or --drop it",
}
Reader = Callable[[bytes], Awaitable[None]]
"""Takes a raw copy as if it had just come. Raises ValueError, with the reason, for what can't be read."""


def ask(tx: Tx, letter: letters.Letter) -> str:
    """Have a dead letter tried again. Returns what was done, in words. Raises Conflict where nobody could."""
    if letter.source in UNREAD:
        raise Conflict(f"a dead letter from {letter.source} can't be replayed: {UNREAD[letter.source]}")
    if letter.raw is None:
        raise Conflict("that dead letter has no raw copy to be read again; --drop it")
    if letter.source == "timer":
        kept: dict[str, Any] = json.loads(letter.raw)
        timers.set_timer(tx, kept.pop("kind"), kept.pop("key"), tx.now, **kept)
        letters.remove(tx, letter.id)
        return "timer set again"
    timers.set_timer(tx, KIND, f"{KIND}:{letter.id}", tx.now, data={"letter": letter.id})
    return "dead letter will be read again by the server"


class Replays:
    """`readers` by source; `errand` runs a coroutine beside what else goes on."""

    def __init__(
        self, storage: Storage, readers: Mapping[str, Reader], errand: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        self._storage = storage
        self._readers = readers
        self._errand = errand

    def due(self, tx: Tx, timer: timers.Timer) -> None:
        letter = letters.one(tx, str(timer.data["letter"]))
        if letter is not None:
            tx.after_commit(lambda: self._errand(self.read_again(letter)))

    async def read_again(self, letter: letters.Letter) -> None:
        reader = self._readers.get(letter.source)
        try:
            if reader is None:
                raise ValueError(f"{letter.source} is not turned on")  # noqa: TRY301 - one way to say why
            await reader(letter.raw or b"")
        except Exception as error:  # noqa: BLE001 - whatever it was, the letter stays
            why = str(error) or type(error).__name__
            log.warning("dead letter still not read", source=letter.source, error=why[:200])
            await self._storage.write(lambda tx: letters.still(tx, letter.id, why))
        else:
            await self._storage.write(lambda tx: letters.remove(tx, letter.id))
