"""The brief: all that an agent needs to take over without asking anything again. Pure but for `read`.

The summary is made by plain code, the same every time: how it began, what the customer said last, what the bot found
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bot.model import LIVE, AuthorKind, CaseStatus, Customer, Identity, Message
from bot.storage import alert_rows, customers, history
from handoff import clocks, persons, store, terms
from handoff.case import TIME_ZONE, Case
from handoff.sla import Due

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

SHORT = 280  # characters of a quoted message
EARLIER = 5  # earlier cases on a card
GREETING = 12  # a first message as short as this is a greeting; the next one says what it is about


@dataclass(frozen=True, slots=True)
class Score:
    instrument: str
    score: int
    comment: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Earlier:
    """A case of before, in a line."""

    number: int | None
    opened_at: datetime
    topic: str | None
    outcome: str | None
    agent: str
    case_id: str = ""


@dataclass(frozen=True, slots=True)
class Brief:
    """For the card. `asked` is what the bot asked and was told, as (slot, value); `summary` lines of plain text.

    `evidence` is that of the channel where they are, `known_by` that of each of their channels. `turn` is whose it is: queued |
    agent | customer | snoozed | bot, empty when it is over. `owed_since`: since when they wait for people. `due` is the
    service level that comes next. `time_zone` is the customer's, empty where nobody knows; `wrote_at` when they wrote last.
    """

    case_id: str
    number: int | None
    customer: str
    channel: str
    channels: tuple[str, ...]
    reachable: bool
    locale: str
    evidence: str
    waiting_since: datetime | None
    reason_code: str
    reason: str
    team: str
    priority: str
    asked: tuple[tuple[str, str], ...]
    tried: tuple[str, ...]
    summary: tuple[str, ...]
    scores: tuple[Score, ...]
    earlier: tuple[Earlier, ...]
    reopened: int
    status: str
    agent: str
    topic: str | None
    outcome: str | None
    files: int
    known_by: tuple[tuple[str, str], ...] = ()
    turn: str = ""
    owed_since: datetime | None = None
    snoozed_until: datetime | None = None
    due: Due | None = None
    time_zone: str = ""
    wrote_at: datetime | None = None
    blocked: bool = False
    bad_experience: Score | None = None  # the last low score of theirs, of the past 90 days


def compose(
    case: Case,
    who: Customer,
    identities: Sequence[Identity],
    messages: Sequence[Message],
    *,
    earlier: Sequence[Earlier] = (),
    scores: Sequence[Score] = (),
    team: str = "",
    agent: str = "",
    due: Due | None = None,
    bad_experience: Score | None = None,
) -> Brief:
    """Make the brief. `messages` are the case's, in order."""
    material = case.escalation or {}
    here = next((one for one in identities if one.channel == case.channel), None)
    return Brief(
        case_id=case.id,
        number=case.number,
        customer=who.name,
        channel=case.channel,
        channels=tuple(dict.fromkeys(one.channel for one in identities)) or (case.channel,),
        reachable=here is None or here.reachable,
        locale=who.locale,
        evidence=here.evidence if here else "",
        waiting_since=case.escalated_at,
        reason_code=material.get("reason_code", ""),
        reason=material.get("reason", ""),
        team=team,
        priority=case.priority,
        asked=tuple((str(name), str(value)) for name, value in material.get("show", ())),
        tried=tuple(str(line) for line in material.get("tried", ())),
        summary=tuple(summarise(messages)),
        scores=tuple(scores),
        earlier=tuple(earlier),
        reopened=case.reopened,
        status=str(case.status),
        agent=agent,
        topic=case.topic,
        outcome=case.outcome,
        files=sum(len(message.body.files) for message in messages if message.seq is not None),
        known_by=tuple(dict.fromkeys((one.channel, one.evidence) for one in identities)),
        turn=whose_turn(case),
        owed_since=owed_since(case),
        snoozed_until=case.next_action_at if case.status is CaseStatus.SNOOZED else None,
        due=due,
        time_zone=str(who.attributes.get(TIME_ZONE) or ""),
        wrote_at=case.last_customer_at,
        blocked=persons.is_blocked(who),
        bad_experience=bad_experience,
    )


def whose_turn(case: Case) -> str:
    """Who is to do something: queued (an agent is to take it) | agent | customer | snoozed | bot; empty: nobody, it is over."""
    turns = {CaseStatus.OPEN: "agent", CaseStatus.PENDING: "customer"}
    return turns.get(case.status, str(case.status)) if case.status in LIVE else ""


def owed_since(case: Case) -> datetime | None:
    """Since when the customer waits for people; None while it is their turn, or the bot's."""
    if case.status is CaseStatus.QUEUED:
        return case.escalated_at
    if case.status is CaseStatus.OPEN:
        later = [at for at in (case.last_customer_at, case.escalated_at) if at]
        answered = case.last_agent_at
        return max(later) if later and (answered is None or max(later) > answered) else None
    return None


def summarise(messages: Sequence[Message]) -> list[str]:
    """How it began and what the customer said last, each shortened to one line; at most three lines."""
    said = [
        message
        for message in messages
        if message.author.kind is AuthorKind.CUSTOMER
        and message.deleted_at is None
        and message.body.text.strip()
        and not message.body.text.startswith("/")
        and "pressed" not in message.meta
    ]
    if not said:
        return []
    begin = next((one for one in said if len(one.body.text.strip()) > GREETING), said[0])
    chosen = [begin] + ([said[-2]] if len(said) > 3 and said[-2] is not begin else [])
    chosen += [said[-1]] if said[-1] not in chosen else []
    return [shorten(one.body.text) for one in chosen]


def shorten(text: str, limit: int = SHORT) -> str:
    """One line of at most `limit` characters, cut at a word."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    return cut[: cut.rfind(" ")].rstrip(" ,;:") + "…" if " " in cut[limit // 2 :] else cut + "…"


def read(conn: store.Reader, case: Case, desk: Desk | None) -> Brief:
    """The brief of a case as the database has it now."""
    who = customers.customer(conn, case.customer_id)
    # A merged customer's messages are there twice, under either customer: only those of the case's are meant.
    said = [one for one in history.of_case(conn, case.id, notes=False) if one.customer_id == case.customer_id]
    before = [one for one in store.of_customer(conn, case.customer_id, EARLIER + 1) if one.id != case.id]
    return compose(
        case,
        who or Customer(case.customer_id, "", case.locale, case.opened_at),
        customers.identities(conn, case.customer_id),
        said,
        earlier=[
            Earlier(
                one.number,
                one.opened_at,
                one.topic,
                one.outcome,
                store.agent_name(conn, desk, one.agent_id or one.last_agent_id),
                one.id,
            )
            for one in before[:EARLIER]
        ],
        scores=[Score(*row) for row in store.scores(conn, case.customer_id)],
        team=terms.team_name(desk, case.team),
        agent=store.agent_name(conn, desk, case.agent_id),
        due=clocks.next_due(desk, case),
        bad_experience=_bad_experience(conn, case),
    )


def _bad_experience(conn: store.Reader, case: Case) -> Score | None:
    found = alert_rows.bad_experience(conn, case.customer_id, case.opened_at)
    return Score(found.instrument, found.score, found.comment, found.opened_at) if found else None
