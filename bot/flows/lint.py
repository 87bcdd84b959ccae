"""What only the whole flow shows: steps that nothing reaches, and circles in which nobody is asked anything."""

from __future__ import annotations

from collections.abc import Iterator

from bot.flows.graph import HUMAN, edges, rests
from bot.flows.names import Seen
from bot.flows.schema import END, Flow, RunStep, Step


def check(flow: Flow, seen: Seen) -> None:
    """Warnings and faults go to the flow's reader. Steps with faults of their own are not in `flow`: then say nothing."""
    if any(one.severity == "fault" and one.file == seen.reader.file for one in seen.reader.faults.found):
        return
    _unreachable(flow, seen)
    _circles(flow, seen)


def leads_to(flow: Flow, step: Step) -> Iterator[str]:
    """The ids of every step of this flow that may come after `step`."""
    yield from (edge.target for edge in edges(flow, step) if edge.kind != "run" and edge.target not in {END, HUMAN})


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
    return isinstance(step.verb, RunStep) or rests(step)
