"""A house with a real SQLite database, history and outbox, in which customers are asked; the turn and the clock are handed in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, create_engine, insert, select, update

from bot import alerts, timers
from bot.events import AlertChanged, CaseReopened, CaseResolved, FollowUpAsked, GoalTold, SendSettled, SurveyAnswered
from bot.inbox import find_pressed, store_choice, store_written
from bot.model import BOT, AuthorKind, Chose, Customer, FileRef, Identity, Message, Sender, Wrote, new_id
from bot.outbox import Part, say
from bot.storage import customers, history, timer_rows
from bot.storage import tables as t
from bot.storage.json_text import JSON_TEXT
from bot.storage.tx import Tx, Wiring
from bot.turn import Turn
from surveys import closing, relationship, store
from surveys.answers import Answers
from surveys.invitations import ASK, EXPIRE, Invitations, Setup
from surveys.timing import AT_ONCE

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Outlet:
    """Telegram's, as far as a survey needs it: one part a message."""

    via = "telegram"

    def parts(self, message: Message, address: str) -> Sequence[Part]:
        return [Part("text", {"text": message.body.text})]

    def edits(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:
        return []

    def deletes(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:
        return []

    def lane(self, address: str) -> str:
        return f"telegram:{address}"

    def bucket(self, address: str) -> str | None:
        return None


@dataclass
class House:
    """A customer on Telegram, and everything that a survey touches."""

    conn: Connection
    now: datetime = NOON
    setup: Setup = field(default_factory=lambda: Setup(AT_ONCE, ZoneInfo("Europe/Amsterdam"), "Acme"))
    told: list[SurveyAnswered] = field(default_factory=list)
    heard: list[AlertChanged | FollowUpAsked | GoalTold] = field(default_factory=list)
    requests: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.invitations = Invitations(lambda: self.setup)
        self.answers = Answers(self.invitations, lambda turn: turn.text in self.requests)
        self.customer, self.identity = self.newcomer("42")

    @property
    def tx(self) -> Tx:
        heard: dict[type, list[Any]] = {
            SurveyAnswered: [lambda _tx, event: self.told.append(event)],
            SendSettled: [self.invitations.on_send_settled],
            **{kind: [lambda _tx, event: self.heard.append(event)] for kind in (AlertChanged, FollowUpAsked, GoalTold)},
        }
        return Tx(self.conn, self.now, Wiring(subscribers=heard, outlets={"telegram": Outlet()}))

    def newcomer(self, external_id: str, channel: str = "telegram") -> tuple[Customer, Identity]:
        return customers.create(self.tx, Sender(channel, external_id, external_id, "Kari", "en"), "en")

    def case(self, **values: Any) -> str:
        case_id = new_id()
        row = {
            "id": case_id,
            "customer_id": self.customer.id,
            "status": "resolved",
            "channel": "telegram",
            "locale": "en",
            "opened_at": self.now - timedelta(hours=1),
            "resolved_at": self.now,
            "outcome": "resolved",
            "team": "support",
            "last_agent_id": "ann",
            "topic": "delivery",
            "updated_at": self.now,
        }
        self.conn.execute(insert(t.cases).values(**{**row, **values}))
        return case_id

    def resolve(self, case_id: str) -> None:
        where = t.cases.c.id == case_id
        self.conn.execute(update(t.cases).where(where).values(status="resolved", resolved_at=self.now))
        self.invitations.on_case_resolved(self.tx, CaseResolved(case_id, self.customer.id, "resolved", "agent"))

    def reopen(self, case_id: str) -> None:
        self.conn.execute(update(t.cases).where(t.cases.c.id == case_id).values(status="bot"))
        self.invitations.on_case_reopened(self.tx, CaseReopened(case_id, self.customer.id))

    def ring(self) -> None:
        """Ring what is due, as the timers do."""
        for timer in timer_rows.due(self.conn, self.now):
            timers.cancel(self.tx, timer.key)
            verbs = {
                ASK: self.invitations.ask_due,
                EXPIRE: self.invitations.expire_due,
                closing.FOLLOW: lambda tx, due: closing.follow_due(tx, due, self.setup),
                relationship.SWEEP: relationship.Campaigns(self.invitations).sweep,
                relationship.ASK: relationship.Campaigns(self.invitations).ask_due,
                alerts.KIND: alerts.due,
            }
            verbs[timer.kind](self.tx, timer)

    def ask(self, **values: Any) -> str:
        case_id = self.case(**values)
        self.resolve(case_id)
        self.ring()
        return case_id

    def said(self) -> list[str]:
        ours = [one for one in history.latest(self.conn, self.customer.id) if one.author.kind is AuthorKind.BOT]
        return [one.body.text for one in ours]

    def question(self, case_id: str) -> Message:
        invitation = store.invitation_of_case(self.conn, case_id)
        assert invitation is not None
        message = history.message(self.conn, invitation.message_id or "")
        assert message is not None
        return message

    def types(self, text: str, files: tuple[FileRef, ...] = ()) -> bool:
        wrote = Wrote(text, files)
        message = store_written(self.tx, self.identity, wrote)
        return self.answers.take(Turn(self.tx, self.customer, self.identity, wrote, message))

    def presses(self, on: Message, value: str) -> bool:
        chose = Chose(on.id, value)
        message = store_choice(self.tx, self.identity, chose)
        pressed = find_pressed(self.tx, self.customer.id, chose)
        return self.answers.take(Turn(self.tx, self.customer, self.identity, chose, message, pressed))

    def presses_by_name(self, chose: Chose) -> bool:
        """A press that names a message, whosever it is."""
        message = store_choice(self.tx, self.identity, chose)
        pressed = find_pressed(self.tx, self.customer.id, chose)
        return self.answers.take(Turn(self.tx, self.customer, self.identity, chose, message, pressed))

    def says_card(self, other: Message) -> Message:
        """A message to the present customer with somebody else's survey on it."""
        return say(self.tx, self.customer.id, other.body, author=BOT)

    def why(self) -> Message:
        return history.latest(self.conn, self.customer.id)[-1]

    def scores(self) -> list[tuple[float, str | None]]:
        return [(row.score, row.comment) for row in store.responses(self.conn)]

    def decisions(self) -> list[tuple[str, str | None]]:
        i = t.survey_invitations
        rows = self.conn.execute(select(i.c.state, i.c.skip_reason).order_by(i.c.decided_at, i.c.id))
        return [(row.state, row.skip_reason) for row in rows]


@cache
def _empty() -> sqlite3.Connection:
    """A database with every table and no row: to copy it costs less than to make another."""
    engine = create_engine("sqlite://", **JSON_TEXT)
    t.metadata.create_all(engine)
    raw: Any = engine.raw_connection().dbapi_connection
    copy = sqlite3.connect(":memory:")
    raw.backup(copy)
    engine.dispose()
    return copy


@contextmanager
def opened() -> Iterator[House]:
    engine = create_engine("sqlite://", **JSON_TEXT)
    with engine.connect() as conn:
        raw: Any = conn.connection.dbapi_connection
        _empty().backup(raw)
        yield House(conn)
    engine.dispose()
