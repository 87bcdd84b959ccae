"""`/stafett queue | status | search WORDS | talk [#12] WORDS | desk | available | busy | away [until]`, answered in the
acknowledgement: only who typed it sees the answer.

Commands don't work in threads, so whatever has to do with one case is a button.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from bot.events import TalkLogged
from bot.storage.tx import Tx
from channels.text import clean, one_line, plain_to_mrkdwn
from handoff import store as rows
from handoff.availability import set_available
from handoff.slack.agents import Who, zone_of
from handoff.slack.blocks import Block, line
from handoff.slack.home import store, view
from handoff.slack.links import links_to
from handoff.slack.taking import snooze_until
from handoff.slack.wording import Wording
from handoff.web import sign_in

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

MOST = 10  # cases that are listed
DOOR_OPEN = timedelta(minutes=10)  # a link into the web desk
_SPAN = re.compile(r"(\d{1,3})\s*(m|h|d)", re.IGNORECASE)
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_CASE = re.compile(r"#(\d{1,9})\b")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def sought(words: str) -> str:
    """What a search looks for; "" for every other command. It goes through all that was said in half a year: whoever runs it
    looks first, where nobody waits for it, and brings `run` what was found.
    """
    verb, _, rest = words.strip().partition(" ")
    return one_line(rest, 100).strip() if verb.lower() == "search" else ""


def run(
    tx: Tx, words: str, who: Who, desk: Desk, site: str, public_url: str, found: Sequence[store.Row] = ()
) -> Mapping[str, Any]:
    """What the agent reads: `text`, and `blocks` where there are cases. `found`: what is `sought`."""
    wording = Wording(desk)
    verb, _, rest = words.strip().partition(" ")
    match verb.lower():
        case "available":
            set_available(tx, who.agent_id, True, name=who.name)
            return _said(wording("slack_available"))
        case "busy":
            set_available(tx, who.agent_id, True, busy=True, name=who.name)
            return _said(wording("slack_busy"))
        case "away":
            return _said(_away(tx, rest.strip(), who, desk, wording))
        case "desk":
            return _door(tx, who, wording, public_url)
        case "status":
            return _said(_status(tx, who, desk, wording))
        case "queue" | "":
            agent = rows.agent(tx.conn, desk, who.agent_id)
            waiting = store.queue(tx.conn, agent)
            return _cases(tx, wording("slack_queue", count=len(waiting)), waiting, wording, site, public_url)
        case "talk":
            return _said(_talk(tx, rest.strip(), who, wording))
        case "search":
            return _found(tx, sought(words), found, wording, site, public_url)
        case _:
            return _said(wording("slack_command"))


def until_of(words: str, now: datetime, zone: tzinfo) -> datetime | None:
    """The moment in `14:30`, `2h`, `2026-12-24` or `2026-12-24 14:30`, in UTC; None for no words at all.

    Raises ValueError where no moment is told.
    """
    if not words:
        return None
    words = words.lower().removeprefix("until").strip()
    if span := _SPAN.fullmatch(words):
        return now + timedelta(**{_UNITS[span[2].lower()]: int(span[1])})
    date, time = _DATE.search(words), _TIME.search(words)
    if not (date or time) or _DATE.sub("", _TIME.sub("", words)).strip(" ,"):
        raise ValueError(words)
    clock = f"{int(time[1]):02}:{time[2]}" if time else ""
    return snooze_until(now, zone, "", date[0] if date else "", clock)


def _away(tx: Tx, words: str, who: Who, desk: Desk, wording: Wording) -> str:
    try:
        until = until_of(words, tx.now, zone_of(who, desk))
    except (ValueError, OverflowError):
        return wording("slack_bad_time")
    if until is not None and until <= tx.now:
        return wording("refused_past")
    set_available(tx, who.agent_id, False, until=until, name=who.name)
    return wording("slack_away") if until is None else wording("home_is_away_until", when=wording.moment(until))


def _talk(tx: Tx, words: str, who: Who, wording: Wording) -> str:
    """What a customer said on the phone or at the counter is kept; `#12` first says in which case."""
    numbered = _CASE.match(words)
    case = rows.by_number(tx.conn, int(numbered[1])) if numbered else None
    told = words[numbered.end() :].strip() if numbered else words
    if not told or (numbered and case is None):
        return wording("slack_talk_how")
    whose = (case.customer_id, case.id) if case else (None, None)
    tx.emit(TalkLogged(who.agent_id, clean(told), customer_id=whose[0], case_id=whose[1]))
    return wording("slack_talk_kept")


def _door(tx: Tx, who: Who, wording: Wording, public_url: str) -> Mapping[str, Any]:
    """Slack has said who this is, so they come into the web desk by a link that only they see, once and soon."""
    if not who.listed:
        return _said(wording("slack_desk_unlisted"))
    link = f"{public_url}/desk/join?token={sign_in.invite(tx, who.agent_id, DOOR_OPEN)}"
    label = plain_to_mrkdwn(wording("slack_desk_link"))
    once = plain_to_mrkdwn(wording("slack_desk_once", minutes=int(DOOR_OPEN.total_seconds() // 60)))
    return {"text": f"<{link}|{label}> {once}"}


def _status(tx: Tx, who: Who, desk: Desk, wording: Wording) -> str:
    found = store.counts(tx.conn)
    here = [one for one in rows.agents(tx.conn, desk, tx.now) if one.available]
    named = {name: found.get(name, 0) for name in ("queued", "open", "pending", "snoozed")}
    own = store.availability(tx.conn, who.agent_id, tx.now)
    return f"{wording('status_line', here=len(here), **named)}\n{view.is_here(own, wording)}"


def _found(
    tx: Tx, words: str, found: Sequence[store.Row], wording: Wording, site: str, public_url: str
) -> Mapping[str, Any]:
    if not words:
        return _said(wording("search_how"))
    if not found:
        return _said(wording("search_none", words=words))
    return _cases(tx, wording("search_found", count=len(found), words=words), found, wording, site, public_url)


def _cases(
    tx: Tx, told: str, found: Sequence[store.Row], wording: Wording, site: str, public_url: str
) -> Mapping[str, Any]:
    shown = found[:MOST]
    links = links_to(tx.conn, [row.case.id for row in shown], site, public_url)
    blocks: list[Block] = [line(told)]
    for row in shown:
        blocks += view.case_blocks(row, wording, links)
    lines = [f"• #{row.case.number} {row.customer or wording('author_customer')}" for row in shown]
    text = plain_to_mrkdwn("\n".join([told, *(one_line(one, 80) for one in lines)]))
    return {"text": text, **({"blocks": blocks} if shown else {})}


def _said(text: str) -> Mapping[str, Any]:
    return {"text": plain_to_mrkdwn(text)}
