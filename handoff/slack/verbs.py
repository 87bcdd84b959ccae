"""The table of what agents can do in Slack: on the card, below More…, in a message's menu, by a reaction.

To add something: write a `Verb` (a `SideThread`, a `Kind`) in a module of its own, and name it here.
"""

from __future__ import annotations

from collections.abc import Mapping

from handoff.slack import alerts
from handoff.slack.verb import Kind, SideThread, Verb

MORE: tuple[Verb, ...] = ()
"""What stands in the form More…, in this order."""

SIDE_THREADS: tuple[SideThread, ...] = ()
KINDS: Mapping[str, Kind] = {alerts.NAME: alerts.KIND}
