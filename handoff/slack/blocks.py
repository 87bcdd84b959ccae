"""The few Block Kit blocks that cards and threads are made of. Pure.

What people typed goes into `plain_text`, letter by letter; mrkdwn holds only our own words and dates (S16, S17).
Limits: docs.slack.dev, Block Kit: 50 blocks a message, 3,000 characters a section, 150 a header, 75 a label.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from channels.text import one_line, plain_to_mrkdwn, shorten, visible

Block: TypeAlias = dict[str, Any]
SECTION = 3000
HEADER = 150
LABEL = 75
FIELD = 2000


def plain(text: str, limit: int = SECTION) -> Block:
    """Never empty: Slack refuses that."""
    return {"type": "plain_text", "text": shorten(text, limit).strip() or "–", "emoji": False}


def ours(mrkdwn: str) -> Block:
    """Our own words, already escaped."""
    return {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}


def section(text: str, limit: int = SECTION) -> Block:
    return {"type": "section", "text": plain(visible(text), limit)}


def heading(text: str) -> Block:
    return {"type": "section", "text": ours(f"*{plain_to_mrkdwn(text)}*")}


def small(*parts: Block) -> Block:
    """A line in small grey letters."""
    return {"type": "context", "elements": list(parts)[:10]}


def line(text: str, limit: int = 300) -> Block:
    return small(plain(one_line(text, limit)))


def table(rows: list[tuple[str, Block]]) -> list[Block]:
    """Label beside value, five rows to a section, as Slack sets fields in two columns."""
    found: list[Block] = []
    for at in range(0, len(rows), 5):
        cells = [cell for label, value in rows[at : at + 5] for cell in (ours(f"*{plain_to_mrkdwn(label)}*"), value)]
        found.append({"type": "section", "fields": cells})
    return found


def button(action: str, label: str, value: str, style: str | None = None) -> Block:
    made: Block = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": shorten(label, LABEL), "emoji": True},
        "value": value,
    }
    return {**made, "style": style} if style else made
