"""Problems, wishes, labels, alarms and improvements over the database: what people keep, and whom they told."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import insert, select, update

from bot.console import store
from bot.desk_folder import Desk
from bot.errors import Conflict, NotFound
from bot.events import CaseChanged, Recorded, SendSettled, TeamTold, TopicGiven
from bot.flows.schema import Flow
from bot.model import Occurred, new_id
from bot.outreach import notice as notice_rules
from bot.outreach import telling
from bot.outreach.notice import Audience, State
from bot.outreach.store import affected, notice, progress
from bot.storage import merging
from bot.storage import tables as t
from bot.storage.erasure import erase
from handoff.watch import on_topic_given
from surveys.insights import happened
from surveys.insights.judging import of_cases
from surveys.insights.records import alarms, improving, labelling, problems, wishing
from surveys.insights.records import store as records
from surveys.insights.records.nouns import AlarmState, Area, LabelKind, Metric, ProblemState, WishState
from surveys.insights.records.words import amount_of, day_of
from surveys.insights.reports import REPORTS, Setting
from surveys.insights.watch import Watch
from surveys.insights.weeks import midnight, months, weeks
from surveys.rollups.facts import micros
from tests.support.rooms import Rooms, rooms

ZONE = ZoneInfo("Europe/Amsterdam")
DESK = Desk("Acme", ("en", "nl"), time_zone="Europe/Amsterdam")
ME = "console:password:Ann"


@dataclass
class House:
    rooms: Rooms
    notices: telling.Notices
    watch: Watch
    heard: list[Any]

    @property
    def now(self) -> datetime:
        return self.rooms.clock.now

    async def write(self, unit: Any) -> Any:
        return await self.rooms.storage.write(unit)

    async def read(self, query: Any) -> Any:
        return await self.rooms.storage.read(query)

    async def says(self, who: str, text: str = "hello") -> str:
        await self.rooms.hears(text, who)
        return await self.rooms.customer(who)

    async def case(self, who: str, at: datetime | None = None, **values: Any) -> str:
        """A case of somebody's that is over, unless it says otherwise."""
        customer_id, case_id = await self.says(who), new_id()
        at = at or self.now
        row = {"id": case_id, "customer_id": customer_id, "status": "closed", "channel": "web", "locale": "en"}
        row |= {"opened_at": at, "updated_at": at, "outcome": "resolved", "first_resolved_at": at + timedelta(hours=1)}
        await self.write(lambda tx: tx.conn.execute(insert(t.cases).values(**{**row, **values})))
        return case_id

    async def told(self) -> list[str]:
        """What customers have been told, once everything that is due has happened."""
        await self.rooms.timers.run()
        await self.rooms.deliver()
        return [one for one in self.rooms.sender.texts if not one.startswith("heard:")]

    async def report(self, name: str, **more: Any) -> dict[str, Any]:
        return await self.read(lambda conn: REPORTS[name](conn, Setting(self.now, ZONE, **more)))


@pytest.fixture
def one_url(tmp_path: Path) -> str:
    """Where both engines would say the same, one is asked."""
    return f"sqlite+aiosqlite:///{tmp_path / 'stafett.db'}"


@asynccontextmanager
async def house(url: str) -> AsyncIterator[House]:
    heard: list[Any] = []
    notices = telling.Notices(lambda: DESK)
    listeners: dict[type, list[Any]] = {
        TeamTold: [lambda tx, event: tx.after_commit(lambda: heard.append(event))],
        TopicGiven: [on_topic_given],
        CaseChanged: [lambda tx, event: tx.after_commit(lambda: heard.append(event))],
        SendSettled: [notices.on_send_settled],
    }
    async with rooms(url, subscribers=listeners) as found:
        found.ringers |= {telling.LIST: notices.list_due, telling.ONE: notices.one_due}
        found.storage.wiring.desk = lambda: DESK
        yield House(found, notices, Watch(found.storage, lambda: DESK, notices), heard)


# ── alarms ─────────────────────────────────────────────────────────────────────────────────────────────────────────
async def fill(here: House, per_week: dict[str, list[int]]) -> None:
    """Cases by topic and week, the last of each row in the week that goes on."""
    customer_id = await here.says("many")
    spans = weeks(here.now, max(map(len, per_week.values())), ZONE)
    rows = [
        {
            "id": new_id(),
            "customer_id": customer_id,
            "status": "closed",
            "channel": "web",
            "locale": "en",
            "topic": topic,
            "opened_at": since + timedelta(minutes=n),
            "updated_at": since,
        }
        for topic, counts in per_week.items()
        for (_, since, _), count in zip(spans[-len(counts) :], counts, strict=True)
        for n in range(count)
    ]
    await here.write(lambda tx: tx.conn.execute(insert(t.cases), rows))


def noise(seed: int, mean: int = 12, count: int = 14) -> list[int]:
    drawn = random.Random(seed)
    return [sum(drawn.random() < 0.2 for _ in range(mean * 5)) for _ in range(count)]


async def test_a_topic_that_comes_up_three_times_as_often_is_told_once_and_drafts_a_notice_that_is_not_sent(
    database_url: str,
) -> None:
    async with house(database_url) as here:
        await fill(here, {"refund": [*noise(1), 40], "parcel": [*noise(2), 12], "invoice": [*noise(3), 11]})
        await here.watch.run()
        assert [(one.key, one.values["topic"]) for one in here.heard] == [("insights_alarm", "refund")]
        here.rooms.clock.passes(hours=1)
        await here.watch.run()
        await Watch(here.rooms.storage, lambda: DESK, here.notices).run()  # another node
        assert len(here.heard) == 1
        (alarm,) = await here.read(records.alarms)
        assert (alarm.topic, alarm.cases, alarm.state) == ("refund", 40, AlarmState.OPEN)
        draft = await here.read(lambda conn: notice(conn, alarm.notice_id))
        assert draft.state is State.DRAFT
        assert set(draft.texts) == {"en", "nl"}
        assert draft.audience == Audience(topic="refund", since=draft.audience.since)
        here.rooms.clock.passes(days=2)
        assert await here.told() == []
        report = await here.report("issues")
        assert report["alarms"][0]["topic"] == "refund"
        assert next(one["cases"][-1] for one in report["topics"] if one["topic"] == "refund") == 40


async def test_what_a_flow_calls_a_topic_is_called_as_the_flow_is_and_in_the_desks_own_words(one_url: str) -> None:
    """ "We see that something is not going well with: order_status" is no sentence for a customer."""
    flow = Flow("order_status", 1, "hash", (), title={"en": "Where is my order", "nl": "Waar is mijn bestelling"})
    own = {"insights_draft_text": {"nl": "Er hapert iets aan: {{ topic }}."}}
    desk = replace(DESK, flows={flow.id: flow}, texts=own)
    async with house(one_url) as here:
        await fill(here, {"order_status": [*noise(1), 40], "invoice": [*noise(3), 11]})
        await Watch(here.rooms.storage, lambda: desk, here.notices).run()
        assert [one.values["topic"] for one in here.heard] == ["Where is my order"]
        (alarm,) = await here.read(records.alarms)
        draft = await here.read(lambda conn: notice(conn, alarm.notice_id))
        assert draft.title.startswith("Where is my order (")
        assert draft.texts["nl"] == "Er hapert iets aan: Waar is mijn bestelling."
        assert draft.texts["en"].startswith("We see that something is not going well with: Where is my order.")
        assert (alarm.topic, draft.audience.topic) == ("order_status", "order_status")


async def test_flat_noise_raises_no_alarm(one_url: str) -> None:
    async with house(one_url) as here:
        await fill(here, {f"topic {n}": noise(10 + n, count=20) for n in range(5)})
        await here.watch.run()
        assert here.heard == []
        assert await here.read(records.alarms) == []


async def test_an_alarm_is_dismissed_or_becomes_a_problem_with_its_cases_once(one_url: str) -> None:
    async with house(one_url) as here:
        await fill(here, {"refund": [*noise(1), 40], "invoice": [*noise(3), 11]})
        await here.watch.run()
        (alarm,) = await here.read(records.alarms)
        made = await here.write(lambda tx: alarms.to_problem(tx, alarm.id, "Refunds fail", ZONE, ME))
        assert len(await here.read(lambda conn: records.linked(conn, made.id, 100))) == 40
        with pytest.raises(Conflict):
            await here.write(lambda tx: alarms.dismiss(tx, alarm.id, ME))
        with pytest.raises(NotFound):
            await here.write(lambda tx: alarms.dismiss(tx, "none", ME))


# ── problems ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def a_problem(here: House, *cases: str, topic: str = "refund", **more: Any) -> str:
    made = await here.write(lambda tx: problems.open_problem(tx, "Refunds fail", ME, topic=topic))
    words = {"title": made.title, "topic": topic, "cause": "a typo", "owner": "Bo", "fix": "corrected", "due_on": None}
    message = {"en": "Refunds work again.", "nl": "Terugbetalen werkt weer."}
    values = {**words, "message": message, "fixing": True, **more}
    await here.write(lambda tx: problems.change_problem(tx, made.id, ME, **values))
    await here.write(lambda tx: problems.link_cases(tx, made.id, cases, ME))
    return str(made.id)


async def test_closing_a_problem_tells_each_waiting_customer_once_but_not_who_opted_out(database_url: str) -> None:
    async with house(database_url) as here:
        cases = [await here.case(who) for who in ("ann", "ann", "bo", "cy")]
        cy = await here.rooms.customer("cy")
        await here.write(
            lambda tx: tx.conn.execute(update(t.customers).where(t.customers.c.id == cy).values(opted_out=True))
        )
        problem_id = await a_problem(here, *cases, "no such case")
        fixed = await here.write(lambda tx: problems.close(tx, here.notices, problem_id, ME))
        await here.told()
        here.rooms.clock.passes(minutes=1)  # one customer after the other
        assert await here.told() == ["Refunds work again."] * 2
        here.rooms.clock.passes(days=1)
        assert len(await here.told()) == 2
        came = (await here.read(lambda conn: progress(conn, [fixed.notice_id])))[fixed.notice_id]
        assert (came.told, dict(came.skipped)) == (2, {"opted_out": 1})
        with pytest.raises(Conflict):
            await here.write(lambda tx: problems.close(tx, here.notices, problem_id, ME))


async def test_however_many_wait_for_a_fix_all_are_told_batch_by_batch(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than can be named one by one, linked by their topic at one press; somebody linked twice is told once."""
    monkeypatch.setattr(telling, "BATCH", 2)
    monkeypatch.setattr(notice_rules, "MOST_NAMED", 3)
    async with house(database_url) as here:
        for who in ("ann", "bo", "cy", "dag", "eli"):
            await here.case(who, topic="refund")
        await here.case("ann", topic="refund")
        await here.case("fay", topic="parcel")
        problem_id = await a_problem(here)
        since, until = here.now - timedelta(days=1), here.now + timedelta(days=1)
        for added in (6, 0):
            count = await here.write(lambda tx: problems.link_topic(tx, problem_id, "refund", since, until, ME))
            assert count == added
        assert await here.read(lambda conn: records.linked_in_all(conn, problem_id)) == (6, 5)
        assert len(await here.read(lambda conn: records.linked(conn, problem_id, 2))) == 2
        fixed = await here.write(lambda tx: problems.close(tx, here.notices, problem_id, ME))
        for _ in range(6):
            await here.told()
            here.rooms.clock.passes(seconds=2)
        assert await here.told() == ["Refunds work again."] * 5
        came = (await here.read(lambda conn: progress(conn, [fixed.notice_id])))[fixed.notice_id]
        assert (came.told, came.waiting) == (5, 0)


async def test_a_topic_is_the_tag_or_else_the_flow_and_its_notice_is_for_both(database_url: str) -> None:
    async with house(database_url) as here:
        await here.case("ann", topic="refund")
        await here.case("bo", topic=None, flow="refund")
        await here.case("cy", topic="parcel", flow="refund")
        found, _ = await here.read(lambda conn: affected(conn, Audience(topic="refund"), None, 10))
        assert set(found) == {await here.rooms.customer("ann"), await here.rooms.customer("bo")}


async def test_nobody_is_told_at_night(one_url: str) -> None:
    async with house(one_url) as here:
        problem_id = await a_problem(here, await here.case("ann"))
        here.rooms.clock.passes(hours=10)  # 23:00 in Amsterdam
        await here.write(lambda tx: problems.close(tx, here.notices, problem_id, ME))
        here.rooms.clock.passes(minutes=5)
        assert await here.told() == []
        here.rooms.clock.passes(hours=9)
        assert await here.told() == ["Refunds work again."]


async def test_what_comes_back_after_the_fix_is_counted_and_verification_has_its_day(one_url: str) -> None:
    async with house(one_url) as here:
        for days in (1, 2, 3, 20):
            await here.case("ann", here.now - timedelta(days=days), topic="refund")
        problem_id = await a_problem(here)
        with pytest.raises(Conflict):
            await here.write(lambda tx: problems.verify(tx, problem_id, date(2026, 3, 9), ME))
        await here.write(lambda tx: problems.close(tx, here.notices, problem_id, ME))
        here.rooms.clock.passes(days=7)
        await here.case("bo", here.now - timedelta(days=1), topic="refund")
        (item,) = (await here.report("problems"))["items"]
        assert item["recurrence"] == {"before": 3, "after": 1, "days": 7, "all_after": 1}
        with pytest.raises(Conflict, match="before it is there"):
            await here.write(lambda tx: problems.verify(tx, problem_id, date(2026, 3, 1), ME))
        done = await here.write(lambda tx: problems.verify(tx, problem_id, date(2026, 3, 16), ME))
        assert (done.state, done.verified_on) == (ProblemState.VERIFIED, date(2026, 3, 16))
        assert (await here.report("problems"))["items"][0]["verified_on"] == "2026-03-16"


async def test_all_that_is_overdue_is_named_to_the_team_ten_at_most(one_url: str) -> None:
    async with house(one_url) as here:
        for day in range(12):
            await a_problem(here, due_on=date(2026, 2, 25) + timedelta(days=day), owner="")
        await here.watch.run()
        [told] = here.heard
        lines = str(told.values["problems"]).splitlines()
        assert (told.values["count"], len(lines)) == (12, 11)
        assert lines[0] == "• Refunds fail: 12 days late (–)"
        assert lines[-1] == "… +2"


async def test_a_problem_lists_its_cases_those_that_are_still_open_first(one_url: str) -> None:
    async with house(one_url) as here:
        cases = [await here.case("ann", here.now - timedelta(days=days)) for days in (3, 2, 1)]
        await here.write(lambda tx: tx.conn.execute(update(t.cases).values(status="resolved")))
        await here.write(
            lambda tx: tx.conn.execute(update(t.cases).where(t.cases.c.id == cases[0]).values(status="open"))
        )
        problem_id = await a_problem(here, *cases)
        found = await here.read(lambda conn: records.linked(conn, problem_id, 10))
        assert [(one.case_id, one.status) for one in found] == [
            (cases[0], "open"),
            (cases[2], "resolved"),
            (cases[1], "resolved"),
        ]


async def test_what_is_overdue_is_told_once_a_week_the_longest_first(one_url: str) -> None:
    async with house(one_url) as here:
        await a_problem(here, due_on=date(2026, 3, 12))
        await here.watch.run()
        assert here.heard == []
        here.rooms.clock.passes(days=7)
        await here.watch.run()
        await here.watch.run()
        [told] = here.heard
        assert (told.key, told.values["count"]) == ("insights_overdue", 1)
        assert told.values["problems"] == "• Refunds fail: 4 days late (Bo)"
        aged = (await here.report("problems"))["ageing"]
        assert [(one["age_days"], one["overdue_days"], one["stale"]) for one in aged] == [(7, 4, False)]
        here.rooms.clock.passes(days=30)
        assert (await here.report("problems"))["ageing"][0]["stale"]


# ── wishes ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def record(tx: Any, watch: Watch, who: str, case_id: str | None, kind: str, **values: Any) -> None:
    watch.on_recorded(tx, Recorded(who, case_id, kind, values))


async def test_the_same_wish_from_three_customers_is_one_item_with_three_votes_and_all_are_told_when_it_ships(
    one_url: str,
) -> None:
    async with house(one_url) as here:
        said = {
            "ann": "export my orders to Excel",
            "bo": "Excel export of my order",
            "cy": "I need an Excel export for orders",
        }
        for who, text in [*said.items(), ("ann", "export my orders to Excel")]:
            customer_id, case_id = await here.says(who), await here.case(who)
            await here.write(
                lambda tx, c=customer_id, k=case_id, x=text: record(tx, here.watch, c, k, "feature_request", text=x)
            )
        (item,) = (await here.report("wishes"))["items"]
        assert item["votes"] == 3
        assert (await here.report("labels"))["counts"] == [{"kind": "suggestion", "area": "product", "n": 4}]
        wish_id = item["id"]
        message = {"en": "Excel is here."}
        await here.write(
            lambda tx: wishing.change_wish(tx, wish_id, ME, title="Excel", area=None, message=message, planned=True)
        )
        shipped = await here.write(lambda tx: wishing.ship(tx, here.notices, wish_id, ME))
        assert shipped.state is WishState.SHIPPED
        await here.told()
        here.rooms.clock.passes(minutes=5)
        assert await here.told() == ["Excel is here."] * 3


async def test_however_much_a_customer_writes_their_turn_goes_on_and_what_comes_of_it_can_be_kept(one_url: str) -> None:
    async with house(one_url) as here:
        customer_id, case_id = await here.says("ann"), await here.case("ann")
        for kind, text in (("complaint", "slow " * 900), ("feature_request", f"https://shop.example/{'a' * 4_500}")):
            await here.write(lambda tx, k=kind, x=text: record(tx, here.watch, customer_id, case_id, k, text=x))
        assert [len(one["text"]) for one in (await here.report("labels"))["items"]] == [4_000, 3_999]
        (item,) = (await here.report("wishes"))["items"]
        values = {"title": item["title"], "area": None, "message": {"en": "It is here."}, "planned": True}
        await here.write(lambda tx: wishing.change_wish(tx, item["id"], ME, **values))
        shipped = await here.write(lambda tx: wishing.ship(tx, here.notices, item["id"], ME))
        assert shipped.notice_id is not None


@pytest.mark.parametrize("typed", ["0002-03-09", "9999-12-31", "tomorrow"])
def test_a_day_that_a_slip_of_the_finger_makes_is_none(typed: str) -> None:
    with pytest.raises(Conflict, match="is no day"):
        day_of(typed)


@pytest.mark.parametrize(
    ("typed", "amount"), [("12 500", 12_500), ("12500,5", 12_500.5), ("0.125", 0.125), (" ", None)]
)
def test_an_amount_is_read_with_a_point_or_a_comma(typed: str, amount: float | None) -> None:
    assert amount_of(typed) == amount


@pytest.mark.parametrize("typed", ["12,500", "1.000", "1.000,50", "-1", "nan", "much"])
def test_an_amount_that_may_mean_another_is_asked_for_again(typed: str) -> None:
    with pytest.raises(Conflict, match="is no amount"):
        amount_of(typed)


async def test_wishes_that_are_merely_alike_are_joined_by_a_person_and_parted_again(one_url: str) -> None:
    async with house(one_url) as here:
        for who, text in (
            ("ann", "export the orders to Excel"),
            ("bo", "export the orders as a PDF"),
            ("ann", "a dark theme"),
        ):
            customer_id = await here.says(who)
            await here.write(
                lambda tx, c=customer_id, x=text: record(tx, here.watch, c, None, "feature_request", wish=x)
            )
        report = await here.report("wishes")
        assert [one["votes"] for one in report["items"]] == [1, 1, 1]
        (pair,) = report["proposals"]
        into = await here.write(lambda tx: wishing.merge(tx, pair["wish"], pair["may_be"], ME))
        assert into.votes == 2
        assert (await here.report("wishes"))["proposals"] == []
        vote = (await here.read(lambda conn: records.votes(conn, into.id)))[1]
        parted = await here.write(lambda tx: wishing.part(tx, into.id, vote.id, ME))
        assert parted.title == "export the orders as a PDF"
        with pytest.raises(Conflict):
            await here.write(lambda tx: wishing.merge(tx, into.id, into.id, ME))
        with pytest.raises(Conflict):
            await here.write(lambda tx: wishing.merge(tx, pair["wish"], into.id, ME))


@pytest.mark.parametrize("reworded", [False, True])
@pytest.mark.parametrize("others", [0, 1])
async def test_a_wish_is_not_called_by_the_words_of_a_customer_who_was_forgotten(
    database_url: str, others: int, reworded: bool
) -> None:
    """Not in its record, nor its notice, nor what was written of it before it was reworded; who else has it, in other words,
    gives it a name.
    """
    async with house(database_url) as here:
        kari = await here.says("ann")
        words = "Kari Hansen wants green socks"
        await here.write(lambda tx: record(tx, here.watch, kari, None, "feature_request", wish=words))
        (wish,) = await here.read(records.wishes)
        if others:
            ola = await here.says("bo")
            await here.write(lambda tx: record(tx, here.watch, ola, None, "feature_request", wish="socks in green"))
            (second,) = [one for one in await here.read(records.wishes) if one.id != wish.id]
            await here.write(lambda tx: wishing.merge(tx, second.id, wish.id, ME))
        message = {"title": words, "area": None, "message": {"en": "Here they are."}, "planned": False}
        await here.write(lambda tx: wishing.change_wish(tx, wish.id, ME, **message))
        if reworded:
            await here.write(lambda tx: wishing.change_wish(tx, wish.id, ME, **message | {"title": "Socks"}))
        await here.write(lambda tx: wishing.ship(tx, here.notices, wish.id, ME))
        erased = await here.write(lambda tx: erase(tx, kari, by="test"))
        assert erased.left[-1] == "what the week's post and webhooks told of 1 wish of theirs"
        named = [one.title for one in await here.read(records.wishes)]
        assert named == (["Socks"] if reworded else ["socks in green"] if others else [])
        for table in (t.wishes, t.notices, t.audit, t.outbox):
            rows = await here.read(lambda conn, table=table: conn.execute(select(table)).all())
            assert "Kari" not in str(rows), table.name
        lines = await here.read(lambda conn: store.audit(conn, None, 100))
        told = {one.data["wish"] for one in lines if one.what == "console: wish shipped"}
        assert told == {*named} or (told, named) == ({"–"}, [])


async def test_a_wish_keeps_the_name_that_a_colleague_gave_it_before_a_customer_said_the_same(one_url: str) -> None:
    async with house(one_url) as here:
        await here.write(lambda tx: wishing.add_wish(tx, "Dark theme", ME))
        here.rooms.clock.passes(minutes=5)
        kari = await here.says("ann")
        await here.write(lambda tx: record(tx, here.watch, kari, None, "feature_request", wish="Dark theme"))
        (wish,) = await here.read(records.wishes)
        assert wish.votes == 1
        await here.write(lambda tx: erase(tx, kari, by="test"))
        (wish,) = await here.read(records.wishes)
        assert (wish.title, wish.votes) == ("Dark theme", 0)


async def test_what_a_colleague_parted_from_a_wish_goes_with_the_customer_who_said_it(one_url: str) -> None:
    async with house(one_url) as here:
        ids = [await here.says(who) for who in ("ann", "bo")]
        for customer_id in ids:
            here.rooms.clock.passes(minutes=5)
            await here.write(
                lambda tx, c=customer_id: record(tx, here.watch, c, None, "feature_request", wish="dark theme")
            )
        (wish,) = await here.read(records.wishes)
        vote = (await here.read(lambda conn: records.votes(conn, wish.id)))[1]
        parted = await here.write(lambda tx: wishing.part(tx, wish.id, vote.id, ME))
        await here.write(lambda tx: erase(tx, ids[1], by="test"))
        assert parted.id not in {one.id for one in await here.read(records.wishes)}


async def test_somebody_with_two_histories_votes_once(one_url: str) -> None:
    async with house(one_url) as here:
        ids = [await here.says(who) for who in ("ann", "bo")]
        for customer_id in ids:
            await here.write(
                lambda tx, c=customer_id: record(tx, here.watch, c, None, "feature_request", wish="dark theme")
            )
        await here.write(lambda tx: merging.merge(tx, ids[0], ids[1], "linked"))
        assert (await here.report("wishes"))["items"][0]["votes"] == 1


# ── labels and topics ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_flows_complaint_is_corrected_by_an_agent_filtered_and_goes_with_its_customer(
    database_url: str,
) -> None:
    async with house(database_url) as here:
        customer_id, case_id = await here.says("ann"), await here.case("ann", topic="delivery")
        await here.write(
            lambda tx: record(tx, here.watch, customer_id, case_id, "complaint", text="too late", area="process")
        )
        (one,) = await here.read(lambda conn: records.labels(conn, kind="complaint", area="process", topic="delivery"))
        assert await here.read(lambda conn: records.labels(conn, topic="parcel")) == []
        await here.write(lambda tx: tx.conn.execute(update(t.cases).values(topic=None, flow="parcel")))
        (same,) = await here.read(lambda conn: records.labels(conn, topic="parcel"))
        assert (same.id, same.topic) == (one.id, "parcel"), "without a topic the flow is one, as in all figures"
        assert (one.source, one.text) == ("flow", "too late")
        await here.write(lambda tx: labelling.relabel(tx, one.id, LabelKind.SUGGESTION, Area.SERVICE, ME))
        assert await here.read(lambda conn: records.labels(conn, kind="complaint")) == []
        (one,) = await here.read(lambda conn: records.labels(conn, area="service"))
        assert (one.kind, one.source, one.by) == (LabelKind.SUGGESTION, "agent", ME)
        await here.write(lambda tx: erase(tx, customer_id, by="test"))
        assert await here.read(records.labels) == []


async def test_a_person_gives_cases_their_topic_and_the_house_hears_of_it(one_url: str) -> None:
    async with house(one_url) as here:
        said = ["where is my invoice", "I can't find my invoice", "the invoice is missing", "vegan shoes?"]
        for n, text in enumerate(said):
            customer_id, case_id = await here.says(f"v{n}", text), await here.case(f"v{n}")
            await here.write(lambda tx, c=customer_id, k=case_id: _file(tx, c, k))
        report = await here.report("unlabelled")
        (group,) = report["groups"]
        assert (report["cases"], len(group["cases"]), group["customers"]) == (4, 3, 3)
        await here.write(lambda tx: labelling.give_topic(tx, group["cases"], "invoices", ME))
        assert len([one for one in here.heard if isinstance(one, CaseChanged)]) == 3
        assert (await here.report("issues"))["topics"][0]["topic"] == "invoices"
        assert (await here.report("unlabelled"))["groups"] == []
        with pytest.raises(Conflict):
            await here.write(lambda tx: labelling.give_topic(tx, [], "invoices", ME))


def _file(tx: Any, customer_id: str, case_id: str) -> None:
    m = t.messages
    tx.conn.execute(update(m).where(m.c.customer_id == customer_id).values(case_id=case_id))


# ── leaving ────────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_rate_of_leaving_needs_another_systems_word_and_risk_does_not(database_url: str) -> None:
    async with house(database_url) as here:
        for n in range(20):
            await here.case(f"c{n}", here.now - timedelta(days=90), outcome="no_solution" if n < 5 else "resolved")
        report = await here.report("churn")
        assert report["rate"] is None
        assert report["risk"]["signs"] == {"silent": 5, "unsolved": 5}
        left = [await here.rooms.customer(f"c{n}") for n in range(4)]
        here.rooms.clock.passes(days=-20)
        for n, customer_id in enumerate(left):
            event = Occurred("customer.left", {"reason": "price" if n else "delivery", "value": 100.0})
            for _ in range(2):  # told twice, counted once
                await here.write(lambda tx, c=customer_id, n=n, e=event: here.watch.on_occurred(tx, c, f"{c}:{n}", e))
        here.rooms.clock.passes(days=20)
        rate = (await here.report("churn"))["rate"]
        month = months(here.now, 1, ZONE)[0][0]
        (period,) = rate["periods"]
        assert (period["month"], period["active"], period["lost"], period["rate"]) == (month, 20, 4, 0.2)
        assert (period["value_rate"], period["value_known"]) == (None, 4), (
            "of those who left alone it would be all, always"
        )
        assert rate["reasons"] == [{"reason": "price", "n": 3}, {"reason": "delivery", "n": 1}]
        assert rate["trend"] is None
        for n, by_value in ((4, None), (5, 0.2)):
            stay = [await here.rooms.customer(f"c{9 + one}") for one in range(n)]
            worth = update(t.customers).where(t.customers.c.id.in_(stay)).values(attributes={"value": 100})
            await here.write(lambda tx, worth=worth: tx.conn.execute(worth))
            (period,) = (await here.report("churn"))["rate"]["periods"]
            assert (period["value_rate"], period["value_known"]) == (by_value, 4 + n), "worth as much as the others"


async def test_who_has_left_is_at_risk_no_more_and_leaves_for_one_reason_however_often_it_is_told(
    database_url: str,
) -> None:
    async with house(database_url) as here:
        for n in range(3):
            await here.case(f"c{n}", here.now - timedelta(days=9), outcome="no_solution")
        gone = await here.rooms.customer("c0")

        async def tells(kind: str, reason: str | None, key: str) -> None:
            event = Occurred(f"customer.{kind}", {"reason": reason})
            await here.write(lambda tx: here.watch.on_occurred(tx, gone, key, event))

        for key, reason in (("a", "price"), ("b", None), ("c", "service")):
            await tells("left", reason, key)
        report = await here.report("churn")
        assert (report["risk"]["looked_at"], report["risk"]["at_risk"], report["risk"]["signs"]) == (
            2,
            2,
            {"unsolved": 2},
        )
        assert gone not in {one["id"] for one in report["risk"]["customers"]}
        assert report["rate"]["reasons"] == [{"reason": "service", "n": 1}]
        await tells("back", None, "d")
        report = await here.report("churn")
        assert (report["risk"]["looked_at"], report["risk"]["at_risk"]) == (3, 3)
        assert report["rate"]["reasons"] == [{"reason": "service", "n": 1}]


# ── improvements ───────────────────────────────────────────────────────────────────────────────────────────────────
def scored(seed: int, start: datetime, share: float, topic: str, count: int = 400) -> Iterator[dict[str, Any]]:
    drawn = random.Random(seed)
    for n in range(count):
        at = start + timedelta(days=27.9 * n / count)
        yield {
            "id": new_id(),
            "instrument": "csat5",
            "score": 5.0 if drawn.random() < share else 2.0,
            "at": at,
            "topic": topic,
            "channel": "web",
            "extra": {},
        }


async def judged(
    here: House, before: float, after: float, elsewhere: tuple[float, float] = (0.8, 0.8)
) -> dict[str, Any]:
    """A record on the topic "refund" whose change was 28 days ago, with known shares of happy customers."""
    change = here.now.replace(hour=0) - timedelta(days=28, hours=1)
    rows = [
        *scored(1, change - timedelta(days=28), before, "refund"),
        *scored(2, change, after, "refund"),
        *scored(3, change - timedelta(days=28), elsewhere[0], "parcel"),
        *scored(4, change, elsewhere[1], "parcel"),
    ]
    await here.write(lambda tx: tx.conn.execute(insert(t.survey_responses), rows))
    return await judged_by(here, Metric.CSAT)


async def judged_by(here: House, metric: Metric) -> dict[str, Any]:
    """A record on the topic "refund" whose change was 28 days ago, as the report has it."""
    values = {"title": "Refund by one press", "what": "", "starts_on": date(2026, 2, 9), "days": 28, "currency": "EUR"}
    rest = {"scope": {"topic": "refund"}, "metric": metric, "cost": 100.0, "unit_value": 10.0}
    then, here.rooms.clock.now = here.now, here.now - timedelta(days=60)
    await here.write(lambda tx: improving.put(tx, None, ME, ZONE, **values, **rest))
    here.rooms.clock.now = then
    return (await here.report("improvements"))["items"][0]


async def test_a_known_effect_is_found_with_its_interval_and_return(database_url: str) -> None:
    async with house(database_url) as here:
        found = await judged(here, 0.6, 0.85)
        assert (found["says"], found["evidence"], found["helped"]) == ("it helped", True, True)
        low, high = found["beyond_elsewhere"]["interval"]
        assert low <= 0.25 <= high
        assert found["effect"]["n_after"] == 400
        assert found["return"]["interval"][0] > 0
        assert found["doubts"] == []


async def test_no_effect_says_no_evidence_and_how_many_more_cases_it_takes(one_url: str) -> None:
    async with house(one_url) as here:
        found = await judged(here, 0.8, 0.8)
        assert found["evidence"] is False
        assert found["helped"] is None
        assert found["says"] == f"no evidence yet; about {found['more_needed']} more cases needed"
        assert found["more_needed"] > 100


async def test_an_improvement_tells_no_score_of_fewer_than_five_answers(one_url: str) -> None:
    """Neither before, nor after, nor in a week: a single answer stays between the customer and the house."""
    async with house(one_url) as here:
        change = here.now.replace(hour=0) - timedelta(days=28, hours=1)
        rows = [*scored(1, change - timedelta(days=28), 0.6, "refund"), *list(scored(2, change, 0.8, "refund"))[:4]]
        await here.write(lambda tx: tx.conn.execute(insert(t.survey_responses), rows))
        found = await judged_by(here, Metric.CSAT)
        assert (found["effect"], found["beyond_elsewhere"], found["return"]) == (None, None, None)
        assert found["says"] == "too few cases to compare"
        few = [one for one in found["weeks"] if one["from"] >= "2026-02-09"]
        assert few
        assert {one["value"] for one in few} == {None}


async def test_the_response_rate_of_an_nps_is_that_of_its_own_question(one_url: str) -> None:
    async with house(one_url) as here:
        when = here.now - timedelta(days=1)
        asked = [("nps", f"spring/{n}", "spring", "answered" if n % 2 else "expired") for n in range(6)]
        asked += [("ces7", f"case{n}", None, "answered") for n in range(3)]
        rows = [
            {
                "id": new_id(),
                "case_id": key,
                "customer_id": "someone",
                "instrument": name,
                "state": state,
                "locale": "en",
            }
            | {"snapshot": {}, "decided_at": when, "asked_at": when, "delivered_at": when, "campaign": campaign}
            for name, key, campaign, state in asked
        ]
        await here.write(lambda tx: tx.conn.execute(insert(t.survey_invitations), rows))
        span = (when - timedelta(days=1), here.now)
        found = await here.read(lambda conn: happened.asks(conn, *span))
        asked = found.kept(found.of("instrument", "nps"))
        assert (len(asked), int(asked["answered"].sum())) == (6, 3)


async def test_what_rose_everywhere_is_not_the_changes_doing(one_url: str) -> None:
    async with house(one_url) as here:
        found = await judged(here, 0.7, 0.8, elsewhere=(0.7, 0.8))
        assert found["effect"]["interval"][0] > 0
        assert found["evidence"] is False


async def test_what_an_improvement_is_judged_by_stays_from_its_day_on(one_url: str) -> None:
    async with house(one_url) as here:
        values = {
            "title": "New form",
            "what": "",
            "days": 28,
            "scope": {},
            "currency": "",
            "cost": None,
            "unit_value": None,
        }
        day = date(2026, 3, 20)
        made = await here.write(
            lambda tx: improving.put(tx, None, ME, ZONE, starts_on=day, metric=Metric.CES, **values)
        )
        changed = await here.write(
            lambda tx: improving.put(tx, made.id, ME, ZONE, starts_on=day, metric=Metric.CSAT, **values)
        )
        assert changed.metric is Metric.CSAT
        assert not changed.chosen_late
        here.rooms.clock.passes(days=12)
        with pytest.raises(Conflict, match="settled before"):
            await here.write(
                lambda tx: improving.put(tx, made.id, ME, ZONE, starts_on=day, metric=Metric.CES, **values)
            )
        again = {**values, "what": "in words", "cost": 5.0}
        kept = await here.write(
            lambda tx: improving.put(tx, made.id, ME, ZONE, starts_on=day, metric=Metric.CSAT, **again)
        )
        assert (kept.cost, kept.metric_fixed_at) == (5.0, changed.metric_fixed_at)
        late = await here.write(
            lambda tx: improving.put(tx, None, ME, ZONE, starts_on=date(2026, 3, 1), metric=Metric.CES, **values)
        )
        assert late.chosen_late
        for wrong in ({"days": 3}, {"title": " "}, {"title": "x" * 200}):
            with pytest.raises(Conflict):
                await here.write(
                    lambda tx, w=wrong: improving.put(
                        tx, None, ME, ZONE, starts_on=day, metric=Metric.CES, **{**values, **w}
                    )
                )


def test_a_week_in_which_summer_begins_is_a_week() -> None:
    """With its hour it had gone from the contacts, the series and the return."""
    since, until = (midnight(date(2026, 3, 16) + timedelta(weeks=weeks_on), ZONE) for weeks_on in (0, 4))
    noons = np.array([micros(since + timedelta(days=day, hours=12)) for day in range(28)])
    rows = happened.Rows(noons, {}, {})
    assert list(of_cases(Metric.CONTACTS, rows, since, until).values) == [7, 7, 7, 7]  # type: ignore[union-attr]
    assert list(of_cases(Metric.CONTACTS, rows, since, until - timedelta(days=1)).values) == [7, 7, 7]  # type: ignore[union-attr]


async def test_contacts_that_did_not_come_are_counted_by_week_against_the_rest(one_url: str) -> None:
    async with house(one_url) as here:
        await fill(here, {"refund": [20] * 8 + [9] * 8 + [1], "parcel": [30] * 16 + [4]})
        values = {"title": "Refund page", "what": "", "days": 56, "scope": {"topic": "refund"}, "currency": "EUR"}
        start = weeks(here.now, 9, ZONE)[0][1].astimezone(ZONE).date()
        then, here.rooms.clock.now = here.now, here.now - timedelta(days=90)
        rest = {"metric": Metric.CONTACTS, "cost": 100.0, "unit_value": 5.0, "starts_on": start}
        await here.write(lambda tx: improving.put(tx, None, ME, ZONE, **values, **rest))
        here.rooms.clock.now = then
        (found,) = (await here.report("improvements"))["items"]
        assert (found["effect"]["before"], found["effect"]["after"], found["helped"]) == (20, 9, True)
        assert found["return"]["units"] == 88
        assert found["return"]["roi"] == pytest.approx(3.4)
        assert found["series"]["step"] == pytest.approx(-11)
