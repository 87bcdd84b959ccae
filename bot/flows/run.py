"""The interpreter: one event in, the next state and what to do about it out. Pure.

What lives here: the order in which an event is understood. A customer's words are, in this order: a call for a human (at
any point) · the answer to the open question · another interrupt · the beginning of a flow · a question of their own that
an article surely answers, after which ours is asked again · a wrong answer. What each verb does is in `machine`. What it
must not know: channels, the database, cases, how articles are searched.

Pressed buttons carry the token of their question: one that was left already is answered with words and fills nothing.
A word of an interrupt that is the whole message ("cancel") is never taken as the answer to a question for free text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.answers.decide import yes_no
from bot.flows import answers
from bot.flows.heard import of_desk
from bot.flows.machine import Machine
from bot.flows.schema import AskStep, Flow, Step, WaitStep
from bot.flows.talk import (
    CallDone,
    Context,
    Event,
    FetchHuman,
    Files,
    FlowState,
    Happened,
    Outcome,
    Picked,
    StartFlow,
    Text,
    TimedOut,
)
from bot.flows.words import Found, tokens
from bot.texts.commands import command

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk, Interrupt
    from bot.model import FileRef

SAFETY = frozenset({"human", "stop"})
"""Interrupts that come before the open question."""
Cuts = Mapping[str, Found]
"""The interrupts that stand in a message, by id."""
_HEARD = 500
"""Words of a message in which phrases are looked for."""
_FEW_WORDS = 6
"""A single word of `human` counts in so short a message while free text is asked: else it is part of a story."""


def step(desk: Desk, state: FlowState, event: Event, context: Context) -> Outcome:
    """Never raises for anything that customers or connectors send. Takes well under a millisecond."""
    machine = Machine(desk, state, context)
    if not machine.find_place():
        return machine.outcome()
    if machine.frames and machine.pending is None and not _fetches_human(machine, event):
        machine.run()  # moved to a step that begins anew
        return machine.outcome()
    match event:
        case Text():
            said = tokens(event.text) if event.said is None else event.said
            handled = _said(machine, event.text, said[:_HEARD], event.files)
        case Files():
            handled = _said(machine, "", (), event.files)
        case Picked():
            handled = _pressed(machine, event)
        case CallDone():
            handled = _called(machine, event)
        case TimedOut():
            handled = _timed_out(machine, event.token)
        case FetchHuman():
            machine.hand_over(event.reason_code, event.text, event.team, event.priority)
            handled = True
        case Happened():
            handled = _happened(machine, event)
        case StartFlow():
            handled = _started(machine, event.flow_id)
    return machine.outcome(handled=handled)


def _fetches_human(machine: Machine, event: Event) -> bool:
    """Whether this is a call for a human, in whatever form: it is heard at any point."""
    if isinstance(event, Text):
        said = (tokens(event.text) if event.said is None else event.said)[:_HEARD]
        heard = of_desk(machine.desk).interrupts.find(said, machine.locale)
        return _interrupt(machine, heard, said, None, safety=True) is not None
    is_flow_for_it = isinstance(event, StartFlow) and event.flow_id == machine.desk.human_flow
    return is_flow_for_it or isinstance(event, FetchHuman)


# ── words ──


def _said(machine: Machine, text: str, said: tuple[str, ...], files: Sequence[FileRef]) -> bool:
    ask = machine.open_question()
    heard = of_desk(machine.desk).interrupts.find(said, machine.locale)
    if heard and (cut := _interrupt(machine, heard, said, ask, safety=True)):
        _cut_in(machine, *cut)
        return True
    waiting = machine.waiting
    if waiting == "call":
        return False
    if waiting == "escalate":
        machine.leave()  # the human is done, or the customer goes on with the bot: what follows is new
    if waiting == "confirm":
        return _confirms(machine, text, said, heard)
    if ask is None:
        return _from_nothing(machine, text, said, heard)
    alone = _interrupt(machine, heard, said, ask, safety=False)
    if alone and alone[1].whole and machine.is_free_text(ask[1]):
        _cut_in(machine, *alone)
        return True
    if _answered(machine, ask, text, files):
        return True
    if alone:
        _cut_in(machine, *alone)
        return True
    if _triggered(machine, text, said, other_than=ask[0].id):
        return True
    if not files and not _tries_to_answer(ask, text) and machine.digress(text):
        return True
    machine.wrong_answer(*ask)
    return True


def _tries_to_answer(ask: tuple[Flow, Step], text: str) -> bool:
    """A number where one is wanted is a wrong answer ("my order is 12345"), whatever an article says to it."""
    assert isinstance(ask[1].verb, AskStep)
    slot = ask[0].slots[ask[1].verb.slot]
    return slot.type in {"text", "number", "phone", "date"} and any(char.isdigit() for char in text)


def _from_nothing(machine: Machine, text: str, said: tuple[str, ...], heard: Cuts) -> bool:
    if _triggered(machine, text, said) or _told_by_value(machine, text, said):
        return True
    cut = _interrupt(machine, heard, said, None, safety=False)
    if cut is None or cut[0].do in {"cancel", "back"}:
        return False  # there is nothing to leave
    _cut_in(machine, *cut)
    return True


def _confirms(machine: Machine, text: str, said: tuple[str, ...], heard: Cuts) -> bool:
    """An article was told and "did this help?" asked: yes, no, or something new."""
    helped = yes_no(text, machine.locale, machine.desk.texts)
    pressed = [one.value for one in machine.yes_or_no() if tokens(one.label) == said]
    if helped is not None or pressed:
        machine.confirmed(helped=bool(helped) or pressed == ["yes"])
        return True
    if cut := _interrupt(machine, heard, said, None, safety=False):
        _cut_in(machine, *cut)
        return True
    if not _triggered(machine, text, said):
        machine.unconfirmed()
    return True


def _answered(machine: Machine, ask: tuple[Flow, Step], text: str, files: Sequence[FileRef]) -> bool:
    flow, asked = ask
    assert isinstance(asked.verb, AskStep)
    slot = flow.slots[asked.verb.slot]
    value = answers.answer(slot, asked.verb, text, files, machine.locale, machine.context.now, machine.desk.texts)
    if value is None:
        return False
    machine.answer(flow, asked, value)
    return True


# ── interrupts and triggers ──


def _interrupt(
    machine: Machine, heard: Cuts, said: tuple[str, ...], ask: tuple[Flow, Step] | None, *, safety: bool
) -> tuple[Interrupt, Found] | None:
    for interrupt in machine.desk.interrupts if heard else ():
        if (interrupt.id in SAFETY) != safety:
            continue
        found = heard.get(interrupt.id)
        if safety:
            found = _if_it_counts(machine, found, said, ask)
        if found is not None and (safety or _is_meant(found, said)):
            return interrupt, found
    return None


def _if_it_counts(
    machine: Machine, found: Found | None, said: tuple[str, ...], ask: tuple[Flow, Step] | None
) -> Found | None:
    asks_text = ask is not None and machine.asks_text(*ask)
    if found is None or found.length > 1 or not asks_text or len(said) <= _FEW_WORDS:
        return found
    return None


def _is_meant(found: Found, said: tuple[str, ...]) -> bool:
    """Whether "cancel" alone is said, which cuts in; "cancel my order" is a wish. A phrase of several words may have company."""
    return found.whole or (found.length > 1 and len(said) <= _FEW_WORDS)


def _cut_in(machine: Machine, interrupt: Interrupt, found: Found) -> None:
    machine.switch_locale(found.locale)
    if interrupt.run is not None:
        machine.fetch_human(interrupt.run) if interrupt.id == "human" else machine.begin(interrupt.run)
    elif interrupt.do == "escalate":
        machine.fetch_human(None)
    elif interrupt.do == "restart":
        machine.restart()
    elif interrupt.do == "cancel":
        machine.cancel()
    elif interrupt.do == "back":
        machine.back()
    else:
        machine.say("language_changed")
        machine.ask_again()


def _triggered(machine: Machine, text: str, said: tuple[str, ...], other_than: str = "") -> bool:
    best: tuple[Found, Flow] | None = None
    name, _ = command(text)
    heard = of_desk(machine.desk).triggers.find(said, machine.locale)
    for flow in machine.desk.flows.values() if name or heard else ():
        if name and f"/{name}" in flow.triggers.commands and machine.may_start(flow):
            machine.begin(flow.id, text)
            return True
        found = heard.get(flow.id)
        if found is None or flow.id == other_than or (best is not None and found.length <= best[0].length):
            continue
        if machine.may_start(flow):
            best = found, flow
    if best is None:
        return False
    machine.switch_locale(best[0].locale)
    machine.begin(best[1].id, text)
    return True


def _told_by_value(machine: Machine, text: str, said: tuple[str, ...]) -> bool:
    """A short message with a value that says what is meant by itself: "AB123456", "it's AB123456"."""
    if len(said) > _FEW_WORDS:
        return False
    for flow in of_desk(machine.desk).by_value:
        slots = (flow.slots[name] for name in flow.triggers.slots)
        if any(answers.matching(slot.pattern, text) is not None for slot in slots) and machine.may_start(flow):
            machine.begin(flow.id, text)
            return True
    return False


def _started(machine: Machine, flow_id: str) -> bool:
    if flow_id not in machine.desk.flows:
        return False
    if flow_id == machine.desk.human_flow:
        machine.fetch_human(flow_id)
    else:
        machine.begin(flow_id)
    return True


# ── buttons, connectors, timers ──


def _pressed(machine: Machine, event: Picked) -> bool:
    ask = machine.open_question()
    if machine.waiting == "confirm" and machine.pending is not None and machine.pending.token == event.token:
        machine.confirmed(helped=event.value == "yes")
        return True
    if ask is None or machine.pending is None or machine.pending.token != event.token:
        machine.say("already_answered")
        return True
    flow, asked = ask
    assert isinstance(asked.verb, AskStep)
    offered = {choice.value for choice in machine.choices(flow, asked)}
    if event.value in offered:
        machine.answer(flow, asked, answers.typed(flow.slots[asked.verb.slot], event.value))
    else:
        machine.wrong_answer(flow, asked)
    return True


def _called(machine: Machine, event: CallDone) -> bool:
    pending = machine.pending
    if pending is not None and pending.kind == "call" and pending.token == event.token:
        machine.call_done(event.outcome, event.value)
    return True


def _timed_out(machine: Machine, token: str) -> bool:
    pending = machine.pending
    if pending is None or pending.token != token or pending.kind not in {"ask", "wait"}:
        return True  # answered in the meantime
    flow, rested = machine.place()
    verb: Any = rested.verb
    if isinstance(verb, AskStep) and verb.timeout_then is None:
        return True  # moved to a version whose question waits for as long as it takes
    machine.pending = None
    if isinstance(verb, WaitStep):
        if verb.open and not machine.context.is_open:
            machine.wait(flow, rested, verb)
            return True
        machine.move(verb.then or flow.after(rested))
    else:
        machine.move(verb.timeout_then)
    machine.run()
    return True


def _happened(machine: Machine, event: Happened) -> bool:
    """The wait for it is over; or, where nothing runs, it begins the first flow that it starts. Else nobody wants it."""
    if machine.waiting == "wait" and machine.frames:
        flow, rested = machine.place()
        if isinstance(rested.verb, WaitStep) and rested.verb.event == event.name:
            machine.pending = None
            machine.fill(event.values)
            machine.move(flow.after(rested))
            machine.run()
            return True
    if machine.frames:
        return False
    for flow in machine.desk.flows.values():
        if flow.triggers.event == event.name and machine.may_start(flow):
            machine.begin(flow.id, values=event.values)
            return True
    return False


def is_request(desk: Desk, text: str) -> bool:
    """Whether this text would start a flow or cut in, though somebody else asked for free text: nobody may swallow it.

    By the rules of an open question: a single word of `human` counts in a short message, "cancel" when it stands alone.
    """
    said = tokens(text)[:_HEARD]
    phrases = of_desk(desk)
    for name, found in phrases.interrupts.find(said, "").items():
        short = len(said) <= _FEW_WORDS
        if found.length > 1 or short if name in SAFETY else _is_meant(found, said):
            return True
    return bool(phrases.triggers.find(said, ""))


def asks_for_human(desk: Desk, text: str, said: tuple[str, ...] | None = None) -> bool:
    """Whether this text is a call for a human, were nothing pending. `said` are its words, where it has been taken apart."""
    said = tokens(text) if said is None else said
    return "human" in of_desk(desk).interrupts.find(said[:_HEARD], "")
