"""The table of what agents can do in Slack: on the card, below More…, in a message's menu, by a reaction.

To add something: write a `Verb` (a `SideThread`, a `Kind`) in a module of its own, and name it here.
"""

from __future__ import annotations

from collections.abc import Mapping

from handoff.slack import alerts
from handoff.slack.answering import ADD_NOTE, REPLY, RESOLVE
from handoff.slack.taking import AWAIT, CLAIM, RELEASE, SNOOZE, TRANSFER, WAKE
from handoff.slack.verb import Kind, SideThread, Verb
from handoff.slack.whose import BLOCK, MERGE, PART, TIMELINE, UNBLOCK

CARD: tuple[Verb, ...] = (CLAIM, REPLY, RESOLVE, TRANSFER, SNOOZE)
"""What has a button of its own on the card."""

MORE: tuple[Verb, ...] = (ADD_NOTE, AWAIT, WAKE, RELEASE, TIMELINE, MERGE, PART, BLOCK, UNBLOCK)
"""What stands in the form More…, in this order."""

VERBS: Mapping[str, Verb] = {verb.name: verb for verb in (*CARD, *MORE)}

SIDE_THREADS: tuple[SideThread, ...] = ()
KINDS: Mapping[str, Kind] = {alerts.NAME: alerts.KIND}
