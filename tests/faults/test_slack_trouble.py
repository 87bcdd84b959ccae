"""Slack on a bad day, the real program in HTTP mode against it: killed on the way, told twice, away for longer than it tries."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.slack import SlackServer
from tests.fakes.slack_person import Person
from tests.faults.invariants import Books, check
from tests.faults.program import Program

QUESTION = "where is my order?"
WORDS = "order number"
KILLED = -9


def answers(person: Person) -> int:
    return sum(WORDS in post.says for post in person.direct.posts() if post.by_app)


async def hurries(program: Program, books: Books) -> None:
    """Time flies until every send has come to its end: at a widget somebody wakes the program, minute by minute.

    It is somebody else each time, who asks once and is answered: who went on talking would be passed on to people, and
    that is told in Slack, then or minutes later.
    """
    async with asyncio.timeout(60):
        for minutes in range(1, 1000):
            if not books.unfinished():
                return
            program.sets_clock(minutes=minutes)
            passer_by = await program.visitor()
            await passer_by.says(f"{QUESTION} (minute {minutes})")
            await passer_by.hears(WORDS, "bot")
            await passer_by.leaves()
            await asyncio.sleep(0.5)  # what is on its way needs time of ours, too


@pytest.mark.parametrize("place", ["received", "turning", "committed"])
async def test_f01_f02_f04_a_message_from_slack_that_was_not_acknowledged_is_told_again_and_counts_once(
    office: Program, slack: SlackServer, place: str
) -> None:
    slack.delivery.retry_delays = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # Slack's own are longer: at once, a minute, five
    await office.starts(failpoint=place)
    kari = slack.person("U7", "Kari")
    await kari.dm(QUESTION)
    assert await office.ends() == KILLED
    await office.starts()
    await kari.hears(WORDS, timeout=30)
    await slack.settled(timeout=30)
    books = Books(office.database)
    await books.at_rest()
    check(books, [QUESTION], slack=slack)
    assert answers(kari) == 1


@pytest.mark.parametrize("place", ["claimed", "accepted"])
async def test_f06_f07_slack_is_asked_whether_our_answer_is_there_and_it_never_is_twice(
    office: Program, slack: SlackServer, place: str
) -> None:
    office.sets_clock(seconds=0)
    await office.starts(failpoint=place)
    kari = slack.person("U7", "Kari")
    await kari.dm(QUESTION)
    assert await office.ends() == KILLED
    books = Books(office.database)
    assert books.one("SELECT count(*) FROM outbox WHERE state = 'sending'") == 1
    assert answers(kari) == (place == "accepted")
    await office.starts()
    await hurries(office, books)
    await slack.settled(timeout=30)
    await books.at_rest()
    check(books, [QUESTION], slack=slack)
    assert answers(kari) == 1
    assert books.one("SELECT count(*) FROM outbox WHERE doubled") == 0


async def test_f12_what_slack_tells_several_times_and_under_two_names_counts_once(
    office: Program, slack: SlackServer
) -> None:
    """The same event again, and a mention, which comes as a message and as an app_mention."""
    await office.starts()
    kari = slack.person("U7", "Kari")
    shop = slack.channel("C7", members=[kari])
    await kari.dm(QUESTION)
    await kari.hears(WORDS, timeout=30)
    root = await kari.mentions_app("C7", "where is my order, shop?")
    await shop.hears(WORDS, thread_ts=root.ts, timeout=30)
    await slack.settled(timeout=30)
    for _ in range(3):
        slack.repeat(4)
    await slack.settled(timeout=30)
    books = Books(office.database)
    await books.at_rest()
    check(books, [QUESTION], slack=slack)
    assert answers(kari) == 1
    assert sum(WORDS in post.says for post in shop.messages if post.by_app) == 1
    assert books.one("SELECT count(*) FROM messages WHERE author_kind = 'customer'") == 2


async def test_f21_what_was_written_while_we_were_dead_and_slack_had_given_up_is_read_after_the_start(
    office: Program, slack: SlackServer
) -> None:
    await office.starts()
    kari = slack.person("U7", "Kari")
    await kari.dm("hello, before")
    await slack.settled(timeout=30)
    await Books(office.database).at_rest()
    await slack.settled(timeout=30)  # we have heard of our own answer, too
    await office.dies()
    slack.delivery.retry_delays = (0.0, 0.0, 0.0)
    await kari.dm(QUESTION)
    await slack.settled(timeout=30)
    assert len(slack.delivery.lost) == 1
    await office.starts()
    await kari.hears(WORDS, timeout=30)
    books = Books(office.database)
    await books.at_rest()
    check(books, ["hello, before", QUESTION], slack=slack)
    assert answers(kari) == 1
