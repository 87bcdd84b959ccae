"""One case as it was: what the customer did, what the bot said to it, what other systems answered. Pure nouns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.model import Choice, FileRef


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that the customer did, or another system told.

    `kind` text | press | event, or agent: what a colleague said. A press has its button's `value` and `on`, the message that
    it stood on; an event its name as `text` and its `values`.
    """

    kind: str
    at: datetime
    text: str = ""
    channel: str = ""
    files: tuple[FileRef, ...] = ()
    value: str = ""
    on: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that the bot said. `source` tells where it came from, None where that was not written down:
    `step:FLOW/STEP` (where the flows rested after it) · `article:ID` · `escalation` · `miss` (nothing was found).
    """

    text: str
    choices: tuple[Choice, ...] = ()
    source: str | None = None
    id: str = ""
    token: str = ""

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(choice.value for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was heard in a row, and all that was said until the next. `agents`: how many were there, if that is known."""

    heard: tuple[Heard, ...]
    said: tuple[Said, ...]
    until: datetime
    agents: int | None = None

    @property
    def escalated(self) -> bool:
        return any(one.source == ESCALATION for one in self.said)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to another system, and what it answered: `outcome` as in `model.Answered`; None: it never did."""

    connector: str
    values: Mapping[str, Any]
    outcome: str | None
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Recording:
    """One case. `exchanges` go up to where people took over; `after` are the agents' words from there on. `customer` is what
    expressions see of them as the case began, `reason` the code for which people were fetched, if they were. `outcome` is how
    it ended, `survey` the instrument that was asked then, None where nobody was.
    """

    case_id: str
    number: int | None
    topic: str
    locale: str
    channel: str
    customer: Mapping[str, Any]
    exchanges: tuple[Exchange, ...]
    asked: tuple[Asked, ...] = ()
    agents: int = 1
    reason: str = ""
    after: tuple[Heard, ...] = ()
    outcome: str = ""
    survey: str | None = None


MODEL = "the language model"
"""Its name among the connectors of `Asked`; the question is its one value."""
ESCALATION, MISS = "escalation", "miss"
NO_TOPIC = "–"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a case in the order of its timeline: heard or said. `key` names a sentence of the people's queue."""

    heard: Heard | None = None
    said: Said | None = None
    at: datetime | None = None
    key: str = ""


def exchanges(entries: Sequence[Entry]) -> tuple[Exchange, ...]:
    """What was heard and what came of it. Words that were answered together stay together."""
    found: list[Exchange] = []
    heard: list[Heard] = []
    said: list[Said] = []
    agents: int | None = None
    last: datetime | None = None
    for entry in entries:
        if entry.heard is not None and said:
            found.append(Exchange(tuple(heard), tuple(said), entry.heard.at, agents))
            heard, said, agents = [], [], None
        if entry.heard is not None:
            heard.append(entry.heard)
            last = entry.heard.at
        elif heard:
            said += [entry.said] if entry.said is not None else []
            agents = 0 if entry.key.startswith("no_agents") else 1 if entry.key.startswith("queue_") else agents
            last = entry.at or last
    if heard and last is not None:
        found.append(Exchange(tuple(heard), tuple(said), last, agents))
    return tuple(found)
