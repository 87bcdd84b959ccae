"""The second look, as its author sees it: why their words wait, and three buttons. Pure.

Only they see the line, below what they wrote. Nothing leaves until they say so; editing the post into other words lets them go
after the undo window.
"""

from __future__ import annotations

from typing import Any

from channels.text import one_line, plain_to_mrkdwn
from handoff.case import Relay
from handoff.second_look import parted
from handoff.slack.blocks import button, ours, plain
from handoff.slack.card import language
from handoff.slack.undo import KEEP, QUOTED
from handoff.slack.verb import ACTION
from handoff.slack.wording import Wording

ANYWAY, EDIT = f"{ACTION}anyway", f"{ACTION}edit"


def line(relay: Relay, wording: Wording) -> dict[str, Any]:
    """`{"text", "blocks"}` of the line about words that are held."""
    ref = str(relay.ref)
    why = " ".join(reasons(relay.held or (), wording))
    told = f"{wording('held_waits')} {why}"
    quoted = one_line(relay.text, QUOTED)
    elements = [ours(f"✋ {plain_to_mrkdwn(told)}")]
    elements += [plain(f"“{quoted}”", QUOTED + 2)] if quoted else []
    buttons = [
        button(ANYWAY, wording("button_send_anyway"), ref, "danger"),
        button(EDIT, wording("button_edit"), ref, "primary"),
        button(KEEP, wording("desk_make_note"), ref),
    ]
    return {
        "text": told,
        "blocks": [{"type": "context", "elements": elements}, {"type": "actions", "elements": buttons}],
    }


def tip(theirs: str, seems: str, wording: Wording) -> str:
    """What is only told: the answer seems to be in another language than its customer's."""
    reader = wording.locale
    return wording("tip_language", theirs=language(theirs, reader), seems=language(seems, reader))


def reasons(warnings: tuple[str, ...], wording: Wording) -> list[str]:
    """Each kind of warning once, with what it is about."""
    by_kind: dict[str, list[str]] = {}
    for warning in warnings:
        kind, what = parted(warning)
        by_kind.setdefault(kind, []).append(what)
    return [
        wording(f"warn_{kind}", what=", ".join(one_line(one, 40) for one in whats)) for kind, whats in by_kind.items()
    ]
