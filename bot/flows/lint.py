"""What only the whole flow shows: steps that nothing reaches, and circles in which nobody is asked anything."""

from __future__ import annotations

from collections.abc import Iterator

from bot.flows.names import Seen
from bot.flows.schema import (
    END,
    AskStep,
    BranchStep,
    CallStep,
    EscalateStep,
    Flow,
    GotoStep,
    KbStep,
    RunStep,
    Step,
    WaitStep,
)

_RESTING = (AskStep, EscalateStep, WaitStep)


def check(flow: Flow, seen: Seen) -> None:
    """Warnings and faults go to the flow's reader. Steps with faults of their own are not in `flow`: then say nothing."""
    if any(one.severity == "fault" and one.file == seen.reader.file for one in seen.reader.faults.found):
        return
    _unreachable(flow, seen)
    _circles(flow, seen)


def leads_to(flow: Flow, step: Step) -> Iterator[str]:
    """The ids of every step that may come after `step`."""
    yield from _by_verb(step)
    jumps = isinstance(step.verb, BranchStep | GotoStep)
    if isinstance(step.verb, WaitStep):
        jumps = step.verb.then is not None and not step.verb.event
    if not jumps or step.condition is not None:
        following = flow.after(step)
        if following is not None:
            yield following


def _by_verb(step: Step) -> Iterator[str]:
    verb = step.verb
    targets: tuple[str | None, ...] = ()
    if isinstance(verb, BranchStep):
        targets = (*(goto for _, goto in verb.cases), verb.otherwise)
    elif isinstance(verb, GotoStep):
        targets = (verb.target,)
    elif isinstance(verb, CallStep):
        targets = tuple(verb.on.values())
    elif isinstance(verb, AskStep):
        targets = (verb.retry.then, verb.timeout_then)
    elif isinstance(verb, EscalateStep):
        targets = (verb.no_agent,)
    elif isinstance(verb, WaitStep):
        targets = (verb.then,)
    elif isinstance(verb, KbStep):
        targets = (verb.unsure, verb.none)
    yield from (target for target in targets if target is not None and target != END)


def _unreachable(flow: Flow, seen: Seen) -> None:
    reached: set[str] = set()
    waiting = [flow.steps[0].id]
    while waiting:
        step = flow.step(waiting.pop())
        if step is not None and step.id not in reached:
            reached.add(step.id)
            waiting += leads_to(flow, step)
    for step in flow.steps:
        if step.id not in reached:
            name = f'the step "{step.id}"' if not step.id.startswith("~") else "this step"
            message = f"{name} is never reached"
            seen.reader.faults.add(seen.reader.file, step.line, step.column, message, "unreachable", "warning")


def _circles(flow: Flow, seen: Seen) -> None:
    """A circle without a step at which the conversation rests would run until the breaker stops it."""
    done: set[str] = set()
    for first in flow.steps:
        on_way: list[str] = []
        stack = [(first.id, False)]
        while stack:
            step_id, leaving = stack.pop()
            if leaving:
                on_way.pop()
                done.add(step_id)
                continue
            step = flow.step(step_id)
            if step is None or step_id in done or _rests(step):
                continue
            if step_id in on_way:
                message = f'a circle without a question: it comes back to "{step_id}" and never waits for anybody'
                seen.reader.faults.add(seen.reader.file, step.line, step.column, message, "circle")
                return
            on_way.append(step_id)
            stack.append((step_id, True))
            stack += [(target, False) for target in leads_to(flow, step)]


def _rests(step: Step) -> bool:
    """A subflow may ask something of its own: only what surely goes on at once counts as not resting."""
    return isinstance(step.verb, (*_RESTING, RunStep)) or (isinstance(step.verb, KbStep) and step.verb.confirm)
