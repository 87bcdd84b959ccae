"""The undo window, as its author sees it: when the words leave, and two buttons. Pure.

Only they see the line, once, below what they wrote: to take it back is one click, and so is making it a note. The same by
↩️ and 🔒 on the post, and by its menu. After the window the buttons still work where the platform can delete.
"""

from __future__ import annotations

from typing import Any

from channels.text import one_line, plain_to_mrkdwn
from handoff.case import Relay
from handoff.slack.blocks import button, ours, plain
from handoff.slack.verb import ACTION
from handoff.slack.wording import Wording

UNDO, KEEP = f"{ACTION}undo", f"{ACTION}keep"
QUOTED = 80  # characters of the answer, so that its author knows which one is meant


def line(relay: Relay, wording: Wording) -> dict[str, Any]:
    """`{"text", "blocks"}` of the line about a relay that waits."""
    ref = str(relay.ref)
    told = wording("undo_until")
    quoted = one_line(relay.text, QUOTED)
    elements = [ours(f"⏳ {plain_to_mrkdwn(told)} {wording.clock(relay.due_at)}")]
    elements += [plain(f"“{quoted}”", QUOTED + 2)] if quoted else []
    buttons = [button(UNDO, wording("button_undo"), ref), button(KEEP, wording("desk_make_note"), ref)]
    blocks = [{"type": "context", "elements": elements}, {"type": "actions", "elements": buttons}]
    return {"text": told, "blocks": blocks}
