"""A running conversation goes over to another version of its flow, or the reason why it can't. Pure.

Whoever runs in a version stays in it (`Desk.keeping`), until it is too old (`pin_days`), forbidden (`kill`) or gone, or until
somebody moves them. Then each frame must find its place: the step of the same name, or where `migrate:` maps it. A renamed
step is the same step, so its open question stays open; a dropped one leads to a step that begins anew. What was told keeps
its slot only where the type is still the same; new slots have their defaults by themselves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.flows.expressions import Scope
from bot.flows.schema import AskStep, Flow, Step
from bot.flows.talk import FlowState, Frame


class NoPlace(Exception):
    """Why a frame has no place in the new version, in a few words for an admin."""


def moved(frame: Frame, old: Flow | None, new: Flow, scope: Scope) -> tuple[Frame, bool]:
    """The frame in `new`, and whether its step begins anew. Raises NoPlace. `old` is None where that version is gone.

    `scope` has what `set:` may name beside the flow's own slots: customer, case, and the case's slots.
    """
    plan = new.migrate
    mapped = plan is not None and (old is None or old.version in plan.versions)
    dropped = plan is not None and mapped and frame.step_id in plan.drop
    target = frame.step_id
    if plan is not None and mapped:
        target = plan.drop.get(target) or plan.rename.get(target, target)
    there = new.step(target)
    if there is None:
        raise NoPlace(f'the live step "{target}" does not exist in version {new.version} of "{new.id}"')
    before = old.step(frame.step_id) if old is not None else None
    if not dropped and before is not None and not _is_alike(before, there):
        raise NoPlace(f'the step "{target}" is another kind of step in version {new.version} of "{new.id}"')
    slots = _slots(frame, old, new)
    if plan is not None and mapped:
        for name, expression in plan.set:
            names = {**{one: slot.default for one, slot in new.slots.items()}, **scope.names, **slots}
            slots[name] = expression.value(replace(scope, names=names))
    asked = tuple(one for one in _renamed(frame.asked, new, mapped=mapped) if new.step(one) is not None)
    return replace(frame, hash=new.hash, step_id=target, slots=slots, asked=asked), dropped


def move_all(state: FlowState, old: dict[str, Flow], new: Flow, scope: Scope) -> FlowState | None:
    """Every frame of this flow in `new`; None where there is none in another version. Raises NoPlace for any of them."""
    if all(one.flow != new.id or one.hash == new.hash for one in state.frames):
        return None
    frames, pending = [], state.pending
    for at, frame in enumerate(state.frames):
        if frame.flow != new.id or frame.hash == new.hash:
            frames.append(frame)
            continue
        found, anew = moved(frame, old.get(frame.hash), new, scope)
        frames.append(found)
        if at == len(state.frames) - 1 and pending is not None:
            pending = None if anew else replace(pending, step_id=found.step_id, hash=new.hash)
        elif anew and at < len(state.frames) - 1:
            raise NoPlace(f'the step "{frame.step_id}" runs another flow just now and cannot be left')
    return replace(state, frames=tuple(frames), pending=pending)


def _is_alike(before: Step, there: Step) -> bool:
    if isinstance(before.verb, AskStep) and isinstance(there.verb, AskStep):
        return before.verb.slot == there.verb.slot
    return type(before.verb) is type(there.verb)


def _slots(frame: Frame, old: Flow | None, new: Flow) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in frame.slots.items():
        if name.startswith("@"):
            kept[name] = value
        elif name in new.slots:
            was = old.slots.get(name) if old is not None else None
            if was is not None and was.type != new.slots[name].type:
                raise NoPlace(f'the slot "{name}" was {was.type} and is {new.slots[name].type}')
            kept[name] = value
    return kept


def _renamed(asked: tuple[str, ...], new: Flow, *, mapped: bool) -> tuple[str, ...]:
    names = new.migrate.rename if new.migrate is not None and mapped else {}
    return tuple(names.get(one, one) for one in asked)
