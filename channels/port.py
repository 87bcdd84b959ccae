"""What a way of reaching people is, to the rest of the house.

To add a channel, four steps: (1) a package with `inbound.py` (pure: raw → `bot.model.Inbound` | None) and `outbound.py`
(pure: a `bot.outbox.Outlet`); (2) `channel.py` with the SDK: a `Channel` that receives and a `Sender` that sends, foreign
errors mapped to `NotSent`, `Refused`, `Uncertain` in one place; (3) one line in `bot/app.py`; (4) its name in the contract
suite `tests/contracts`, which then tells what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from bot.nouns import noun
from bot.outbox import Outlet


@noun(frozen=True, slots=True)
class Delivery:
    """One claimed row of the outbox. `started_at` is when this attempt began (UTC)."""

    id: str
    via: str
    kind: str
    payload: Mapping[str, Any]
    lane: str
    attempts: int
    customer_id: str | None
    case_id: str | None
    message_id: str | None
    started_at: datetime
    created_at: datetime


@noun(frozen=True, slots=True)
class Sent:
    """Proof of delivery: the platform's name of it, and whatever else the rooms should hear (`SendSettled.data`)."""

    ext_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class Verdict(Enum):
    """What to do about a send whose outcome is unknown."""

    ABSENT = "absent"  # certainly not there: send it
    RESEND = "resend"  # can't be known; once more is the lesser evil: send, and mark it as possibly twice
    WAIT = "wait"  # ask again a little later
    GIVE_UP = "give up"  # can't be known, and twice would be worse


class Sender(Protocol):
    """Speaks to one platform. The outbox is the only one that tries again: switch the SDK's own retries off."""

    @property
    def via(self) -> str: ...

    async def send(self, delivery: Delivery) -> Sent:
        """Raises NotSent (may be tried again), Refused (never; FileRefused: its words may), Uncertain (may have arrived)."""

    async def resolve(self, delivery: Delivery) -> Sent | Verdict:
        """What became of an uncertain send, read back from the platform where it can be."""


class Channel(Protocol):
    """One way for customers in. `start` returns at once; a platform that is down is tried again in the background."""

    @property
    def name(self) -> str: ...
    @property
    def outlet(self) -> Outlet: ...
    @property
    def sender(self) -> Sender: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def routes(self) -> Sequence[Any]:
        """Starlette routes of the platform's webhooks; empty if it has none."""

    def faults(self) -> Sequence[str]:
        """What keeps this channel from working, one line each; empty: all is well."""
