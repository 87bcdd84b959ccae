"""Killed with -9 at every place between a platform's update and the mark that our answer arrived: nothing lost, little twice."""

from __future__ import annotations

import uuid

import pytest

from tests.fakes.telegram import TelegramServer
from tests.faults.invariants import Books, check
from tests.faults.program import Program
from tests.support.house import Visitor

QUESTION = "where is my order?"
EARLIER = "where is my order, please?"
KILLED = -9


async def ask(visitor: Visitor, client_id: str, text: str = QUESTION) -> None:
    await visitor.sends({"type": "message", "id": client_id, "text": text})


@pytest.mark.parametrize("place", ["received", "turning", "committed"])
async def test_f01_f02_f03_f04_a_web_message_that_was_not_acknowledged_is_sent_again_and_counts_once(
    web: Program, place: str
) -> None:
    """The client repeats what was not acknowledged, with the same id."""
    await web.starts(failpoint=place)
    kari = await web.visitor()
    mine = str(uuid.uuid4())
    await ask(kari, mine)
    assert await web.ends() == KILLED
    assert [frame for frame in kari.frames if frame["type"] == "ack"] == [], "no acknowledgement before the commit"
    await kari.leaves()

    await web.starts()
    again = await web.visitor(kari.token)
    await ask(again, mine)
    await again.gets(lambda frame: frame["type"] == "ack" and frame["id"] == mine)
    assert await web.figure("inbox_duplicates_total") == (place == "committed")
    fresh = await web.visitor(kari.token)
    await fresh.hears("order number", "bot")
    assert fresh.said().count(QUESTION) == 1
    assert len([text for text in fresh.said() if "order number" in text]) == 1
    check(Books(web.database), [QUESTION])
    for visitor in (again, fresh):
        await visitor.leaves()


@pytest.mark.parametrize("place", ["received", "turning", "committed", "polled", "stored"])
async def test_f01_f02_f03_f04_f08_a_telegram_message_that_was_not_confirmed_comes_again_and_counts_once(
    both: Program, tg: TelegramServer, place: str
) -> None:
    """Telegram repeats what no offset confirmed; the inbox knows it."""
    await both.starts(failpoint=place)
    kari = tg.person(1001)
    await kari.says(QUESTION)
    assert await both.ends() == KILLED
    await both.starts()
    await kari.hears("order number", timeout=20)
    await tg.settled(timeout=20)
    await Books(both.database).at_rest()
    check(Books(both.database), [QUESTION], tg)
    assert len([text for text in kari.texts if "order number" in text]) <= 2


@pytest.mark.parametrize("place", ["claimed", "accepted"])
async def test_f06_f07_an_answer_that_was_on_its_way_arrives_and_a_possible_copy_is_marked(
    both: Program, tg: TelegramServer, place: str
) -> None:
    """Telegram can't be asked; so once more, and marked."""
    await both.starts(failpoint=place)
    kari = tg.person(1001)
    await kari.says(QUESTION)
    assert await both.ends() == KILLED
    books = Books(both.database)
    assert books.one("SELECT count(*) FROM outbox WHERE state = 'sending'") == 1, "known to be under way before it left"
    await both.starts()
    await kari.hears("order number", timeout=20)
    await books.at_rest()
    check(books, [QUESTION], tg)
    copies = len([text for text in kari.texts if "order number" in text])
    assert copies == {"claimed": 1, "accepted": 2}[place]
    assert books.one("SELECT doubled FROM outbox WHERE via = 'telegram' AND kind = 'text' ORDER BY n LIMIT 1") == 1


async def test_f05_an_answer_that_was_decided_but_not_sent_is_sent_after_the_start(
    both: Program, tg: TelegramServer
) -> None:
    """It was committed with its question; nobody has to ask again. A process's first question waits for its language to be
    loaded and is decided later, so somebody else has asked before.
    """
    await both.starts(failpoint="committed:2")
    ola, kari = tg.person(1002, "Ola"), tg.person(1001)
    await ola.says(EARLIER)
    await ola.hears("order number")
    books = Books(both.database)
    await books.at_rest()
    await kari.says(QUESTION)
    assert await both.ends() == KILLED
    decided = "SELECT count(*) FROM messages WHERE author_kind = 'bot' AND customer_id = ({})"
    asked = "SELECT customer_id FROM messages WHERE author_kind = 'customer' AND text = ?"
    assert books.one(decided.format(asked), QUESTION) >= 1
    await both.starts()
    await kari.hears("order number")
    await books.at_rest()
    check(books, [EARLIER, QUESTION], tg)
