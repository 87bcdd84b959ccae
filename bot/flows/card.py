"""What the agents' card shows of the answers that the bot collected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.flows.schema import AskStep, Flow, Slot
from bot.flows.templates import shown as as_text

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk
    from bot.flows.machine import Running

LONGEST = 300
"""Characters of one value on the card."""


def shown(
    desk: Desk,
    frames: Sequence[Running],
    case_slots: Mapping[str, Any],
    customer: Mapping[str, Any],
    named: Sequence[str] = (),
) -> tuple[tuple[str, str], ...]:
    """Pairs of slot and value: those that the step names, then everything else that is known and not sensitive.

    A choice shows its label in the agents' language, the desk's first. An object shows only where it is named.
    """
    known: dict[str, tuple[Slot, Flow, Any]] = {}
    for running in frames:
        for slot in running.flow.slots.values():
            held = {"case": case_slots, "customer": customer}.get(slot.scope, running.slots)
            if held.get(slot.name) is not None:
                known[slot.name] = slot, running.flow, held[slot.name]
    first = [name for name in named if name in known]
    rest = [name for name, (slot, _, __) in known.items() if not slot.sensitive and slot.type != "object"]
    return tuple((name, _value(desk, *known[name])) for name in dict.fromkeys((*first, *rest)))


def _value(desk: Desk, slot: Slot, flow: Flow, value: Any) -> str:
    for step in flow.steps:
        if isinstance(step.verb, AskStep) and step.verb.slot == slot.name:
            for option in step.verb.options:
                if option.value == str(value):
                    return option.label.get(desk.locales[0]) or option.value
    return as_text(value)[:LONGEST]
