"""A flow as boxes and arrows: for the lint, for the console's picture, for whoever wants to draw it. Pure.

    graph(flow) -> Graph(nodes, edges)
    edges(flow, step) -> the arrows that leave one step

An arrow's `kind` is next (the step below, or `next:`) · branch (a condition, its text the label) · failure (a connector's
status, a wrong answer too often, a time that ran out, nobody there, no article) · run (into another flow).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.flows.schema import (
    END,
    AskStep,
    BranchStep,
    CallStep,
    CloseStep,
    EscalateStep,
    Flow,
    GotoStep,
    KbStep,
    LlmStep,
    NotifyStep,
    RecordStep,
    RunStep,
    SayStep,
    SetStep,
    Step,
    SurveyStep,
    WaitStep,
    Wording,
)

HUMAN = "@human"
"""Where a failure leads that names no step: to a person, at once. No step can have this id."""
LONGEST = 60
"""Characters of a node's text."""

VERB_OF: dict[type, str] = {
    SayStep: "say",
    AskStep: "ask",
    SetStep: "set",
    BranchStep: "branch",
    CallStep: "call",
    EscalateStep: "escalate",
    CloseStep: "close",
    SurveyStep: "survey",
    RecordStep: "record",
    NotifyStep: "notify",
    WaitStep: "wait",
    GotoStep: "goto",
    RunStep: "run",
    KbStep: "kb",
    LlmStep: "llm",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One step. `id` is its identity, `name` what its author called it ("" where nobody did), `text` what it is about.

    `line` and `column` count from 1, in `file`. `condition` is its `if:`. `rests`: the conversation waits here.
    """

    id: str
    name: str
    verb: str
    text: str
    file: str
    line: int
    column: int
    rests: bool
    condition: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` is a step's id, END, HUMAN, or for kind `run` the id of another flow."""

    source: str
    target: str
    kind: str = "next"
    label: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    flow: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph(flow: Flow, locale: str = "") -> Graph:
    """The whole flow, its steps in the order of the file; texts in `locale` where they have it, else in their first."""
    return Graph(
        flow.id,
        tuple(_node(flow, step, locale) for step in flow.steps),
        tuple(edge for step in flow.steps for edge in edges(flow, step)),
    )


def edges(flow: Flow, step: Step) -> Iterator[Edge]:
    """Every arrow that leaves `step`: those of its verb, then where it goes when nothing else is said."""
    yield from _by_verb(step)
    verb = step.verb
    jumps = isinstance(verb, BranchStep | GotoStep)
    if isinstance(verb, WaitStep):
        jumps = verb.then is not None and not verb.event
    if not jumps:
        yield Edge(step.id, flow.after(step) or END)
    if step.condition is not None and (jumps or step.next is not None):
        yield Edge(step.id, flow.below(step) or END, "branch", f"not {step.condition.text}")


def rests(step: Step) -> bool:
    """Whether the conversation may wait here for people, a time or an event."""
    verb = step.verb
    return isinstance(verb, AskStep | EscalateStep | WaitStep) or (isinstance(verb, KbStep) and verb.confirm)


def _by_verb(step: Step) -> Iterator[Edge]:
    verb = step.verb
    if isinstance(verb, BranchStep):
        yield from (Edge(step.id, goto, "branch", condition.text) for condition, goto in verb.cases)
        yield Edge(step.id, verb.otherwise, "branch", "else")
    elif isinstance(verb, GotoStep):
        yield Edge(step.id, verb.target)
    elif isinstance(verb, RunStep):
        yield Edge(step.id, verb.flow, "run")
    elif isinstance(verb, WaitStep) and verb.then is not None:
        yield Edge(step.id, verb.then, "failure" if verb.event else "next", "timeout" if verb.event else "")
    else:
        yield from (Edge(step.id, target, "failure", label) for label, target in _failures(step))


def _failures(step: Step) -> Iterator[tuple[str, str]]:
    verb = step.verb
    if isinstance(verb, CallStep):
        yield from verb.on.items()
    elif isinstance(verb, AskStep):
        yield "retry", verb.retry.then or HUMAN
        if verb.timeout_then is not None:
            yield "timeout", verb.timeout_then
    elif isinstance(verb, EscalateStep) and verb.no_agent is not None:
        yield "no_agent", verb.no_agent
    elif isinstance(verb, KbStep):
        yield "unsure", verb.unsure
        yield "none", verb.none
    elif isinstance(verb, LlmStep):
        yield "refused", verb.refused
        yield from ((label, target) for label, target in (("off", verb.off), ("timeout", verb.timeout)) if target)


def _node(flow: Flow, step: Step, locale: str) -> Node:
    return Node(
        id=step.id,
        name="" if step.id.startswith("~") else step.id,
        verb=VERB_OF[type(step.verb)],
        text=_about(step, locale),
        file=flow.file,
        line=step.line,
        column=step.column,
        rests=rests(step),
        condition=step.condition.text if step.condition is not None else "",
        note=step.note,
    )


def _about(step: Step, locale: str) -> str:
    verb = step.verb
    if isinstance(verb, SayStep | AskStep):
        return _short(_in(verb.text, locale))
    if isinstance(verb, EscalateStep):
        return _short(verb.reason or _in(verb.text, locale))
    if isinstance(verb, KbStep):
        return _short(_in(verb.query, locale))
    if isinstance(verb, LlmStep):
        return _short(verb.order)
    if isinstance(verb, SetStep):
        return _short(", ".join(f"{name} = {value.text}" for name, value in verb.slots))
    return _short(_named(verb))


def _named(verb: object) -> str:
    match verb:
        case CallStep():
            return verb.connector
        case CloseStep():
            return verb.outcome
        case SurveyStep():
            return verb.instrument
        case RecordStep():
            return verb.kind
        case NotifyStep():
            return verb.channel
        case RunStep():
            return verb.flow
        case WaitStep():
            return verb.event or ("business_open" if verb.open else f"{verb.after_s} s")
        case _:
            return ""


def _in(wording: Wording, locale: str) -> str:
    return wording.get(locale) or next(iter(wording.values()), "")


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= LONGEST else one_line[: LONGEST - 1] + "…"
