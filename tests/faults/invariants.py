"""What must be true after every fault, read from the database and from what the platform saw.

I1 what we acknowledged stands in the inbox once, and is handled · I3 every send has come to its end · I4 `seq` is gapless
and in order · I6 at most one living case a customer · and Telegram got each of our messages once, or twice where we
marked it as possibly doubled.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.fakes.telegram import TelegramServer

LIVE_CASES = "('bot', 'queued', 'open', 'pending', 'snoozed')"
PATIENCE = 30.0


class Books:
    """The database, read beside the running server."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5) as found:
            found.row_factory = sqlite3.Row
            rows = [dict(row) for row in found.execute(query, values)]
        found.close()
        return rows

    def one(self, query: str, *values: Any) -> Any:
        (row,) = self.rows(query, *values)
        (value,) = row.values()
        return value

    async def at_rest(self) -> None:
        """Until no input is unhandled and no send is on its way."""
        async with asyncio.timeout(PATIENCE):
            while self.unfinished():  # noqa: ASYNC110 - another process works; it sets no event here
                await asyncio.sleep(0.02)

    def unfinished(self) -> list[dict[str, Any]]:
        inputs = self.rows("SELECT key, state, waits_for FROM inbox WHERE state IN ('new', 'parked')")
        sends = "SELECT id, kind, state, error FROM outbox WHERE via != 'web' AND state IN ('ready', 'sending', 'retry', 'uncertain')"
        return inputs + self.rows(sends)


def check(books: Books, acknowledged: Iterable[str], telegram: TelegramServer | None = None) -> None:
    """Raises AssertionError where one of the promises is broken. `acknowledged` are the customers' texts, each unique."""
    assert books.one("PRAGMA integrity_check") == "ok"
    inputs_are_handled(books, acknowledged)
    numbers_have_no_gaps(books)
    one_living_case(books)
    sends_have_ended(books)
    if telegram is not None:
        telegram_got_each_once(books, telegram)


def inputs_are_handled(books: Books, acknowledged: Iterable[str]) -> None:
    assert books.rows("SELECT * FROM inbox WHERE state NOT IN ('done', 'alias')") == []
    assert books.rows("SELECT * FROM dead_letters") == []
    for text in acknowledged:
        told = books.rows("SELECT id FROM messages WHERE author_kind = 'customer' AND text = ?", text)
        assert len(told) == 1, f"{text!r} stands {len(told)} times in the history"
        received = books.rows("SELECT key FROM inbox WHERE message_id = ? AND state = 'done'", told[0]["id"])
        assert len(received) == 1, f"{text!r} stands {len(received)} times in the inbox"


def numbers_have_no_gaps(books: Books) -> None:
    for talk in books.rows("SELECT customer_id, last_seq FROM conversations"):
        lines = books.rows("SELECT seq, at FROM timeline WHERE customer_id = ? ORDER BY seq", talk["customer_id"])
        assert [line["seq"] for line in lines] == list(range(1, talk["last_seq"] + 1))
        assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)


def one_living_case(books: Books) -> None:
    several = f"SELECT customer_id FROM cases WHERE status IN {LIVE_CASES} GROUP BY customer_id HAVING count(*) > 1"
    assert books.rows(several) == []


def sends_have_ended(books: Books) -> None:
    open_ones = "SELECT * FROM outbox WHERE via != 'web' AND state NOT IN ('sent', 'failed', 'expired')"
    assert books.rows(open_ones) == []
    assert books.rows("SELECT * FROM outbox WHERE state = 'failed' AND error IS NULL") == []
    assert (
        books.rows(
            "SELECT * FROM outbox WHERE state = 'sent' AND via = 'telegram' AND kind = 'text' AND ext_id IS NULL"
        )
        == []
    )


def telegram_got_each_once(books: Books, telegram: TelegramServer) -> None:
    """In order, each once; next to it at most one copy, of a send that is marked."""
    sent = "SELECT m.text, o.doubled, o.payload, o.ext_id FROM outbox o JOIN messages m ON m.id = o.message_id AND m.customer_id = o.customer_id"
    for chat in telegram.api.chats.values():
        rows = books.rows(
            f"{sent} WHERE o.via = 'telegram' AND o.state = 'sent' AND o.lane = ? ORDER BY o.n", f"telegram:{chat.id}"
        )
        seen = [f"{chat.id}:{number}" for number, stored in chat.messages.items() if stored.by_bot]
        proven = [row["ext_id"] for row in rows]
        assert [one for one in seen if one in set(proven)] == proven, "the order is another one, or one is missing"
        extra = [one for one in seen if one not in set(proven)]
        doubled = sum(bool(row["doubled"]) for row in rows)
        assert len(extra) <= doubled, f"{len(extra)} copies in the chat, {doubled} marked as possibly doubled"
