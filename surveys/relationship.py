"""NPS campaigns as they run: a sweep over the customers, and one question for each whom it draws.

A timer looks every hour whether a campaign has begun. It goes through the customers page by page, a minute apart, and only
plans: one row for each of them in this campaign (a unique key, so that a crash, a replay or a second node plans nothing
twice) and one timer, which asks in a transaction of that customer's own. Who has an open case is looked at again a day
later, as long as the campaign runs; a question is put off by quiet hours, and by the last hours of the time that is left
between two; every other reason not to ask is written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot import timers
from bot.quiet import after_quiet
from bot.storage.tx import Tx
from bot.timers import Timer
from surveys import campaign as campaigns
from surveys import store
from surveys.campaign import THROTTLE, Campaign, Relationship
from surveys.invitations import ASK_IN_CAMPAIGN, Invitations, Setup, campaign_key, is_reachable
from surveys.store import Invitation, Person
from surveys.survey import RELATIONSHIP
from surveys.timing import PastAsk, Reason, is_tired

SWEEP: Final = "nps"
ASK: Final = ASK_IN_CAMPAIGN
LOOK_EVERY = timedelta(hours=1)
PAGE, PAGE_EVERY = 100, timedelta(minutes=1)
AGAIN = timedelta(days=1)


def begin(tx: Tx) -> None:
    """See to it that somebody looks for campaigns: called at each start and each change of the desk, on every node."""
    timers.set_once(tx, SWEEP, SWEEP, tx.now)


@dataclass(frozen=True, slots=True)
class Campaigns:
    """What the two timers do."""

    invitations: Invitations

    def sweep(self, tx: Tx, timer: Timer) -> None:
        """One page of customers of the campaign that runs; else look again in an hour. Without `nps:` in the desk, no more."""
        setup = self.invitations.setup()
        rules = setup.rules.nps
        if rules is None:
            return
        running = campaigns.current(rules, tx.now, setup.zone)
        if running is None or timer.data.get("done") == running.id:
            timers.set_timer(tx, SWEEP, SWEEP, tx.now + LOOK_EVERY, data=timer.data)
            return
        awake = after_quiet(tx.now, setup.rules.quiet, setup.zone)
        if awake > tx.now:  # or all whom the night puts off would be asked in its last minute
            timers.set_timer(tx, SWEEP, SWEEP, awake, data=timer.data)
            return
        after = str(timer.data.get("after", "")) if timer.data.get("campaign") == running.id else ""
        found = store.people(tx.conn, running.begins_at - rules.active, after, PAGE)
        for who in found:
            self._plan(tx, who, running, rules)
        if len(found) == PAGE:
            data = {"campaign": running.id, "after": found[-1].id}
            timers.set_timer(tx, SWEEP, SWEEP, tx.now + PAGE_EVERY, data=data)
        else:
            timers.set_timer(tx, SWEEP, SWEEP, tx.now + LOOK_EVERY, data={"done": running.id})

    def _plan(self, tx: Tx, who: Person, running: Campaign, rules: Relationship) -> None:
        if not campaigns.is_drawn(who.id, running, rules):
            return
        key = store.plan_of_campaign(tx, who, running.id, tx.now)
        if key is not None:
            until = running.ends_at.isoformat()
            timers.set_timer(tx, ASK, campaign_key(key), tx.now, customer_id=who.id, data={"key": key, "until": until})

    def ask_due(self, tx: Tx, timer: Timer) -> None:
        """Ask this customer, put it off, or write down why not."""
        planned = store.invitation_of_case(tx.conn, str(timer.data["key"]))
        who = store.person(tx.conn, planned.customer_id) if planned is not None else None
        if planned is None or who is None or planned.state != "planned":
            return
        setup, ends_at = self.invitations.setup(), datetime.fromisoformat(str(timer.data["until"]))
        past = store.past_asks(tx.conn, who.id)
        free_at = max(tx.now, throttled_until(past, setup) or tx.now)
        reason = self._against(tx, planned, who, setup, past, free_at)
        at = tx.now + AGAIN if reason is Reason.OPEN_CASE else after_quiet(free_at, setup.rules.quiet, setup.zone)
        if reason is None and at >= ends_at:
            reason = Reason.EXPIRED
        if reason is not None and (reason is not Reason.OPEN_CASE or at >= ends_at):
            store.change(tx.conn, planned.id, state="skipped", skip_reason=reason.value, due_at=None)
        elif at > tx.now:
            store.change(tx.conn, planned.id, due_at=at)
            timers.set_timer(tx, ASK, timer.key, at, customer_id=timer.customer_id, data=timer.data)
        else:
            self.invitations.ask(tx, planned, planned.instrument, who.locale)

    def _against(
        self, tx: Tx, planned: Invitation, who: Person, setup: Setup, past: list[PastAsk], free_at: datetime
    ) -> Reason | None:
        """The first reason not to ask, in the order of the checks."""
        checks = (
            (Reason.OFF, setup.rules.nps is None),
            (Reason.OPTED_OUT, who.opted_out),
            (Reason.OPEN_CASE, store.has_live_case(tx.conn, who.id)),
            (Reason.ALREADY_ASKED, any(ask.case_id.startswith(f"{planned.campaign}/") for ask in past)),
            (Reason.UNREACHABLE, not is_reachable(tx, who.id)),
            (Reason.THROTTLED, free_at > tx.now + AGAIN),
            (Reason.FATIGUE, is_tired(setup.rules, past, tx.now)),
        )
        return next((reason for reason, holds in checks if holds), None)


def throttled_until(past: list[PastAsk], setup: Setup) -> datetime | None:
    """When they may be asked again: 90 days after this was asked, and after anything what the desk leaves between two questions.

    Who has to wait less than a day is not dropped: from one campaign to the next it is 90 days of the calendar, which are an
    hour less where summer has begun, and a minute less where the sweep comes earlier.
    """
    return max(
        (
            ask.asked_at + max(setup.rules.throttle, THROTTLE if ask.instrument in RELATIONSHIP else timedelta())
            for ask in past
        ),
        default=None,
    )
