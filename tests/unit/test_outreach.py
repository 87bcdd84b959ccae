"""Notices: who is told unasked, when, and that nobody is told twice or against their will."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from bot.desk_folder.desk import Desk
from bot.errors import Conflict, NotFound, NotSent
from bot.events import CustomerErased, SendSettled
from bot.model import AuthorKind, CaseStatus, new_id
from bot.outreach import store, telling
from bot.outreach.consent import STOP, Consent
from bot.outreach.notice import (
    GRACE,
    LONGEST_TEXT,
    Audience,
    Facts,
    Kind,
    Later,
    Notice,
    NoticeFault,
    Reason,
    Rules,
    Skip,
    State,
    Tell,
    check,
    decide,
    rules_from,
    text_for,
)
from bot.storage import history, merging
from bot.storage import tables as t
from bot.storage.erasure import erase
from channels.port import Sent
from tests.support.rooms import NOON, Rooms, echo, rooms

DESK = Desk("Fjord", locales=("en", "nl"), time_zone="Europe/Amsterdam", notices={"per_minute": 60})
EVERYONE = Audience(everyone=True)
ZONE = ZoneInfo("Europe/Amsterdam")


def notice(**more: Any) -> Notice:
    usual = {
        "id": "",
        "kind": Kind.INCIDENT,
        "state": State.DRAFT,
        "title": "Parcels are late",
        "texts": {"en": "Parcels are a day late.", "nl": "Pakjes komen een dag later."},
        "audience": EVERYONE,
        "drafted_by": "",
        "drafted_at": NOON,
    }
    return Notice(**{**usual, **more})


# ── one customer ───────────────────────────────────────────────────────────────────────────────────────────────────
CONSENTING = Facts(consents=True)


@pytest.mark.parametrize(
    ("kind", "facts", "expected"),
    [
        (Kind.INCIDENT, Facts(), Tell()),
        (Kind.INCIDENT, Facts(told=True), Skip(Reason.TOLD_ALREADY)),
        (Kind.INCIDENT, Facts(opted_out=True), Skip(Reason.OPTED_OUT)),
        (Kind.INCIDENT, Facts(status=CaseStatus.BOT), Tell()),
        (Kind.INCIDENT, Facts(status=CaseStatus.QUEUED), Tell()),
        (Kind.INCIDENT, Facts(status=CaseStatus.OPEN), Skip(Reason.WITH_A_PERSON)),
        (Kind.INCIDENT, Facts(status=CaseStatus.SNOOZED), Skip(Reason.WITH_A_PERSON)),
        (Kind.INCIDENT, Facts(reachable=False), Skip(Reason.UNREACHABLE)),
        (Kind.INCIDENT, Facts(last_campaign=NOON), Tell()),
        (Kind.CAMPAIGN, Facts(), Skip(Reason.NO_CONSENT)),
        (Kind.CAMPAIGN, CONSENTING, Tell()),
        (Kind.CAMPAIGN, replace(CONSENTING, opted_out=True), Skip(Reason.OPTED_OUT)),
        (Kind.CAMPAIGN, replace(CONSENTING, status=CaseStatus.BOT), Skip(Reason.OPEN_CASE)),
        (Kind.CAMPAIGN, replace(CONSENTING, status=CaseStatus.RESOLVED), Tell()),
        (Kind.CAMPAIGN, replace(CONSENTING, last_campaign=NOON - timedelta(days=29)), Skip(Reason.THROTTLED)),
        (Kind.CAMPAIGN, replace(CONSENTING, last_campaign=NOON - timedelta(days=30)), Tell()),
        (
            Kind.CAMPAIGN,
            replace(CONSENTING, last_campaign=NOON - timedelta(days=30, seconds=-40)),
            Later(NOON + timedelta(seconds=40), alone=True),
        ),
        (
            Kind.CAMPAIGN,
            replace(CONSENTING, last_campaign=NOON - timedelta(days=29, hours=15)),
            Later(datetime(2026, 3, 10, 7, tzinfo=UTC), alone=True),
        ),
    ],
)
def test_who_is_told(kind: Kind, facts: Facts, expected: object) -> None:
    assert decide(notice(kind=kind), facts, Rules(), NOON, ZONE) == expected


def test_at_night_it_waits_for_the_morning_unless_that_is_too_late() -> None:
    night = datetime(2026, 3, 9, 22, tzinfo=UTC)
    morning = datetime(2026, 3, 10, 7, tzinfo=UTC)  # eight in Amsterdam
    assert decide(notice(), Facts(), Rules(), night, ZONE) == Later(morning)
    ends = notice(ends_at=morning)
    assert decide(ends, Facts(), Rules(), night, ZONE) == Skip(Reason.TOO_LATE)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    st.times(),
    st.times(),
    st.sampled_from(["Europe/Oslo", "Asia/Jerusalem", "America/New_York"]),
)
def test_nobody_is_told_in_quiet_hours(now: datetime, start: time, end: time, place: str) -> None:
    zone, rules = ZoneInfo(place), Rules(quiet=(start, end))
    decision = decide(notice(), Facts(), rules, now, zone)
    local = now.astimezone(zone).time()
    quiet = start <= local < end if start <= end else local >= start or local < end
    assert isinstance(decision, Later if quiet else Tell)
    if isinstance(decision, Later):
        assert decision.at > now
        assert isinstance(decide(notice(), Facts(), rules, decision.at, zone), Tell)


@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ({"title": " "}, "title"),
        ({"texts": {}}, "texts"),
        ({"texts": {"en": "x" * (LONGEST_TEXT + 1)}}, "texts"),
        ({"flow": "none"}, "flow"),
        ({"audience": Audience()}, "audience"),
        ({"audience": Audience(everyone=True, topic="parcel")}, "audience"),
    ],
)
def test_what_cannot_be_told_is_refused_with_its_place(wrong: dict[str, Any], at: str) -> None:
    with pytest.raises(NoticeFault) as told:
        check(notice(**wrong), ())
    assert told.value.at == at


def test_the_words_are_in_the_customers_language_else_in_the_desks_first_that_has_them() -> None:
    texts = {"nl": "hallo", "he": "שלום"}
    assert text_for(texts, "he", ("en", "nl")) == "שלום"
    assert text_for(texts, "nb", ("en", "nl")) == "hallo"


def test_a_desk_without_the_section_has_the_usual_rules() -> None:
    assert rules_from(None) == Rules()
    own = rules_from({"quiet_hours": "off", "per_minute": 6, "campaign_every": 0})
    assert own.gap == timedelta(seconds=10)
    assert own.campaign_every == timedelta()
    assert own.quiet[0] == own.quiet[1]


# ── the house ──────────────────────────────────────────────────────────────────────────────────────────────────────
class House:
    def __init__(self, core: Rooms) -> None:
        self.core = core
        self.notices = telling.Notices(lambda: DESK)
        core.ringers[telling.LIST] = self.notices.list_due
        core.ringers[telling.ONE] = self.notices.one_due
        core.storage.wiring.subscribers = {SendSettled: [self.notices.on_send_settled]}

    async def knows(self, *names: str) -> list[str]:
        for name in names:
            await self.core.hears("hello", name)
        return [await self.core.customer(name) for name in names]

    async def approved(self, wanted: Notice) -> Notice:
        def unit(tx: Any) -> Notice:
            return self.notices.approve(tx, self.notices.draft(tx, wanted, "ada").id, "ola")

        return await self.core.storage.write(unit)

    async def minutes_pass(self, minutes: int = 5) -> None:
        for _ in range(minutes * 2):
            await self.core.timers.run()
            self.core.clock.passes(seconds=30)
        await self.core.timers.run()

    async def told(self, customer_id: str) -> list[str]:
        said = await self.core.storage.read(lambda conn: history.latest(conn, customer_id))
        return [one.body.text for one in said if "notice" in one.meta]

    async def people(self, notice_id: str) -> dict[str, tuple[str, str | None]]:
        p = t.notice_people
        rows = await self.core.storage.read(
            lambda conn: conn.execute(select(p).where(p.c.notice_id == notice_id)).all()
        )
        return {row.customer_id: (row.state, row.reason) for row in rows}

    async def progress(self, notice_id: str) -> store.Progress:
        return (await self.core.storage.read(lambda conn: store.progress(conn, [notice_id])))[notice_id]

    async def state(self, notice_id: str) -> State:
        found = await self.core.storage.read(lambda conn: store.notice(conn, notice_id))
        assert found is not None
        return found.state

    async def has_case(self, customer_id: str, **values: Any) -> None:
        usual = {"id": new_id(), "customer_id": customer_id, "status": "resolved", "channel": "paper", "locale": "en"}
        row = {**usual, "opened_at": NOON, "updated_at": NOON, **values}
        await self.core.storage.write(lambda tx: tx.conn.execute(insert(t.cases).values(**row)))


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    async with rooms(database_url) as core:
        yield House(core)


async def test_everybody_affected_is_told_once_in_their_language_and_then_it_is_over(house: House) -> None:
    kari, ola, per = await house.knows("kari", "ola", "per")
    await house.core.storage.write(
        lambda tx: tx.conn.execute(update(t.customers).where(t.customers.c.id == ola).values(locale="nl"))
    )
    await house.has_case(kari, topic="parcel")
    await house.has_case(ola, topic="parcel", opened_at=NOON - timedelta(days=3))
    await house.has_case(per, topic="refund")
    made = await house.approved(notice(audience=Audience(topic="parcel", since=NOON - timedelta(days=7))))
    await house.minutes_pass()
    assert await house.told(kari) == ["Parcels are a day late."]
    assert await house.told(ola) == ["Pakjes komen een dag later."]
    assert await house.told(per) == []
    assert await house.state(made.id) is State.TOLD
    came = await house.core.storage.read(lambda conn: store.progress(conn, [made.id]))
    assert (came[made.id].told, came[made.id].waiting, came[made.id].skipped) == (2, 0, {})


async def test_an_audience_larger_than_a_batch_is_told_at_its_pace(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "BATCH", 2)
    everybody = await house.knows("a", "b", "c", "d", "e")
    made = await house.approved(notice())
    await house.core.timers.run()
    assert sorted((await house.people(made.id)).values()).count(("told", None)) == 1  # sixty a minute: one a second
    house.core.clock.passes(seconds=2)
    await house.core.timers.run()
    assert sorted((await house.people(made.id)).values()).count(("told", None)) == 3
    await house.minutes_pass()
    assert [await house.told(one) for one in everybody] == [["Parcels are a day late."]] * 5


async def test_the_night_does_not_bunch_up_whom_it_holds_back(house: House) -> None:
    """Who would have been told at night is told from the morning on, at the same pace."""
    await house.knows("a", "b", "c", "d", "e")
    house.core.clock.now = datetime(2026, 3, 9, 19, 59, 59, tzinfo=UTC)  # a second before nine in Amsterdam
    made = await house.approved(notice())
    await house.core.timers.run()
    assert sorted((await house.people(made.id)).values()).count(("told", None)) == 1
    house.core.clock.now = datetime(2026, 3, 10, 7, tzinfo=UTC)
    await house.core.timers.run()
    assert sorted((await house.people(made.id)).values()).count(("told", None)) == 2
    await house.minutes_pass(1)
    assert sorted((await house.people(made.id)).values()).count(("told", None)) == 5


async def test_after_a_downtime_a_notice_goes_on_at_its_pace(house: House) -> None:
    """A dozen are overdue at once: they leave one a second all the same, and none is forgotten."""
    await house.knows(*"abcdefghijkl")
    made = await house.approved(notice())
    await house.core.timers.run()
    house.core.clock.passes(minutes=10)
    seconds = []
    while (came := (await house.progress(made.id))).waiting:
        await house.core.timers.run()
        seconds.append((await house.progress(made.id)).told - came.told)
        house.core.clock.passes(seconds=1)
    assert seconds[0] == 1 + GRACE // timedelta(seconds=1)
    assert seconds[1:] == [1] * (11 - seconds[0])
    assert await house.state(made.id) is State.TOLD


async def test_what_has_not_left_when_the_night_begins_leaves_in_the_morning(house: House) -> None:
    """The platform is down over nine o'clock: nobody is told in the night, and it stays one message, once."""
    (kari,) = await house.knows("kari")
    await house.core.deliver()
    house.core.sender.sent.clear()
    house.core.clock.now = datetime(2026, 3, 9, 19, 59, tzinfo=UTC)  # a minute before nine in Amsterdam
    made = await house.approved(notice())
    house.core.sender.script = [NotSent("down", retry_after=120)]
    await house.core.timers.run()
    await house.core.deliver()
    assert await house.state(made.id) is State.TOLD
    for moment in (datetime(2026, 3, 9, 20, 5, tzinfo=UTC), datetime(2026, 3, 10, 6, 59, tzinfo=UTC)):
        house.core.clock.now = moment
        await house.core.deliver()
        await house.core.timers.run()
        await house.core.deliver()
        assert house.core.sender.sent == []
        assert await house.people(made.id) == {kari: ("waiting", None)}
        assert await house.state(made.id) is State.APPROVED
    house.core.clock.now = datetime(2026, 3, 10, 7, tzinfo=UTC)
    for _ in range(2):
        await house.core.timers.run()
        await house.core.deliver()
    assert house.core.sender.texts == ["Parcels are a day late."]
    assert await house.told(kari) == ["Parcels are a day late."]
    assert await house.people(made.id) == {kari: ("told", None)}
    assert await house.state(made.id) is State.TOLD


async def test_what_may_have_left_before_the_night_is_asked_about_and_not_said_again(house: House) -> None:
    """The connection broke in the last second: the night does not make an unanswered question of it."""
    (kari,) = await house.knows("kari")
    await house.core.deliver()
    house.core.sender.sent.clear()
    house.core.clock.now = datetime(2026, 3, 9, 19, 59, 59, tzinfo=UTC)
    made = await house.approved(notice())
    house.core.sender.script, house.core.sender.verdicts = [OSError("reset")], [Sent("ext")]
    await house.core.timers.run()
    await house.core.deliver()
    for moment in (datetime(2026, 3, 9, 20, 1, tzinfo=UTC), datetime(2026, 3, 10, 7, tzinfo=UTC)):
        house.core.clock.now = moment
        await house.core.deliver()
        await house.core.timers.run()
        await house.core.deliver()
    assert (len(house.core.sender.tried), house.core.sender.sent) == (2, [])  # the echo, and this
    assert len(house.core.sender.asked) == 1
    assert await house.people(made.id) == {kari: ("told", None)}


async def test_what_was_called_off_does_not_leave_when_the_platform_is_back(house: House) -> None:
    await house.knows("kari", "ola", "per")
    await house.core.deliver()
    house.core.sender.sent.clear()
    made = await house.approved(notice())
    await house.core.timers.run()
    await house.core.deliver()
    house.core.clock.passes(seconds=1)
    house.core.sender.script = [NotSent("down", retry_after=60)]
    await house.core.timers.run()
    await house.core.deliver()
    await house.core.storage.write(lambda tx: house.notices.cancel(tx, made.id, "ola"))
    house.core.clock.passes(minutes=5)
    await house.core.timers.run()
    await house.core.deliver()
    assert house.core.sender.texts == ["Parcels are a day late."]
    assert sorted((await house.people(made.id)).values(), key=str) == [
        ("skipped", "cancelled"),
        ("skipped", "cancelled"),
        ("told", None),
    ]


async def test_what_has_not_left_when_its_notice_ends_does_not_leave(house: House) -> None:
    (kari,) = await house.knows("kari")
    await house.core.deliver()
    house.core.sender.sent.clear()
    made = await house.approved(notice(ends_at=NOON + timedelta(hours=1)))
    house.core.sender.script = [NotSent("down", retry_after=3_600)]
    await house.core.timers.run()
    await house.core.deliver()
    house.core.clock.passes(hours=1)
    await house.core.deliver()
    await house.core.timers.run()
    assert house.core.sender.sent == []
    assert await house.people(made.id) == {kari: ("skipped", "too_late")}
    assert await house.state(made.id) is State.TOLD


async def test_who_became_another_is_found_by_the_name_they_had(house: House) -> None:
    kari, ola, per = await house.knows("kari", "ola", "per")
    await house.core.storage.write(lambda tx: merging.merge(tx, ola, per, "linked"))
    await house.core.storage.write(lambda tx: merging.merge(tx, kari, ola, "linked"))
    named = Audience(customers=(per, ola, per))
    assert await house.core.storage.read(lambda conn: store.affected(conn, named, None, 10)) == ([kari], None)


async def test_nobody_hears_it_twice_when_two_customers_turn_out_to_be_one(house: House) -> None:
    kari, ola = await house.knows("kari", "ola")
    made = await house.approved(notice())
    await house.core.timers.run()  # the first of the two
    told = kari if await house.told(kari) else ola
    winner, loser = (kari, ola) if told == kari else (ola, kari)
    await house.core.storage.write(lambda tx: merging.merge(tx, winner, loser, "linked"))
    await house.minutes_pass()
    assert len(await house.told(winner)) == 1
    assert sorted(state for state, _ in (await house.people(made.id)).values()) == ["skipped", "told"]


async def test_who_said_stop_is_left_alone_and_who_subscribes_is_told_again(house: House) -> None:
    house.core.inbox.takers = [Consent(lambda: DESK).take, echo]
    (kari,) = await house.knows("kari")
    await house.core.hears("/stop", "kari")
    first = await house.approved(notice())
    await house.minutes_pass(1)
    assert (await house.people(first.id))[kari] == ("skipped", "opted_out")
    await house.core.hears("/subscribe", "kari")
    second = await house.approved(notice(kind=Kind.CAMPAIGN))
    await house.minutes_pass(1)
    assert (await house.people(second.id))[kari] == ("told", None)
    said = (await house.core.storage.read(lambda conn: history.latest(conn, kari, 1)))[0]
    assert [one.value for one in said.body.choices] == [STOP]


async def test_a_campaign_repeated_just_so_long_after_it_reaches_the_same_people(house: House) -> None:
    """One less is told before them the second time, so each one's turn comes a second earlier: they wait that second."""
    house.core.inbox.takers = [Consent(lambda: DESK).take, echo]
    _, *others = await house.knows("ann", "bo", "cy")
    for name in ("ann", "bo", "cy"):
        await house.core.hears("/subscribe", name)
    begun = house.core.clock.now
    await house.approved(notice(kind=Kind.CAMPAIGN))
    await house.core.timers.run()
    for _ in range(3):
        house.core.clock.passes(seconds=1)
        await house.core.timers.run()
    house.core.clock.now = begun + timedelta(days=30)
    again = await house.approved(notice(kind=Kind.CAMPAIGN, audience=Audience(customers=others)))
    await house.core.timers.run()
    assert await house.people(again.id) == dict.fromkeys(others, ("waiting", None))
    for _ in range(3):
        house.core.clock.passes(seconds=1)
        await house.core.timers.run()
    assert await house.people(again.id) == dict.fromkeys(others, ("told", None))
    assert await house.state(again.id) is State.TOLD


async def test_the_agent_who_talks_with_a_customer_gets_it_as_a_note(house: House) -> None:
    (kari,) = await house.knows("kari")
    await house.has_case(kari, status="open", agent_id="ada")
    made = await house.approved(notice())
    await house.minutes_pass(1)
    assert (await house.people(made.id))[kari] == ("skipped", "with_a_person")
    said = await house.core.storage.read(lambda conn: history.latest(conn, kari, notes=True))
    (note,) = (one for one in said if "notice" in one.meta)
    assert note.seq is None
    assert note.author.kind is AuthorKind.SYSTEM
    assert "Parcels are a day late." in note.body.text


async def test_what_was_called_off_is_told_to_nobody_who_still_waits(house: House) -> None:
    kari, ola = await house.knows("kari", "ola")
    made = await house.approved(notice())
    await house.core.timers.run()
    await house.core.deliver()
    await house.core.storage.write(lambda tx: house.notices.cancel(tx, made.id, "ola"))
    await house.minutes_pass(1)
    assert sorted((await house.people(made.id)).values(), key=str) == [("skipped", "cancelled"), ("told", None)]
    assert len(await house.told(kari) + await house.told(ola)) == 1
    with pytest.raises(Conflict):
        await house.core.storage.write(lambda tx: house.notices.cancel(tx, made.id, "ola"))


async def test_a_draft_is_told_to_nobody_and_only_a_draft_is_changed_or_approved(house: House) -> None:
    (kari,) = await house.knows("kari")
    storage, notices = house.core.storage, house.notices
    draft = await storage.write(lambda tx: notices.draft(tx, notice(source={"spike": "parcel"}), "alarm"))
    await house.minutes_pass(1)
    assert await house.told(kari) == []
    await storage.write(lambda tx: notices.change(tx, replace(draft, title="Late parcels", source=None), "ada"))
    approved = await storage.write(lambda tx: notices.approve(tx, draft.id, "ola"))
    assert (approved.title, approved.drafted_by, approved.source) == ("Late parcels", "alarm", {"spike": "parcel"})
    for verb in (lambda tx: notices.change(tx, draft, "ada"), lambda tx: notices.approve(tx, draft.id, "ola")):
        with pytest.raises(Conflict):
            await storage.write(verb)
    with pytest.raises(NotFound):
        await storage.write(lambda tx: notices.approve(tx, "none", "ola"))


async def test_what_did_not_arrive_does_not_count_as_told(house: House) -> None:
    (kari,) = await house.knows("kari")
    made = await house.approved(notice())
    await house.core.timers.run()
    said = (await house.core.storage.read(lambda conn: history.latest(conn, kari, 1)))[0]
    event = SendSettled("o", "paper", "text", "failed", kari, None, said.id, {})
    await house.core.storage.write(lambda tx: house.notices.on_send_settled(tx, event))
    assert (await house.people(made.id))[kari] == ("skipped", "not_delivered")


async def test_who_took_over_before_it_left_reads_it_as_a_note_once(house: House) -> None:
    (kari,) = await house.knows("kari")
    made = await house.approved(notice())
    await house.core.timers.run()
    said = (await house.core.storage.read(lambda conn: history.latest(conn, kari, 1)))[0]
    await house.has_case(kari, status="open", agent_id="ada")
    for part in ("o1", "o2"):
        event = SendSettled(part, "paper", "text", "expired", kari, None, said.id, {})
        await house.core.storage.write(partial(house.notices.on_send_settled, event=event))
    assert (await house.people(made.id))[kari] == ("skipped", "with_a_person")
    timeline = await house.core.storage.read(lambda conn: history.latest(conn, kari, notes=True))
    (note,) = (one for one in timeline if "notice" in one.meta and one.seq is None)
    assert "Parcels are a day late." in note.body.text


async def test_values_of_slots_and_names_choose_too(house: House) -> None:
    kari, ola, per = await house.knows("kari", "ola", "per")
    await house.core.storage.write(
        lambda tx: tx.conn.execute(
            update(t.customers).where(t.customers.c.id == kari).values(attributes={"city": "Oslo"})
        )
    )
    by_slot = Audience(slots={"city": "Oslo"})
    named = Audience(customers=(ola, per, "nobody"))
    read = house.core.storage.read
    assert await read(lambda conn: store.affected(conn, by_slot, None, 10)) == ([kari], None)
    assert await read(lambda conn: store.affected(conn, named, None, 10)) == (sorted([ola, per]), None)
    assert await read(lambda conn: store.affected(conn, Audience(everyone=True, channel="web"), None, 10)) == ([], None)


async def test_a_notice_that_waited_for_somebody_who_is_gone_is_over(house: House) -> None:
    kari, ola = await house.knows("kari", "ola")
    made = await house.approved(notice())
    await house.core.timers.run()  # the first of the two
    waits = kari if (await house.people(made.id))[kari][0] == "waiting" else ola

    def forget(tx: Any) -> None:
        erase(tx, waits, by="test")
        house.notices.on_erased(tx, CustomerErased(waits))

    await house.core.storage.write(forget)
    assert await house.state(made.id) is State.TOLD
