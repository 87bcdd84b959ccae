"""The nouns of the flow language, as the loader makes them and the interpreter reads them: frozen, checked, plain.

A `Text` is `{locale: words}` (a bare string in the file stands under "*", for every locale; a `$key` is resolved at load,
so that nothing can be missing while running). Templates in it are `{{ path | filter }}`, without logic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.flows.expressions import Expression

Text = Mapping[str, str]
END = "end"
SLOT_TYPES = ("text", "number", "bool", "choice", "email", "phone", "date", "file", "object")
SCOPES = ("flow", "case", "customer")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: `file` relative to the desk folder, line and column from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Slot:
    name: str
    type: str = "text"
    scope: str = "flow"
    pattern: str | None = None  # RE2
    min: float | None = None
    max: float | None = None
    default: Any = None
    sensitive: bool = False
    ask_again: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: Text
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # locale → words


@dataclass(frozen=True, slots=True)
class Retry:
    max: int = 2
    text: Text | None = None
    then: str | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """One arm of a `branch`; `when` None is the else."""

    when: Expression | None
    goto: str


@dataclass(frozen=True, slots=True)
class Say:
    text: Text
    media: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    slot: str
    text: Text
    options: tuple[Option, ...] = ()
    check: Expression | None = None
    error: Text | None = None
    retry: Retry = field(default_factory=Retry)
    timeout_s: float | None = None
    on_timeout: str | None = None


@dataclass(frozen=True, slots=True)
class SetSlots:
    values: Mapping[str, Expression]


@dataclass(frozen=True, slots=True)
class BranchTo:
    arms: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class CallConnector:
    connector: str
    values: Mapping[str, str]  # templates
    timeout_s: float
    save: str | None
    on: Mapping[str, str]  # "404", "timeout", "error" … → step
    once: str | None = None  # template of the idempotency key
    retries: int = 0


@dataclass(frozen=True, slots=True)
class EscalateTo:
    text: Text | None
    team: str | None = None
    priority: str = "normal"
    reason: str = ""
    show: tuple[str, ...] = ()
    sla_s: float | None = None
    no_agent: str | None = None


@dataclass(frozen=True, slots=True)
class CloseCase:
    outcome: str
    topic: str | None = None
    reason: Text | None = None


@dataclass(frozen=True, slots=True)
class ChooseSurvey:
    instrument: str
    delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Goto:
    step: str


@dataclass(frozen=True, slots=True)
class RunFlow:
    flow: str
    values: Mapping[str, Expression] = field(default_factory=dict)
    save: str | None = None


@dataclass(frozen=True, slots=True)
class RecordIt:
    kind: str
    values: Mapping[str, str] = field(default_factory=dict)  # templates


@dataclass(frozen=True, slots=True)
class NotifySlack:
    slack: str
    text: Text


Verb = (
    Say
    | Ask
    | SetSlots
    | BranchTo
    | CallConnector
    | EscalateTo
    | CloseCase
    | ChooseSurvey
    | Goto
    | RunFlow
    | RecordIt
    | NotifySlack
)


@dataclass(frozen=True, slots=True)
class Step:
    """One node. `id` is its identity across versions (made up by the loader, `#3`, where the admin gave none).

    `next` is the id of the step that follows: resolved at load, END at the flow's end.
    """

    id: str
    verb: Verb
    next: str
    at: Place
    when: Expression | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Triggers:
    phrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # locale → phrases
    commands: tuple[str, ...] = ()  # without the slash
    channels: tuple[str, ...] = ()  # empty: every channel


@dataclass(frozen=True, slots=True)
class Flow:
    """`hash` is the identity of this version (of the file's content), `version` its label."""

    id: str
    version: int
    hash: str
    title: str
    triggers: Triggers
    slots: Mapping[str, Slot]
    steps: Mapping[str, Step]  # by id, in order; the first is the beginning
    at: Place

    @property
    def first(self) -> str:
        return next(iter(self.steps))


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Heard before the pending question, in the order of the list. `run` a flow, or `do`: restart|cancel|back|language."""

    id: str
    phrases: Mapping[str, tuple[str, ...]]
    run: str | None = None
    do: str | None = None
