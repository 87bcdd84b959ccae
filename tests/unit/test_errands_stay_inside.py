"""Whatever colleagues write in a question or a task, in whatever order and whatever else happens: no customer ever gets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from bot.errors import Conflict, NotAllowed, NotFound
from bot.events import EscalationAsked
from bot.inbox import store_written
from bot.model import Sender, Wrote
from bot.storage import customers, timer_rows
from bot.storage import tables as t
from bot.storage.json_text import JSON_TEXT
from bot.storage.tx import Tx, Wiring
from bot.turn import Turn
from handoff import cases, store, taker
from handoff.case import Case
from handoff.errands import store as errands
from handoff.errands import verbs
from handoff.slack import aside
from handoff.slack.agents import Who
from handoff.slack.posts import Post, Words
from handoff.slack.store import VIA
from handoff.slack.wording import Wording
from handoff.watch import ringers, subscribers
from tests.unit.handoff_house import MONDAY, Outlet, Wall, a_desk

SECRET = "between us"
OURS = {VIA}
AGENTS = st.sampled_from(["ann", "bob", "lea", "bill"])
STEPS = st.sampled_from(
    ["consult", "task", "talk", "post", "answer", "withdraw", "reply", "draft", "snooze", "resolve", "transfer", "claim", "write", "wait"]
)  # fmt: skip


class Beside(Wall):
    """A desk that shows errands in Slack, as `SlackDesk` does."""

    def errand_changed(self, tx: Tx, event: Any) -> None:
        aside.on_errand(tx, event, lambda _team: "C2", Wording(tx.wiring.desk()))


class Office:
    def __init__(self) -> None:
        self.engine = create_engine("sqlite://", **JSON_TEXT)
        self.conn = self.engine.connect()
        t.metadata.create_all(self.conn)
        self.now: datetime = MONDAY
        self.posts = 0
        desk = a_desk(undo=timedelta(seconds=5))
        self.wiring = Wiring(dict(subscribers([Beside()])), {"web": Outlet("web")}, desk=lambda: desk)
        who, self.where = self.do(customers.create, Sender("web", "kari", "kari", "Kari", "en"), "en")
        self.kari = who.id

    def do(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        tx = Tx(self.conn, self.now, self.wiring)
        savepoint = tx.savepoint()
        try:
            result = verb(tx, *args, **kwargs)
        except (Conflict, NotAllowed, NotFound):
            savepoint.rollback()
            return None
        savepoint.commit()
        return result

    def case(self) -> Case | None:
        return store.last_case(self.conn, self.kari)

    def writes(self) -> None:
        def unit(tx: Tx) -> None:
            message = store_written(tx, self.where, Wrote("hello"))
            who = customers.customer(tx.conn, self.kari)
            assert who is not None
            if not taker.take(Turn(tx, who, self.where, Wrote("hello"), message)):
                cases.ensure_open(tx, self.kari, "web", message.id)
                cases.on_escalation(tx, EscalationAsked(self.kari, "asked"))

        self.do(unit)

    def waits(self) -> None:
        """An hour passes; what is due rings."""
        self.now += timedelta(hours=1)
        for timer in timer_rows.due(self.conn, self.now, 50):

            def unit(tx: Tx, timer: Any = timer) -> None:
                if timer_rows.take(tx, timer):
                    ringers()[timer.kind](tx, timer)

            self.do(unit)

    def step(self, what: str, agent: str) -> None:
        case, words = self.case(), f"{SECRET} {self.posts}"
        self.posts += 1
        if what == "write" or case is None:
            self.writes()
        elif what == "wait":
            self.waits()
        elif what == "consult":
            self.do(verbs.consult, case.id, agent, "billing", words, desk="wall")
        elif what == "task":
            self.do(verbs.task, case.id, agent, "bill", words, self.now + timedelta(minutes=30), desk="wall")
        elif what in {"talk", "answer", "withdraw", "post"}:
            for errand in errands.of_case(self.conn, case.id)[:1]:
                self.beside(what, errand.id, agent, words)
        else:
            self.on_the_case(what, case, agent)

    def beside(self, what: str, errand_id: str, agent: str, words: str) -> None:
        if what == "withdraw":
            self.do(verbs.withdraw, errand_id, agent, desk="wall")
        elif what == "post":
            post = Post("C2", f"{self.posts}.1", "1.1", "T1", "U1", words, (), ())
            self.do(aside.posted, errand_id, post, somebody(agent), Words(words, is_note=False, mentions=False))
        else:
            self.do(verbs.talk if what == "talk" else verbs.answer, errand_id, agent, words, desk="wall")

    def on_the_case(self, what: str, case: Case, agent: str) -> None:
        does: dict[str, tuple[Any, ...]] = {
            "reply": (cases.reply, case.id, agent, "Dear Kari"),
            "draft": (cases.draft, case.id, agent, "Dear Kari"),
            "snooze": (cases.snooze, case.id, agent, self.now + timedelta(hours=2)),
            "transfer": (cases.transfer, case.id, agent, "billing"),
            "claim": (cases.claim, case.id, agent),
        }
        if what == "resolve":
            self.do(cases.resolve, case.id, agent, "resolved")
        else:
            verb, *args = does[what]
            self.do(verb, *args, desk="wall")

    def leaked(self) -> list[str]:
        """What a customer could get of it: rows for their channels, and everything in their timeline."""
        o, m, line = t.outbox.c, t.messages.c, t.timeline.c
        rows = self.conn.execute(select(o.payload).where(o.via.not_in(OURS))).scalars()
        said = self.conn.execute(select(m.text).where(m.seq.is_not(None))).scalars()
        told = self.conn.execute(select(line.text)).scalars()
        return [one for one in (*map(json.dumps, rows), *said, *told) if SECRET in one]

    def close(self) -> None:
        self.conn.close()
        self.engine.dispose()


def somebody(agent: str) -> Who:
    return Who(agent, agent.capitalize(), "U1", "T1:U1", listed=True)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(STEPS, AGENTS), min_size=5, max_size=30))
def test_nothing_that_colleagues_say_beside_a_case_ever_reaches_its_customer(steps: list[tuple[str, str]]) -> None:
    office = Office()
    try:
        office.step("write", "ann")
        office.step("claim", "ann")
        office.step("consult", "ann")
        for what, agent in steps:
            office.step(what, agent)
            assert office.leaked() == []
        office.waits()
        assert office.leaked() == []
        inside = office.conn.execute(select(t.messages.c.text).where(t.messages.c.seq.is_(None))).scalars()
        assert any(SECRET in one for one in inside), "it was said, and it stayed"
    finally:
        office.close()
