"""The one question after a case: planned, asked, settled. Each verb runs inside a transaction.

What lives here: what happens when a case is resolved or reopened, and when the moment comes. What the customer answers
stands in `answers.py`, what follows from it in `closing.py`. What this must not know: channels (they draw the card), and
how desks show scores.

Decisions.
- Every resolved case has exactly one row that says what was decided: asked, or skipped with the reason. A case
  that is resolved again after a reopening is decided again, unless its customer has seen the question already.
- A reopening cancels a question that is still planned. One that was asked stays answerable by its buttons: the
  score is about this case, and there is only ever one.
- A question that has not left when the night begins does not leave: it is planned again, and is the same message in
  the morning, unless by then there is a reason not to ask.
- Where the desk asks for the goal first (`goal: true`), that is the invitation; the score is asked in its place once the
  customer has what they came for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from bot import absence, outbox, timers
from bot.events import CaseReopened, CaseResolved, SendSettled
from bot.model import BOT, Body
from bot.quiet import next_quiet
from bot.storage import customers, history
from bot.storage.tx import Tx
from bot.texts import Texts
from bot.timers import Timer
from surveys import store
from surveys import survey as surveys
from surveys.campaign import end_of
from surveys.store import Invitation
from surveys.timing import EXPIRES_AFTER, Rules, Skip, decide

ASK: Final = "survey"
ASK_IN_CAMPAIGN: Final = "nps_ask"
EXPIRE: Final = "survey_expiry"
_ASKS: Final = frozenset({"survey", "survey_goal"})  # in what is known of a message: it asks one of our questions
GOAL: Final = "goal"  # in the snapshot: "asked" while the customer has not said whether they got what they came for


@dataclass(frozen=True, slots=True)
class Setup:
    """What the running desk says: rules, its time zone, its name, its own wording."""

    rules: Rules
    zone: ZoneInfo
    company: str = ""
    texts: Texts | None = None


@dataclass(frozen=True, slots=True)
class Invitations:
    """The verbs. `setup` is asked afresh each time, because a desk may be reloaded."""

    setup: Callable[[], Setup]

    # ── the decision ───────────────────────────────────────────────────────────────────────────────────────────────
    def on_case_resolved(self, tx: Tx, event: CaseResolved) -> None:
        """Decide, write the decision, and set the timer of a question that is to be asked."""
        known = store.invitation_of_case(tx.conn, event.case_id)
        if known is not None and (known.asked_at is not None or known.state == "answered"):
            return
        case = store.resolved_case(tx.conn, event.case_id, reachable=is_reachable(tx, event.customer_id), now=tx.now)
        if case is None:
            return
        setup = self.setup()
        past = store.past_asks(tx.conn, event.customer_id)
        decision = decide(case.facts, setup.rules, past, tx.now, setup.zone)
        skipped = isinstance(decision, Skip)
        store.plan(
            tx.conn,
            known,
            case_id=event.case_id,
            customer_id=event.customer_id,
            instrument=str(case.facts.chosen.get("instrument") or setup.rules.instrument or "none")
            if isinstance(decision, Skip)
            else decision.instrument,
            state="skipped" if skipped else "planned",
            skip_reason=decision.reason.value if isinstance(decision, Skip) else None,
            locale=case.locale,
            snapshot=dict(case.snapshot),
            decided_at=tx.now,
            due_at=None if isinstance(decision, Skip) else decision.at,
            message_id=None,  # what never reached them stands above what was said since: the next question is a new message
        )
        if not isinstance(decision, Skip):
            key = ask_key(event.case_id)
            timers.set_timer(tx, ASK, key, decision.at, customer_id=event.customer_id, case_id=event.case_id)

    def on_case_reopened(self, tx: Tx, event: CaseReopened) -> None:
        cancel(tx, event.case_id)

    def ask_due(self, tx: Tx, timer: Timer) -> None:
        """The moment has come: look again, then ask, put off, or skip."""
        planned = store.invitation_of_case(tx.conn, timer.case_id or "")
        if planned is None or planned.state != "planned":
            return
        case = store.resolved_case(tx.conn, planned.key, reachable=is_reachable(tx, planned.customer_id), now=tx.now)
        if case is None:
            return
        setup = self.setup()
        past = store.past_asks(tx.conn, planned.customer_id)
        decision = decide(case.facts, setup.rules, past, tx.now, setup.zone)
        if isinstance(decision, Skip):
            store.change(tx.conn, planned.id, state="skipped", skip_reason=decision.reason.value, due_at=None)
        elif decision.at > tx.now:
            store.change(tx.conn, planned.id, due_at=decision.at)
            timers.set_timer(tx, ASK, timer.key, decision.at, customer_id=timer.customer_id, case_id=timer.case_id)
        else:
            goal_first = setup.rules.goal and case.confirmed is None and case.facts.outcome == "resolved"
            self.ask(tx, planned, decision.instrument, case.locale, goal_first=goal_first)

    def ask(self, tx: Tx, planned: Invitation, name: str, locale: str, *, goal_first: bool = False) -> None:
        """Say the question, where the customer is now; or before it, whether they got what they came for."""
        who = customers.customer(tx.conn, planned.customer_id)
        to = who.id if who else planned.customer_id
        setup, kind = self.setup(), "survey_goal" if goal_first else "survey"
        until = next_quiet(tx.now, setup.rules.quiet, setup.zone)
        snapshot = {key: value for key, value in planned.snapshot.items() if key != GOAL}
        held = (
            history.message(tx.conn, planned.message_id) if planned.state == "planned" and planned.message_id else None
        )
        if held is not None and kind in held.meta and outbox.again(tx, to, held.id, until):
            said, name, locale = held, planned.instrument, planned.locale
        else:
            said = outbox.say(
                tx,
                to,
                self._body(planned, name, locale, goal_first=goal_first),
                author=BOT,
                case_id=planned.case_id,
                meta={kind: planned.id},
                bulk=True,
                expires_at=until,
            )
        expires_at = tx.now + EXPIRES_AFTER
        store.change(
            tx.conn,
            planned.id,
            instrument=name,
            state="asked",
            locale=locale,
            channel=said.channel,
            message_id=said.id,
            snapshot={**snapshot, GOAL: "asked"} if goal_first else snapshot,
            asked_at=tx.now,
            delivered_at=None if outbox.is_sent_for(tx, said.id) else tx.now,
            expires_at=expires_at,
        )
        timers.set_timer(tx, EXPIRE, expiry_key(planned.key), expires_at, customer_id=to, case_id=planned.case_id)

    def _body(self, planned: Invitation, name: str, locale: str, *, goal_first: bool) -> Body:
        setup = self.setup()
        if goal_first:
            return surveys.goal_body(locale, setup.texts)
        return surveys.body(name, planned.id, locale, setup.texts, setup.company)

    # ── what becomes of it ─────────────────────────────────────────────────────────────────────────────────────────
    def expire_due(self, tx: Tx, timer: Timer) -> None:
        """The question has waited long enough."""
        asked = store.invitation_of_case(tx.conn, timer.key.removeprefix(expiry_key("")))
        if asked is not None and asked.state == "asked":
            store.change(tx.conn, asked.id, state="expired")

    def on_send_settled(self, tx: Tx, event: SendSettled) -> None:
        """The question arrived, or never will: only what arrived counts in the response rate."""
        if event.message_id is None or event.said is None or _ASKS.isdisjoint(event.said.meta):
            return
        asked = store.invitation_of_message(tx.conn, event.message_id)
        if asked is None or absence.MARK in event.said.meta:  # told once, when it first arrived
            return
        if event.outcome == "sent":
            if asked.state == "cancelled":
                return  # they said that they have not got what they came for before the receipt was here
            store.change(tx.conn, asked.id, delivered_at=tx.now)
        elif asked.state == "asked" and event.outcome == "expired" and event.error == outbox.TOO_LATE:
            timers.cancel(tx, expiry_key(asked.key))
            store.change(tx.conn, asked.id, state="planned", asked_at=None, expires_at=None, due_at=tx.now)
            self._ask_at(tx, asked, event.customer_id or asked.customer_id, tx.now)
        elif asked.state == "asked":
            # expired: somebody took the baton before it left. Either way nobody was asked
            state = "cancelled" if event.outcome == "expired" else "failed"
            store.change(tx.conn, asked.id, state=state, asked_at=None)
            timers.cancel(tx, expiry_key(asked.key))

    def _ask_at(self, tx: Tx, planned: Invitation, customer_id: str, at: datetime) -> None:
        """Look at it again then, as if its moment came for the first time."""
        if planned.campaign is None:
            timers.set_timer(tx, ASK, ask_key(planned.key), at, customer_id=customer_id, case_id=planned.case_id)
            return
        setup = self.setup()
        until = end_of(planned.campaign, setup.rules.nps, setup.zone) if setup.rules.nps else at
        data = {"key": planned.key, "until": until.isoformat()}
        timers.set_timer(tx, ASK_IN_CAMPAIGN, campaign_key(planned.key), at, customer_id=customer_id, data=data)


def cancel(tx: Tx, case_id: str) -> None:
    """The case lives again: a question that is still planned is not asked. One that was asked can be answered."""
    timers.cancel(tx, ask_key(case_id))
    planned = store.invitation_of_case(tx.conn, case_id)
    if planned is not None and planned.state == "planned":
        # The next question about this case is a new message: one that never left stands above what was said since.
        store.change(tx.conn, planned.id, state="cancelled", due_at=None, message_id=None)


def ask_key(case_id: str) -> str:
    return f"survey:{case_id}"


def campaign_key(key: str) -> str:
    return f"nps:{key}"


def expiry_key(key: str) -> str:
    return f"survey-expiry:{key}"


def is_reachable(tx: Tx, customer_id: str) -> bool:
    who = customers.customer(tx.conn, customer_id)
    where = customers.reply_to(tx, who.id) if who else None
    return where is not None and where.reachable
