"""What must be true after every fault, read from the database and from what the platform saw.

I1 what we acknowledged stands in the inbox once · I2 every input has been handled, or is dead and shown · I3 every send has
come to its end · I4 `seq` is gapless and in order · I5 nothing of one customer's is another's · I6 at most one living case a
customer, one holder a case, one answer to its question · I7 nothing lies idle · and a platform got each of our messages once;
Telegram, which can't be asked, twice where we marked it as possibly doubled.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from channels.slack.payloads import outbox_id_of
from tests.fakes.slack import SlackServer
from tests.fakes.telegram import TelegramServer

SAME = "CASE WHEN m.customer_id = o.customer_id THEN 1 ELSE 0 END"  # histories that were merged hold a message twice
WAITS = "message_id IS NULL AND waits_for NOT LIKE 'album:%'"  # an edit, for a message that never came
INPUTS = f"SELECT 'input ' || key AS what, state FROM inbox WHERE state = 'new' OR (state = 'parked' AND NOT ({WAITS}))"
SENDS = (
    "SELECT 'send ' || via || ' ' || kind || ' ' || coalesce(error, '') AS what, state FROM outbox"
    " WHERE via != 'web' AND state IN ('ready', 'sending', 'retry', 'uncertain')"
)
LIVE_CASES = "('bot', 'queued', 'open', 'pending', 'snoozed')"
PATIENCE = 30.0  # seconds


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
        left: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(PATIENCE):
                while left := await asyncio.to_thread(self.unfinished):  # noqa: ASYNC110 - another process works; it sets no event here
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise AssertionError(f"no rest within {PATIENCE} s: {left}") from error

    async def has(self, query: str, *values: Any) -> None:
        """Until there are rows, and the first value of the first is not 0."""

        def look() -> bool:
            found = self.rows(query, *values)
            return bool(found) and bool(next(iter(found[0].values())))

        async with asyncio.timeout(PATIENCE):
            while not await asyncio.to_thread(look):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)

    def unfinished(self) -> list[dict[str, Any]]:
        """As one look sees it."""
        return self.rows(f"{INPUTS} UNION ALL {SENDS}")


def check(
    books: Books,
    acknowledged: Iterable[str],
    telegram: TelegramServer | None = None,
    slack: SlackServer | None = None,
    *,
    may_bury: bool = False,
) -> None:
    """Raises AssertionError where one of the promises is broken. `acknowledged` are the customers' texts, each unique.

    `may_bury`: what could not be read was among the input, and lies with the dead letters.
    """
    assert books.one("PRAGMA integrity_check") == "ok"
    if not may_bury:
        assert books.rows("SELECT source, error FROM dead_letters") == []
    inputs_are_handled(books, acknowledged)
    numbers_have_no_gaps(books)
    nothing_is_anothers(books)
    one_of_each(books)
    nothing_lies_idle(books)
    sends_have_ended(books)
    if telegram is not None:
        telegram_got_each_once(books, telegram)
    if slack is not None:
        slack_got_each_once(books, slack)


def inputs_are_handled(books: Books, acknowledged: Iterable[str]) -> None:
    """I1, I2. An edit of what never came waits for it, and is nobody's trouble."""
    unhandled = "SELECT * FROM inbox WHERE state NOT IN ('done', 'alias')"
    assert books.rows(f"{unhandled} AND NOT (state = 'parked' AND {WAITS})") == []
    for text in acknowledged:
        told = books.rows("SELECT id FROM messages WHERE author_kind = 'customer' AND text = ?", text)
        assert len(told) == 1, f"{text!r} stands {len(told)} times in the history"
        received = books.rows("SELECT key FROM inbox WHERE message_id = ? AND state = 'done'", told[0]["id"])
        assert len(received) == 1, f"{text!r} stands {len(received)} times in the inbox"


def numbers_have_no_gaps(books: Books) -> None:
    for talk in books.rows("SELECT customer_id, last_seq FROM conversations"):
        both = "SELECT seq, at FROM messages WHERE customer_id = ? AND seq IS NOT NULL UNION SELECT seq, at FROM timeline WHERE customer_id = ?"
        lines = books.rows(f"{both} ORDER BY seq", talk["customer_id"], talk["customer_id"])
        assert [line["seq"] for line in lines] == list(range(1, talk["last_seq"] + 1))
        doubled = "SELECT seq FROM messages WHERE customer_id = ? AND seq IS NOT NULL GROUP BY seq HAVING count(*) > 1"
        assert books.rows(doubled, talk["customer_id"]) == []
        assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)


def nothing_is_anothers(books: Books) -> None:
    """I5: a message, its case, its send and the chat that this goes to are one customer's."""
    assert (
        books.rows("SELECT m.id FROM messages m JOIN cases c ON c.id = m.case_id WHERE c.customer_id != m.customer_id")
        == []
    )
    joined = "JOIN messages m ON m.id = o.message_id"
    assert books.rows(f"SELECT o.id FROM outbox o {joined} GROUP BY o.id HAVING max({SAME}) = 0") == []
    theirs = "SELECT 1 FROM identities i WHERE i.customer_id = o.customer_id AND o.lane = i.channel || ':' || i.address"
    chats = "o.via = 'telegram' AND o.kind = 'text' AND o.customer_id IS NOT NULL"
    assert books.rows(f"SELECT o.id FROM outbox o WHERE {chats} AND NOT EXISTS ({theirs})") == []


def one_of_each(books: Books) -> None:
    """I6."""
    several = f"SELECT customer_id FROM cases WHERE status IN {LIVE_CASES} GROUP BY customer_id HAVING count(*) > 1"
    assert books.rows(several) == []
    held, free = "status IN ('open', 'pending', 'snoozed')", "status IN ('bot', 'queued')"
    holders = f"({held} AND agent_id IS NULL) OR ({free} AND agent_id IS NOT NULL)"
    assert books.rows(f"SELECT number, status, agent_id FROM cases WHERE {holders}") == []
    answers = "SELECT case_id FROM survey_responses WHERE case_id IS NOT NULL GROUP BY case_id HAVING count(*) > 1"
    assert books.rows(answers) == []


def nothing_lies_idle(books: Books) -> None:
    """I7: whatever lives has a next moment."""
    assert books.rows(f"SELECT number FROM cases WHERE status IN {LIVE_CASES} AND next_action_at IS NULL") == []


def sends_have_ended(books: Books) -> None:
    open_ones = "SELECT * FROM outbox WHERE via != 'web' AND state NOT IN ('sent', 'failed', 'expired')"
    left = books.rows(open_ones)
    assert not left, left
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


def slack_got_each_once(books: Books, slack: SlackServer) -> None:
    """Every post that carries our mark is a send of ours, and no send stands there twice."""
    posts = [post for room in slack.space.rooms.values() for post in room.posts() if post.by_app]
    marked = [mark for post in posts if (mark := outbox_id_of({"metadata": post.metadata})) is not None]
    assert len(marked) == len(set(marked)), "a send stands in Slack twice"
    sent = {row["id"] for row in books.rows("SELECT id FROM outbox WHERE via LIKE 'slack%' AND state = 'sent'")}
    assert set(marked) <= sent, "Slack has what we believe not to have sent"
