"""Conversations as tests: what customers write and what the bot must answer, run against the pure interpreter.

    - test: an order that is on its way
      locale: nl                      # else the desk's first
      given: {connectors: {orders.get: {AB123456: {status: shipped}}}, agents: 0, open: false, customer: {vip: true}}
      script:
        - {user: waar is mijn bestelling}
        - {bot: bestelnummer}          # a part of it, /a pattern/, or $a_text
        - {user: {choose: broken}}     # presses a button; {file: photo.jpg} sends one
        - {after: 3m}                  # lets time pass
        - {agent: hello}  {agent: {resolve: resolved}}
        - {expect: {escalated: support, reason: asked, slots: {…}, closed: resolved, survey: ces7, locale: nl, flow: refund}}

`bot:` looks forward through what was said since the customer's last words. A connector that `given` does not name is a
table of the desk, or answers `error`. `given` maps the value that the call sends
(or "*") to the answer, or to 404, timeout or error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bot.flows.expressions import compiled_pattern
from bot.flows.run import step
from bot.flows.source import Node, Reader, seconds
from bot.flows.talk import (
    Call,
    CallDone,
    Close,
    Context,
    Escalate,
    Event,
    Files,
    FlowState,
    Picked,
    Say,
    SetCustomer,
    SetTimer,
    Survey,
    SwitchLocale,
    Text,
    TimedOut,
)
from bot.flows.templates import shown
from bot.model import FileRef
from bot.texts import canonical, say

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)  # a Monday morning
_EXPECTED = ("escalated", "reason", "slots", "closed", "survey", "locale", "flow")
_LINES = ("user", "bot", "agent", "after", "expect")
_NOT_YET = ("event", "switch_channel", "reload")
_MARKS = re.compile("[\u2066-\u2069\u200e\u200f]")
_ESCAPED = re.compile(r"\\([^\w\s])")
_WITHOUT_SURVEY = frozenset({"spam", "duplicate", "abandoned"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a script: `kind` is user | choose | file | bot | agent | resolve | after | expect."""

    number: int
    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class ConversationTest:
    name: str
    file: str
    line: int
    locale: str
    script: tuple[Line, ...]
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TestResult:
    """`line` is that of the line that failed, else of the test. `message` is the whole report of a failure."""

    __test__ = False  # pytest: this is no test class
    name: str
    file: str
    line: int
    ok: bool
    message: str = ""


def run_tests(desk: Desk) -> list[TestResult]:
    """Every conversation test of the desk, in order. Nothing is sent or stored."""
    return [run_test(desk, test) for test in desk.tests]


def run_test(desk: Desk, test: ConversationTest) -> TestResult:
    play = _Play(desk, test)
    for line in test.script:
        wrong = _PLAYED[line.kind](play, line.value)
        if wrong:
            return TestResult(test.name, test.file, line.number, False, f"{test.file}:{line.number}: {wrong}")
    return TestResult(test.name, test.file, test.line, True)


# ── reading ──


def read_tests(root: Node, reader: Reader, locales: tuple[str, ...]) -> list[ConversationTest]:
    tests = []
    for one in reader.items(root, "tests"):
        found = reader.entries(one, ("test", "locale", "given", "script"), "test", ("test", "script"))
        name = reader.text(found["test"], "test") if "test" in found else None
        locale = canonical(found["locale"].raw) if "locale" in found else locales[0]
        if locale not in locales:
            reader.fault(
                found["locale"], f'the desk does not speak "{locale}"; it speaks {", ".join(locales)}', "locale"
            )
        given = _given(found["given"], reader) if "given" in found else {}
        lines = [_line(body, reader) for body in reader.items(found["script"], "script")] if "script" in found else []
        if name is not None:
            script = tuple(line for line in lines if line is not None)
            tests.append(ConversationTest(name, reader.file, one.line, locale, script, given))
    return tests


def _given(node: Node, reader: Reader) -> dict[str, Any]:
    found = reader.entries(node, ("connectors", "agents", "open", "customer", "case"), "given")
    if "agents" in found:
        reader.whole(found["agents"], "given: agents")
    if "open" in found:
        reader.flag(found["open"], "given: open")
    for key in {"connectors", "customer", "case"} & found.keys():
        reader.entries(found[key], None, f"given: {key}")
    return {key: body.content() for key, body in found.items()}


def _line(node: Node, reader: Reader) -> Line | None:
    for key in _NOT_YET:
        if node.kind == "map" and key in node.entries:
            reader.fault(node.keys[key], f'"{key}:" is not run by this version', "not-yet")
            return None
    found = reader.entries(node, _LINES, "script")
    if len(found) != 1:
        if node.kind == "map" and (found or not node.entries):
            reader.fault(node, f"a line of a script is one of {', '.join(_LINES)}", "value")
        return None
    kind, body = next(iter(found.items()))
    if body.kind == "map" and kind in {"user", "agent"}:
        known = ("choose", "file") if kind == "user" else ("resolve",)
        inside = reader.entries(body, known, kind)
        if len(inside) != 1:
            if inside or not body.entries:
                reader.fault(body, f"{kind}: write one of {', '.join(known)}", "value")
            return None
        kind, body = next(iter(inside.items()))
    if kind == "expect":
        return Line(
            node.line, kind, {key: one.content() for key, one in reader.entries(body, _EXPECTED, "expect").items()}
        )
    text = reader.text(body, kind)
    if text is not None and kind == "after" and seconds(text) is None:
        reader.wrong(body, "after must be a duration such as 3m")
        return None
    return Line(node.line, kind, text) if text is not None else None


# ── playing ──


class _Play:
    """One conversation under way."""

    def __init__(self, desk: Desk, test: ConversationTest) -> None:
        self.given: Mapping[str, Any] = test.given.get("connectors") or {}
        self.desk = _with_fakes(desk, self.given)
        self.state = FlowState()
        self.locale = test.locale
        self.customer: dict[str, Any] = {"locale": test.locale, **(test.given.get("customer") or {})}
        self.case: Mapping[str, Any] = {"id": "case-1", "channel": "web", **(test.given.get("case") or {})}
        self.agents = int(test.given.get("agents", 1))
        self.open = bool(test.given.get("open", True))
        self.now = START
        self.unheard: list[str] = []
        self.question: Say | None = None
        self.timers: list[tuple[datetime, str]] = []
        self.slots: dict[str, Any] = {}
        self.escalation: Escalate | None = None
        self.with_people = False
        self.closed: str | None = None
        self.survey: str | None = None
        self.flow: str | None = None

    def take(self, event: Event) -> bool:
        self.now += timedelta(seconds=1)
        context = Context(self.now, self.locale, self.customer, self.case, self.open, self.agents)
        outcome = step(self.desk, self.state, event, context)
        self.state = outcome.state
        held = {name: value for frame in self.state.frames for name, value in frame.slots.items()}
        self.slots |= {**held, **self.state.slots}
        self.flow = self.state.frames[-1].flow if self.state.frames else None
        calls = [effect for effect in outcome.effects if isinstance(effect, Call)]
        for effect in outcome.effects:
            self.feel(effect)
        for call in calls:
            self.take(CallDone(call.token, *self.answered(call)))
        return outcome.handled

    def feel(self, effect: Any) -> None:
        match effect:
            case Say():
                self.unheard.append(effect.text)
                self.question = effect if effect.token else self.question
            case Escalate():
                self.unheard.append(effect.text or say("human_coming", self.locale, self.desk.texts))
                self.escalation = effect
                self.slots |= {name: value for name, value in effect.show if name not in self.slots}
                self.with_people = True
            case Close():
                self.end(effect.outcome)
            case Survey():
                self.survey = effect.instrument
            case SetCustomer():
                self.customer[effect.slot] = effect.value
                self.slots[effect.slot] = effect.value
            case SwitchLocale():
                self.locale = effect.locale
            case SetTimer():
                self.timers.append((self.now + timedelta(seconds=effect.after_s), effect.token))
            case _:
                pass

    def end(self, outcome: str) -> None:
        self.closed = outcome
        self.with_people = False
        if self.survey is None and outcome not in _WITHOUT_SURVEY:
            chosen = str((self.desk.surveys or {}).get("instrument", "ces7"))
            self.survey = None if chosen == "off" else chosen

    def answered(self, call: Call) -> tuple[str, Any]:
        """What `given` says the connector answers."""
        answers = self.given.get(call.connector, "error")
        if isinstance(answers, Mapping):
            sent = [str(value) for value in call.values.values()]
            answers = next((answers[key] for key in (*sent, "*") if key in answers), 404)
        if isinstance(answers, int) and 100 <= answers <= 599:
            return str(answers), None
        return (answers, None) if answers in ("timeout", "error") else ("ok", answers)

    # each line gives what is wrong, or ""
    def user(self, text: str) -> str:
        self.unheard.clear()
        if not self._is_for_people():
            self.take(Text(text))
        return ""

    def choose(self, value: str) -> str:
        self.unheard.clear()
        choices = self.question.choices if self.question else ()
        if self.question is None or value not in {choice.value for choice in choices}:
            offered = ", ".join(choice.value for choice in choices) or "none"
            return f'there is no button "{value}"; there are: {offered}'
        self.take(Picked(value, self.question.token))
        return ""

    def file(self, name: str) -> str:
        self.unheard.clear()
        if not self._is_for_people():
            self.take(Files((FileRef(f"file-{name}", name, "application/octet-stream", 1),)))
        return ""

    def _is_for_people(self) -> bool:
        """A case that people hold is theirs, unless the bot still asks something while it waits."""
        return self.with_people and self.state.waiting not in {"ask", "call"}

    def bot(self, wanted: str) -> str:
        heard = [plain(text) for text in self.unheard]
        for at, text in enumerate(heard):
            if self._says(wanted, text):
                del self.unheard[: at + 1]
                return ""
        return f"expected bot «{wanted}», got {' '.join(f'«{text}»' for text in heard) or 'nothing'}"

    def _says(self, wanted: str, text: str) -> bool:
        if len(wanted) > 2 and wanted.startswith("/") and wanted.endswith("/"):
            try:
                return compiled_pattern(wanted[1:-1]).search(text) is not None
            except ValueError:
                return False
        if wanted.startswith("$") and " " not in wanted:
            return _of_key(self.desk, wanted[1:], self.locale).search(text) is not None
        return plain(wanted) in text

    def agent(self, _: str) -> str:
        return "" if self.with_people else "an agent writes, but nobody fetched one"

    def resolve(self, outcome: str) -> str:
        if not self.with_people:
            return "an agent resolves, but nobody fetched one"
        self.end(outcome)
        self.state = FlowState()
        return ""

    def after(self, span: str) -> str:
        self.unheard.clear()
        self.now += timedelta(seconds=seconds(span) or 0)
        due = sorted(timer for timer in self.timers if timer[0] <= self.now)
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for _, token in due:
            self.take(TimedOut(token))
        return ""

    def expect(self, wanted: Mapping[str, Any]) -> str:
        for key, value in wanted.items():
            found = self._found(key)
            if key == "escalated" and isinstance(value, bool):
                found = self.escalation is not None
            if key == "slots":
                wrong = [name for name, one in value.items() if shown(self.slots.get(name)) != shown(one)]
                if wrong:
                    return (
                        f"expected slot {wrong[0]} «{shown(value[wrong[0]])}», got «{shown(self.slots.get(wrong[0]))}»"
                    )
            elif found != value:
                return f"expected {key} «{shown(value)}», got «{shown(found)}»"
        return ""

    def _found(self, key: str) -> Any:
        first = self.desk.escalation.team or (self.desk.teams[0].id if self.desk.teams else None)
        escalation = self.escalation
        return {
            "escalated": (escalation.team or first) if escalation else None,
            "reason": escalation.reason_code if escalation else None,
            "closed": self.closed,
            "survey": self.survey if self.closed else None,
            "locale": self.locale,
            "flow": self.flow,
        }.get(key)


def plain(text: str) -> str:
    """Without marks of direction, escapes and the space around lines: what a tester reads."""
    return " ".join(_ESCAPED.sub(r"\1", _MARKS.sub("", text)).split())


def _of_key(desk: Desk, key: str, locale: str) -> re.Pattern[str]:
    """A text with anything in its places. The pattern is made of escaped pieces: it cannot be slow."""
    own = desk.texts.get(key, {})
    template = own.get(locale) or say(key, locale)
    pieces = re.split(r"\{\{.*?\}\}", template)
    return re.compile(".*?".join(re.escape(plain(piece)) for piece in pieces), re.DOTALL)


def _with_fakes(desk: Desk, given: Mapping[str, Any]) -> Desk:
    """The desk with every connector that `given` names made one that asks."""
    from bot.desk_folder.desk import Connector

    fakes = {name: Connector(name, "GET", "https://given.invalid/") for name in given}
    return replace(desk, connectors={**desk.connectors, **fakes})


_PLAYED: Mapping[str, Callable[[_Play, Any], str]] = {
    "user": _Play.user,
    "choose": _Play.choose,
    "file": _Play.file,
    "bot": _Play.bot,
    "agent": _Play.agent,
    "resolve": _Play.resolve,
    "after": _Play.after,
    "expect": _Play.expect,
}
