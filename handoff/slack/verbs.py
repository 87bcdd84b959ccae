"""The table of what agents can do in Slack: on the card, below More…, in a message's menu, by a reaction.

To add something: write a `Verb` (a `SideThread`, a `Kind`) in a module of its own, and name it here.
"""

from __future__ import annotations

from collections.abc import Mapping

from handoff.slack import alerts, aside, weekly
from handoff.slack.answering import ADD_NOTE, REPLY, RESOLVE
from handoff.slack.asking import ANSWER, CONSULT, TASK
from handoff.slack.judging import NEEDED, NOT_NEEDED
from handoff.slack.saved import MACROS
from handoff.slack.taking import AWAIT, CLAIM, RELEASE, SNOOZE, TRANSFER, WAKE
from handoff.slack.verb import Kind, SideThread, Verb
from handoff.slack.whose import BLOCK, MERGE, PART, TIMELINE, UNBLOCK

CARD: tuple[Verb, ...] = (CLAIM, REPLY, RESOLVE, TRANSFER, SNOOZE)
"""What has a button of its own on the card."""

MORE: tuple[Verb, ...] = (
    *(MACROS, ADD_NOTE, CONSULT, TASK, AWAIT, WAKE, RELEASE, NEEDED, NOT_NEEDED),
    *(TIMELINE, MERGE, PART, BLOCK, UNBLOCK),
)
"""What stands in the form More…, in this order."""

ELSEWHERE: tuple[Verb, ...] = (ANSWER,)
"""What has its button on a card of another kind."""

VERBS: Mapping[str, Verb] = {verb.name: verb for verb in (*CARD, *MORE, *ELSEWHERE)}

SIDE_THREADS: tuple[SideThread, ...] = (aside.SIDE,)
KINDS: Mapping[str, Kind] = {alerts.NAME: alerts.KIND, weekly.NAME: weekly.KIND, **aside.KINDS}
