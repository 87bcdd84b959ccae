"""What figures are made of: equal to plain SQL over the raw rows, whatever changes, crashes, is replayed or forgotten."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy import Connection, delete, event, func, insert, select, text, update

from bot import figures
from bot.events import CloseAsked, CustomersMerged
from bot.staffing.hours import Hours
from bot.storage import erasure, merging, schema
from bot.storage import tables as t
from bot.storage.counts import Counts
from bot.storage.engine import Storage
from bot.storage.marks import ANSWERS, ASKS, CASES, FAMILIES, mark
from bot.storage.tx import Tx
from handoff import cases
from surveys.drawn import as_table
from surveys.figures.answer import answer
from surveys.figures.catalogue import METRICS
from surveys.figures.shape import Question
from surveys.for_api import make
from surveys.insights import happened
from surveys.report import build
from surveys.rollups import blocks, keeping, store
from surveys.rollups.facts import BACKLOG, STEPS, who
from surveys.rollups.keeping import Rollups
from surveys.rollups.raw import store as raw
from tests.support import synthetic
from tests.support.past import fill_postgresql, fill_sqlite
from tests.unit.handoff_house import House
from tests.unit.handoff_house import build as build_house

MANY = 10_000 if os.environ.get("STAFETT_TEST_LONG") else 800
DAYS = 120
NOW = synthetic.START + timedelta(days=DAYS + 1)


def always(_team: str | None) -> Hours:
    return Hours(UTC)


@dataclass
class Past:
    """A database with a made-up past, and what keeps its figures."""

    storage: Storage
    now: list[datetime] = field(default_factory=lambda: [NOW])

    @property
    def rollups(self) -> Rollups:
        return Rollups(self.storage, always, 1000)

    async def equals_recomputation(self) -> dict[str, Any]:
        """What is told now, made sure to be what all raw rows together tell."""
        for asked in (Question(by=("team", "week")), Question(by=("agent",), where=(("channel", "web"),))):
            told = await self.storage.read_apart(partial(_told, asked))
            assert told == await self.storage.read_apart(partial(_anew, asked)), asked
        return told


def _told(asked: Question, conn: Connection) -> dict[str, Any]:
    return build(asked, keeping.material(conn, asked, always, NOW), NOW)


def _anew(asked: Question, conn: Connection) -> dict[str, Any]:
    return build(asked, recomputed(conn), NOW)


def recomputed(conn: Connection, now: datetime = NOW) -> dict[str, blocks.Table]:
    """All facts from the raw rows, past everything that is kept."""
    ids = {family: store.unmade(conn, family, "") for family in FAMILIES}
    facts = {family: [fact for _, fact in raw.make(conn, family, ids[family], always).values()] for family in FAMILIES}
    facts |= {BACKLOG: raw.waiting(conn, now), STEPS: raw.steps(conn, (None, None), UTC)}
    return {family: blocks.of(family, some) for family, some in facts.items()}


@pytest_asyncio.fixture
async def past(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Past]:
    await schema.upgrade(database_url)
    made = synthetic.batches(getattr(request, "param", 60), seed=7, days=DAYS)
    if database_url.startswith("sqlite"):
        await asyncio.to_thread(fill_sqlite, Path(database_url.split("///")[1]), made)
    else:
        await fill_postgresql(database_url, made)
    found = Past(Storage(database_url, lambda: NOW))
    await found.storage.open()
    yield found
    await found.storage.close()


# ── the truth, in SQL ──────────────────────────────────────────────────────────────────────────────────────────────
SECONDS = {"sqlite": "(julianday({1}) - julianday({0})) * 86400.0", "postgresql": "extract(epoch from {1} - {0})"}
WHOLE = {
    "cases": "SELECT count(*) FROM cases",
    "resolved": "SELECT count(*) FROM cases WHERE status IN ('resolved', 'closed')",
    "escalated": "SELECT count(*) FROM cases WHERE escalated_at IS NOT NULL OR last_agent_id IS NOT NULL",
    "reopened": "SELECT count(*) FROM cases WHERE reopened > 0",
    "delivered": "SELECT count(*) FROM survey_invitations WHERE delivered_at IS NOT NULL",
    "answered": "SELECT count(*) FROM survey_invitations WHERE state = 'answered'",
}
RATES = {
    "reopened": "SELECT avg(CASE WHEN EXISTS (SELECT 1 FROM case_events e JOIN case_events s ON s.case_id = e.case_id AND"
    " s.kind = 'resolve' AND s.at <= e.at AND {s.at-e.at} <= 604800 WHERE e.case_id = c.id AND e.kind = 'reopen')"
    " THEN 1.0 ELSE 0 END) FROM cases c WHERE first_resolved_at IS NOT NULL",
    "fcr": "SELECT avg(CASE WHEN outcome = 'resolved' AND reopened = 0 AND NOT EXISTS (SELECT 1 FROM cases o WHERE"
    " o.customer_id = c.customer_id AND coalesce(o.topic, '') = coalesce(c.topic, '') AND o.opened_at > c.resolved_at AND"
    " {c.resolved_at-o.opened_at} <= 604800) THEN 1.0 ELSE 0 END) FROM cases c WHERE status = 'closed' AND"
    " {c.resolved_at-:now} >= 604800",
    "response": "SELECT avg(CASE WHEN state = 'answered' THEN 1.0 ELSE 0 END) FROM survey_invitations"
    " WHERE delivered_at IS NOT NULL",
    "bot_confirmed": "SELECT avg(CASE WHEN last_agent_id IS NULL AND outcome = 'resolved' AND resolved_by = 'customer'"
    " THEN 1.0 ELSE 0 END) FROM cases WHERE status = 'closed'",
    "bot_assumed": "SELECT avg(CASE WHEN last_agent_id IS NULL AND outcome = 'resolved' AND resolved_by = 'flow'"
    " THEN 1.0 ELSE 0 END) FROM cases WHERE status = 'closed'",
    "contained": "SELECT avg(CASE WHEN last_agent_id IS NULL THEN 1.0 ELSE 0 END) FROM cases WHERE status = 'closed'",
    "promises_kept": "SELECT avg(CASE WHEN outcome = 'kept' THEN 1.0 ELSE 0 END) FROM promises",
    "sla_first_response": "SELECT avg(CASE WHEN {met} THEN 1.0 ELSE 0 END) FROM case_events e"
    " WHERE kind = 'sla' AND {target} = 'first_response'",
    "sla_next_response": "SELECT avg(CASE WHEN {met} THEN 1.0 ELSE 0 END) FROM case_events e"
    " WHERE kind = 'sla' AND {target} = 'next_response'",
    "escalation_precision": "SELECT avg(CASE WHEN {needed} THEN 1.0 ELSE 0 END) FROM case_events e WHERE kind = 'verdict'",
}
TIMES = {
    "ttr": "SELECT {opened_at-resolved_at} AS x FROM cases WHERE status = 'closed'",
    "ttr_business": "SELECT {opened_at-resolved_at} AS x FROM cases WHERE status = 'closed'",
    "ttr_first": "SELECT {opened_at-first_resolved_at} AS x FROM cases WHERE first_resolved_at IS NOT NULL",
    "frt": "SELECT {opened_at-first_reply_at} AS x FROM cases WHERE first_reply_at IS NOT NULL",
    "frt_bot": "SELECT {c.opened_at-min(m.at)} AS x FROM cases c JOIN messages m ON m.case_id = c.id AND m.author_kind = 'bot'"
    " WHERE c.first_resolved_at IS NOT NULL OR c.last_agent_id IS NOT NULL GROUP BY c.id, c.opened_at",
    "next_response": "SELECT {min(m.at)-a.at} AS x FROM (SELECT case_id, at, lag(at) OVER (PARTITION BY case_id ORDER BY seq) AS"
    " before FROM messages WHERE author_kind = 'agent') a JOIN messages m ON m.case_id = a.case_id AND m.author_kind ="
    " 'customer' AND m.at > a.before AND m.at < a.at GROUP BY a.case_id, a.at",
    "queue_wait": "SELECT {e.at-c.at} AS x FROM case_events e JOIN case_events c ON c.case_id = e.case_id AND c.kind = 'claim'"
    " WHERE e.kind = 'escalate'",
    "wait_error": "SELECT abs({told_at-ended_at} - wait_s) AS x FROM promises",
    "waiting": "SELECT sum({e.at-x.next_at}) AS x FROM (SELECT case_id, kind, at, lead(at) OVER (PARTITION BY case_id ORDER BY n)"
    " AS next_at FROM case_events WHERE kind IN ('reply', 'customer_wrote', 'resolve', 'reopen')) x JOIN case_events e ON"
    " e.case_id = x.case_id AND e.at = x.at AND e.kind = 'reply' JOIN cases c ON c.id = x.case_id AND c.status = 'closed'"
    " WHERE x.kind = 'reply' GROUP BY x.case_id",
}
MEANS = {
    "ces7": "SELECT avg(score) FROM survey_responses WHERE instrument = 'ces7'",
    "csat5": "SELECT avg(CASE WHEN score >= 4 THEN 1.0 ELSE 0 END) FROM survey_responses WHERE instrument = 'csat5'",
    "effort": "SELECT avg(questions + handoffs + (SELECT count(*) FROM case_events e WHERE e.case_id = c.id AND e.kind = 'moved'))"
    " FROM cases c WHERE status = 'closed'",
    "wait_bias": "SELECT avg({told_at-ended_at} - wait_s) FROM promises",
}
MEDIAN = (
    "SELECT avg(x) FROM (SELECT x, row_number() OVER (ORDER BY x) AS r, count(*) OVER () AS n FROM ({query}) q) o"
    " WHERE r IN ((n + 1) / 2, (n + 2) / 2)"
)


def sql(conn: Connection, query: str) -> float:
    """The query's one number; `{a-b}` in it are the seconds from a to b, and a JSON value of an audit line by its name."""
    engine = conn.dialect.name
    for name in ("met", "needed", "target"):
        found = {"sqlite": f"json_extract(e.data, '$.{name}')", "postgresql": f"e.data ->> '{name}'"}[engine]
        is_flag = name != "target" and engine == "postgresql"
        query = query.replace(f"{{{name}}}", f"({found})::boolean" if is_flag else found)
    now = {"sqlite": f"'{NOW:%Y-%m-%d %H:%M:%S}'", "postgresql": f"'{NOW.isoformat()}'::timestamptz"}[engine]
    while "{" in query:
        start, end = query.index("{"), query.index("}")
        first, last = query[start + 1 : end].split("-")
        query = query[:start] + SECONDS[engine].format(first, last) + query[end + 1 :]
    return float(conn.execute(text(query.replace(":now", now).replace(":", r"\:"))).scalar() or 0)


@pytest.mark.parametrize("past", [MANY], indirect=True)
async def test_figures_equal_plain_sql_over_a_made_up_past(past: Past) -> None:
    """Of every metric that the made-up past holds: value, n and median as SQL counts them in the raw rows."""
    await past.rollups.catch_up()
    await past.rollups.pack()
    made = await past.rollups.ask(Question())

    def truth(conn: Connection) -> dict[str, float]:
        found = {f"count {name}": sql(conn, query) for name, query in WHOLE.items()}
        found |= {name: sql(conn, query) for name, query in (RATES | MEANS).items()}
        found |= {name: sql(conn, MEDIAN.replace("{query}", query)) for name, query in TIMES.items()}
        return found

    expected = await past.storage.read_apart(truth)
    told = {name: made.of(name).value for name in (*RATES, *MEANS, *TIMES)}
    told |= {f"count {name}": made.counts[name] for name in WHOLE}
    assert told == pytest.approx(expected, rel=1e-5, abs=1e-3)
    assert min(expected.values()) > 0


async def test_groups_add_up_to_the_whole(past: Past) -> None:
    made = await past.rollups.ask(Question(by=("topic", "channel"), metrics=("ttr", "ces7", "escalated")))
    for metric in made.metrics():
        assert sum(one.n for one in made.groups(metric)) == made.of(metric).n > 0


@pytest.mark.parametrize("past", [1], indirect=True)
@pytest.mark.parametrize("zone", [ZoneInfo("America/New_York"), UTC, ZoneInfo("Pacific/Auckland")])
async def test_a_flows_steps_stand_on_the_day_of_the_desk_on_which_they_were_counted(past: Past, zone: tzinfo) -> None:
    row = {"flow": "refund", "step": "ask", "answered": 1}
    days = {"2026-03-07": 2, "2026-03-08": 3, "2026-03-09": 4}  # in New York the clock is changed on the second

    def write(tx: Tx) -> None:
        tx.conn.execute(insert(t.step_counts), [{**row, "day": day, "reached": n} for day, n in days.items()])

    await past.storage.write(write)
    since, until = (datetime(2026, 3, day, tzinfo=zone).astimezone(UTC) for day in (8, 9))
    asked = Question(since, until, ("day",), metrics=("step_answered",), zone=zone)
    found = await past.rollups.ask(asked)
    assert [(one.by.get("day"), one.n) for one in found.figures] == [(None, 3), ("2026-03-08", 3)]


@pytest.mark.parametrize("past", [60], indirect=True)
async def test_metrics_show_the_last_month_and_make_it_once_a_minute(past: Past) -> None:
    clock = [synthetic.START + timedelta(days=60)]
    past.storage.clock = lambda: clock[0]
    rollups = past.rollups
    told = await rollups.lately()
    assert told["ttr"][1] == (await rollups.ask(Question(since=clock[0] - timedelta(days=30)))).of("ttr").n
    assert all(n >= 5 for name, (_, n) in told.items() if METRICS[name].is_score)
    clock[0] += timedelta(seconds=59)
    assert await rollups.lately() is told
    clock[0] += timedelta(seconds=1)
    assert await rollups.lately() is not told
    nobody = Counts(None, 0, {}, None, 0, {}, 0, 0, 0)
    shown = figures.render(nobody, NOW, {}, {"ces7": (5.5, 12)}).decode()
    assert 'figure{metric="ces7"} 5.5' in shown
    assert 'figure_n{metric="ces7"} 12.0' in shown


# ── kept as things change ──────────────────────────────────────────────────────────────────────────────────────────
async def test_what_is_kept_equals_recomputation_before_and_after_it_is_packed(past: Past) -> None:
    await past.equals_recomputation()
    await past.rollups.catch_up()
    await past.equals_recomputation()
    await past.rollups.pack()
    assert await past.storage.read(count_blocks) > 100
    await past.equals_recomputation()


@pytest.mark.parametrize("past", [40], indirect=True)
async def test_nothing_reads_all_facts_to_find_some(past: Past) -> None:
    """Each statement over facts goes by their ids or by their days: in a large house the writer's thread would be held up."""
    if past.storage.url.get_backend_name() != "sqlite":
        pytest.skip("SQLite is the one that chooses another way")
    await past.rollups.run()

    def plans(tx: Tx) -> list[str]:
        said: list[tuple[str, Any]] = []

        def hear(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
            if "figure_facts" in statement and not many and not statement.startswith("WITH"):
                said.append((statement, parameters))

        event.listen(tx.conn.engine, "before_cursor_execute", hear)
        ids = store.unmade(tx.conn, CASES, "")
        made = raw.make(tx.conn, CASES, ids, always)
        assert store.write(tx, store.Batch(CASES, store.progress(tx.conn).turn, ids, made))
        days = [day for day, _ in store.unpacked_days(tx.conn, CASES, 2**31 - 1)]
        assert store.pack_days(tx.conn, CASES, days).blocks
        event.remove(tx.conn.engine, "before_cursor_execute", hear)
        asked = dict(said)
        return [
            " ".join(row[3] for row in tx.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
            for statement, parameters in asked.items()
        ]

    found = await past.storage.write(plans)
    assert len(found) >= 3
    assert all("family=? AND id=?" in plan or "family=? AND day=?" in plan for plan in found), found


def count_blocks(conn: Connection) -> int:
    return int(conn.execute(select(func.count()).select_from(t.figure_blocks)).scalar() or 0)


def change_something(dice: random.Random) -> Any:
    """A late change, as the product makes it: with its mark, in the same transaction."""

    def unit(tx: Tx) -> None:
        case = dice.choice(tx.conn.execute(select(t.cases).order_by(t.cases.c.id)).all())
        match dice.randrange(4):
            case 0:  # reopened
                values = {"status": "bot", "resolved_at": None, "reopened": case.reopened + 1}
                tx.conn.execute(update(t.cases).where(t.cases.c.id == case.id).values(**values))
                mark(tx.conn, CASES, case.id)
            case 1:  # another topic
                tx.conn.execute(update(t.cases).where(t.cases.c.id == case.id).values(topic="new", team="other"))
                mark(tx.conn, CASES, case.id)
            case 2:  # an edited score
                rows = tx.conn.execute(select(t.survey_responses).order_by(t.survey_responses.c.id)).all()
                row = dice.choice(rows)
                tx.conn.execute(update(t.survey_responses).where(t.survey_responses.c.id == row.id).values(score=1.0))
                mark(tx.conn, ANSWERS, row.id)
                mark(tx.conn, ASKS, row.invitation_id)
            case _:  # back with the same topic
                made = f"later{dice.getrandbits(40):x}"
                copied = {**case._mapping, "id": made, "number": None, "status": "closed"}
                copied |= {"opened_at": (case.resolved_at or case.opened_at) + timedelta(days=dice.randrange(1, 10))}
                copied |= {
                    "resolved_at": copied["opened_at"] + timedelta(hours=1),
                    "first_resolved_at": copied["opened_at"],
                }
                tx.conn.execute(insert(t.cases).values(**copied))
                mark(tx.conn, CASES, made)

    return unit


@pytest.mark.parametrize("past", [60], indirect=True)
async def test_a_question_to_an_old_house_makes_no_past_but_says_how_much_is_still_to_come(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FAR", dict.fromkeys(FAMILIES, 20))

    def told(conn: Connection) -> dict[str, Any]:
        return make(conn, Question(), always, NOW)

    before = await past.storage.read_apart(told)
    assert before["counts"]["cases"] == 0
    assert before["pending"] == (await past.rollups.ask(Question())).pending >= 60
    assert f"{before['pending']} cases, answers" in as_table(before)
    patient = await past.storage.read_apart(lambda conn: make(conn, Question(), always, NOW, 20))
    assert (patient["pending"], patient["counts"]["cases"]) == (0, 60)
    await past.rollups.run()
    after = await past.storage.read_apart(told)
    assert (after["pending"], after["counts"]["cases"]) == (0, 60)
    assert "still being made" not in as_table(after)
    await past.equals_recomputation()


@pytest.mark.parametrize("past", [20], indirect=True)
async def test_a_new_case_makes_only_those_anew_that_it_may_be_a_return_to(past: Past) -> None:
    """The tenth case of a customer is a return to the ninth, not to the eight before it."""

    def unit(tx: Tx) -> None:
        one = tx.conn.execute(select(t.cases).where(t.cases.c.resolved_at.is_not(None)).limit(1)).one()
        for number in range(10):
            opened = NOW - timedelta(days=8 * (10 - number))
            ended = {"resolved_at": opened + timedelta(days=2), "first_resolved_at": opened + timedelta(days=2)}
            values = {
                **one._mapping,
                "id": f"often{number}",
                "number": None,
                "opened_at": opened,
            }
            tx.conn.execute(insert(t.cases).values(**values | ended))

    await past.storage.write(unit)
    returned = await past.storage.read(lambda conn: raw.returned_to(conn, ["often9"]))
    assert returned == ["often8"]


@pytest.mark.parametrize("past", [60], indirect=True)
async def test_late_changes_correct_the_day_that_they_belong_to(past: Past) -> None:
    dice = random.Random(20261122)
    await past.rollups.run()
    for turn in range(8):
        await past.storage.write(change_something(dice))
        if turn % 3 == 0:
            await past.rollups.catch_up()
        if turn % 4 == 0:
            await past.rollups.pack()
        if turn % 3:
            await past.equals_recomputation()


@pytest.mark.parametrize("past", [40], indirect=True)
async def test_a_crash_between_making_and_writing_counts_nothing_twice(past: Past) -> None:
    """The write is undone as a whole: what was marked is still marked, what was packed is still packed."""
    await past.rollups.run()
    await past.storage.write(change_something(random.Random(3)))
    before = await past.storage.read(count_blocks)
    batch = await past.storage.read_apart(lambda conn: past.rollups._of_marks(conn, CASES))
    assert batch is not None

    def dies(tx: Tx) -> None:
        assert store.write(tx, batch)
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        await past.storage.write(dies)
    assert await past.storage.read(count_blocks) == before
    await past.equals_recomputation()
    await past.rollups.catch_up()
    assert await past.storage.read(lambda conn: store.marked(conn, CASES)) == []
    await past.equals_recomputation()


@pytest.mark.parametrize("past", [40], indirect=True)
async def test_a_node_that_was_overtaken_writes_nothing(past: Past) -> None:
    await past.rollups.run()
    await past.storage.write(change_something(random.Random(3)))
    slow = await past.storage.read_apart(lambda conn: past.rollups._of_marks(conn, CASES))
    assert slow is not None
    await past.storage.write(change_something(random.Random(3)))
    await past.rollups.catch_up()
    assert not await past.storage.write(lambda tx: store.write(tx, slow))
    await past.equals_recomputation()


@pytest.mark.parametrize("past", [40], indirect=True)
async def test_facts_of_another_format_are_made_anew(past: Past) -> None:
    await past.rollups.run()
    await past.storage.write(
        lambda tx: tx.conn.execute(update(t.settings).where(t.settings.c.key == "figures").values(value={"format": 0}))
    )
    await past.storage.write(lambda tx: tx.conn.execute(update(t.figure_facts).values(fact="{}")))
    await past.rollups.run()
    await past.equals_recomputation()


@pytest.mark.parametrize("past", [60], indirect=True)
async def test_who_is_forgotten_is_in_no_figure_and_in_no_block(past: Past) -> None:
    await past.rollups.run()
    customer = await past.storage.read(
        lambda conn: str(conn.execute(select(t.cases.c.customer_id).order_by(t.cases.c.id)).scalar())
    )
    before = await past.equals_recomputation()
    await past.storage.write(lambda tx: erasure.erase(tx, customer, by="test"))
    after = await past.equals_recomputation()
    assert after["counts"]["cases"] < before["counts"]["cases"]
    left = await past.storage.read(
        lambda conn: conn.execute(select(t.figure_facts).where(t.figure_facts.c.customer_id == customer)).all()
    )
    assert left == []


@pytest_asyncio.fixture
async def house(sqlite_url: str) -> AsyncIterator[House]:
    found = await build_house(sqlite_url)
    yield found
    await found.storage.close()


# ── the product's own steps ────────────────────────────────────────────────────────────────────────────────────────
async def test_no_step_of_a_case_forgets_its_mark(house: House) -> None:
    """After each step of a case's life what is kept, and what is told, is what the raw rows say."""
    kept = Kept(house)
    case = await house.queued()
    await kept.holds()
    for verb, arguments, more in (
        (cases.claim, ("ann",), {"desk": "wall"}),
        (cases.reply, ("ann", "It is on its way."), {"desk": "wall"}),
        (cases.transfer, ("ann", "billing"), {"desk": "wall"}),
        (cases.claim, ("bill",), {"desk": "wall"}),
        (cases.snooze, ("bill", house.now + timedelta(hours=2)), {"desk": "wall"}),
        (cases.resolve, ("bill", "resolved", "delivery"), {}),
    ):
        house.now += timedelta(minutes=10)
        await house.do(verb, case.id, *arguments, **more)
        await kept.holds()
    house.now += timedelta(hours=3)
    await house.writes(case.customer_id, "It did not come.")
    await kept.holds()
    await house.do(cases.on_close_asked, CloseAsked(case.customer_id, "resolved", confirmed=True))
    told = await kept.holds()
    assert told.of("reopened").value == 1
    assert told.of("ttr").value == timedelta(hours=4).total_seconds()


async def test_a_promise_counts_as_broken_while_its_customer_still_waits(house: House) -> None:
    kept = Kept(house)
    await house.queued()
    await kept.holds()
    await house.later(minutes=4)
    assert ((told := (await kept.holds()).of("promises_kept")).n, told.value) == (1, 0)


@dataclass
class Kept:
    house: House

    async def holds(self) -> Any:
        rollups, question = Rollups(self.house.storage, always), Question(by=("team", "agent"))
        told = await rollups.ask(question)
        assert told == await self.house.storage.read_apart(
            lambda conn: answer(question, recomputed(conn, self.house.now), self.house.now)
        )
        await rollups.catch_up()
        assert told == await rollups.ask(question)
        return told


async def test_whoever_turns_out_to_be_the_same_customer_came_back(house: House) -> None:
    rollups = Rollups(house.storage, always)
    first = await house.queued("Kari")
    await house.do(cases.resolve, first.id, None, "resolved", "delivery")
    house.now += timedelta(days=3)
    again = await house.queued("Ola")
    await house.do(cases.resolve, again.id, None, "resolved", "delivery")
    house.now += timedelta(days=8)
    await rollups.run()
    assert (await rollups.ask(Question())).of("fcr").value == 1
    house.storage.wiring.subscribers[CustomersMerged] = [  # type: ignore[index]
        *house.storage.wiring.subscribers.get(CustomersMerged, ()),
        keeping.on_merged,
    ]
    await house.do(merging.merge, first.customer_id, again.customer_id, "agent")
    assert (await rollups.ask(Question())).of("fcr").value == 0.5
    await rollups.run()
    assert (await rollups.ask(Question())).of("fcr").value == 0.5


async def test_whoever_turns_out_to_be_another_customer_after_all_has_their_own_answers_again(house: House) -> None:
    rollups = Rollups(house.storage, always)
    whose = {"kari": (await house.queued("Kari")).customer_id, "ola": (await house.queued("Ola")).customer_id}

    def answers(tx: Tx) -> None:
        for name, customer_id in whose.items():
            given = {"customer_id": customer_id, "instrument": "ces7", "score": 2.0, "at": tx.now}
            tx.conn.execute(insert(t.survey_responses).values(id=name, **given))
            mark(tx.conn, ANSWERS, name)

    def seen(conn: Connection) -> tuple[list[int], dict[str, str]]:
        f = t.figure_facts.c
        facts = conn.execute(select(f.id, f.customer_id).where(f.family == ANSWERS))
        found = happened.answers(conn, house.now - timedelta(days=30), house.now)
        return sorted(found["who"].tolist()), {row.id: row.customer_id for row in facts}

    await house.storage.write(answers)
    heard = house.storage.wiring.subscribers
    house.storage.wiring.subscribers = {**heard, CustomersMerged: [*heard.get(CustomersMerged, ()), keeping.on_merged]}
    house.now += timedelta(days=2)
    merge_id = await house.do(merging.merge, whose["kari"], whose["ola"], "agent")
    await rollups.run()
    assert await house.storage.read(seen) == ([who(whose["kari"])] * 2, dict.fromkeys(whose, whose["kari"]))
    await house.do(merging.unmerge, merge_id)
    assert (await house.storage.read(seen))[1] == whose, "at once: one of them may be forgotten next"
    await rollups.run()
    assert await house.storage.read(seen) == (sorted(who(one) for one in whose.values()), whose)


@pytest.mark.parametrize("past", [30], indirect=True)
async def test_a_report_reads_one_snapshot_cannot_write_and_holds_up_nobody(past: Past) -> None:
    """While a report is at it, others read and write; it goes on seeing what was there when it began."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(conn: Connection) -> tuple[int, int]:
        before = count_cases(conn)
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(30)
        return before, count_cases(conn)

    report = asyncio.create_task(past.storage.read_apart(slow))
    await begun.wait()
    await past.storage.write(lambda tx: tx.conn.execute(delete(t.cases).where(t.cases.c.id == "case0000000000")))
    assert await past.storage.read(count_cases) == 29
    go_on.set()
    assert await report == (30, 30)
    assert await past.storage.read_apart(count_cases) == 29


def count_cases(conn: Connection) -> int:
    return int(conn.execute(select(func.count()).select_from(t.cases)).scalar() or 0)
