"""Conversations as tests: what customers write and what the bot must answer, played on a stage without a database.

    - test: an order that is on its way
      locale: nl                      # else the desk's first
      given: {connectors: {orders.get: {AB123456: {status: shipped}}}, agents: 0, open: false, customer: {vip: true}}
      script:
        - {user: waar is mijn bestelling}
        - {bot: bestelnummer}          # a part of it, /a pattern/, or $a_text
        - {user: {choose: broken}}     # presses a button, by value or label; {file: photo.jpg} sends one, {score: 6} rates
        - {after: 3m}                  # lets time pass; {agents: 0}, {open: false}, {switch_channel: telegram} change things
        - {event: {parcel.delivered: {day: Monday}}}
        - {reload: versions/order.yaml}  # another version of a flow is in force from here on
        - {agent: hello}  {agent: {claim: true}}  {agent: {note: call back}}  {agent: {resolve: resolved}}
        - {expect: {escalated: support, reason: asked, slots: {…}, closed: resolved, survey: ces7, score: 6, said_not: sorry}}

`bot:` looks forward through what was said since the customer's last words, be it by the bot, the queue, the survey or an
agent. A connector that `given` does not name is a table of the desk, or answers `error`. `given` maps the value that the
call sends (or "*") to the answer, or to 404, timeout or error. `given: {model: "Within 14 days [1]."}` is what the language
model answers; off (there is none) and timeout are its other words. `given: {at: 2026-01-05T22:00}` is a time of the desk's own
clock, from which on its opening hours count; without it, it is open. `agents: {ann: free, bob: away, eve: 2}` names them:
then cases are given out, and the ladder is climbed, as desk.yaml says (`expect: {assigned: ann, called: [lea]}`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.flows.expressions import compiled_pattern
from bot.flows.play import Play
from bot.flows.source import Node, Reader, seconds
from bot.flows.templates import shown
from bot.flows.verbs import EVENT
from bot.staffing.people import default_team
from bot.texts import built_in, canonical, say
from bot.texts.plural import variants

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk
    from bot.flows.schema import Flow

    ReadFlow = Callable[[Node, Reader], Flow | None]
    """The flow of a file that a `reload:` names; what is wrong with it goes to the reader."""

_GIVEN = ("connectors", "model", "agents", "open", "at", "customer", "case")
_INSIDE: Mapping[str, tuple[str, ...]] = {
    "user": ("choose", "file", "score"),
    "agent": ("claim", "reply", "note", "resolve"),
}
CHANNELS = ("web", "telegram", "slack")
_MARKS = re.compile("[\u2066-\u2069\u200e\u200f]")
_ESCAPED = re.compile(r"\\([^\w\s])")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a script: `kind` is a key of LINES, its `value` what that one takes."""

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
    """`line` is that of the line that failed, else of the test. `message` is the whole report of a failure.

    `searched` tells whether the articles were asked, which takes longer.
    """

    __test__ = False  # pytest: this is no test class
    name: str
    file: str
    line: int
    ok: bool
    message: str = ""
    searched: bool = False


def run_tests(desk: Desk) -> list[TestResult]:
    """Every conversation test of the desk, in order. Nothing is sent or stored."""
    return [run_test(desk, test) for test in desk.tests]


def run_test(desk: Desk, test: ConversationTest) -> TestResult:
    play = Play(desk, test.locale, test.given)
    if play.wrong:
        return TestResult(test.name, test.file, test.line, False, f"{test.file}:{test.line}: {play.wrong}")
    for line in test.script:
        wrong = LINES[line.kind](play, line.value)
        if wrong:
            message = f"{test.file}:{line.number}: {wrong}"
            return TestResult(test.name, test.file, line.number, False, message, play.searched)
    return TestResult(test.name, test.file, test.line, True, searched=play.searched)


# ── reading ──


def read_tests(
    root: Node, reader: Reader, locales: tuple[str, ...], read_flow: ReadFlow | None = None
) -> list[ConversationTest]:
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
        bodies = reader.items(found["script"], "script") if "script" in found else []
        lines = [_line(body, reader, read_flow) for body in bodies]
        if name is not None:
            script = tuple(line for line in lines if line is not None)
            tests.append(ConversationTest(name, reader.file, one.line, locale, script, given))
    return tests


def _given(node: Node, reader: Reader) -> dict[str, Any]:
    found = reader.entries(node, _GIVEN, "given")
    if "agents" in found:
        _people(found["agents"], reader, "given: agents")
    if "open" in found:
        reader.flag(found["open"], "given: open")
    if "model" in found:
        reader.text(found["model"], "given: model")
    if "at" in found and not _is_moment(found["at"]):
        reader.wrong(found["at"], "given: at must be a time such as 2026-01-05T22:00")
        found.pop("at")
    for key in {"connectors", "customer", "case"} & found.keys():
        reader.entries(found[key], None, f"given: {key}")
    return {key: str(body.raw) if key == "at" else body.content() for key, body in found.items()}


def _is_moment(node: Node) -> bool:
    try:
        return datetime.fromisoformat(node.raw).tzinfo is None
    except ValueError:
        return False


def _line(node: Node, reader: Reader, read_flow: ReadFlow | None) -> Line | None:
    found = reader.entries(node, tuple(_READ), "script")
    if len(found) != 1:
        if node.kind == "map" and (found or not node.entries):
            reader.fault(node, f"a line of a script is one of {', '.join(_READ)}", "value")
        return None
    kind, body = next(iter(found.items()))
    if kind == "reload":
        flow = read_flow(body, reader) if read_flow is not None else None
        return Line(node.line, kind, flow) if flow is not None else None
    if body.kind == "map" and kind in _INSIDE:
        inside = reader.entries(body, _INSIDE[kind], kind)
        if len(inside) != 1:
            if inside or not body.entries:
                reader.fault(body, f"{kind}: write one of {', '.join(_INSIDE[kind])}", "value")
            return None
        kind, body = next(iter(inside.items()))
    value = {**_READ, **_READ_INSIDE}[kind](body, reader, kind)
    return Line(node.line, kind, value) if value is not None else None


def _text(node: Node, reader: Reader, what: str) -> str | None:
    return reader.text(node, what)


def _whole(node: Node, reader: Reader, what: str) -> int | None:
    return reader.whole(node, what, 0, 1000)


def _people(node: Node, reader: Reader, what: str) -> int | Mapping[str, Any] | None:
    """How many agents are there, or who: `{ann: free, bob: away, eve: 2}`."""
    if node.kind != "map":
        return reader.whole(node, what, 0, 1000)
    return {agent: body.content() for agent, body in reader.entries(node, None, what).items()}


def _flag(node: Node, reader: Reader, what: str) -> bool:
    return reader.flag(node, what)


def _span(node: Node, reader: Reader, what: str) -> int | None:
    found = seconds(node.raw) if node.kind == "scalar" else None
    if found is None:
        reader.wrong(node, f"{what} must be a duration such as 3m")
    return found


def _channel(node: Node, reader: Reader, what: str) -> str | None:
    return reader.one_of(node, CHANNELS, what)


def _event(node: Node, reader: Reader, what: str) -> tuple[str, Any] | None:
    """`parcel.delivered`, or that with its values."""
    name, values = (next(iter(node.entries.items()), ("", node))) if node.kind == "map" else (node.raw, None)
    if not EVENT.match(name) or len(node.entries) > 1 or (values is not None and values.kind != "map"):
        reader.wrong(node, f"{what} must be a name such as parcel.delivered, or {{parcel.delivered: {{day: Monday}}}}")
        return None
    return name, {} if values is None else values.content()


def _expected(node: Node, reader: Reader, what: str) -> dict[str, Any]:
    found = reader.entries(node, tuple(EXPECTED), what)
    if "slots" in found:
        reader.entries(found["slots"], None, "expect: slots")
    return {key: one.content() for key, one in found.items()}


_Read = Callable[[Node, Reader, str], Any]
_READ: Mapping[str, _Read] = {
    "user": _text,
    "bot": _text,
    "agent": _text,
    "after": _span,
    "agents": _people,
    "open": _flag,
    "switch_channel": _channel,
    "event": _event,
    "reload": _text,
    "expect": _expected,
}
_READ_INSIDE: Mapping[str, _Read] = {
    "choose": _text,
    "file": _text,
    "score": _whole,
    "claim": _flag,
    "reply": _text,
    "note": _text,
    "resolve": _text,
}


# ── what the bot said, and what is expected ──


def _bot(play: Play, wanted: str) -> str:
    heard = [plain(text) for text in play.unheard]
    for at, text in enumerate(heard):
        if _says(play, wanted, text):
            del play.unheard[: at + 1]
            return ""
    return f"expected bot «{wanted}», got {' '.join(f'«{text}»' for text in heard) or 'nothing'}"


def _says(play: Play, wanted: str, text: str) -> bool:
    if len(wanted) > 2 and wanted.startswith("/") and wanted.endswith("/"):
        try:
            return compiled_pattern(wanted[1:-1]).search(text) is not None
        except ValueError:
            return False
    if wanted.startswith("$") and " " not in wanted:
        return _of_key(play.desk, wanted[1:], play.locale).search(text) is not None
    return plain(wanted) in text


def _expect(play: Play, wanted: Mapping[str, Any]) -> str:
    for key, value in wanted.items():
        wrong = (
            _wrong_slot(play, value) if key == "slots" else _said_after_all(play, value) if key == "said_not" else ""
        )
        if wrong:
            return wrong
        found = EXPECTED[key](play)
        if key == "escalated" and isinstance(value, bool):
            found = play.escalation is not None
        if key not in {"slots", "said_not"} and found != value:
            return f"expected {key} «{shown(value)}», got «{shown(found)}»"
    return ""


def _wrong_slot(play: Play, wanted: Mapping[str, Any]) -> str:
    for name, value in wanted.items():
        found = play.slots.get(name)
        found = found["name"] if isinstance(found, Mapping) and isinstance(value, str) and "name" in found else found
        if shown(found) != shown(value):
            return f"expected slot {name} «{shown(value)}», got «{shown(found)}»"
    return ""


def _said_after_all(play: Play, wanted: Any) -> str:
    """What must not have been said since the customer's last words."""
    for one in wanted if isinstance(wanted, list) else [wanted]:
        said = next((text for text in map(plain, play.said) if _says(play, str(one), text)), None)
        if said is not None:
            return f"expected that nobody says «{one}», got «{said}»"
    return ""


def _team(play: Play) -> str | None:
    """Whose queue it is in now."""
    return (play.colleagues.team or default_team(play.desk)) if play.escalation else None


EXPECTED: Mapping[str, Callable[[Play], Any]] = {
    "escalated": _team,
    "reason": lambda play: play.escalation.reason_code if play.escalation else None,
    "priority": lambda play: (play.escalation.priority or "normal") if play.escalation else None,
    "slots": lambda play: play.slots,
    "assigned": lambda play: play.colleagues.agent,
    "called": lambda play: play.colleagues.called,
    "closed": lambda play: play.closed,
    "survey": lambda play: play.survey if play.closed else None,
    "score": lambda play: play.score,
    "locale": lambda play: play.locale,
    "channel": lambda play: play.case["channel"],
    "flow": lambda play: play.flow,
    "said_not": lambda play: play.said,
}
"""What a line `expect:` may name, and where it stands."""


def plain(text: str) -> str:
    """Without marks of direction, escapes and the space around lines: what a tester reads."""
    return " ".join(_ESCAPED.sub(r"\1", _MARKS.sub("", text)).split())


def _of_key(desk: Desk, key: str, locale: str) -> re.Pattern[str]:
    """A text with anything in its places. The pattern is made of escaped pieces: it cannot be slow."""
    own = desk.texts.get(key, {})
    template = own.get(locale) or built_in(key).get(locale) or say(key, locale)
    said = (re.split(r"\{\{.*?\}\}", one) for one in variants(template))
    return re.compile("|".join(".*?".join(re.escape(plain(piece)) for piece in one) for one in said), re.DOTALL)


LINES: Mapping[str, Callable[[Play, Any], str]] = {
    "user": Play.user,
    "choose": Play.choose,
    "file": Play.file,
    "score": Play.rate,
    "bot": _bot,
    "agent": Play.reply,
    "claim": Play.claim,
    "reply": Play.reply,
    "note": Play.note,
    "resolve": Play.resolve,
    "after": Play.pass_time,
    "agents": Play.staff,
    "open": Play.set_open,
    "switch_channel": Play.switch_channel,
    "event": Play.happen,
    "reload": Play.reload,
    "expect": _expect,
}
