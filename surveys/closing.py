"""Closing the loop: what follows when a customer has said how it was.

A low score is an alert for the team, at once. Who gave it is asked whether a colleague may contact them, when they have
said why, or ten minutes later if they have not; who wants that gets a case of its own. Who is very happy may be offered a
link to tell others, once in their life, where the desk has one. Who did not get what they came for has their case back,
whatever its agent thought of it.

What this must not know: agents' desks (they hear of alerts), and how a case is queued (handoff hears `FollowUpAsked`).
"""

from __future__ import annotations

from typing import Final

from bot import alerts, outbox, timers
from bot.events import FollowUpAsked, GoalTold
from bot.model import BOT, Body, Customer
from bot.quiet import after_quiet
from bot.storage import customers
from bot.storage.tx import Tx
from bot.timers import Timer
from surveys import store
from surveys import survey as surveys
from surveys.invitations import GOAL, Setup, expiry_key
from surveys.store import Invitation, Response
from surveys.survey import INSTRUMENTS, is_detractor, is_promoter
from surveys.timing import COMMENT_WINDOW

FOLLOW: Final = "survey_follow"
LOW_SCORE, NOT_SOLVED = "low_score", "not_solved"


def scored(tx: Tx, setup: Setup, who: Customer, asked: Invitation, given: Response) -> None:
    """A score came, or was changed: tell the team of a low one, and see to it that what follows is said even without a why."""
    instrument = INSTRUMENTS[asked.instrument]
    is_low = is_detractor(given.score, instrument)
    if is_low:
        alerts.open_alert(
            tx,
            given.id,
            case_id=asked.case_id,
            customer_id=who.id,
            instrument=asked.instrument,
            score=given.score,
            channel=asked.channel,
            team=asked.snapshot.get("team"),
        )
    alerts.score_changed(tx, given.id, given.score, is_low=is_low)
    if is_low or (setup.rules.review_url and is_promoter(given.score, instrument)):
        timers.set_timer(tx, FOLLOW, f"{FOLLOW}:{asked.id}", tx.now + COMMENT_WINDOW, customer_id=who.id)


def after_why(tx: Tx, setup: Setup, who: Customer, asked: Invitation, given: Response) -> None:
    """The customer said why: thank them, and ask or offer what is due."""
    alerts.said_why(tx, given.id)
    timers.cancel(tx, f"{FOLLOW}:{asked.id}")
    if not _follow(tx, setup, who, asked, given):
        _say(tx, setup, who, asked, "thanks")


def follow_due(tx: Tx, timer: Timer, setup: Setup) -> None:
    """They said nothing more for ten minutes: what is due is said all the same, unless they came with something new, or have
    asked to be left alone.

    Whom the night has reached by then is left alone until the morning.
    """
    asked = store.invitation(tx.conn, timer.key.removeprefix(f"{FOLLOW}:"))
    given = store.response(tx.conn, asked.id) if asked else None
    who = customers.customer(tx.conn, asked.customer_id) if asked else None
    awake = after_quiet(tx.now, setup.rules.quiet, setup.zone)
    if awake > tx.now:
        timers.set_timer(tx, FOLLOW, timer.key, awake, customer_id=timer.customer_id)
    elif asked is not None and given is not None and who is not None and _may_be_told(tx, who):
        _follow(tx, setup, who, asked, given)


def contact(tx: Tx, setup: Setup, who: Customer, asked: Invitation, given: Response, *, wanted: bool) -> None:
    """They may be contacted, or not. Said yes once, it stays; a no can become a yes."""
    before = given.extra.get("contact")
    if before == "yes" or (before == "no" and not wanted):
        return
    given_extra = {**given.extra, "contact": "yes" if wanted else "no"}
    store.change_response(tx.conn, given.id, extra=given_extra)
    if not wanted:
        alerts.wants_contact(tx, given.id, wanted=False)
        _say(tx, setup, who, asked, "contact_declined")
        return
    text = surveys.wording("contact_coming", who.locale, setup.texts)
    team = asked.snapshot.get("team")
    tx.emit(FollowUpAsked(who.id, asked.case_id, LOW_SCORE, told(asked, given), text, team))
    alerts.wants_contact(tx, given.id, wanted=True, follow_up=store.live_case(tx.conn, who.id))


def goal(tx: Tx, setup: Setup, who: Customer, asked: Invitation, *, met: bool) -> bool:
    """Whether they got what they came for; who did not has the case back. False: the score is not asked for now, for that or
    because they are in the middle of something new.
    """
    text = "" if met else surveys.wording("goal_missed", who.locale, setup.texts)
    goes_on = met and not store.has_live_case(tx.conn, who.id)
    if not goes_on:
        snapshot = {key: value for key, value in asked.snapshot.items() if key != GOAL}
        # The score was never asked: among the delivered questions it would count as one that nobody answered.
        store.change(tx.conn, asked.id, state="cancelled", asked_at=None, delivered_at=None, snapshot=snapshot)
        timers.cancel(tx, expiry_key(asked.key))
    tx.emit(GoalTold(who.id, asked.key, met, text))
    if met and not goes_on:
        _say(tx, setup, who, asked, "thanks")
    return goes_on


def told(asked: Invitation, given: Response) -> str:
    """A score in a line for colleagues: CES7 2/7: “I had to repeat everything.”"""
    line = f"{asked.instrument.upper()} {given.score:g}/{INSTRUMENTS[asked.instrument].max}"
    return f"{line}: “{given.comment}”" if given.comment else line


def _follow(tx: Tx, setup: Setup, who: Customer, asked: Invitation, given: Response) -> bool:
    """Ask whether a colleague may contact them, or offer the link; False: neither is due."""
    instrument, extra = INSTRUMENTS[asked.instrument], dict(given.extra)
    if is_detractor(given.score, instrument) and "contact" not in extra:
        body, meta = surveys.contact_body(who.locale, setup.texts), {"survey_contact": asked.id}
        outbox.say(tx, who.id, body, author=BOT, case_id=asked.case_id, meta=meta)
        store.change_response(tx.conn, given.id, extra={**extra, "contact": "asked"})
        return True
    url = setup.rules.review_url
    if url and is_promoter(given.score, instrument) and not store.was_offered_review(tx.conn, who.id):
        _say(tx, setup, who, asked, "review", url=url)
        store.change_response(tx.conn, given.id, extra={**extra, "review": "offered"})
        return True
    return False


def _may_be_told(tx: Tx, who: Customer) -> bool:
    """Nobody asked us to speak: not in the middle of something new, nor to who wants no word unasked."""
    now = store.person(tx.conn, who.id)
    return now is not None and not now.opted_out and not store.has_live_case(tx.conn, who.id)


def _say(tx: Tx, setup: Setup, who: Customer, asked: Invitation, key: str, **values: object) -> None:
    text = surveys.wording(key, who.locale, setup.texts, **values)
    outbox.say(tx, who.id, Body(text=text), author=BOT, case_id=asked.case_id)
