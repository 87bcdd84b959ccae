"""Where conversations are just now, from the bot's states of them: by flow and by step. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bot.console.drawing.picture import Counts
from bot.flows.schema import AskStep, Flow

States = Iterable[Mapping[str, Any]]


def by_flow(states: States) -> dict[str, int]:
    """Flow → conversations that are in it now, in whatever version."""
    found = Counter[str]()
    for state in states:
        found.update({frame["flow"] for frame in _frames(state)})
    return dict(found)


def behind(states: States, in_force: Mapping[str, str]) -> int:
    """Conversations in a version of a flow that is not in force any more. `in_force`: flow → hash."""
    return sum(any(in_force.get(frame["flow"]) != frame["hash"] for frame in _frames(state)) for state in states)


def of_flow(states: States, flow: Flow, counted: Mapping[str, tuple[int, int]]) -> dict[str, Counts]:
    """Step → its numbers: by the step's id, so that older versions count along. `counted`: step → (came, answered).

    Who came to a question, did not answer it and is not there any more has been lost there.
    """
    live = Counter(frame["step_id"] for state in states for frame in _frames(state) if frame["flow"] == flow.id)
    numbers: dict[str, Counts] = {}
    for step in flow.steps:
        came, answered = counted.get(step.id, (0, 0))
        left = max(0, came - answered - live[step.id]) if isinstance(step.verb, AskStep) else 0
        if came or live[step.id]:
            numbers[step.id] = Counts(live[step.id], came, left)
    return numbers


def _frames(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (state.get("flow") or {}).get("frames") or ()
