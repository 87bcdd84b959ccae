"""The one question after a case: planned, asked, answered. Each verb runs inside a transaction.

What lives here: what happens when a case is resolved or reopened, when the moment comes, when the customer
presses a score or types one. What it must not know: channels (they draw the card), and how desks show scores.

Decisions.
- Every resolved case has exactly one row that says what was decided: asked, or skipped with the reason. A case
  that is resolved again after a reopening is decided again, unless its customer has seen the question already.
- A reopening cancels a question that is still planned. One that was asked stays answerable by its buttons: the
  score is about this case, and there is only ever one.
- A typed number counts for 24 h and only while no case is live: a flow that asks "how many?" comes first.
- Nothing else that is typed is swallowed. A text is the comment only where "why?" is the last thing that was
  said, within ten minutes, and it does not look like a request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from bot import outbox, timers
from bot.events import CaseReopened, CaseResolved, SendSettled, SurveyAnswered
from bot.model import BOT, AuthorKind, Body, Message
from bot.storage import customers, history
from bot.storage.tx import Tx
from bot.texts import Texts
from bot.timers import Timer
from bot.turn import Turn
from surveys import store
from surveys import survey as surveys
from surveys.store import Invitation, Response
from surveys.survey import INSTRUMENTS, REASONS, Said
from surveys.timing import COMMENT_WINDOW, EXPIRES_AFTER, TYPED_WINDOW, Rules, Skip, decide, may_edit

ASK: Final = "survey"
EXPIRE: Final = "survey_expiry"
QUESTION_MARKS = ("?", "？", "؟")


@dataclass(frozen=True, slots=True)
class Setup:
    """What the running desk says: rules, its time zone, its name, its own wording."""

    rules: Rules
    zone: ZoneInfo
    company: str = ""
    texts: Texts | None = None


@dataclass(frozen=True, slots=True)
class Invitations:
    """The verbs. `setup` is asked afresh each time, because a desk may be reloaded.

    `is_request` tells whether a text would start something: a flow's trigger, or the wish for a human.
    """

    setup: Callable[[], Setup]
    is_request: Callable[[Turn], bool] = lambda _turn: False

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
            instrument=str(case.facts.chosen.get("instrument") or setup.rules.instrument or "none"),
            state="skipped" if skipped else "planned",
            skip_reason=decision.reason.value if isinstance(decision, Skip) else None,
            locale=case.locale,
            snapshot=dict(case.snapshot),
            decided_at=tx.now,
            due_at=None if isinstance(decision, Skip) else decision.at,
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
        case = store.resolved_case(
            tx.conn, planned.case_id, reachable=is_reachable(tx, planned.customer_id), now=tx.now
        )
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
            self._ask(tx, planned, decision.instrument, case.facts.customer_id, case.locale, setup)

    def _ask(self, tx: Tx, planned: Invitation, name: str, customer_id: str, locale: str, setup: Setup) -> None:
        who = customers.customer(tx.conn, customer_id)
        to = who.id if who else customer_id
        body = surveys.body(name, planned.id, locale, setup.texts, setup.company)
        said = outbox.say(tx, to, body, author=BOT, case_id=planned.case_id, meta={"survey": planned.id}, bulk=True)
        expires_at = tx.now + EXPIRES_AFTER
        store.change(
            tx.conn,
            planned.id,
            instrument=name,
            state="asked",
            locale=locale,
            channel=said.channel,
            message_id=said.id,
            asked_at=tx.now,
            delivered_at=None if store.is_in_outbox(tx.conn, said.id) else tx.now,
            expires_at=expires_at,
        )
        key = expiry_key(planned.case_id)
        timers.set_timer(tx, EXPIRE, key, expires_at, customer_id=to, case_id=planned.case_id)

    def expire_due(self, tx: Tx, timer: Timer) -> None:
        """The question has waited long enough."""
        asked = store.invitation_of_case(tx.conn, timer.case_id or "")
        if asked is not None and asked.state == "asked":
            store.change(tx.conn, asked.id, state="expired")

    def on_send_settled(self, tx: Tx, event: SendSettled) -> None:
        """The question arrived, or never will: only what arrived counts in the response rate."""
        asked = store.invitation_of_message(tx.conn, event.message_id) if event.message_id else None
        if asked is None:
            return
        if event.outcome == "sent":
            store.change(tx.conn, asked.id, delivered_at=tx.now)
        elif asked.state == "asked":
            # expired: somebody took the baton before it left, so nobody was asked
            taken_over = event.outcome == "expired"
            values = {"state": "cancelled", "asked_at": None} if taken_over else {"state": "failed"}
            store.change(tx.conn, asked.id, **values)
            timers.cancel(tx, expiry_key(asked.case_id))

    # ── the answer ─────────────────────────────────────────────────────────────────────────────────────────────────
    def take(self, turn: Turn) -> bool:
        """Take the turn if it answers a survey: a pressed score or reason, a lone number, `/skip`, or the comment."""
        if turn.message is None:
            return False
        if turn.pressed is not None:
            return self._take_press(turn)
        asked = store.latest_asked(turn.tx.conn, turn.customer.id)
        if asked is None or asked.asked_at is None or store.has_live_case(turn.tx.conn, turn.customer.id):
            return False
        return self._take_typed_score(turn, asked) or self._take_comment(turn, asked)

    def _take_press(self, turn: Turn) -> bool:
        pressed = turn.pressed
        if pressed is None:
            return False
        card, why = pressed.on.body.survey, pressed.on.meta.get("survey_why")
        asked = store.invitation(turn.tx.conn, card.id if card else str(why or ""))
        if asked is None:
            return False
        file_under_case(turn, asked)
        if card is None:
            self._keep_reason(turn, asked, pressed.value.removeprefix("why:"))
        elif pressed.value.isdecimal() and int(pressed.value) in INSTRUMENTS[asked.instrument].scores:
            self._keep_score(turn, asked, int(pressed.value))
        return True

    def _take_typed_score(self, turn: Turn, asked: Invitation) -> bool:
        if asked.asked_at is None or turn.tx.now - asked.asked_at > TYPED_WINDOW or has_files(turn):
            return False
        question = INSTRUMENTS[asked.instrument]
        words = surveys.labels(question, asked.locale, self.setup().texts)
        score = surveys.parse_score(turn.text, question, words)
        if score is None:
            return False
        file_under_case(turn, asked)
        if score is not Said.SKIP:
            self._keep_score(turn, asked, score)
        else:
            if asked.state == "asked":
                store.change(turn.tx.conn, asked.id, state="declined")
                timers.cancel(turn.tx, expiry_key(asked.case_id))
            self._say(turn, asked, "skipped")
        return True

    def _take_comment(self, turn: Turn, asked: Invitation) -> bool:
        given = store.response(turn.tx.conn, asked.id)
        if given is None or given.comment is not None or not self._is_comment(turn, asked):
            return False
        file_under_case(turn, asked)
        store.change_response(turn.tx.conn, given.id, comment=turn.text.strip())
        self._tell(turn, asked, given, given.score, turn.text.strip())
        self._say(turn, asked, "thanks")
        return True

    def _is_comment(self, turn: Turn, asked: Invitation) -> bool:
        """Whether this text answers "why?": that was the last word, not long ago, and no new request follows it."""
        text = turn.text.strip()
        if not text or turn.command or has_files(turn) or any(mark in text for mark in QUESTION_MARKS):
            return False
        before = last_word_before(turn)
        fresh = before is not None and turn.tx.now - before.at <= COMMENT_WINDOW
        pending = before is not None and before.id == asked.why_message_id
        return fresh and pending and not self.is_request(turn)

    def _keep_score(self, turn: Turn, asked: Invitation, score: int) -> None:
        """The first answer is kept; another within 24 h changes it; never a second row."""
        tx = turn.tx
        given = store.response(tx.conn, asked.id)
        if given is None:
            if asked.expires_at is not None and tx.now > asked.expires_at:
                self._say(turn, asked, "expired")
                return
            given = store.add_response(tx.conn, asked, score, asked.channel, tx.now)
            store.change(tx.conn, asked.id, state="answered")
            timers.cancel(tx, expiry_key(asked.case_id))
            self._arrived(turn, asked)
            self._tell(turn, asked, given, score, None)
            self._ask_why(turn, asked, score)
        elif given.score != score and may_edit(given.at, tx.now):
            store.change_response(tx.conn, given.id, score=score, edited_at=tx.now)
            self._tell(turn, asked, given, score, given.comment)
            said = self._say(turn, asked, "changed", score=shown(asked, score, self.setup().texts))
            if given.comment is None:  # "why?" is still open, though it is no longer our last word
                store.change(tx.conn, asked.id, why_message_id=said.id)
        elif given.score != score:
            self._say(turn, asked, "settled")

    def _arrived(self, turn: Turn, asked: Invitation) -> None:
        """Who answers has seen the question, whatever the platform's receipt says."""
        store.change(turn.tx.conn, asked.id, delivered_at=turn.tx.now)

    def _keep_reason(self, turn: Turn, asked: Invitation, reason: str) -> None:
        given = store.response(turn.tx.conn, asked.id)
        if given is None or reason not in REASONS or reason == given.extra.get("reason"):
            return
        store.change_response(turn.tx.conn, given.id, extra={**given.extra, "reason": reason})
        self._say(turn, asked, "thanks")

    def _ask_why(self, turn: Turn, asked: Invitation, score: int) -> None:
        body = surveys.why_body(score, INSTRUMENTS[asked.instrument], turn.customer.locale, self.setup().texts)
        meta = {"survey_why": asked.id}
        said = outbox.say(turn.tx, turn.customer.id, body, author=BOT, case_id=asked.case_id, meta=meta)
        store.change(turn.tx.conn, asked.id, why_message_id=said.id)

    def _say(self, turn: Turn, asked: Invitation, key: str, **values: object) -> Message:
        text = surveys.wording(key, turn.customer.locale, self.setup().texts, **values)
        return outbox.say(turn.tx, turn.customer.id, Body(text=text), author=BOT, case_id=asked.case_id)

    def _tell(self, turn: Turn, asked: Invitation, given: Response, score: float, comment: str | None) -> None:
        who, now = turn.customer.id, turn.tx.now
        turn.tx.emit(SurveyAnswered(given.id, asked.case_id, who, asked.instrument, score, comment, now))


def cancel(tx: Tx, case_id: str) -> None:
    """The case lives again: a question that is still planned is not asked. One that was asked can be answered."""
    timers.cancel(tx, ask_key(case_id))
    planned = store.invitation_of_case(tx.conn, case_id)
    if planned is not None and planned.state == "planned":
        store.change(tx.conn, planned.id, state="cancelled", due_at=None)


def ask_key(case_id: str) -> str:
    return f"survey:{case_id}"


def expiry_key(case_id: str) -> str:
    return f"survey-expiry:{case_id}"


def is_reachable(tx: Tx, customer_id: str) -> bool:
    who = customers.customer(tx.conn, customer_id)
    where = customers.reply_identity(tx.conn, who.id) if who else None
    return where is not None and where.reachable


def shown(asked: Invitation, score: int, own: Texts | None) -> str:
    """The score as its button reads."""
    words = surveys.labels(INSTRUMENTS[asked.instrument], asked.locale, own)
    return next((label for label, value in words.items() if value == score), str(score))


def file_under_case(turn: Turn, asked: Invitation) -> None:
    """The customer's answer belongs to the case it is about, and opens no other."""
    if turn.message is not None:
        turn.message = history.put_in_case(turn.tx, turn.message, asked.case_id)


def has_files(turn: Turn) -> bool:
    return turn.message is not None and bool(turn.message.body.files)


def last_word_before(turn: Turn) -> Message | None:
    """The last message to or from the customer before this one, if it was ours."""
    said = turn.message
    talk = [one for one in history.latest(turn.tx.conn, turn.customer.id, limit=5) if said is None or one.id != said.id]
    return talk[-1] if talk and talk[-1].author.kind is not AuthorKind.CUSTOMER else None
