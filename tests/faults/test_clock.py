"""The clock jumps; and what is due falls due while nobody is there. The real program, with a clock that tests set ahead."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from tests.fakes.telegram import TelegramServer
from tests.fakes.telegram_person import Person
from tests.faults.invariants import Books, check
from tests.faults.program import Program

QUESTION = "where is my order?"
WORDS = "order number"


async def test_f37_a_wall_clock_that_jumps_forth_and_back_loses_repeats_and_reorders_nothing(
    both: Program, tg: TelegramServer
) -> None:
    both.sets_clock(seconds=0)
    await both.starts()
    told = []
    for number, ahead in enumerate((0, 3600, 3600, 0, -3600, 7200)):  # hours of a summer time that begins, ends, errs
        both.sets_clock(seconds=ahead)
        told.append(f"{QUESTION} ({number})")
        person = tg.person(1001 + number, f"Person {number}")
        await person.says(told[-1])
        await person.hears(WORDS, timeout=30)
        first = tg.person(1001)
        told.append(f"line {number}")
        await first.says(told[-1])
        await tg.settled(timeout=30)
    books = Books(both.database)
    await books.at_rest()
    check(books, told, tg)
    assert books.one("SELECT count(*) FROM outbox WHERE doubled") == 0
    assert await both.stops() == 0


async def reaches_people(program: Program, person: Person, books: Books) -> tuple[Any, str]:
    """Somebody asks for a human, and the agent at the web desk has claimed it: (the agent, the case's id)."""
    await person.says("talk to a human")
    await person.hears("queue", timeout=30)
    agent = await program.agent()
    (waiting,) = await agent.sees()
    (await agent.does(waiting["id"], "claim")).raise_for_status()
    await person.hears("is here and has read everything", timeout=30)
    return agent, str(waiting["id"])


async def test_f38_what_fell_due_while_the_program_was_down_happens_once_after_the_start(
    both: Program, tg: TelegramServer
) -> None:
    """An agent's answer in its undo window; killed before it ended, started ten minutes later, and killed and started again."""
    both.sets_clock(seconds=0)
    await both.starts()
    books = Books(both.database)
    kari = tg.person(1001, "Kari")
    agent, case_id = await reaches_people(both, kari, books)
    (await agent.does(case_id, "reply", text="It left Oslo this morning.", ref=str(uuid.uuid4()))).raise_for_status()
    await agent.http.aclose()
    await both.dies()
    assert books.one("SELECT count(*) FROM messages WHERE author_kind = 'agent'") == 0, "its window was still open"
    for minutes in (10, 20):
        both.sets_clock(minutes=minutes)
        await both.starts()
        await tg.settled(timeout=30)
        async with asyncio.timeout(30):
            while not any("left Oslo" in text for text in kari.texts):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        await books.at_rest()
        await both.dies()
    await both.starts()
    assert sum("left Oslo" in text for text in kari.texts) == 1
    check(books, ["talk to a human"], tg)


async def test_f20_who_may_have_pressed_a_button_while_nobody_was_here_is_asked_once_more(
    both: Program, tg: TelegramServer
) -> None:
    """A survey and a menu, both answered by buttons that Telegram forgot; the third had typed. And health tells of the gap."""
    both.sets_clock(seconds=0)
    await both.starts()
    books = Books(both.database)
    kari, ola, per = tg.person(1001, "Kari"), tg.person(1002, "Ola"), tg.person(1003, "Per")
    agent, case_id = await reaches_people(both, kari, books)
    (await agent.does(case_id, "resolve", outcome="resolved", topic="delivery")).raise_for_status()
    await agent.http.aclose()
    survey = await kari.hears(lambda seen: len(seen.labels) >= 5, timeout=30)
    told = [f"{one}: {words}" for one in ("Ola", "Per") for words in ("zxq vbn", "qwp lkj")]
    for person, text in zip((ola, ola, per, per), told, strict=True):
        await person.says(text)
        await person.hears("Sorry", timeout=30)
    menu = await ola.hears(lambda seen: bool(seen.labels), timeout=30) if not ola.sees[-1].labels else ola.sees[-1]
    await tg.settled(timeout=30)
    await books.at_rest()
    await both.dies()
    await kari.presses(survey, "6")
    await ola.presses(menu, menu.labels[0])
    tg.updates.forget_presses()
    await per.says("never mind")
    both.sets_clock(hours=3)
    await both.starts()
    await per.hears(lambda seen: True, timeout=30)
    await books.has("SELECT count(*) FROM timers WHERE kind = 'absence'")
    assert await both.figure("faults") == 1
    both.sets_clock(hours=3, minutes=1)
    visitor = await both.visitor()  # wakes the program
    await visitor.says(QUESTION)
    questions = [await person.hears("ask once more", timeout=30) for person in (kari, ola)]
    assert questions[0].labels == survey.labels
    assert questions[1].labels == menu.labels
    await kari.presses(questions[0], "6")
    await kari.presses(survey, "6")
    await books.has("SELECT count(*) FROM survey_responses")
    await tg.settled(timeout=30)
    await books.at_rest()
    assert [row["score"] for row in books.rows("SELECT score FROM survey_responses")] == [6]
    assert not any("ask once more" in text for text in per.texts)
    assert books.one("SELECT count(*) FROM survey_invitations WHERE state = 'answered'") == 1
    check(books, ["talk to a human", *told, "never mind", QUESTION], tg)
    await visitor.leaves()


async def test_f20_f49_a_question_asked_before_a_long_absence_still_takes_one_answer(
    both: Program, tg: TelegramServer
) -> None:
    """Buttons pressed while we were away are gone (Telegram keeps them for 150 s): what is typed counts; both are one answer."""
    both.sets_clock(seconds=0)
    await both.starts()
    books = Books(both.database)
    kari = tg.person(1001, "Kari")
    agent, case_id = await reaches_people(both, kari, books)
    (await agent.does(case_id, "resolve", outcome="resolved", topic="delivery")).raise_for_status()
    await agent.http.aclose()
    question = await kari.hears(lambda seen: len(seen.labels) >= 5, timeout=30)
    await both.dies()
    both.sets_clock(hours=3)
    await both.starts()
    assert "nobody was here" in both.logged()
    await kari.says("6")
    async with asyncio.timeout(30):
        while not books.rows("SELECT * FROM survey_responses"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    for _ in range(2):
        await kari.presses(question, "6")
    await tg.settled(timeout=30)
    await books.at_rest()
    assert [row["score"] for row in books.rows("SELECT score FROM survey_responses")] == [6]
    check(books, ["talk to a human"], tg)


@pytest.mark.parametrize("place", ["committed", "turning"])
async def test_f48_f49_killed_at_the_press_of_a_score_it_counts_once(
    both: Program, tg: TelegramServer, place: str
) -> None:
    await both.starts()
    books = Books(both.database)
    kari = tg.person(1001, "Kari")
    agent, case_id = await reaches_people(both, kari, books)
    answers = [await agent.does(case_id, "resolve", outcome="resolved", topic="delivery") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 409], "the second is told that it is over"
    await agent.http.aclose()
    question = await kari.hears(lambda seen: len(seen.labels) >= 5, timeout=30)
    await books.at_rest()
    assert await both.stops() == 0
    await both.starts(failpoint=place)
    await kari.presses(question, "6")
    assert await both.ends() == -9
    await both.starts()
    await tg.settled(timeout=30)
    async with asyncio.timeout(30):
        while not books.rows("SELECT * FROM survey_responses"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
    await books.at_rest()
    assert [row["score"] for row in books.rows("SELECT score FROM survey_responses")] == [6]
    check(books, ["talk to a human"], tg)
