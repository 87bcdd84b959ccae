"""What customers answer: a press, a typed number, words after "why?". Each takes the turn, or leaves it to the bot.

What lives here: which turn is an answer, and what is kept of it. What follows from a score stands in `closing.py`.

Decisions.
- An answer counts for the customer who was asked, and for nobody else, whatever button a request names.
- A typed number counts for 24 h and only while no case is live: a flow that asks "how many?" comes first.
- Nothing else that is typed is swallowed. A text is the comment only where "why?" is the last thing that was
  said, within ten minutes, and it does not look like a request.
- A score is kept at the press and can be changed once within 24 hours; never is there a second row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bot import outbox, timers
from bot.events import SurveyAnswered
from bot.model import BOT, AuthorKind, Body, Message
from bot.storage import customers, history
from bot.storage.belongings import family
from bot.texts import Texts
from bot.turn import Turn
from surveys import closing, store
from surveys import survey as surveys
from surveys.invitations import GOAL, Invitations, Setup, expiry_key
from surveys.store import Invitation, Response
from surveys.survey import INSTRUMENTS, REASONS, Said
from surveys.timing import COMMENT_WINDOW, TYPED_WINDOW, may_edit

QUESTION_MARKS = ("?", "？", "؟")


@dataclass(frozen=True, slots=True)
class Answers:
    """A taker of turns. `is_request` tells whether a text would start something: a flow's trigger, or the wish for a human."""

    invitations: Invitations
    is_request: Callable[[Turn], bool] = lambda _turn: False

    @property
    def setup(self) -> Setup:
        return self.invitations.setup()

    def take(self, turn: Turn) -> bool:
        """Take the turn if it answers a survey: a pressed score or reason, a lone number, `/skip`, or the comment."""
        if turn.message is None:
            return False
        if turn.pressed is not None:
            return self._take_press(turn)
        if customers.live_case(turn.tx, turn.customer.id) is not None:
            return False  # they talk about something: known without asking
        asked = store.latest_asked(turn.tx.conn, turn.customer.id)
        if asked is None or asked.asked_at is None:
            return False
        if asked.snapshot.get(GOAL) == "asked":
            return self._take_typed_goal(turn, asked)
        return (
            self._take_typed_score(turn, asked) or self._take_comment(turn, asked) or self._take_typed_wish(turn, asked)
        )

    # ── buttons ────────────────────────────────────────────────────────────────────────────────────────────────────
    def _take_press(self, turn: Turn) -> bool:
        pressed = turn.pressed
        if pressed is None:
            return False
        card, meta = pressed.on.body.survey, pressed.on.meta
        of = card.id if card else meta.get("survey_why") or meta.get("survey_contact") or meta.get("survey_goal")
        asked = store.invitation(turn.tx.conn, str(of or ""))
        if asked is None or asked.customer_id not in family(turn.tx.conn, turn.customer.id):
            return False
        file_under_case(turn, asked)
        if card is not None:
            if pressed.value.isdecimal() and int(pressed.value) in INSTRUMENTS[asked.instrument].scores:
                self._keep_score(turn, asked, int(pressed.value))
        elif "survey_why" in meta:
            self._keep_reason(turn, asked, pressed.value.removeprefix("why:"))
        elif "survey_contact" in meta:
            self._keep_wish(turn, asked, pressed.value)
        else:
            self._keep_goal(turn, asked, pressed.value)
        return True

    # ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _take_typed_score(self, turn: Turn, asked: Invitation) -> bool:
        if asked.asked_at is None or turn.tx.now - asked.asked_at > TYPED_WINDOW or has_files(turn):
            return False
        question = INSTRUMENTS[asked.instrument]
        words = surveys.labels(question, asked.locale, self.setup.texts)
        given = store.response(turn.tx.conn, asked.id)
        if given is not None and self._is_wish(turn, asked) and not turn.text.strip().isdecimal():
            return False  # "yes" to "may a colleague contact you?", though it might be a score, too
        score = surveys.parse_score(turn.text, question, words)
        if score is None:
            return False
        file_under_case(turn, asked)
        if score is not Said.SKIP:
            self._keep_score(turn, asked, score)
        else:
            self._skip(turn, asked)
        return True

    def _skip(self, turn: Turn, asked: Invitation) -> None:
        if asked.state == "asked":
            store.change(turn.tx.conn, asked.id, state="declined")
            timers.cancel(turn.tx, expiry_key(asked.key))
        self._say(turn, asked, "skipped")

    def _take_comment(self, turn: Turn, asked: Invitation) -> bool:
        given = store.response(turn.tx.conn, asked.id)
        if given is None or given.comment is not None or not self._is_comment(turn, asked):
            return False
        file_under_case(turn, asked)
        given = replace(given, comment=turn.text.strip())
        store.change_response(turn.tx.conn, given.id, comment=given.comment)
        self._tell(turn, asked, given)
        closing.after_why(turn.tx, self.setup, turn.customer, asked, given)
        return True

    def _take_typed_wish(self, turn: Turn, asked: Invitation) -> bool:
        wish = surveys.parse_choice(turn.text, surveys.contact_body(turn.customer.locale, self.setup.texts))
        wish = "contact:no" if turn.command == "skip" else wish
        if wish is None or not self._is_wish(turn, asked):
            return False
        file_under_case(turn, asked)
        self._keep_wish(turn, asked, wish)
        return True

    def _take_typed_goal(self, turn: Turn, asked: Invitation) -> bool:
        if asked.asked_at is None or turn.tx.now - asked.asked_at > TYPED_WINDOW or has_files(turn):
            return False
        said = surveys.parse_choice(turn.text, surveys.goal_body(turn.customer.locale, self.setup.texts))
        is_skip = surveys.parse_score(turn.text, INSTRUMENTS[asked.instrument]) is Said.SKIP
        if said is None and not is_skip:
            return False
        file_under_case(turn, asked)
        if is_skip:
            self._skip(turn, asked)
        else:
            self._keep_goal(turn, asked, str(said))
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

    def _is_wish(self, turn: Turn, asked: Invitation) -> bool:
        """Whether "may a colleague contact you?" was the last word, not long ago."""
        before = last_word_before(turn)
        fresh = before is not None and turn.tx.now - before.at <= COMMENT_WINDOW
        return fresh and before is not None and before.meta.get("survey_contact") == asked.id

    # ── what is kept ───────────────────────────────────────────────────────────────────────────────────────────────
    def _keep_score(self, turn: Turn, asked: Invitation, score: int) -> None:
        """The first answer is kept; another one within 24 h changes it, once; never a second row."""
        tx = turn.tx
        given = store.response(tx.conn, asked.id)
        if given is None:
            if asked.expires_at is not None and tx.now > asked.expires_at:
                self._say(turn, asked, "expired")
                return
            given = store.add_response(tx.conn, asked, score, asked.channel, tx.now)
            # Who answers has seen the question, whatever the platform's receipt says.
            store.change(tx.conn, asked.id, state="answered", asked_at=asked.asked_at or tx.now, delivered_at=tx.now)
            timers.cancel(tx, expiry_key(asked.key))
            self._tell(turn, asked, given)
            self._ask_why(turn, asked, score)
            closing.scored(tx, self.setup, turn.customer, asked, given)
        elif given.score == score:
            return
        elif given.edited_at is None and may_edit(given.at, tx.now):
            store.change_response(tx.conn, given.id, score=score, edited_at=tx.now)
            given = replace(given, score=score)
            self._tell(turn, asked, given)
            said = self._say(turn, asked, "changed", score=shown(asked, score, self.setup.texts))
            if given.comment is None:  # "why?" is still open, though it is no longer our last word
                store.change(tx.conn, asked.id, why_message_id=said.id)
            closing.scored(tx, self.setup, turn.customer, asked, given)
        else:
            self._say(turn, asked, "settled")

    def _keep_reason(self, turn: Turn, asked: Invitation, reason: str) -> None:
        given = store.response(turn.tx.conn, asked.id)
        if given is None or reason not in REASONS or reason == given.extra.get("reason"):
            return
        given = replace(given, extra={**given.extra, "reason": reason})
        store.change_response(turn.tx.conn, given.id, extra=dict(given.extra))
        closing.after_why(turn.tx, self.setup, turn.customer, asked, given)

    def _keep_wish(self, turn: Turn, asked: Invitation, value: str) -> None:
        given = store.response(turn.tx.conn, asked.id)
        if given is not None and value in {"contact:yes", "contact:no"}:
            closing.contact(turn.tx, self.setup, turn.customer, asked, given, wanted=value == "contact:yes")

    def _keep_goal(self, turn: Turn, asked: Invitation, value: str) -> None:
        if asked.snapshot.get(GOAL) != "asked" or value not in {"goal:yes", "goal:no"}:
            return
        too_late = asked.expires_at is not None and turn.tx.now > asked.expires_at
        if too_late or asked.state == "expired":
            self._say(turn, asked, "expired")
            return
        open_to_it = asked.state in {"asked", "planned"}  # planned: not sent before the night, but seen on the web
        if open_to_it and closing.goal(turn.tx, self.setup, turn.customer, asked, met=value == "goal:yes"):
            self.invitations.ask(turn.tx, asked, asked.instrument, turn.customer.locale)

    def _ask_why(self, turn: Turn, asked: Invitation, score: int) -> None:
        body = surveys.why_body(score, INSTRUMENTS[asked.instrument], turn.customer.locale, self.setup.texts)
        meta = {"survey_why": asked.id}
        said = outbox.say(turn.tx, turn.customer.id, body, author=BOT, case_id=asked.case_id, meta=meta)
        store.change(turn.tx.conn, asked.id, why_message_id=said.id)

    def _say(self, turn: Turn, asked: Invitation, key: str, **values: object) -> Message:
        text = surveys.wording(key, turn.customer.locale, self.setup.texts, **values)
        return outbox.say(turn.tx, turn.customer.id, Body(text=text), author=BOT, case_id=asked.case_id)

    def _tell(self, turn: Turn, asked: Invitation, given: Response) -> None:
        about = (given.id, asked.case_id, turn.customer.id, asked.instrument)
        turn.tx.emit(SurveyAnswered(*about, given.score, given.comment, turn.tx.now))


def shown(asked: Invitation, score: int, own: Texts | None) -> str:
    """The score as its button reads."""
    words = surveys.labels(INSTRUMENTS[asked.instrument], asked.locale, own)
    return next((label for label, value in words.items() if value == score), str(score))


def file_under_case(turn: Turn, asked: Invitation) -> None:
    """The customer's answer belongs to the case it is about, and opens no other."""
    if turn.message is not None and asked.case_id is not None:
        turn.message = history.put_in_case(turn.tx, turn.message, asked.case_id)


def has_files(turn: Turn) -> bool:
    return turn.message is not None and bool(turn.message.body.files)


def last_word_before(turn: Turn) -> Message | None:
    """The last message to or from the customer before this one, if it was ours."""
    said = turn.message
    talk = [one for one in history.latest(turn.tx.conn, turn.customer.id, limit=5) if said is None or one.id != said.id]
    return talk[-1] if talk and talk[-1].author.kind is not AuthorKind.CUSTOMER else None
