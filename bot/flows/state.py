"""What goes into the interpreter and what comes out: state, events, effects, context. Frozen, JSON where it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from bot.model import Choice, FileRef


@dataclass(frozen=True, slots=True)
class Frame:
    """Where one running flow stands. `hash` pins its version; `step` is a step's id, never an index."""

    flow: str
    hash: str
    step: str
    entered_at: str = ""
    save: str | None = None  # the caller's slot that takes the result
    slots: Mapping[str, Any] = field(default_factory=dict)  # of scope flow


@dataclass(frozen=True, slots=True)
class FlowState:
    """`waiting` is "" | "answer" | "call" | "timer"; `token` names what it waits for (the pending question, the call)."""

    frames: tuple[Frame, ...] = ()
    slots: Mapping[str, Any] = field(default_factory=dict)  # of scope case
    retries: Mapping[str, int] = field(default_factory=dict)
    waiting: str = ""
    token: str = ""
    trail: tuple[str, ...] = ()  # ids of asked steps, for "back"
    asked: tuple[tuple[str, str], ...] = ()  # (question, answer) so far, for the agent's card
    counter: int = 0

    @property
    def call_token(self) -> str:
        return self.token if self.waiting == "call" else ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> FlowState:
        known = {name: stored[name] for name in cls.__dataclass_fields__ if name in stored}
        if "frames" in known:
            known["frames"] = tuple(Frame(**one) for one in known["frames"])
        for name in ("trail", "asked"):
            if name in known:
                known[name] = tuple(tuple(one) if isinstance(one, list) else one for one in known[name])
        return cls(**known)


# ── events ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Text:
    text: str
    files: tuple[FileRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Picked:
    """A pressed button; `token` is that of the question that it stood under."""

    value: str
    token: str


@dataclass(frozen=True, slots=True)
class Files:
    files: tuple[FileRef, ...]


@dataclass(frozen=True, slots=True)
class CallDone:
    """`outcome`: ok | timeout | error | an HTTP status such as "404"."""

    token: str
    outcome: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class StartFlow:
    flow: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    token: str


Event = Text | Picked | Files | CallDone | StartFlow | TimedOut


# ── effects ────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Say:
    """`text` is Markdown, rendered in the conversation's locale; `token` names the question that it asks, or ""."""

    text: str
    choices: tuple[Choice, ...] = ()
    token: str = ""
    media: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    token: str
    connector: str
    values: Mapping[str, Any]
    timeout_s: float
    once: str | None = None


@dataclass(frozen=True, slots=True)
class Escalate:
    reason_code: str
    reason: str = ""
    team: str | None = None
    priority: str = "normal"
    show: tuple[tuple[str, str], ...] = ()  # what was asked and told, for the card
    text: str = ""
    sla_s: int | None = None


@dataclass(frozen=True, slots=True)
class Close:
    outcome: str
    topic: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    instrument: str
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class SetCustomer:
    slot: str
    value: Any


@dataclass(frozen=True, slots=True)
class SwitchLocale:
    locale: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    token: str
    after_s: float


@dataclass(frozen=True, slots=True)
class Record:
    kind: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Notify:
    channel: str
    text: str


Effect = Say | Call | Escalate | Close | Survey | SetCustomer | SwitchLocale | SetTimer | Record | Notify


@dataclass(frozen=True, slots=True)
class Context:
    """What an answer depends on beside the desk and the state. `customer` and `case` are read by expressions."""

    now: datetime
    locale: str
    customer: Mapping[str, Any] = field(default_factory=dict)
    case: Mapping[str, Any] = field(default_factory=dict)
    channel: str = "web"
    is_open: bool = True
    agents_available: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """`handled` false: no flow wanted this event; the caller asks the articles."""

    state: FlowState
    effects: tuple[Effect, ...] = ()
    handled: bool = True
    trace: tuple[Mapping[str, Any], ...] = ()
