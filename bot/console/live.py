"""Where conversations are just now, from the bot's states of them: by flow and by step. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bot.console.drawing.picture import Counts

if TYPE_CHECKING:
    from bot.flows.schema import Flow

States = Iterable[Mapping[str, Any]]


def by_flow(states: States) -> dict[str, int]:
    """Flow → conversations that are in it now, in whatever version."""
    found = Counter[str]()
    for state in states:
        found.update({frame["flow"] for frame in _frames(state)})
    return dict(found)


def of_flow(states: States, flow: Flow) -> dict[str, Counts]:
    """Step → its numbers: by the step's id, so that older versions count along."""
    live = Counter(frame["step_id"] for state in states for frame in _frames(state) if frame["flow"] == flow.id)
    return {step.id: Counts(live=live[step.id]) for step in flow.steps if live[step.id]}


def _frames(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (state.get("flow") or {}).get("frames") or ()
