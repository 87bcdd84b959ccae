"""An agent's Home, drawn. Pure.

A home tab holds 100 blocks (docs.slack.dev): each list shows its first few and says how many more there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.intervals import wilson
from bot.model import CaseStatus
from channels.text import one_line, plain_to_mrkdwn
from handoff.brief import owed_since, whose_turn
from handoff.slack import forms
from handoff.slack.blocks import Block, button, heading, line, ours, plain, small
from handoff.slack.card import LIGHTS
from handoff.slack.home.store import Availability, Row, Scored
from handoff.slack.verb import ACTION
from handoff.slack.wording import Wording

HOME = "home:"
AVAILABLE, BUSY, AWAY = (f"{HOME}{what}" for what in ("available", "busy", "away"))
DATE, TIME = "date", "time"
SHOWN = 8  # cases of each list: three blocks a case, five lists, stay below 100
SCALES = {"ces7": "/7", "ces7_statement": "/7"}
SHOWN_FROM, FIRM_FROM = 5, 30  # answers: fewer are not shown, or said to be few


@dataclass(frozen=True, slots=True)
class Late:
    """A case whose service level is broken, or will be soon."""

    row: Row
    due_at: datetime
    broken: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What an agent's Home shows. `idle` are cases of theirs in which nobody has said a word for long, with since when."""

    name: str
    here: Availability
    mine: Sequence[Row] = ()
    queue: Sequence[Row] = ()
    late: Sequence[Late] = ()
    idle: Sequence[tuple[Row, datetime]] = ()
    scores: Sequence[Scored] = ()


def page(shown: Page, wording: Wording, links: Mapping[str, str]) -> dict[str, Any]:
    """The view that views.publish takes. `links` lead to cases, by their ids."""
    blocks: list[Block] = [
        {"type": "header", "text": plain(wording("home_hello", name=one_line(shown.name, 60)), 150)},
        *_availability(shown.here, wording),
        *_nudges(shown, wording, links),
        *_late(shown, wording, links),
        *_cases("home_mine", shown.mine, wording, links),
        *_cases("home_queue", shown.queue, wording, links),
        *_scores(shown.scores, wording),
    ]
    return {"type": "home", "callback_id": "home", "blocks": blocks}


def stranger(desk: str, wording: Wording) -> dict[str, Any]:
    """What somebody sees who is no agent."""
    return {"type": "home", "callback_id": "home", "blocks": [line(wording("home_stranger", desk=one_line(desk, 80)))]}


def away_form(wording: Wording) -> dict[str, Any]:
    blocks = [
        line(wording("away_until")),
        forms.field(DATE, wording("snooze_date"), {"type": "datepicker"}, optional=True),
        forms.field(TIME, wording("snooze_time"), {"type": "timepicker"}, optional=True),
    ]
    return forms.view(AWAY, wording("away_title"), blocks, wording, wording("button_away"))


def is_here(here: Availability, wording: Wording) -> str:
    """How an agent's standing is said to them."""
    if not here.available:
        if here.away_until is None:
            return wording("home_is_away")
        return wording("home_is_away_until", when=wording.moment(here.away_until))
    return wording("home_is_busy" if here.busy else "home_is_available")


# ── its parts ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _availability(here: Availability, wording: Wording) -> list[Block]:
    now = "away" if not here.available else "busy" if here.busy else "available"
    made = []
    for name, action in (("available", AVAILABLE), ("busy", BUSY), ("away", AWAY)):
        made.append(button(action, wording(f"home_{name}"), "-", "primary" if name == now else None))
    return [line(is_here(here, wording)), {"type": "actions", "elements": made}]


def _nudges(shown: Page, wording: Wording, links: Mapping[str, str]) -> list[Block]:
    if not shown.idle:
        return []
    found: list[Block] = [heading(wording("home_nudges", count=len(shown.idle)))]
    for row, since in shown.idle[:SHOWN]:
        told = ours(f"{plain_to_mrkdwn(wording('home_idle'))} {wording.date(since)}")
        found.append(small(_link(row, links), plain(_who(row, wording), 150), told))
    return [*found, *_rest(shown.idle, wording)]


def _late(shown: Page, wording: Wording, links: Mapping[str, str]) -> list[Block]:
    if not shown.late:
        return []
    found: list[Block] = [heading(wording("home_breaches", count=len(shown.late)))]
    for one in shown.late[:SHOWN]:
        told = wording("home_late" if one.broken else "home_due")
        mark = "🔥" if one.broken else "⏰"
        when = ours(f"{mark} {plain_to_mrkdwn(told)} {wording.date(one.due_at)}")
        found.append(small(_link(one.row, links), plain(_who(one.row, wording), 150), when))
    return [*found, *_rest(shown.late, wording)]


def _cases(key: str, rows: Sequence[Row], wording: Wording, links: Mapping[str, str]) -> list[Block]:
    found: list[Block] = [heading(wording(key, count=len(rows)))]
    if not rows:
        return [*found, line(wording(f"{key}_none"))]
    for row in rows[:SHOWN]:
        found += case_blocks(row, wording, links)
    return [*found, *_rest(rows, wording)]


def case_blocks(row: Row, wording: Wording, links: Mapping[str, str]) -> list[Block]:
    """A case in a list: who, whose turn, since when; and the button to go on with. In a Home and in what a search found."""
    case = row.case
    turn, since = whose_turn(case), owed_since(case)
    told = wording(f"status_{case.status}")
    if turn in {"queued", "customer", "bot"}:
        told = wording(f"turn_{turn}")
    parts = [_link(row, links), plain(f"{told}{f' · {one_line(case.topic, 80)}' if case.topic else ''}", 200)]
    if since is not None:
        parts.append(ours(f"{plain_to_mrkdwn(wording('card_waiting'))} {wording.date(since)}"))
    if case.status is CaseStatus.SNOOZED and case.next_action_at is not None:
        parts.append(ours(f"{plain_to_mrkdwn(wording('turn_snoozed'))} {wording.date(case.next_action_at)}"))
    free = case.status is CaseStatus.QUEUED
    goes_on = ("claim", "button_claim") if free else ("more", "button_more_form")
    go = button(f"{ACTION}{goes_on[0]}", wording(goes_on[1]), case.id, "primary" if free else None)
    who = {"type": "section", "text": plain(f"{LIGHTS[case.status]} {_who(row, wording)}", 150), "accessory": go}
    return [who, small(*parts)]


def _scores(scores: Sequence[Scored], wording: Wording) -> list[Block]:
    found: list[Block] = [heading(wording("home_scores"))]
    if not scores:
        return [*found, line(wording("home_scores_none"))]
    return [*found, line("  ·  ".join(f"★ {one.instrument.upper()} {_score(one, wording)}" for one in scores))]


def _score(one: Scored, wording: Wording) -> str:
    """CES as its mean, CSAT as its share, each with n and the interval of the share; of fewer than five nothing."""
    share = wilson(one.good, one.answers)
    if one.answers < SHOWN_FROM or share is None:
        return f"{wording('figures_hidden')} (n = {one.answers})"
    part = f"{one.good / one.answers:.0%}"
    told = f"{one.mean:.1f}{SCALES[one.instrument]} · {part}" if one.instrument in SCALES else part
    few = f", {wording('figures_few')}" if one.answers < FIRM_FROM else ""
    return f"{told} ({share.low:.0%} – {share.high:.0%}, n = {one.answers}{few})"


def _who(row: Row, wording: Wording) -> str:
    return f"#{row.case.number} {one_line(row.customer, 80) or wording('author_customer')}"


def _link(row: Row, links: Mapping[str, str]) -> Block:
    to = links.get(row.case.id)
    return ours(f"<{plain_to_mrkdwn(to)}|#{row.case.number}>" if to else f"#{row.case.number}")


def _rest(rows: Sequence[Any], wording: Wording) -> list[Block]:
    return [line(wording("home_more", count=len(rows) - SHOWN))] if len(rows) > SHOWN else []
