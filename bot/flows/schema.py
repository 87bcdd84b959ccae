"""The nouns of a flow as it runs: frozen, checked, without YAML.

What lives here: flows, slots, steps and their verbs, after `load` has resolved every name in them. What it must not
know: files, where a fault stands, how a step is run.

A step's `id` is its identity across versions of the flow. A step that was written without one gets a name made from its
content, so that a step inserted above it changes nothing; only steps at which a conversation rests for an answer that
people give must be named by their author.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.flows.expressions import Expression

Wording = Mapping[str, str]
"""locale → template, for every locale of the desk."""

END = "end"
"""The target of `next:` that ends the flow."""

SLOT_TYPES = ("text", "number", "bool", "choice", "email", "phone", "date", "file", "object")
SCOPES = ("flow", "case", "customer")
OUTCOMES = ("resolved", "no_solution", "duplicate", "abandoned", "spam")
PRIORITIES = ("low", "normal", "high", "urgent")
INSTRUMENTS = ("ces7", "ces7_statement", "csat5", "csat2", "nps")


@dataclass(frozen=True, slots=True)
class Slot:
    """A named answer. `pattern` is RE2; `min` and `max` bound a number, or the length of a text.

    `scope` says how long it lives: in this flow, in the case, or with the customer. One of the last two is never asked
    twice, unless `ask_again`. A `sensitive` one is not shown on the agents' card unless a step names it.
    """

    name: str
    type: str
    scope: str = "flow"
    pattern: str = ""
    min: float | None = None
    max: float | None = None
    default: Any = None
    sensitive: bool = False
    ask_again: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    label: Wording
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """What a wrong answer leads to: `text` (or our own words) up to `max` times, then the step `then`, or a human."""

    max: int = 3
    text: Wording | None = None
    then: str | None = None


@dataclass(frozen=True, slots=True)
class SayStep:
    text: Wording
    media: str = ""


@dataclass(frozen=True, slots=True)
class AskStep:
    slot: str
    text: Wording
    options: tuple[Option, ...] = ()
    check: Expression | None = None
    error: Wording | None = None
    retry: Retry = field(default_factory=Retry)
    timeout_s: int | None = None
    timeout_then: str | None = None


@dataclass(frozen=True, slots=True)
class SetStep:
    slots: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class BranchStep:
    cases: tuple[tuple[Expression, str], ...]
    otherwise: str


@dataclass(frozen=True, slots=True)
class CallStep:
    """`values` are templates by the connector's names. `on` maps an outcome (a status, timeout, error) to a step.

    `retries` more tries after a failure that may pass; `once` is the key by which the other side knows them for one.
    """

    connector: str
    values: Mapping[str, str]
    on: Mapping[str, str]
    timeout_s: int = 10
    once: str = ""
    retries: int = 0
    save: str = ""


@dataclass(frozen=True, slots=True)
class EscalateStep:
    text: Wording
    team: str | None = None
    priority: str | None = None
    reason: str = ""
    show: tuple[str, ...] = ()
    sla_s: int | None = None
    no_agent: str | None = None


@dataclass(frozen=True, slots=True)
class CloseStep:
    """`confirmed` holds where the customer has said on the way here that it helped."""

    outcome: str
    topic: str | None = None
    reason: Wording = field(default_factory=dict)
    confirmed: Expression | None = None


@dataclass(frozen=True, slots=True)
class SurveyStep:
    instrument: str
    delay_s: int | None = None


@dataclass(frozen=True, slots=True)
class RecordStep:
    kind: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotifyStep:
    channel: str
    text: str


@dataclass(frozen=True, slots=True)
class WaitStep:
    """For `after_s` seconds, for an `event` (at most `after_s`), or until the desk is `open`; `then` when time is over."""

    after_s: int = 0
    then: str | None = None
    event: str = ""
    open: bool = False


@dataclass(frozen=True, slots=True)
class GotoStep:
    target: str


@dataclass(frozen=True, slots=True)
class RunStep:
    """`save` are pairs: a slot of this flow, and the slot of the other flow that it takes when that one ends."""

    flow: str
    values: Mapping[str, Expression] = field(default_factory=dict)
    save: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KbStep:
    """Asks the articles. A sure answer is said (with `confirm` also whether it helped), else `on` has where to go.

    `silent`: it only looks up, because a step `llm` below tells what was found in words of its own.
    """

    query: Wording
    unsure: str
    none: str
    collections: tuple[str, ...] = ()
    confirm: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class LlmStep:
    """A language model rewords what the step `grounded_in` (a `kb`) found, in at most `longest` characters.

    `order` is the admin's own wish, a template. `refused`: where to go when the articles had nothing. `off` (there is no
    model) and `timeout` (it failed, or said what may not be told) name a step, or None: then the article itself is said.
    """

    order: str
    grounded_in: str
    refused: str
    longest: int
    off: str | None = None
    timeout: str | None = None


Verb = (
    SayStep
    | AskStep
    | SetStep
    | BranchStep
    | CallStep
    | EscalateStep
    | CloseStep
    | SurveyStep
    | RecordStep
    | NotifyStep
    | WaitStep
    | GotoStep
    | RunStep
    | KbStep
    | LlmStep
)


@dataclass(frozen=True, slots=True)
class Step:
    """`next` is where it leads when its verb does not say: a step's id, END, or None for the step below it."""

    id: str
    verb: Verb
    line: int
    column: int
    condition: Expression | None = None
    next: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Triggers:
    """What starts a flow. `phrases` by language; `commands` with their slash; `channels` empty for all; `event` a name.

    `slots` are those whose value alone says what is meant: "AB123456" is a question about an order.
    """

    phrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    when: Expression | None = None
    channels: tuple[str, ...] = ()
    event: str = ""
    slots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Migration:
    """How conversations of older `versions` find their place: steps renamed, or dropped for others; slots set anew."""

    versions: tuple[int, ...]
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: Mapping[str, str] = field(default_factory=dict)
    set: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow. `hash` is the identity of this version, `version` its label, `file` where it was read.

    `source` is the text of that file, by which the flow can be read again when the file has changed.
    """

    id: str
    version: int
    hash: str
    steps: tuple[Step, ...]
    slots: Mapping[str, Slot] = field(default_factory=dict)
    triggers: Triggers = field(default_factory=Triggers)
    title: Wording = field(default_factory=dict)
    migrate: Migration | None = None
    file: str = ""
    source: str = field(default="", repr=False, compare=False)
    _places: Mapping[str, int] = field(init=False, repr=False, compare=False)  # of the steps, by their ids

    def __post_init__(self) -> None:
        places = {step.id: place for place, step in reversed(tuple(enumerate(self.steps)))}
        object.__setattr__(self, "_places", places)

    @property
    def questions(self) -> Iterator[str]:
        """The ids of the steps at which whoever comes is asked something.

        No `kb` is among them: it asks whether an article helped only where it found one, and who came is counted either way.
        """
        for one in self.steps:
            if isinstance(one.verb, AskStep):
                yield one.id

    def step(self, step_id: str) -> Step | None:
        place = self._places.get(step_id)
        return None if place is None else self.steps[place]

    def after(self, step: Step) -> str | None:
        """The id of the step that follows, by its `next` or by the order of the file; None at the end."""
        if step.next is not None:
            return None if step.next == END else step.next
        return self.below(step)

    def below(self, step: Step) -> str | None:
        """The id of the step that stands below it in the file; None for the last one."""
        below = self._places[step.id] + 1
        return self.steps[below].id if below < len(self.steps) else None
