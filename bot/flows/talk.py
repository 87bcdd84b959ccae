"""What goes into a step of the conversation, and what comes out: events, context, state, effects. All plain.

The state is JSON and holds ids and content hashes, never a place in a list: a flow that changes under a running
conversation cannot put an answer into the wrong question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, field
from datetime import datetime
from typing import Any

from bot.answers.grounded import Passage
from bot.model import Choice, FileRef
from bot.nouns import noun

# ── events: what happened ──


@noun(frozen=True, slots=True)
class Text:
    """The customer wrote; `files` came with it. `said` are its words, where it has been taken apart."""

    text: str
    files: tuple[FileRef, ...] = ()
    said: tuple[str, ...] | None = None


@noun(frozen=True, slots=True)
class Picked:
    """The customer pressed a button; `token` is that of the question it stood under."""

    value: str
    token: str


@noun(frozen=True, slots=True)
class Files:
    files: tuple[FileRef, ...]


@noun(frozen=True, slots=True)
class CallDone:
    """A connector's answer. `outcome` is ok | timeout | error | an HTTP status such as "404"."""

    token: str
    outcome: str
    value: Any = None


@noun(frozen=True, slots=True)
class StartFlow:
    flow_id: str


@noun(frozen=True, slots=True)
class TimedOut:
    """A timer of ours rang: a question's `timeout`, or a `wait`."""

    token: str


@noun(frozen=True, slots=True)
class Happened:
    """Something of another system: `parcel.delivered`. Its `values` fill the slots of these names in the flow that hears it."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)


@noun(frozen=True, slots=True)
class FetchHuman:
    """A rule of the desk says so. What the flows were told goes along; they end here."""

    reason_code: str
    text: str = ""
    team: str | None = None
    priority: str | None = None


Event = Text | Picked | Files | CallDone | StartFlow | TimedOut | Happened | FetchHuman

# ── effects: what to do about it ──


@noun(frozen=True, slots=True)
class Say:
    """To the customer: Markdown, already in their language. `token` marks a question; its buttons carry it back."""

    text: str
    choices: tuple[Choice, ...] = ()
    token: str = ""
    files: tuple[FileRef, ...] = ()


@noun(frozen=True, slots=True)
class Call:
    """Ask a connector over HTTP, in `after_s` seconds. `once` is an idempotency key or None.

    The answer comes back as `CallDone(token)`; trying again is the interpreter's.
    """

    token: str
    connector: str
    values: Mapping[str, Any]
    timeout_s: int
    once: str | None = None
    after_s: int = 0


@noun(frozen=True, slots=True)
class Fetch:
    """Get the picture at `url` for the customer; it comes back as `CallDone(token, "ok", {"id", "name", "type", "size"})`."""

    token: str
    url: str


@noun(frozen=True, slots=True)
class AskModel:
    """Have a language model reword passages that answer `question`; `order` is the admin's wish, `longest` characters.

    The answer comes back as `CallDone(token)` with `{"text"}`; whether it is told is decided there.
    """

    token: str
    question: str
    passages: tuple[Passage, ...]
    order: str
    longest: int


@noun(frozen=True, slots=True)
class Escalate:
    """Fetch a human. `reason_code` is flow | asked | retry | breaker | connector | version | a code of the desk's.

    `show` are pairs of slot and value for the agents' card. `text` is said to the customer (Markdown, may be empty).
    `survey` is what the steps below choose for the day on which the people resolve the case.
    """

    reason_code: str
    reason: str = ""
    team: str | None = None
    priority: str | None = None
    show: tuple[tuple[str, str], ...] = ()
    text: str = ""
    sla_s: int | None = None
    survey: Survey | None = None


@noun(frozen=True, slots=True)
class Close:
    """`confirmed`: the customer has said that it helped."""

    outcome: str
    topic: str | None = None
    reason: str | None = None
    confirmed: bool = False


@noun(frozen=True, slots=True)
class Survey:
    """Chooses instrument and delay for this case. Asking is the survey engine's, at resolution."""

    instrument: str
    delay_s: int | None = None


@noun(frozen=True, slots=True)
class SetCustomer:
    slot: str
    value: Any


@noun(frozen=True, slots=True)
class SwitchLocale:
    locale: str


@noun(frozen=True, slots=True)
class Record:
    kind: str
    values: Mapping[str, Any]


@noun(frozen=True, slots=True)
class Notify:
    channel: str
    text: str


@noun(frozen=True, slots=True)
class SetTimer:
    token: str
    after_s: int


Effect = (
    Say | Call | Fetch | AskModel | Escalate | Close | Survey | SetCustomer | SwitchLocale | Record | Notify | SetTimer
)

# ── state: where the conversation stands ──


@noun(frozen=True, slots=True)
class Frame:
    """One running flow. `slots` are those of scope flow; `asked` the questions answered here, in order."""

    flow: str
    hash: str
    step_id: str
    entered_at: str
    slots: Mapping[str, Any] = field(default_factory=dict)
    asked: tuple[str, ...] = ()


@noun(frozen=True, slots=True)
class Pending:
    """What the top frame waits for. `kind` is ask | confirm (did this help?) | call | wait | escalate."""

    kind: str
    step_id: str
    hash: str
    token: str


@noun(frozen=True, slots=True)
class FlowState:
    """Where the flows of one case stand. `slots` are those of scope case; `retries` wrong answers by "flow/step".

    `why` is the reason code of an escalation to come; `turns` counts, so that no two tokens are alike.
    """

    frames: tuple[Frame, ...] = ()
    slots: Mapping[str, Any] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    pending: Pending | None = None
    why: str = ""
    turns: int = 0

    @property
    def waiting(self) -> str:
        """One of ask | confirm | call | wait | escalate, or "" when no flow waits for anything."""
        return self.pending.kind if self.pending else ""

    @property
    def call_token(self) -> str:
        """The token of the connector's answer that is waited for, or ""."""
        return self.pending.token if self.pending and self.pending.kind == "call" else ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> FlowState:
        """From `to_json`, a round through JSON in between; `{}` is the beginning. Unknown keys are left out."""
        pending = stored.get("pending")
        return cls(
            frames=tuple(
                Frame(
                    flow=frame["flow"],
                    hash=frame["hash"],
                    step_id=frame["step_id"],
                    entered_at=frame["entered_at"],
                    slots=frame.get("slots") or {},
                    asked=tuple(frame.get("asked") or ()),
                )
                for frame in stored.get("frames") or ()
            ),
            slots=stored.get("slots") or {},
            retries=stored.get("retries") or {},
            pending=Pending(pending["kind"], pending["step_id"], pending["hash"], pending["token"])
            if pending
            else None,
            why=stored.get("why") or "",
            turns=stored.get("turns") or 0,
        )


@noun(frozen=True, slots=True)
class Told:
    """What an article surely answers, in a few paragraphs of Markdown; `name` is the article's id, for the trace."""

    name: str
    text: str


@noun(frozen=True, slots=True)
class Found:
    """What the articles say to a step's question. `band` is sure | unsure | none; only a sure one has `name` and `text`.

    `passages` are what a model may reword: none where there is nothing.
    """

    band: str
    name: str = ""
    text: str = ""
    passages: tuple[Passage, ...] = ()


@noun(frozen=True, slots=True)
class Context:
    """What a step depends on beside its state. `customer` and `case` are what expressions see under these names.

    `knows` asks the articles, (text, locale) → Told or None: what is no answer to the open question may be a question of
    the customer's own, which is answered before ours is asked again. None: nobody can be asked just now. `search` is what
    the step `kb` asks: (question, locale, collections). `opens_in_s`: seconds until the desk opens, None when nobody knows.
    `is_staffed`: whether somebody is there where an escalation would go now, of a customer whom the flow knows so by then,
    and (else "") in which flow, if this event began it; looked up only when a step wants to know. `model`: whether a language
    model may be asked just now.
    """

    now: datetime
    locale: str = "en"
    customer: Mapping[str, Any] = field(default_factory=dict)
    case: Mapping[str, Any] = field(default_factory=dict)
    is_open: bool = True
    is_staffed: Callable[[Escalate, Mapping[str, Any], str], bool] = lambda _, __, ___: True
    knows: Callable[[str, str], Told | None] | None = None
    search: Callable[[str, str, Sequence[str]], Found] | None = None
    opens_in_s: int | None = None
    model: bool = False


@noun(frozen=True, slots=True)
class Outcome:
    """`handled` false: no flow wanted it (ask the articles), or a connector is waited for (`state.waiting`).

    `trace` is one mapping a step: `{"flow", "step"}` and, for a branch, `{"if", "value"}`. `began` is the flow that began
    where none ran or in place of one, and the hash of its version: also one that has ended by now. One that runs within
    another, or on top of it, is not meant.
    """

    state: FlowState
    effects: Sequence[Effect] = ()
    handled: bool = True
    trace: Sequence[Mapping[str, Any]] = ()
    began: tuple[str, str] | None = None
