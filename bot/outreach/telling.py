"""Notices on their way: drafted, approved, told to one customer after the other, or called off.

    draft ──approve──► approved ──► every customer of the audience gets a row, and a timer of their own ──► told
      └────────────────────┴─ cancel: who still waits is not told any more

Listing an audience and telling one customer are two kinds of timers (`LIST`, `ONE`), each in its own transaction: a fault
with one customer stops nobody else, a crash goes on where it was, and the row per customer makes sure that nobody hears a
notice twice, over nodes, restarts and merges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from bot import outbox, timers
from bot.errors import Conflict
from bot.events import CustomerErased, SendSettled
from bot.model import BOT, SYSTEM, Body, Choice, Customer, new_id
from bot.outreach import store
from bot.outreach.consent import START, STOP
from bot.outreach.notice import (
    ENDS_AFTER,
    Kind,
    Later,
    Notice,
    Reason,
    Rules,
    Skip,
    State,
    Tell,
    check,
    decide,
    in_line,
    rules_from,
    tell_next,
    text_for,
)
from bot.quiet import next_quiet
from bot.storage import audit, customers, history
from bot.storage.tx import Tx
from bot.texts import say
from bot.timers import Timer

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

LIST: Final = "notice_list"
ONE: Final = "notice"
BATCH = 500  # customers looked at in one transaction


@dataclass(frozen=True, slots=True)
class Notices:
    """The verbs and the ringers. `desk` is asked afresh each time, because a desk may be reloaded."""

    desk: Callable[[], Desk]

    # ── people and programs ────────────────────────────────────────────────────────────────────────────────────────
    def draft(self, tx: Tx, notice: Notice, by: str) -> Notice:
        """Keep a draft. Raises NoticeFault for one that could not be told."""
        made = replace(notice, id=notice.id or new_id(), state=State.DRAFT, drafted_by=by, drafted_at=tx.now)
        check(made, self.desk().flows)
        store.add(tx, made)
        audit.of_console(tx, by, "notice drafted", title=made.title)
        return made

    def change(self, tx: Tx, notice: Notice, by: str) -> Notice:
        """Put a draft as it is to be. Raises NoticeFault, and Conflict once it was approved."""
        before = store.held(tx, notice.id)
        if before.state is not State.DRAFT:
            raise Conflict("only a draft can be changed: what was approved is on its way")
        changed = replace(notice, state=State.DRAFT, drafted_by=before.drafted_by, drafted_at=before.drafted_at)
        changed = replace(changed, source=before.source)
        check(changed, self.desk().flows)
        store.change(tx, changed)
        audit.of_console(tx, by, "notice changed", title=changed.title)
        return changed

    def approve(self, tx: Tx, notice_id: str, by: str) -> Notice:
        """From its start on it is told. Raises Conflict for one that is no draft any more."""
        draft = store.held(tx, notice_id)
        if draft.state is not State.DRAFT:
            raise Conflict("this notice is no draft any more")
        check(draft, self.desk().flows)
        starts = max(draft.starts_at or tx.now, tx.now)
        ends = draft.ends_at or starts + ENDS_AFTER
        if ends <= starts:
            raise Conflict("this notice would end before it begins")
        approved = replace(
            draft, state=State.APPROVED, approved_by=by, approved_at=tx.now, starts_at=starts, ends_at=ends
        )
        store.change(tx, approved)
        audit.of_console(tx, by, "notice approved", title=draft.title)
        timers.set_timer(tx, LIST, _list_key(draft.id), starts, data={"notice": draft.id})
        return approved

    def cancel(self, tx: Tx, notice_id: str, by: str) -> Notice:
        """Who has not been told by now is not told any more, and what has not left stays. Raises Conflict for what is over."""
        found = store.held(tx, notice_id)
        if found.state in {State.TOLD, State.CANCELLED}:
            raise Conflict("this notice is over")
        cancelled = replace(found, state=State.CANCELLED)
        store.change(tx, cancelled)
        store.skip_waiting(tx, found.id, Reason.CANCELLED)
        store.skip_unsent(tx, found.id, Reason.CANCELLED)
        timers.cancel(tx, _list_key(found.id))
        audit.of_console(tx, by, "notice cancelled", title=found.title)
        return cancelled

    # ── timers ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def list_due(self, tx: Tx, timer: Timer) -> None:
        """Give the next customers of the audience their rows and their moments; then the next ones, until there are no more."""
        notice = store.held(tx, str(timer.data["notice"]))
        if notice.state is not State.APPROVED or notice.listed_at is not None:
            return
        rules, zone = self._rules(), ZoneInfo(self.desk().time_zone)
        found, last = store.affected(tx.conn, notice.audience, notice.listed_to, BATCH)
        for customer_id in store.await_turn(tx, notice.id, found):
            notice, at = in_line(notice, rules, tx.now, zone)
            _set_timer(tx, notice.id, customer_id, customer_id, at)
        if last is not None:
            store.change(tx, replace(notice, listed_to=last))
            timers.set_timer(tx, LIST, _list_key(notice.id), tx.now, data={"notice": notice.id})
            return
        store.change(tx, replace(notice, listed_at=tx.now))
        self._end_if_told(tx, notice.id)

    def one_due(self, tx: Tx, timer: Timer) -> None:
        """Tell one customer, or put it off, or leave them alone."""
        who = customers.customer(tx.conn, timer.customer_id or "")
        mine = str(timer.key.rpartition(":")[2])
        if who is None or not store.is_waiting(tx.conn, str(timer.data["notice"]), mine):
            return
        notice, desk, rules = store.held(tx, str(timer.data["notice"])), self.desk(), self._rules()
        zone = ZoneInfo(desk.time_zone)
        decision = decide(notice, store.facts(tx.conn, notice.id, who.id), rules, tx.now, zone)
        if isinstance(decision, Skip):
            store.settle(tx, notice.id, mine, "skipped", decision.reason, None)
            if decision.reason is Reason.WITH_A_PERSON:
                _note(tx, notice, who, desk)
            self._end_if_told(tx, notice.id)
            return
        if isinstance(decision, Later) and decision.alone:
            _set_timer(tx, notice.id, mine, who.id, decision.at)
            return
        told = tell_next(notice, rules, tx.now) if isinstance(decision, Tell) else None
        if told is None:
            later, at = in_line(notice, rules, decision.at if isinstance(decision, Later) else tx.now, zone)
            store.change(tx, later)
            _set_timer(tx, notice.id, mine, who.id, at)
            return
        store.change(tx, told)
        self._say(tx, told, who, mine)
        self._end_if_told(tx, notice.id)

    def _say(self, tx: Tx, notice: Notice, who: Customer, mine: str) -> None:
        """What has not left by the night, or by the notice's end, does not leave: it is decided anew then."""
        rules, desk = self._rules(), self.desk()
        ends = (next_quiet(tx.now, rules.quiet, ZoneInfo(desk.time_zone)), notice.ends_at)
        until = min((one for one in ends if one is not None), default=None)
        before = store.message_of(tx.conn, notice.id, mine)
        if before is not None and outbox.again(tx, who.id, before, until):
            store.settle(tx, notice.id, mine, "told", None, before)
            return
        said = outbox.say(
            tx,
            who.id,
            body(notice, who, desk),
            author=BOT,
            case_id=store.live_case(tx.conn, who.id),
            meta={"notice": notice.id},
            bulk=True,
            expires_at=until,
        )
        store.settle(tx, notice.id, mine, "told", None, said.id)

    def _end_if_told(self, tx: Tx, notice_id: str) -> None:
        notice = store.held(tx, notice_id)
        over = notice.state is State.APPROVED and notice.listed_at is not None
        if over and not store.is_anybody_waiting(tx.conn, notice_id):
            store.change(tx, replace(notice, state=State.TOLD))

    # ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def on_erased(self, tx: Tx, _event: CustomerErased) -> None:
        """Whoever was waited for may be gone now: then the notice is over."""
        for notice_id in store.being_told(tx.conn):
            self._end_if_told(tx, notice_id)

    def on_send_settled(self, tx: Tx, event: SendSettled) -> None:
        """A notice that did not arrive counts as not told: a person took over before it left, or the channel refused it.

        One that would have left too late is decided anew: it waits for the morning, or is over.
        """
        if event.message_id is None or event.outcome == "sent":
            return
        said = history.message(tx.conn, event.message_id)
        if said is None or "notice" not in said.meta:
            return
        if event.outcome == "expired" and event.error == outbox.TOO_LATE:
            self._wait_again(tx, str(said.meta["notice"]), said.id, event.customer_id)
        else:
            reason = Reason.WITH_A_PERSON if event.outcome == "expired" else Reason.NOT_DELIVERED
            notice = store.notice(tx.conn, str(said.meta["notice"]))
            who = customers.customer(tx.conn, event.customer_id or "")
            if store.not_delivered(tx, said.id, reason) and reason is Reason.WITH_A_PERSON and notice and who:
                _note(tx, notice, who, self.desk())

    def _wait_again(self, tx: Tx, notice_id: str, message_id: str, customer_id: str | None) -> None:
        notice = store.held(tx, notice_id)
        mine = store.wait_again(tx, notice_id, message_id)
        if mine is None:
            return
        if notice.state is State.TOLD:
            store.change(tx, replace(notice, state=State.APPROVED))
        _set_timer(tx, notice_id, mine, customer_id or mine, tx.now)

    def _rules(self) -> Rules:
        return rules_from(self.desk().notices)


def body(notice: Notice, who: Customer, desk: Desk) -> Body:
    """What a customer gets: the words in their language, a way into a flow, and under a campaign a way out of it."""
    choices: Sequence[Choice] = ()
    flow = desk.flows.get(notice.flow or "")
    if flow is not None:
        choices = (Choice(START + flow.id, say("notice_begin", who.locale, desk.texts)),)
    if notice.kind is Kind.CAMPAIGN:
        choices = (*choices, Choice(STOP, say("notice_stop", who.locale, desk.texts)))
    return Body(text_for(notice.texts, who.locale, desk.locales), markdown=True, choices=tuple(choices))


def _note(tx: Tx, notice: Notice, who: Customer, desk: Desk) -> None:
    """Whoever talks with the customer reads what was not said over their head."""
    case_id = store.live_case(tx.conn, who.id)
    words = text_for(notice.texts, desk.locales[0], desk.locales)
    text = say("notice_held_back", desk.locales[0], desk.texts, title=notice.title, text=words)
    meta = {"notice": notice.id}
    history.append(tx, who.id, Body(text), author=SYSTEM, channel="desk", case_id=case_id, meta=meta, note=True)


def _list_key(notice_id: str) -> str:
    return f"notice_list:{notice_id}"


def _set_timer(tx: Tx, notice_id: str, mine: str, customer_id: str, at: datetime) -> None:
    """`mine` names their row, `customer_id` who they are now."""
    data = {"notice": notice_id}
    timers.set_timer(tx, ONE, f"notice:{notice_id}:{mine}", at, customer_id=customer_id, data=data)
