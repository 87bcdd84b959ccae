"""The step `llm` at work: what a step `kb` found is kept, a model is asked to reword it, and its answer told or not.

What was found is kept with the frame under "@" and the kb step's id, a name that no slot can have. The model's answer comes
as an event like any connector's, so that it is stored before it is told, and a turn that is run again tells the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bot.answers import grounded
from bot.flows import templates
from bot.flows.schema import Flow, LlmStep, Step
from bot.flows.talk import AskModel, Found, Pending, Say
from bot.texts import escape_markdown, say

if TYPE_CHECKING:
    from bot.flows.machine import Machine


def keep(machine: Machine, kb: str, query: str, found: Found) -> None:
    passages = [one.to_json() for one in found.passages]
    machine.top.slots["@" + kb] = {"query": query, "text": found.text, "passages": passages}


def begin(machine: Machine, flow: Flow, here: Step, verb: LlmStep) -> None:
    """Ask the model; without an article there is nothing to reword, and without a model the article speaks for itself."""
    held = _held(machine, verb)
    passages = grounded.passages_from(held.get("passages") or ())
    if not passages:
        machine.trace.append({"flow": flow.id, "step": here.id, "model": "refused"})
        machine.move(verb.refused)
        return
    if not machine.context.model:
        _fall_back(machine, flow, here, verb, "off")
        return
    order = templates.render(verb.order, machine.names(), machine.locale, markdown=False)
    token = machine.token()
    machine.pending = Pending("call", here.id, flow.hash, token)
    machine.effects.append(AskModel(token, str(held["query"]), passages, order, verb.longest))


def done(machine: Machine, flow: Flow, here: Step, verb: LlmStep, outcome: str, value: Any) -> None:
    """The model's answer: told where it may be, as plain words with its sources."""
    machine.pending = None
    held = _held(machine, verb)
    passages = grounded.passages_from(held.get("passages") or ())
    text = value.get("text") if isinstance(value, Mapping) else None
    found = grounded.checked(text, str(held.get("query", "")), passages, verb.longest) if outcome == "ok" else None
    if found is None:
        _fall_back(machine, flow, here, verb, "off" if outcome == "off" else "timeout")
        return
    machine.trace.append({"flow": flow.id, "step": here.id, "model": "ok"})
    titles = " · ".join(f"[{at}] {one.title}" for at, one in found.cited)
    source = say("kb_source", machine.locale, machine.desk.texts, title=titles)
    machine.effects.append(Say(f"{escape_markdown(found.text)}\n\n_{escape_markdown(source)}_"))
    machine.move(flow.after(here))


def _fall_back(machine: Machine, flow: Flow, here: Step, verb: LlmStep, outcome: str) -> None:
    """Where the step says; else the article itself is told."""
    machine.trace.append({"flow": flow.id, "step": here.id, "model": outcome})
    target = verb.off if outcome == "off" else verb.timeout
    text = str(_held(machine, verb).get("text") or "")
    if target is None and text:
        machine.effects.append(Say(text))
        machine.move(flow.after(here))
        return
    machine.move(target or verb.refused)


def _held(machine: Machine, verb: LlmStep) -> Mapping[str, Any]:
    held = machine.top.slots.get("@" + verb.grounded_in)
    return held if isinstance(held, Mapping) else {}
