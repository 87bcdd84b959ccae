"""Telegram forgets pressed buttons after 150 seconds: who may have pressed one while nobody listened is asked again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot import absence
from channels.telegram.heard import EVERY, Heard
from tests.fakes.telegram import TelegramServer
from tests.fakes.telegram_person import Person
from tests.support.telegram_house import House, SetClock, unhurried

__all__ = ["unhurried"]
pytestmark = pytest.mark.usefixtures("unhurried")
AGAIN = "so I ask once more"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def tg(clock: SetClock) -> AsyncIterator[TelegramServer]:
    async with TelegramServer(clock=clock) as server:
        yield server


async def is_offered_the_menu(person: Person) -> None:
    await person.says("menu")
    await person.hears("menu")


async def comes_back(house: House, by: Person) -> None:
    """Somebody writes, which shows that Telegram is heard; then what was typed meanwhile has had its time."""
    await by.says(f"hello at {house.clock.at}")
    await by.hears(f"hello at {house.clock.at}")
    await house.until(lambda: house.rows("settings"))
    house.later(absence.CATCH_UP.total_seconds() + 1)
    await by.says("another line")  # whatever was due has rung when this is answered and all is sent
    await by.hears("another line")
    await house.until(lambda: rests(house))


async def rests(house: House) -> bool:
    due = [row for row in await house.rows("timers") if row.due_at <= house.clock.at]
    left = [row for row in await house.rows("outbox") if row.state != "sent"]
    return not due and not left


def asked_again(person: Person) -> int:
    return sum(AGAIN in text for text in person.texts)


async def test_f20_who_has_left_a_question_unanswered_is_asked_again_and_a_press_counts(
    database_url: str, tg: TelegramServer, clock: SetClock
) -> None:
    """Not who has typed an answer, not about what had long been left alone, and only once."""
    kari, ola, per, eva = (tg.person(number, name) for number, name in enumerate(("Kari", "Ola", "Per", "Eva"), 42))
    async with House(database_url, tg, clock) as house:
        await is_offered_the_menu(per)
        clock.at += timedelta(hours=25)
        await house.write(lambda tx: absence.heard(tx, "telegram", timedelta()))  # all along
        for person in (kari, ola, eva):
            await is_offered_the_menu(person)
        await ola.says("the first one")
        await ola.hears("the first one")
        await tg.settled()
    await kari.presses(kari.sees[-1], "Yes")
    clock.at += timedelta(hours=3)
    async with House(database_url, tg, clock) as house:
        await comes_back(house, ola)
        question = kari.sees[-1]
        assert AGAIN in question.text
        assert "you said: menu" in question.text
        assert question.labels == ["Yes", "No"]
        assert [asked_again(person) for person in (kari, ola, per, eva)] == [1, 0, 0, 1]
        assert "not heard for 180 minutes" in " ".join(house.channel.faults())
        await kari.presses(question, "Yes")
        await kari.hears("you said: yes")
        clock.at += timedelta(hours=1)
        assert house.channel.faults() == ()
        await tg.settled()
    clock.at += timedelta(hours=3)
    async with House(database_url, tg, clock) as house:
        await comes_back(house, ola)
        assert [asked_again(person) for person in (kari, ola, per, eva)] == [1, 0, 0, 1]


async def test_f20_after_a_short_absence_nobody_is_asked_again(
    sqlite_url: str, tg: TelegramServer, clock: SetClock
) -> None:
    kari, ola = tg.person(42, "Kari"), tg.person(43, "Ola")
    async with House(sqlite_url, tg, clock) as house:
        await is_offered_the_menu(kari)
        await tg.settled()
    clock.at += timedelta(seconds=140)
    async with House(sqlite_url, tg, clock) as house:
        await comes_back(house, ola)
        assert asked_again(kari) == 0
        assert house.channel.faults() == ()


async def test_f20_a_silence_of_telegrams_is_told_and_a_jump_of_the_clock_is_none(
    sqlite_url: str, tg: TelegramServer, clock: SetClock
) -> None:
    async with House(sqlite_url, tg, clock) as house:
        elapsed = 0.0
        heard = Heard(house.storage, lambda: elapsed)
        await heard()
        clock.at += timedelta(hours=1)  # set forward: no time has gone by
        elapsed += EVERY
        await heard()
        assert heard.fault() is None
        clock.at += timedelta(days=1)
        elapsed += 86_400
        await heard()
        assert "1440 minutes" in (heard.fault() or "")
        assert absence.SWEEP in {row.kind for row in await house.rows("timers")}
