"""Whatever customers, the bot and agents do, in whatever order: what must never happen does not.

A Hypothesis machine over the real verbs and a real SQLite database in memory; a refusal is an answer, not a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import create_engine, select

from bot.desk_folder.desk import Routing, Sla
from bot.errors import Conflict, NotAllowed
from bot.events import CaseResolved, CloseAsked, EscalationAsked
from bot.inbox import store_written
from bot.model import BOT, LIVE, AuthorKind, Body, Sender, Wrote
from bot.outbox import say
from bot.staffing.routing import Rung
from bot.storage import customers, history, timer_rows
from bot.storage import tables as t
from bot.storage.json_text import JSON_TEXT
from bot.storage.tx import Tx, Wiring
from bot.turn import Turn
from handoff import cases, store, taker
from handoff.case import OUTCOMES, Case
from handoff.queue import store as queue
from handoff.watch import ringers, subscribers
from tests.unit.handoff_house import MONDAY, Outlet, a_desk

AGENTS = st.sampled_from(["ann", "bob", "lea"])


class Desk(RuleBasedStateMachine):
    """One customer, three agents, a bot."""

    def __init__(self) -> None:
        super().__init__()
        engine = create_engine("sqlite://", **JSON_TEXT)
        self.conn = engine.connect()
        t.metadata.create_all(self.conn)
        self.now, self.posts, self.resolutions = MONDAY, 0, 0
        heard: dict[type, list[Any]] = dict(subscribers([]))
        heard[CaseResolved] = [lambda _tx, _event: self.count()]
        self.desk = a_desk()
        self.wiring = Wiring(heard, {"web": Outlet("web")}, desk=lambda: self.desk)
        self.given = 0  # lines of the audit that were looked at: who was given a case by the house
        self.drafts: dict[str, str] = {}  # ref → agent who drafted it

    def count(self) -> None:
        self.resolutions += 1

    def teardown(self) -> None:
        self.conn.close()
        self.conn.engine.dispose()

    def do(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """In a SAVEPOINT, as a turn: what is refused leaves nothing behind."""
        tx = Tx(self.conn, self.now, self.wiring)
        savepoint = tx.savepoint()
        try:
            result = verb(tx, *args, **kwargs)
        except (Conflict, NotAllowed):
            savepoint.rollback()
            return None
        savepoint.commit()
        return result

    @property
    def last(self) -> Case | None:
        return store.last_case(self.conn, self.kari)

    @initialize(way=st.sampled_from(["manual", "round_robin", "least_busy"]))
    def a_customer_comes(self, way: str) -> None:
        ladder = (Rung(timedelta(minutes=4), person="lea"), Rung(timedelta(hours=5), team="billing"))
        targets = Sla("", None, timedelta(minutes=3), timedelta(hours=3), timedelta(hours=20))
        self.desk = a_desk(routing=Routing(way, capacity=1, ladder=ladder), sla=(targets,))
        who, self.where = self.do(customers.create, Sender("web", "kari", "kari", "Kari", "en"), "en")
        self.kari = who.id

    @rule(text=st.just("hello"))
    def the_customer_writes(self, text: str) -> None:
        def unit(tx: Tx) -> None:
            message = store_written(tx, self.where, Wrote(text))
            who = customers.customer(tx.conn, self.kari)
            assert who is not None
            with_people = (case := store.live_case(tx.conn, self.kari)) is not None and case.with_people
            taken = taker.take(Turn(tx, who, self.where, Wrote(text), message))
            assert taken == with_people
            if not taken:
                cases.ensure_open(tx, self.kari, "web", message.id)
                say(tx, self.kari, Body("bot"), author=BOT)

        self.do(unit)

    @rule()
    def the_bot_fetches_people(self) -> None:
        self.do(cases.on_escalation, EscalationAsked(self.kari, "asked"))

    @rule()
    def the_bot_closes(self) -> None:
        self.do(cases.on_close_asked, CloseAsked(self.kari, "resolved"))

    @rule(agent=AGENTS, verb=st.sampled_from([cases.claim, cases.assign, cases.release]))
    def an_agent_takes_or_gives(self, agent: str, verb: Callable[..., Any]) -> None:
        if self.last:
            self.do(verb, self.last.id, agent, desk="wall")

    @rule(agent=AGENTS, here=st.booleans(), back=st.booleans())
    def an_agent_goes_or_comes(self, agent: str, here: bool, back: bool) -> None:
        self.do(cases.set_available, agent, here, until=self.now + timedelta(hours=2) if back and not here else None)

    @rule(agent=AGENTS)
    def an_agent_waits_for_the_customer(self, agent: str) -> None:
        if self.last:
            self.do(cases.await_customer, self.last.id, agent, desk="wall")

    @rule()
    def the_customer_says_thanks(self) -> None:
        self.the_customer_writes("thank you!")

    @rule()
    def the_customer_goes_on_with_the_bot(self) -> None:
        self.the_customer_writes("Go on with the bot")

    @rule(agent=AGENTS)
    def an_agent_drafts(self, agent: str) -> None:
        if self.last:
            self.posts += 1
            ref = f"p{self.posts}"
            if self.do(cases.draft, self.last.id, agent, f"words {ref}", desk="wall", ref=ref) is not None:
                self.drafts[ref] = agent

    @rule(agent=AGENTS, hours=st.integers(1, 5))
    def an_agent_snoozes(self, agent: str, hours: int) -> None:
        if self.last:
            self.do(cases.snooze, self.last.id, agent, self.now + timedelta(hours=hours), desk="wall")

    @rule(agent=AGENTS, team=st.sampled_from(["support", "billing"]))
    def an_agent_transfers(self, agent: str, team: str) -> None:
        if self.last:
            self.do(cases.transfer, self.last.id, agent, team, desk="wall")

    @rule(agent=AGENTS, outcome=st.sampled_from(OUTCOMES))
    def an_agent_resolves(self, agent: str, outcome: str) -> None:
        if self.last:
            self.do(cases.resolve, self.last.id, agent, outcome, None, "because")

    @rule(span=st.sampled_from([2, 5, 200, 4 * 3600, 30 * 3600, 80 * 3600]))
    def time_passes(self, span: int) -> None:
        until = self.now + timedelta(seconds=span)
        while (due := timer_rows.next_due(self.conn)) is not None and due <= until:
            self.now = max(self.now, due)
            for timer in timer_rows.due(self.conn, self.now):
                tx = Tx(self.conn, self.now, self.wiring)
                if timer_rows.take(tx, timer):
                    ringers()[timer.kind](tx, timer)
        self.now = until

    @invariant()
    def there_is_at_most_one_live_case_and_it_is_watched(self) -> None:
        if hasattr(self, "kari"):
            live = [one for one in store.of_customer(self.conn, self.kari, 100) if one.status in LIVE]
            assert len(live) <= 1
            assert store.unwatched(self.conn, self.now, timedelta(0)) == []

    @invariant()
    def whoever_holds_it_is_known_and_a_queue_has_no_holder(self) -> None:
        if hasattr(self, "kari"):
            for one in store.of_customer(self.conn, self.kari, 100):
                if one.status in {"open", "pending", "snoozed"}:
                    assert one.agent_id in one.agents
                if one.status in {"bot", "queued"}:
                    assert one.agent_id is None
                assert (one.resolved_at is not None) == (one.status in {"resolved", "closed"})

    @invariant()
    def no_word_is_lost_and_none_said_twice(self) -> None:
        for ref, agent in self.drafts.items():
            written = [
                m for m in history.latest(self.conn, self.kari, 1000, notes=True) if m.body.text == f"words {ref}"
            ]
            relay = store.relay(self.conn, "wall", ref)
            assert relay is not None
            assert len(written) == (0 if relay.state == "waiting" else 1)
            assert all((m.author.kind, m.author.id) == (AuthorKind.AGENT, agent) for m in written)
            assert all((m.seq is not None) == (relay.state == "said") for m in written)

    @invariant()
    def the_bot_never_talks_over_a_human(self) -> None:
        """What the bot said while it held the baton can't leave once somebody has claimed the case."""
        case = self.last if hasattr(self, "kari") else None
        if case is None or not case.with_people or case.agent_id is None:
            return
        epoch = customers.conversation(self.conn, self.kari).epoch
        query = select(t.outbox.c.payload).where(t.outbox.c.epoch == epoch)
        assert all(row.payload["text"] != "bot" for row in self.conn.execute(query))

    @invariant()
    def nobody_who_is_away_is_given_a_case(self) -> None:
        e = t.case_events.c
        query = select(e.n, e.agent_id, e.data).where(e.n > self.given, e.kind == "claim").order_by(e.n)
        for row in self.conn.execute(query):
            self.given = row.n
            if row.data["desk"] == "routing":
                there = {one.id for one in store.agents(self.conn, self.desk, self.now) if one.available}
                assert row.agent_id in there

    @invariant()
    def an_alarm_is_told_once_and_never_on_what_is_over(self) -> None:
        e = t.case_events.c
        told = [
            (row.kind, row.data["target"], row.data["due_at"])
            for row in self.conn.execute(select(e.kind, e.data).where(e.kind.like("sla\\_%", escape="\\")))
        ]
        assert len(told) == len(set(told))
        case = self.last if hasattr(self, "kari") else None
        if case is not None and not case.with_people:
            kinds = select(t.timers.c.kind).where(t.timers.c.case_id == case.id)
            assert "sla" not in set(self.conn.execute(kinds).scalars())

    @invariant()
    def who_is_served_or_gone_is_owed_no_promise_of_waiting(self) -> None:
        case = self.last if hasattr(self, "kari") else None
        if case is not None and case.status != "queued":
            assert all(outcome is not None for _, _, outcome in queue.of_case(self.conn, case.id))

    @invariant()
    def each_ending_is_told_once(self) -> None:
        if hasattr(self, "kari"):
            e = t.case_events
            ends = self.conn.execute(select(e.c.n).where(e.c.kind == "resolve")).all()
            assert len(ends) == self.resolutions


TestDesk = Desk.TestCase
TestDesk.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
