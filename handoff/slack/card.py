"""The card of a case: all that an agent needs to take over, on one screen. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from bot.model import LIVE, WITH_PEOPLE
from bot.texts import canonical
from channels.text import one_line, plain_to_mrkdwn
from handoff.brief import Brief, Score
from handoff.hints.hint import Hints, lines
from handoff.slack.blocks import HEADER, Block, button, heading, ours, plain, section, small, table
from handoff.slack.verb import ACTION
from handoff.slack.wording import Wording

LIGHTS = {"queued": "🔴", "open": "🟢", "pending": "🟡", "snoozed": "💤", "bot": "🤖", "resolved": "✅", "closed": "⚫"}
PART = 2000  # characters of a list on the card; the thread has everything
HINT = 1200  # … of what may help
FACT = 400  # … of what stands beside a label
EARLIER = 5  # a line of small letters holds ten elements: number and words of five cases
SCALES = {"ces7": 7, "ces7_statement": 7, "csat5": 5, "nps": 10}


def card(
    brief: Brief, wording: Wording, links: Mapping[str, str] = MappingProxyType({}), hints: Hints | None = None
) -> dict[str, Any]:
    """`{"text", "blocks"}`. `links` lead to earlier cases, by their ids; `hints` are what was found that may help."""
    who = one_line(brief.customer, 80) or wording("author_customer")
    title = f"{LIGHTS.get(brief.status, '')} #{brief.number} · {who}"
    blocks: list[Block] = [
        {"type": "header", "text": plain(title, HEADER)},
        *_turn(brief, wording),
        *table(list(_facts(brief, wording, who))),
        *_list(wording("card_summary"), [f"“{one}”" for one in brief.summary]),
        *_list(wording("card_asked"), [f"{name}: {value}" for name, value in brief.asked]),
        *_list(wording("card_tried"), [f"• {one}" for one in brief.tried]),
        *_list(wording("card_scores"), [score_line(one) for one in brief.scores]),
        *_hints(hints, brief, wording),
        *_earlier(brief, wording, links),
        *_buttons(brief, wording),
    ]
    told = f"{wording('card_new')} #{brief.number}: {who}" if brief.status == "queued" else f"#{brief.number}: {who}"
    reason = one_line(brief.reason, 200)
    return {"text": plain_to_mrkdwn(f"{told} – {reason}" if reason else told), "blocks": blocks}


def digest(drawn: dict[str, Any], status: str) -> str:
    """Tells one drawing from another; begins with the status that it shows."""
    content = json.dumps(drawn, sort_keys=True, ensure_ascii=False).encode()
    return f"{status}:{hashlib.sha256(content).hexdigest()[:32]}"


def _turn(brief: Brief, wording: Wording) -> list[Block]:
    """Whose turn it is, and since when the customer waits: what is to be seen first."""
    if not brief.turn:
        return []
    told = wording(f"turn_{brief.turn}", **({"agent": one_line(brief.agent, 80)} if brief.turn == "agent" else {}))
    parts = [plain(told, 150)]
    if brief.owed_since is not None:
        parts.append(ours(f"*{plain_to_mrkdwn(wording('card_waiting'))}* {wording.date(brief.owed_since)}"))
    if brief.snoozed_until is not None:
        parts.append(ours(wording.date(brief.snoozed_until)))
    if brief.due is not None:
        label = wording("card_sla", target=wording(f"sla_{brief.due.target}"))
        parts.append(ours(f"*{plain_to_mrkdwn(label)}* {wording.date(brief.due.at)}"))
    return [small(*parts)]


def _facts(brief: Brief, wording: Wording, who: str) -> Iterator[tuple[str, Block]]:
    yield wording("card_who"), plain(f"{who} · {wording('card_blocked')}" if brief.blocked else who, FACT)
    if brief.bad_experience is not None:
        yield f"⚠️ {wording('card_bad_experience')}", plain(score_line(brief.bad_experience), FACT)
    others = [wording.channel(one) for one in brief.channels if one != brief.channel]
    where = wording.channel(brief.channel) + ("" if brief.reachable else " ⚠️")
    yield wording("card_channel"), plain(where + (f" ({', '.join(others)})" if others else ""), FACT)
    if brief.known_by:
        yield wording("card_identity"), plain(_known_by(brief, wording), FACT)
    yield wording("card_language"), plain(language(brief.locale, wording.locale), FACT)
    local = local_time(brief, wording)
    if local:
        yield wording("card_local"), plain(local, FACT)
    yield wording("card_status"), plain(_status(brief, wording), FACT)
    why = one_line(brief.reason, FACT) or reason(brief.reason_code, wording)
    if why:
        yield wording("card_reason"), plain(why, FACT)
    if brief.priority in {"urgent", "high", "low"}:
        yield wording("card_priority"), plain(wording(f"desk_{brief.priority}"), FACT)
    if brief.team:
        yield wording("card_team"), plain(one_line(brief.team), FACT)
    if brief.topic:
        yield wording("card_topic"), plain(one_line(brief.topic, 200), FACT)
    if brief.outcome and brief.status not in LIVE:
        yield wording("card_outcome"), plain(wording.either(f"outcome_{brief.outcome}", brief.outcome), FACT)


def _known_by(brief: Brief, wording: Wording) -> str:
    """What says who they are, for each of their channels."""
    found = (f"{wording.channel(one)}: {wording.either(f'evidence_{how}', how)}" for one, how in brief.known_by)
    return " · ".join(found)


def local_time(brief: Brief, wording: Wording) -> str:
    """What the customer's clock showed when they wrote last, and their time zone; empty where nobody knows it.

    Not the time of now: a card is drawn when its case changes, and then hangs there.
    """
    if not brief.time_zone or brief.wrote_at is None:
        return ""
    try:
        there = brief.wrote_at.astimezone(ZoneInfo(brief.time_zone))
    except (ValueError, LookupError, OSError):
        return ""
    minutes = int((there.utcoffset() or timedelta()).total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    zone = f"{brief.time_zone}, UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")
    return wording("card_local_time", time=f"{there:%H:%M}", zone=zone)


def _status(brief: Brief, wording: Wording) -> str:
    status = wording.either(f"status_{brief.status}", brief.status)
    if brief.status in {"resolved", "closed"}:
        return wording("card_resolved", agent=one_line(brief.agent)) if brief.agent else status
    return f"{status} · {wording('card_taken', agent=one_line(brief.agent))}" if brief.agent else status


def reason(code: str, wording: Wording) -> str:
    """Why the bot fetched people, in words; a desk's own code is shown as it is."""
    return wording.either(f"escalated_{code}", one_line(code))


def language(locale: str, reader: str) -> str:
    """A language's name in the reader's, with its code; the code alone where Babel does not know it."""
    from babel import Locale, UnknownLocaleError

    try:
        name = Locale.parse(canonical(locale), sep="-").get_display_name(canonical(reader).split("-")[0])
    except (UnknownLocaleError, ValueError, TypeError):
        name = None
    return f"{name} ({locale})" if name else locale


def _list(title: str, told: list[str], most: int = PART) -> list[Block]:
    if not told:
        return []
    return [heading(title), section("\n".join(one_line(line, 600) for line in told), most)]


def _hints(hints: Hints | None, brief: Brief, wording: Wording) -> list[Block]:
    """While the case lives: afterwards they help nobody."""
    if hints is None or brief.status not in LIVE:
        return []
    return [block for title, told in lines(hints, wording) for block in _list(title, told, HINT)]


def _earlier(brief: Brief, wording: Wording, links: Mapping[str, str]) -> list[Block]:
    """A number that leads to the case, beside when it was, about what, and how it ended."""
    parts: list[Block] = []
    for one in brief.earlier[:EARLIER]:
        link = links.get(one.case_id, "")
        parts.append(ours(f"<{plain_to_mrkdwn(link)}|#{one.number}>" if link else f"#{one.number}"))
        outcome = wording.either(f"outcome_{one.outcome}", one.outcome) if one.outcome else ""
        told = (one.opened_at.date().isoformat(), one.topic or "", outcome, one.agent)
        parts.append(plain(one_line(" · ".join(part for part in told if part), 200)))
    return [heading(wording("card_earlier")), small(*parts)] if parts else []


def score_line(score: Score) -> str:
    """An earlier answer in a line: ★ CES7 6/7 · 2026-03-01 · “finally”."""
    most = SCALES.get(score.instrument)
    told = f"{score.score:g}/{most}" if most else f"{score.score:g}"
    line = f"★ {score.instrument.upper()} {told} · {score.at.date().isoformat()}"
    return f"{line} · “{score.comment}”" if score.comment else line


def _buttons(brief: Brief, wording: Wording) -> list[Block]:
    """What fits the case, whoever looks at it: a card is one for all. The last one opens all the rest."""
    held, last = bool(brief.agent), ("more", "button_more_form")
    if brief.status not in WITH_PEOPLE:
        return [_row(brief, wording, [last])] if brief.status not in LIVE else []
    found = [] if held else [("claim", "button_claim")]
    found += [("reply", "button_reply"), ("resolve", "button_resolve"), ("transfer", "button_transfer")]
    found += [("snooze", "button_snooze_form")] if held else []
    found += [("await", "button_await")] if held and brief.turn == "agent" else []
    how = wording("marks_how" if held else "thread_how")
    return [_row(brief, wording, [*found, last]), small(plain(how))]


def _row(brief: Brief, wording: Wording, verbs: Sequence[tuple[str, str]]) -> Block:
    """Buttons in a row; the first is the one to press, unless it is the only one."""
    made = [button(f"{ACTION}{verb}", wording(label), brief.case_id) for verb, label in verbs]
    if len(made) > 1:
        made[0] = {**made[0], "style": "primary"}
    return {"type": "actions", "elements": made}
