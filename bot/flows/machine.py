"""What each verb does: the working copy of a state, and the loop that runs steps until one rests.

A machine lives for one event. It rests at a question, a connector's answer, a wait, or a human; at most 50 steps run
between two rests, and no step more than three times with the same slots: then the breaker says so and fetches a human.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bot.flows import card, rewording, templates
from bot.flows.answers import matching
from bot.flows.doing import do, show
from bot.flows.expressions import Scope
from bot.flows.migrate import NoPlace, moved
from bot.flows.schema import (
    END,
    AskStep,
    CallStep,
    EscalateStep,
    Flow,
    KbStep,
    LlmStep,
    RunStep,
    SayStep,
    Step,
    WaitStep,
    Wording,
)
from bot.flows.talk import (
    Call,
    Context,
    Effect,
    Escalate,
    FlowState,
    Found,
    Frame,
    Outcome,
    Pending,
    Say,
    SetCustomer,
    SetTimer,
    SwitchLocale,
)
from bot.model import Choice
from bot.texts import escape_markdown, match_locale, say

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

MOST_STEPS = 50
MOST_VISITS = 3
FEWEST_WAITED = 60
"""Seconds until a wait for the desk's opening looks again, at least; an hour where nobody knows when that is."""
DEEPEST = 10
"""Flows within each other; more is a flow that runs itself."""
KEEPS: dict[str, tuple[type, ...]] = {"object": (dict, list), "number": (int, float), "bool": (bool,)}
"""What of JSON a slot of a type can keep; of other types anything."""


@dataclass(slots=True)
class Running:
    """A frame that may change."""

    flow: Flow
    step_id: str
    entered_at: str
    slots: dict[str, Any]
    asked: list[str]


class Machine:
    def __init__(self, desk: Desk, state: FlowState, context: Context) -> None:
        self.desk = desk
        self.state = state
        self.context = context
        known = context.locale in desk.locales
        self.locale = context.locale if known else match_locale(context.locale, desk.locales)
        self.customer = dict(context.customer)
        self.frames: list[Running] = []
        self.slots = dict(state.slots)
        self.retries = dict(state.retries)
        self.pending = state.pending
        self.why = state.why
        self.effects: list[Effect] = []
        self.trace: list[Mapping[str, Any]] = []
        self.began: tuple[str, str] | None = None
        self.tokens = 0
        self.steps = 0
        self.visits: dict[tuple[int, str, str], list[tuple[dict[str, Any], dict[str, Any]]]] = {}  # slots at each

    # ── in and out ──
    def find_place(self) -> bool:
        """Each frame's flow in its own version. If that is gone and its step, too, a human is fetched: then false."""
        top = len(self.state.frames) - 1
        for at, frame in enumerate(self.state.frames):
            flow = self.desk.flow(frame.flow, frame.hash)
            if flow is None or self._must_leave(frame):
                place = self._moved(frame, flow, top=at == top)
                if place is None:
                    self._lost()
                    return False
                frame, flow = place  # noqa: PLW2901 - the same frame, in its flow's new version
            self.frames.append(Running(flow, frame.step_id, frame.entered_at, dict(frame.slots), list(frame.asked)))
        return True

    def _must_leave(self, frame: Frame) -> bool:
        """Whether this version is not in force any more, and forbidden, or too old to be run."""
        now = self.desk.flows.get(frame.flow)
        if now is None or now.hash == frame.hash:
            return False
        kept = self.desk.versions
        began = datetime.fromisoformat(frame.entered_at)
        return frame.hash in kept.kill or self.context.now - began > timedelta(days=kept.pin_days)

    def _moved(self, frame: Frame, old: Flow | None, *, top: bool) -> tuple[Frame, Flow] | None:
        """The frame in the version that is in force; a step that was dropped begins anew in its successor."""
        flow = self.desk.flows.get(frame.flow)
        if flow is None:
            return None
        names = {**self.slots, "customer": self.customer, "case": dict(self.context.case)}
        try:
            found, anew = moved(frame, old, flow, Scope(names, self.context.now, self.context.is_open))
        except NoPlace:
            return None
        if anew and not top:
            return None
        if not anew and not self._fits(flow.step(found.step_id), top=top):
            return None
        if top and self.pending is not None:
            self.pending = None if anew else replace(self.pending, step_id=found.step_id, hash=flow.hash)
        return found, flow

    def _fits(self, found: Step | None, *, top: bool) -> bool:
        if found is None:
            return False
        verbs = {"confirm": KbStep, "call": CallStep | LlmStep | SayStep, "wait": WaitStep, "escalate": EscalateStep}
        return isinstance(found.verb, verbs.get(self.waiting, AskStep) if top else RunStep)

    def _lost(self) -> None:
        self.leave()
        self.give_up("version", "flow_changed")

    def outcome(self, *, handled: bool = True) -> Outcome:
        if not self.frames:
            self.pending = None
            self.retries = {}
            self.why = ""
        frames = [
            Frame(one.flow.id, one.flow.hash, one.step_id, one.entered_at, one.slots, tuple(one.asked))
            for one in self.frames
        ]
        state = FlowState(
            frames=tuple(frames),
            slots=self.slots,
            retries=self.retries,
            pending=self.pending,
            why=self.why,
            turns=self.state.turns + 1,
        )
        return Outcome(state, tuple(self.effects), handled, tuple(self.trace), self.began)

    @property
    def waiting(self) -> str:
        return self.pending.kind if self.pending else ""

    @property
    def top(self) -> Running:
        return self.frames[-1]

    def place(self) -> tuple[Flow, Step]:
        """Where the top frame stands. Only while there is one."""
        found = self.top.flow.step(self.top.step_id)
        assert found is not None
        return self.top.flow, found

    def open_question(self) -> tuple[Flow, Step] | None:
        return self.place() if self.waiting == "ask" and self.frames else None

    def asks_text(self, flow: Flow, asked: Step) -> bool:
        return isinstance(asked.verb, AskStep) and flow.slots[asked.verb.slot].type == "text"

    def is_free_text(self, asked: Step) -> bool:
        """Whether anything at all would be an answer."""
        assert isinstance(asked.verb, AskStep)
        return self.asks_text(self.top.flow, asked) and not self.top.flow.slots[asked.verb.slot].pattern

    def token(self) -> str:
        """Of a question or a call: never twice in a conversation, and no secret."""
        self.tokens += 1
        parts = (self.context.case.get("id", ""), self.context.now.isoformat(), self.state.turns, self.tokens)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]

    # ── names and values ──
    def names(self, flow: Flow | None = None) -> dict[str, Any]:
        flow = flow or self.top.flow
        own = {name: self.value(flow, name) for name in flow.slots}
        case = {**self.context.case, "locale": self.locale}
        return {**own, "customer": self.customer, "case": case}

    def value(self, flow: Flow, name: str) -> Any:
        slot = flow.slots[name]
        if slot.scope == "customer":
            return self.customer.get(name, slot.default)
        held = self.slots if slot.scope == "case" else self.top.slots
        return held.get(name, slot.default)

    def assign(self, flow: Flow, name: str, value: Any) -> None:
        slot = flow.slots[name]
        if slot.scope == "customer":
            if self.customer.get(name) != value:
                self.effects.append(SetCustomer(name, value))
            self.customer[name] = value
        elif slot.scope == "case":
            self.slots[name] = value
        else:
            self.top.slots[name] = value

    def scope(self) -> Scope:
        return Scope(self.names(), self.context.now, self.context.is_open)

    # ── saying ──
    def text(self, wording: Wording) -> str:
        template = wording.get(self.locale) or wording.get(self.desk.locales[0]) or next(iter(wording.values()), "")
        if not self.frames or templates.is_fixed(template):
            return template
        return templates.render(template, self.names(), self.locale)

    def own_words(self, key: str) -> str:
        return escape_markdown(say(key, self.locale, self.desk.texts))

    def say(self, key: str) -> None:
        """One of the built-in sentences."""
        self.effects.append(Say(self.own_words(key)))

    def switch_locale(self, locale: str) -> None:
        if locale != self.locale and locale in self.desk.locales:
            self.locale = locale
            self.effects.append(SwitchLocale(locale))

    def plain(self, wording: Wording) -> str:
        """Of a text for programs: no Markdown."""
        template = wording.get(self.locale) or next(iter(wording.values()), "")
        if templates.is_fixed(template):
            return template
        return templates.render(template, self.names(), self.locale, markdown=False)

    def choices(self, flow: Flow, asked: Step) -> tuple[Choice, ...]:
        assert isinstance(asked.verb, AskStep)
        if asked.verb.options:
            return tuple(Choice(one.value, self._label(one.label)) for one in asked.verb.options)
        if flow.slots[asked.verb.slot].type == "bool":
            return tuple(Choice(one, say(one, self.locale, self.desk.texts)) for one in ("yes", "no"))
        return ()

    def _label(self, wording: Wording) -> str:
        """A button's words are plain, not Markdown."""
        return self.plain(wording)

    # ── beginning and ending ──
    def may_start(self, flow: Flow) -> bool:
        triggers = flow.triggers
        if triggers.channels and self.context.case.get("channel") not in triggers.channels:
            return False
        if triggers.when is None:
            return True
        names = {"customer": self.customer, "case": self.context.case}
        return triggers.when.holds(Scope(names, self.context.now, self.context.is_open))

    def begin(self, flow_id: str, text: str = "", values: Mapping[str, Any] | None = None) -> None:
        """Leave whatever runs and start that flow. What its patterns find in `text` is not asked again."""
        self.leave()
        flow = self.desk.begins_in(flow_id, str(self.customer.get("id", ""))) or self.desk.flows[flow_id]
        self.push(flow)
        self.fill(values or {})
        for slot in flow.slots.values():
            found = matching(slot.pattern, text) if slot.pattern and text else None
            if found is not None:
                self.assign(flow, slot.name, found)
        self.run()

    def leave(self) -> None:
        self.frames.clear()
        self.pending = None
        self.why = ""
        self.retries = {}

    def push(self, flow: Flow) -> None:
        if not self.frames:
            self.began = flow.id, flow.hash
        self.frames.append(Running(flow, flow.steps[0].id, self.context.now.isoformat(), {}, []))

    def fetch_human(self, flow_id: str | None) -> None:
        """A customer asks for a human: the desk's flow for it, on top of what runs, so that the agent sees it all."""
        self.pending = None
        self.why = "asked"
        flow = self.desk.flows.get(flow_id or "")
        if flow is None or any(one.flow.id == flow.id for one in self.frames):
            self.give_up("asked", "")
            return
        self.push(flow)
        self.run()

    def give_up(self, reason_code: str, key: str, reason: str = "") -> None:
        """To a human, at once, without a flow of the desk's."""
        shown = card.shown(self.desk, self.frames, self.slots, self.customer)
        self.effects.append(Escalate(reason_code, reason, show=shown, text=self.own_words(key) if key else ""))
        self.leave()

    def hand_over(self, reason_code: str, text: str, team: str | None, priority: str | None) -> None:
        """To a human, with everything that was told."""
        shown = card.shown(self.desk, self.frames, self.slots, self.customer)
        self.effects.append(Escalate(reason_code, "", team, priority, shown, text))
        self.leave()

    def restart(self) -> None:
        self.leave()
        self.slots.clear()
        self.say("flow_restarted")

    def cancel(self) -> None:
        self.leave()
        self.say("cancelled")

    def back(self) -> None:
        """To the question before this one, with its answer forgotten."""
        while self.frames and self.top.asked:
            before = self.top.flow.step(self.top.asked.pop())
            if before is not None and isinstance(before.verb, AskStep):
                self.trace.append({"flow": self.top.flow.id, "step": self.top.step_id, "back": before.id})
                self.pending = None
                self.assign(self.top.flow, before.verb.slot, None)
                self.top.step_id = before.id
                self.run()
                return
        self.say("flow_no_back")
        self.ask_again()

    # ── answers ──
    def answer(self, flow: Flow, asked: Step, value: Any) -> None:
        """A good answer goes on; one against which the step's check speaks counts as a wrong one."""
        verb = asked.verb
        assert isinstance(verb, AskStep)
        slot = flow.slots[verb.slot]
        held = dict(self.top.slots), dict(self.slots), dict(self.customer), len(self.effects)
        self.assign(flow, slot.name, value)
        if verb.check is not None and not verb.check.holds(self.scope()):
            self.top.slots, self.slots, self.customer = held[0], held[1], held[2]
            del self.effects[held[3] :]
            self.wrong_answer(flow, asked, verb.error)
            return
        self.trace.append({"flow": flow.id, "step": asked.id, "answer": slot.name})
        self.retries.pop(f"{flow.id}/{asked.id}", None)
        self.pending = None
        self.why = ""
        self.top.asked.append(asked.id)
        self.move(flow.after(asked))
        self.run()

    def wrong_answer(self, flow: Flow, asked: Step, error: Wording | None = None) -> None:
        verb = asked.verb
        assert isinstance(verb, AskStep)
        name = f"{flow.id}/{asked.id}"
        self.retries[name] = self.retries.get(name, 0) + 1
        self.trace.append({"flow": flow.id, "step": asked.id, "retry": self.retries[name]})
        if self.retries[name] > verb.retry.max:
            self.retries.pop(name)
            self.pending = None
            self.why = "retry"
            if verb.retry.then is None:
                self.give_up("retry", "flow_fetching")
                return
            self.move(verb.retry.then)
            self.run()
            return
        wording = error or verb.retry.text
        text = self.text(wording) if wording else self.own_words(f"flow_retry_{flow.slots[verb.slot].type}")
        assert self.pending is not None
        self.effects.append(Say(text, self.choices(flow, asked), self.pending.token))

    def digress(self, text: str) -> bool:
        """Whether an article surely answers what was said: then it does, and our question stands as it stood."""
        told = self.context.knows(text, self.locale) if self.context.knows is not None else None
        if told is None or self.pending is None:
            return False
        flow, asked = self.place()
        assert isinstance(asked.verb, AskStep)
        self.trace.append({"flow": flow.id, "step": asked.id, "article": told.name})
        self.effects.append(Say(told.text))
        self.effects.append(Say(self.text(asked.verb.text), self.choices(flow, asked), self.pending.token))
        return True

    def ask_again(self) -> None:
        if self.waiting == "ask" and self.frames:
            self.ask(*self.place())
        elif self.waiting == "confirm" and self.pending is not None:
            self.effects.append(Say(self.own_words("kb_did_this_help"), self.yes_or_no(), self.pending.token))

    # ── articles ──
    def search(self, verb: KbStep) -> tuple[str, Found]:
        """The step's question, and what the articles say to it; nothing where nobody can be asked."""
        query = self.plain(verb.query)
        if self.context.search is None or not query.strip():
            return query, Found("none")
        return query, self.context.search(query, self.locale, verb.collections)

    def yes_or_no(self) -> tuple[Choice, ...]:
        words = {"yes": "kb_helped", "no": "kb_not_helped"}
        return tuple(Choice(value, say(key, self.locale, self.desk.texts)) for value, key in words.items())

    def confirmed(self, *, helped: bool) -> None:
        """Whether the article helped. No: the flow goes where it goes when there is none."""
        flow, asked = self.place()
        assert isinstance(asked.verb, KbStep)
        self.trace.append({"flow": flow.id, "step": asked.id, "helped": helped})
        self.retries.pop(f"{flow.id}/{asked.id}", None)
        self.pending = None
        self.move(flow.after(asked) if helped else asked.verb.none)
        self.run()

    def unconfirmed(self) -> None:
        """Neither yes nor no: asked once more, then it counts as a no."""
        flow, asked = self.place()
        name = f"{flow.id}/{asked.id}"
        self.retries[name] = self.retries.get(name, 0) + 1
        if self.retries[name] > 1:
            self.confirmed(helped=False)
        else:
            self.ask_again()

    def call_done(self, outcome: str, value: Any) -> None:
        flow, called = self.place()
        if isinstance(called.verb, LlmStep):
            rewording.done(self, flow, called, called.verb, outcome, value)
            self.run()
            return
        if isinstance(called.verb, SayStep):
            self.pending = None
            show(self, flow, called, called.verb, value if outcome == "ok" else None)
            self.run()
            return
        assert isinstance(called.verb, CallStep)
        self.pending = None
        if outcome == "ok" and called.verb.save and not can_hold(flow.slots[called.verb.save].type, value):
            outcome = "error"  # a proxy's page with a status of 200 is no answer: nobody is told things out of it
        name = f"{flow.id}/{called.id}"
        tries = self.retries.pop(name, 0)
        if tries < called.verb.retries and may_pass(outcome):
            self.retries[name] = tries + 1
            self.trace.append({"flow": flow.id, "step": called.id, "outcome": outcome, "retry": tries + 1})
            self.call(flow, called, called.verb, after_s=2**tries)
            return
        self.settle(flow, called, called.verb, outcome, value)
        self.run()

    def call(self, flow: Flow, here: Step, verb: CallStep, after_s: int = 0) -> None:
        """Ask the connector and rest until its answer comes; the key of a write is the same at every try."""
        names = self.names()
        values = {name: templates.raw(template, names, self.locale) for name, template in verb.values.items()}
        once = templates.render(verb.once, names, self.locale, markdown=False) if verb.once else None
        token = self.token()
        self.pending = Pending("call", here.id, flow.hash, token)
        self.effects.append(Call(token, verb.connector, values, verb.timeout_s, once, after_s))

    def settle(self, flow: Flow, called: Step, verb: CallStep, outcome: str, value: Any) -> None:
        self.trace.append({"flow": flow.id, "step": called.id, "outcome": outcome})
        if outcome == "ok":
            if verb.save:
                self.assign(flow, verb.save, value)
            self.move(flow.after(called))
            return
        if outcome not in verb.on or outcome in {"timeout", "error"}:
            self.why = "connector"
        target = verb.on.get(outcome) or verb.on.get("timeout" if outcome == "timeout" else "error")
        if target is None:
            self.give_up("connector", "flow_fetching", f"{verb.connector}: {outcome}")
            return
        self.move(target)

    # ── the loop ──
    def run(self) -> None:
        """Run until a step rests, the last flow ends, or the breaker trips."""
        while self.frames and self.pending is None:
            flow, here = self.place()
            if self._tripped(flow, here):
                self.give_up("breaker", "flow_breaker", f"{flow.id}/{here.id}")
                return
            if here.condition is not None:
                holds = here.condition.holds(self.scope())
                self.trace.append({"flow": flow.id, "step": here.id, "if": here.condition.text, "value": holds})
                if not holds:
                    self.move(flow.below(here))  # whatever its `next` says
                    continue
            else:
                self.trace.append({"flow": flow.id, "step": here.id})
            do(self, flow, here)

    def _tripped(self, flow: Flow, here: Step) -> bool:
        self.steps += 1
        depth = len(self.frames)
        visits = self.visits.setdefault((depth, flow.id, here.id), [])
        visits.append((dict(self.slots), dict(self.top.slots)))
        if self.steps > MOST_STEPS or depth > DEEPEST:
            return True
        return len(visits) > MOST_VISITS and _times_as_last(visits) > MOST_VISITS

    def move(self, target: str | None) -> None:
        """To that step of the top frame; None or END ends its flow, and the one below it goes on."""
        while True:
            if target is not None and target != END:
                self.top.step_id = target
                return
            done = self.frames.pop()
            if not self.frames:
                return
            flow, ran = self.place()
            if isinstance(ran.verb, RunStep):
                for mine, theirs in ran.verb.save:
                    self.assign(flow, mine, self._result(done, theirs))
                target = flow.after(ran)
            else:  # a human was fetched on top of a question: there is nothing to come back to
                self.leave()
                return

    def _result(self, done: Running, name: str) -> Any:
        scope = done.flow.slots[name].scope if name in done.flow.slots else "flow"
        held = {"case": self.slots, "customer": self.customer}.get(scope, done.slots)
        return held.get(name)

    def ask(self, flow: Flow, here: Step) -> None:
        verb = here.verb
        assert isinstance(verb, AskStep)
        token = self.token()
        self.pending = Pending("ask", here.id, flow.hash, token)
        self.effects.append(Say(self.text(verb.text), self.choices(flow, here), token))
        if verb.timeout_s is not None:
            self.effects.append(SetTimer(token, verb.timeout_s))

    def wait(self, flow: Flow, here: Step, verb: WaitStep) -> None:
        """Rest until the time is over, the event comes, or the desk is open."""
        token = self.token()
        self.pending = Pending("wait", here.id, flow.hash, token)
        after_s = max(self.context.opens_in_s or 3600, FEWEST_WAITED) if verb.open else verb.after_s
        self.effects.append(SetTimer(token, after_s))

    def fill(self, values: Mapping[str, Any]) -> None:
        """An event's values, into the slots of the same names."""
        for name, value in values.items():
            if name in self.top.flow.slots:
                self.assign(self.top.flow, name, value)


def _times_as_last(visits: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> int:
    """How often the slots were what they are at the last visit."""
    held = [json.dumps(slots, sort_keys=True, default=str) for slots in visits]
    return held.count(held[-1])


def can_hold(slot_type: str, answer: Any) -> bool:
    """Whether a connector's answer is what the slot says it keeps. Who answers without a body (204) has done it."""
    return slot_type not in KEEPS or answer in ("", None) or type(answer) in KEEPS[slot_type]


def may_pass(outcome: str) -> bool:
    """Whether a connector's failure may be gone in a moment."""
    return outcome in {"timeout", "error", "408", "425", "429"} or (len(outcome) == 3 and outcome.startswith("5"))
