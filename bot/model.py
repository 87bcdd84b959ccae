"""The nouns that every room shares: frozen, plain, without I/O.

What lives here: a message's parts, where customers are reached, what a channel hands in, and what time
and ids are. What it must not know: any platform, the database, the web.

Times are timezone-aware UTC `datetime`s. Ids are UUIDv7 strings (RFC 9562): they sort by time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from enum import StrEnum
from struct import unpack
from typing import Any

from bot.nouns import noun

Clock = Callable[[], datetime]
"""Gives now, in UTC. Tests hand in one that they set."""


def system_clock() -> datetime:
    return datetime.now(UTC)


_ids = threading.Lock()
_last_stamp = 0
_spare: list[int] = []
"""Chance that is not used yet: the system is asked for much of it at once. A child of this process has none of it."""
os.register_at_fork(after_in_child=_spare.clear)


def new_id() -> str:
    """A UUIDv7 as text: 60 bits of time (a 4096th of a millisecond), then 62 random bits (RFC 9562, 6.2, method 3).

    Each id of a process is greater than the one before, also within the same instant: what orders by id is in order.
    """
    global _last_stamp  # noqa: PLW0603 - the one thing that makes them rise
    with _ids:
        stamp = time.time_ns() * 4096 // 1_000_000
        if stamp <= _last_stamp:
            stamp = _last_stamp + 1
        _last_stamp = stamp
        if not _spare:
            _spare.extend(unpack("256Q", os.urandom(2048)))
        chance = _spare.pop()
    return "%08x-%04x-7%03x-%04x-%012x" % (  # noqa: UP031 - twice as fast here, and each message takes several
        stamp >> 28,
        stamp >> 12 & 0xFFFF,
        stamp & 0xFFF,
        0x8000 | chance >> 50,
        chance & 0xFFFF_FFFF_FFFF,
    )


class AuthorKind(StrEnum):
    CUSTOMER = "customer"
    BOT = "bot"
    AGENT = "agent"
    SYSTEM = "system"


class CaseStatus(StrEnum):
    """Where an episode of the conversation stands; the lifecycle's table is `handoff/lifecycle.py`."""

    BOT = "bot"
    QUEUED = "queued"
    OPEN = "open"
    PENDING = "pending"
    SNOOZED = "snoozed"
    RESOLVED = "resolved"
    CLOSED = "closed"


WITH_PEOPLE = frozenset({CaseStatus.QUEUED, CaseStatus.OPEN, CaseStatus.PENDING, CaseStatus.SNOOZED})
"""While a case has one of these, a human holds (or will hold) the baton and the bot is silent."""

HELD = WITH_PEOPLE - {CaseStatus.QUEUED}
"""An agent holds it: it is open, waits for its customer, or is put off."""
LIVE = WITH_PEOPLE | {CaseStatus.BOT}
"""At most one case of a customer has one of these."""


@noun(frozen=True, slots=True)
class Author:
    kind: AuthorKind
    name: str = ""
    id: str | None = None


BOT = Author(AuthorKind.BOT)
SYSTEM = Author(AuthorKind.SYSTEM)


@noun(frozen=True, slots=True)
class Choice:
    """One button: `value` is what the program gets, `label` what people read."""

    value: str
    label: str


@noun(frozen=True, slots=True)
class FileRef:
    """A stored file. `id` is random and unguessable; `size` in bytes; `type` a sniffed MIME type."""

    id: str
    name: str
    type: str
    size: int


@noun(frozen=True, slots=True)
class SurveyCard:
    """What a channel needs to draw a survey's question: the scale from `min` to `max` and its ends in words."""

    id: str
    instrument: str
    min: int
    max: int
    low: str
    high: str


@noun(frozen=True, slots=True)
class Body:
    """What a message says.

    `text` is Markdown (the light kind that `channels/text.py` renders) where `markdown` is true, else plain
    and shown as it is: what customers write is never markup.
    """

    text: str = ""
    markdown: bool = False
    choices: tuple[Choice, ...] = ()
    files: tuple[FileRef, ...] = ()
    survey: SurveyCard | None = None


@noun(frozen=True, slots=True)
class Message:
    """One entry of the timeline. `seq` is None for a note: customers never see it."""

    id: str
    customer_id: str
    seq: int | None
    case_id: str | None
    author: Author
    channel: str
    body: Body
    at: datetime
    meta: Mapping[str, Any] = field(default_factory=dict)
    edited_at: datetime | None = None
    deleted_at: datetime | None = None


@noun(frozen=True, slots=True)
class TimelineEntry:
    """What takes a `seq`: a message, an edit of one, or its deletion. `message.body` is that version's."""

    seq: int
    kind: str  # "message" | "edit" | "delete"
    message: Message
    at: datetime


@noun(frozen=True, slots=True)
class Identity:
    """One address of a customer: `(channel, external_id)`. `address` is where to send, in the channel's words."""

    id: str
    customer_id: str
    channel: str
    external_id: str
    evidence: str  # platform | signed | linked | agent | anonymous
    address: str
    name: str = ""
    reachable: bool = True


@noun(frozen=True, slots=True)
class Customer:
    id: str
    name: str
    locale: str
    created_at: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)


@noun(frozen=True, slots=True)
class Sender:
    """Who wrote, as the platform tells it. Only `channel` and `external_id` identify; the rest are labels.

    `address` is where an answer goes (a chat, a thread), in the channel's own words. `locale` is the
    platform's hint (BCP 47) or empty. `evidence` is how sure the channel is of `external_id`.
    """

    channel: str
    external_id: str
    address: str
    name: str = ""
    locale: str = ""
    evidence: str = "platform"
    attributes: Mapping[str, Any] = field(default_factory=dict)


@noun(frozen=True, slots=True)
class RemoteFile:
    """A file that still lies with the platform: the adapter fetches it by `ref` after the commit."""

    ref: str
    name: str
    type: str = "application/octet-stream"
    size: int | None = None


@noun(frozen=True, slots=True)
class Wrote:
    """The customer wrote. `ref` names the message on its platform, for later edits (unique per channel)."""

    text: str
    files: tuple[FileRef, ...] = ()
    remote_files: tuple[RemoteFile, ...] = ()
    ref: str | None = None
    id: str | None = None
    album: str | None = None  # messages of one album share this and become one message
    reply_to: str | None = None
    command: str | None = None  # "start" … without the slash
    argument: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)  # location, contact: structured, beside the text


@noun(frozen=True, slots=True)
class Chose:
    """The customer pressed a button of our message `message_id`. `value` (or its place, `index`) says which."""

    message_id: str
    value: str | None = None
    index: int | None = None
    id: str | None = None
    ref: str | None = None


@noun(frozen=True, slots=True)
class Edited:
    """The customer changed the message that its platform calls `ref`.

    `version` sorts the edits of one message as text, oldest first, in whatever order they arrive; empty: as they come.
    """

    ref: str
    text: str
    version: str = ""


@noun(frozen=True, slots=True)
class Deleted:
    ref: str


@noun(frozen=True, slots=True)
class Reachability:
    """The customer blocked us on this channel (`reachable` false), or let us in again."""

    reachable: bool


@noun(frozen=True, slots=True)
class Answered:
    """A connector's answer to the bot's request `token`. `outcome` is ok | timeout | error | an HTTP status."""

    token: str
    outcome: str
    value: Any = None


@noun(frozen=True, slots=True)
class Occurred:
    """Something of another system that concerns a customer: `parcel.delivered`. Flows wait for it, or begin with it."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)


Happening = Wrote | Chose | Edited | Deleted | Reachability | Answered | Occurred


@noun(frozen=True, slots=True)
class Inbound:
    """What a channel hands to the inbox: parsed, but not yet believed.

    `(source, key)` is the platform's own id of the delivery: the same pair twice is one event. `also` holds
    further pairs that name the same happening (Slack tells one post twice under two event ids). `raw` is kept
    for inspection.
    """

    source: str
    key: str
    sender: Sender
    happening: Happening
    raw: bytes = b""
    also: tuple[str, ...] = ()


@noun(frozen=True, slots=True)
class Receipt:
    """The inbox's answer, given only after the commit. `seq` is that of the stored message, if it made one."""

    customer_id: str | None
    message_id: str | None
    seq: int | None
    duplicate: bool = False
    conflict: bool = False
