"""What each verb of a step does to the conversation: one small function a verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.flows import card, rewording, templates
from bot.flows.schema import (
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
)
from bot.flows.talk import Close, Escalate, Fetch, Notify, Pending, Record, Say, Survey
from bot.model import FileRef

if TYPE_CHECKING:
    from bot.flows.machine import Machine


def do(machine: Machine, flow: Flow, here: Step) -> None:
    """Do what the step says, and move on or rest."""
    _DO[type(here.verb)](machine, flow, here, here.verb)


def _say(machine: Machine, flow: Flow, here: Step, verb: SayStep) -> None:
    if verb.media:  # rests until the picture is here, so that everything stays in order
        token = machine.token()
        machine.pending = Pending("call", here.id, flow.hash, token)
        machine.effects.append(Fetch(token, verb.media))
        return
    machine.effects.append(Say(machine.text(verb.text)))
    machine.move(flow.after(here))


def show(machine: Machine, flow: Flow, here: Step, verb: SayStep, picture: object) -> None:
    """The text with its picture; with the picture's address where it could not be had."""
    text = machine.text(verb.text)
    file = _file_of(picture)
    machine.trace.append({"flow": flow.id, "step": here.id, "media": file is not None})
    machine.effects.append(Say(text, files=(file,)) if file else Say(f"{text}\n\n{verb.media}"))
    machine.move(flow.after(here))


def _file_of(picture: object) -> FileRef | None:
    if not isinstance(picture, Mapping) or not picture.get("id"):
        return None
    size = picture.get("size")
    known = size if isinstance(size, int) else 0
    return FileRef(str(picture["id"]), str(picture.get("name", "")), str(picture.get("type", "")), known)


def _ask(machine: Machine, flow: Flow, here: Step, verb: AskStep) -> None:
    slot = flow.slots[verb.slot]
    once = slot.scope != "flow" or here.id not in machine.top.asked
    if once and not slot.ask_again and machine.value(flow, slot.name) is not None:
        machine.trace.append({"flow": flow.id, "step": here.id, "known": slot.name})
        machine.move(flow.after(here))
        return
    machine.ask(flow, here)


def _set(machine: Machine, flow: Flow, here: Step, verb: SetStep) -> None:
    for name, expression in verb.slots:
        machine.assign(flow, name, expression.value(machine.scope()))
    machine.move(flow.after(here))


def _branch(machine: Machine, flow: Flow, here: Step, verb: BranchStep) -> None:
    scope = machine.scope()
    for condition, goto in verb.cases:
        holds = condition.holds(scope)
        machine.trace.append({"flow": flow.id, "step": here.id, "if": condition.text, "value": holds})
        if holds:
            machine.move(goto)
            return
    machine.move(verb.otherwise)


def _call(machine: Machine, flow: Flow, here: Step, verb: CallStep) -> None:
    from bot.desk_folder.desk import Table

    connector = machine.desk.connectors.get(verb.connector)
    if connector is None:
        machine.settle(flow, here, verb, "error", None)
    elif isinstance(connector, Table):
        template = verb.values.get(connector.key, "")
        row = connector.find(templates.raw(template, machine.names(), machine.locale))
        machine.settle(flow, here, verb, "404" if row is None else "ok", None if row is None else dict(row))
    else:
        machine.call(flow, here, verb)


def _escalate(machine: Machine, flow: Flow, here: Step, verb: EscalateStep) -> None:
    asked = Escalate(
        machine.why or "flow",
        templates.render(verb.reason, machine.names(), machine.locale, markdown=False),
        verb.team,
        verb.priority,
        card.shown(machine.desk, machine.frames, machine.slots, machine.customer, verb.show),
        machine.text(verb.text),
        verb.sla_s,
        _chosen_below(machine),
    )
    who = {**machine.customer, "locale": machine.locale}
    began = machine.began[0] if machine.began else ""
    if verb.no_agent is None or machine.context.is_staffed(asked, who, began):
        machine.effects.append(asked)
        machine.pending = Pending("escalate", here.id, flow.hash, machine.token())
    else:
        machine.effects.append(replace(asked, text=""))
        machine.move(verb.no_agent)


def _chosen_below(machine: Machine) -> Survey | None:
    """The survey that the steps below choose, which nobody runs any more once people have taken the case.

    Read as far as it is plain: steps that only choose a survey or close, here and in the flows that ran this one.
    """
    chosen = None
    for running in reversed(machine.frames):
        at, seen = running.flow.step(running.step_id), set[str]()
        if running is not machine.top and not (at is not None and isinstance(at.verb, RunStep)):
            return chosen  # a human was fetched on top of a question: nothing comes back to it
        while at is not None and at.id not in seen:
            seen.add(at.id)
            target = running.flow.after(at)
            at = running.flow.step(target) if target is not None else None
            if at is not None and (at.condition is not None or not isinstance(at.verb, SurveyStep | CloseStep)):
                return chosen
            if at is not None and isinstance(at.verb, SurveyStep):
                chosen = Survey(at.verb.instrument, at.verb.delay_s)
    return chosen


def _close(machine: Machine, flow: Flow, here: Step, verb: CloseStep) -> None:
    said_so = any(one.get("helped") for one in machine.trace)  # just now, of an article
    helped = said_so or (verb.confirmed is not None and verb.confirmed.holds(machine.scope()))
    topic, reason = verb.topic or machine.frames[0].flow.id, machine.plain(verb.reason) or None
    machine.effects.append(Close(verb.outcome, topic, reason, helped and verb.outcome == "resolved"))
    machine.move(flow.after(here))


def _survey(machine: Machine, flow: Flow, here: Step, verb: SurveyStep) -> None:
    machine.effects.append(Survey(verb.instrument, verb.delay_s))
    machine.move(flow.after(here))


def _goto(machine: Machine, _: Flow, __: Step, verb: GotoStep) -> None:
    machine.move(verb.target)


def _run(machine: Machine, _: Flow, __: Step, verb: RunStep) -> None:
    scope = machine.scope()
    values = {name: expression.value(scope) for name, expression in verb.values.items()}
    flow = machine.desk.begins_in(verb.flow, str(machine.customer.get("id", "")))
    if flow is None:  # it went away under a pinned flow
        machine.give_up("version", "flow_changed")
        return
    machine.push(flow)
    for name, value in values.items():
        if name in flow.slots:
            machine.assign(flow, name, value)


def _record(machine: Machine, flow: Flow, here: Step, verb: RecordStep) -> None:
    names = machine.names()
    values = {name: templates.raw(template, names, machine.locale) for name, template in verb.values.items()}
    machine.effects.append(Record(verb.kind, values))
    machine.move(flow.after(here))


def _notify(machine: Machine, flow: Flow, here: Step, verb: NotifyStep) -> None:
    text = templates.render(verb.text, machine.names(), machine.locale, markdown=False)
    machine.effects.append(Notify(verb.channel, text))
    machine.move(flow.after(here))


def _wait(machine: Machine, flow: Flow, here: Step, verb: WaitStep) -> None:
    if verb.open and machine.context.is_open:
        machine.move(verb.then or flow.after(here))
    else:
        machine.wait(flow, here, verb)


def _kb(machine: Machine, flow: Flow, here: Step, verb: KbStep) -> None:
    query, found = machine.search(verb)
    machine.trace.append({"flow": flow.id, "step": here.id, "kb": found.band, "article": found.name})
    if verb.silent:
        rewording.keep(machine, here.id, query, found)
    if found.band != "sure":
        if found.band == "none" and query.strip():
            machine.effects.append(Record("unanswered", {"question": query}))
        machine.move(verb.unsure if found.band == "unsure" else verb.none)
        return
    if not verb.confirm:
        if not verb.silent:
            machine.effects.append(Say(found.text))
        machine.move(flow.after(here))
        return
    machine.effects.append(Say(found.text))
    machine.pending = Pending("confirm", here.id, flow.hash, machine.token())
    machine.ask_again()


def _llm(machine: Machine, flow: Flow, here: Step, verb: LlmStep) -> None:
    rewording.begin(machine, flow, here, verb)


_DO: Mapping[type, Callable[[Machine, Flow, Step, Any], None]] = {
    SayStep: _say,
    AskStep: _ask,
    SetStep: _set,
    BranchStep: _branch,
    CallStep: _call,
    EscalateStep: _escalate,
    CloseStep: _close,
    SurveyStep: _survey,
    GotoStep: _goto,
    RunStep: _run,
    RecordStep: _record,
    NotifyStep: _notify,
    WaitStep: _wait,
    KbStep: _kb,
    LlmStep: _llm,
}
