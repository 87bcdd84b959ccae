"""Telegram forgets pressed buttons after 150 seconds: who may have pressed one while nobody listened is asked again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot import absence
from channels.telegram.heard import EVERY, Heard
from tests.fakes.telegram import TelegramServer
from tests.fakes.telegram_person import Person
from tests.support.telegram_house import Door, House, SetClock

pytestmark = pytest.mark.usefixtures("unhurried")
AGAIN = "so I ask once more"


async def is_offered_the_menu(person: Person) -> None:
    await person.says("menu")
    await person.hears("menu")


async def comes_back(house: House, by: Person) -> None:
    """Somebody writes, which shows that Telegram is heard; then what was typed meanwhile has had its time."""
    await by.says(f"hello at {house.clock.at}")
    await by.hears(f"hello at {house.clock.at}")
    await house.until(lambda: is_heard(house))
    house.later(absence.CATCH_UP.total_seconds() + 1)
    await by.says("another line")  # whatever was due has rung when this is answered and all is sent
    await by.hears("another line")
    await house.until(lambda: rests(house))


async def is_heard(house: House) -> bool:
    return house.clock.at.isoformat() in [row.value for row in await house.rows("settings")]


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


# ── by webhook ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
async def door(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr("channels.telegram.channel.WATCH", 0.05)
    async with Door() as made:
        yield made


def by_webhook(url: str, tg: TelegramServer, clock: SetClock, door: Door) -> House:
    made = House(url, tg, clock, telegram_webhook_secret="a-secret-of-Telegram_0123456789", public_url=door.url)

    def elapsed() -> float:
        return clock.at.timestamp()

    made.channel._heard._elapsed = elapsed
    return made


async def looks_at_its_webhook(house: House, tg: TelegramServer) -> None:
    """From its beginning to its end: it looks at one time only, so the one before last is over."""
    before = len(tg.calls("getWebhookInfo"))
    await house.until(lambda: len(tg.calls("getWebhookInfo")) >= before + 3)


async def test_f20_by_webhook_what_was_pressed_while_the_door_was_shut_is_asked_again(
    database_url: str, tg: TelegramServer, clock: SetClock, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram answers our calls all along, and keeps a press for 150 seconds; what is typed, it brings in the end."""
    kari, ola = tg.person(42, "Kari"), tg.person(43, "Ola")
    async with by_webhook(database_url, tg, clock, door) as house:
        door.house = house
        for person in (kari, ola):
            await is_offered_the_menu(person)
        await tg.settled()
        await house.until(lambda: is_heard(house))
        door.house = None
        await kari.presses(kari.sees[-1], "Yes")
        await ola.says("the first one")
        await looks_at_its_webhook(house, tg)
        for _ in range(4):
            clock.at += timedelta(seconds=50)
            await looks_at_its_webhook(house, tg)
        assert house.channel.faults() == (), "it may all come yet, for what we know"
        monkeypatch.setattr("channels.telegram.channel.WATCH", 3600)  # what comes is a sign, too
        door.house = house
        await ola.hears("the first one")
        await comes_back(house, ola)
        assert [asked_again(person) for person in (kari, ola)] == [1, 0]
        assert "not heard for 3 minutes" in " ".join(house.channel.faults())
        await kari.presses(kari.sees[-1], "Yes")
        await kari.hears("you said: yes")
        await tg.settled()


async def test_f20_by_webhook_that_telegram_answers_a_start_is_no_sign_that_it_reaches_us(
    sqlite_url: str, tg: TelegramServer, clock: SetClock, door: Door
) -> None:
    """Away for 100 seconds, and then for another 100 behind a door that opens late: together too long for a press."""
    kari, ola = tg.person(42, "Kari"), tg.person(43, "Ola")
    async with by_webhook(sqlite_url, tg, clock, door) as house:
        door.house = house
        await is_offered_the_menu(kari)
        await tg.settled()
        await house.until(lambda: is_heard(house))
        door.house = None
    await kari.presses(kari.sees[-1], "Yes")
    clock.at += timedelta(seconds=100)
    async with by_webhook(sqlite_url, tg, clock, door) as house:
        await looks_at_its_webhook(house, tg)
        clock.at += timedelta(seconds=100)
        door.house = house
        await comes_back(house, ola)
        assert asked_again(kari) == 1


async def test_f20_by_webhook_a_quiet_night_is_no_absence(
    sqlite_url: str, tg: TelegramServer, clock: SetClock, door: Door
) -> None:
    """Nobody writes for hours, and Telegram says that nothing waits."""
    kari, ola = tg.person(42, "Kari"), tg.person(43, "Ola")
    async with by_webhook(sqlite_url, tg, clock, door) as house:
        door.house = house
        await is_offered_the_menu(kari)
        await tg.settled()
        for _ in range(3):
            clock.at += timedelta(seconds=100)
            await looks_at_its_webhook(house, tg)
        await comes_back(house, ola)
        assert asked_again(kari) == 0
        assert house.channel.faults() == ()
