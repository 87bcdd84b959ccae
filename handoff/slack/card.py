"""The card of a case: all that an agent needs to take over, on one screen. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bot.model import LIVE, WITH_PEOPLE
from bot.texts import canonical
from channels.text import one_line, plain_to_mrkdwn
from handoff.brief import Brief, Score
from handoff.slack.blocks import FIELD, HEADER, Block, button, heading, ours, plain, section, small, table
from handoff.slack.wording import Wording

ACTION = "desk:"
CLAIM, REPLY, RESOLVE, RELEASE = (f"{ACTION}{verb}" for verb in ("claim", "reply", "resolve", "release"))
LIGHTS = {"queued": "🔴", "open": "🟢", "pending": "🟡", "snoozed": "💤", "bot": "🤖", "resolved": "✅", "closed": "⚫"}
PART = 2000  # characters of a list on the card; the thread has everything
SCALES = {"ces7": 7, "ces7_statement": 7, "csat5": 5, "nps": 10}


def card(brief: Brief, wording: Wording, due_at: datetime | None = None) -> dict[str, Any]:
    """`{"text", "blocks"}`. `due_at` is by when the first answer is due, while there has been none."""
    who = one_line(brief.customer, 80) or wording("author_customer")
    title = f"{LIGHTS.get(brief.status, '')} #{brief.number} · {who}"
    blocks: list[Block] = [
        {"type": "header", "text": plain(title, HEADER)},
        *table(list(_facts(brief, wording, who, due_at))),
        *_list(wording("card_summary"), [f"“{one}”" for one in brief.summary]),
        *_list(wording("card_asked"), [f"{name}: {value}" for name, value in brief.asked]),
        *_list(wording("card_tried"), [f"• {one}" for one in brief.tried]),
        *_list(wording("card_earlier"), [*_earlier(brief, wording), *map(score_line, brief.scores)]),
        *_buttons(brief, wording),
    ]
    told = f"{wording('card_new')} #{brief.number}: {who}" if brief.status == "queued" else f"#{brief.number}: {who}"
    reason = one_line(brief.reason, 200)
    return {"text": plain_to_mrkdwn(f"{told} – {reason}" if reason else told), "blocks": blocks}


def digest(drawn: dict[str, Any], status: str) -> str:
    """Tells one drawing from another; begins with the status that it shows."""
    content = json.dumps(drawn, sort_keys=True, ensure_ascii=False).encode()
    return f"{status}:{hashlib.sha256(content).hexdigest()[:32]}"


def _facts(brief: Brief, wording: Wording, who: str, due_at: datetime | None) -> Iterator[tuple[str, Block]]:
    verified = {"signed": " ✓", "linked": " ✓"}.get(brief.evidence, "")
    yield wording("card_who"), plain(who + verified, FIELD)
    others = [wording.channel(one) for one in brief.channels if one != brief.channel]
    where = wording.channel(brief.channel) + ("" if brief.reachable else " ⚠️")
    yield wording("card_channel"), plain(where + (f" ({', '.join(others)})" if others else ""), FIELD)
    yield wording("card_language"), plain(language(brief.locale, wording.locale), FIELD)
    if brief.waiting_since is not None:
        yield wording("card_waiting"), ours(wording.date(brief.waiting_since))
    yield wording("card_status"), plain(_status(brief, wording), FIELD)
    why = one_line(brief.reason, 400) or reason(brief.reason_code, wording)
    if why:
        yield wording("card_reason"), plain(why, FIELD)
    if brief.priority in {"urgent", "high", "low"}:
        yield wording("card_priority"), plain(wording(f"desk_{brief.priority}"), FIELD)
    if due_at is not None:
        yield wording("card_due"), ours(wording.date(due_at))
    if brief.team:
        yield wording("card_team"), plain(one_line(brief.team), FIELD)
    if brief.topic:
        yield wording("card_topic"), plain(one_line(brief.topic, 200), FIELD)
    if brief.outcome and brief.status not in LIVE:
        yield wording("card_outcome"), plain(wording.either(f"outcome_{brief.outcome}", brief.outcome), FIELD)


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


def _list(title: str, lines: list[str]) -> list[Block]:
    if not lines:
        return []
    return [heading(title), section("\n".join(one_line(line, 400) for line in lines), PART)]


def _earlier(brief: Brief, wording: Wording) -> Iterator[str]:
    for one in brief.earlier:
        outcome = wording.either(f"outcome_{one.outcome}", one.outcome) if one.outcome else ""
        parts = (one.opened_at.date().isoformat(), one.topic or "", outcome, one.agent)
        yield f"• #{one.number} · " + " · ".join(part for part in parts if part)


def score_line(score: Score) -> str:
    """An earlier answer in a line: ★ CES7 6/7 · 2026-03-01 · “finally”."""
    most = SCALES.get(score.instrument)
    told = f"{score.score:g}/{most}" if most else f"{score.score:g}"
    line = f"★ {score.instrument.upper()} {told} · {score.at.date().isoformat()}"
    return f"{line} · “{score.comment}”" if score.comment else line


def _buttons(brief: Brief, wording: Wording) -> list[Block]:
    if brief.status not in WITH_PEOPLE:
        return []
    held = bool(brief.agent)
    found = [] if held else [button(CLAIM, wording("button_claim"), brief.case_id, "primary")]
    found += [
        button(REPLY, wording("button_reply"), brief.case_id, "primary" if held else None),
        button(RESOLVE, wording("button_resolve"), brief.case_id),
    ]
    if held:
        found.append(button(RELEASE, wording("button_release"), brief.case_id))
    how = wording("marks_how" if held else "thread_how")
    return [{"type": "actions", "elements": found}, small(plain(how))]
