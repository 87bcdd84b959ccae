"""The simulator: a conversation on the stage of the desk's tests, line by line, with a look behind the scenes. Pure.

What lives here: what comes of a `Sketch`: who said what, and which steps of which flow led to it. What it must not know:
HTTP, how a page looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.console.sketch import Sketch
from bot.flows.play import SCALES, Play
from bot.flows.talk import (
    AskModel,
    Call,
    CallDone,
    Close,
    Effect,
    Escalate,
    Event,
    Fetch,
    Frame,
    Notify,
    Outcome,
    Record,
    Say,
    SetTimer,
    Survey,
    SwitchLocale,
)
from bot.flows.templates import shown
from bot.flows.transcripts import LINES
from bot.model import Choice

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


@dataclass(frozen=True, slots=True)
class Bubble:
    """Something said. `who` is customer | bot | agent | note | happens: that is nobody's words, but `key` and `values`."""

    who: str
    text: str = ""
    choices: tuple[Choice, ...] = ()
    is_file: bool = False
    files: tuple[str, ...] = ()
    key: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that happened behind the scenes: a text's key and its values. `line` is that of its step in `file`."""

    key: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    flow: str = ""
    step: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Beat:
    """One line and all that came of it. `wrong` says why it could not be done."""

    kind: str
    value: Any
    bubbles: tuple[Bubble, ...]
    looks: tuple[Look, ...]
    at: datetime
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """How it stands after the last line. `choices` are the buttons that can be pressed now, `stack` the running flows,
    the innermost last, `timers` what rings next: (when, of which step).
    """

    beats: tuple[Beat, ...]
    now: datetime
    locale: str
    channel: str
    slots: Mapping[str, Any]
    stack: tuple[Look, ...]
    choices: tuple[Choice, ...]
    timers: tuple[datetime, ...]
    waiting: str
    is_open: bool
    agents: int
    with_people: bool
    claimed: bool
    closed: str | None
    survey: str | None
    scale: tuple[int, int] | None
    score: int | None
    escalated: str | None
    reason: str | None


class _Watched(Play):
    """The stage, with somebody who writes down what is said and why."""

    def __init__(self, desk: Desk, locale: str, given: Mapping[str, Any]) -> None:
        super().__init__(desk, locale, given)
        self.bubbles: list[Bubble] = []
        self.looks: list[Look] = []
        self.speaker = "bot"

    def hear(self, text: str, choices: Sequence[Choice] = (), token: str | None = None) -> None:
        super().hear(text, choices, token)
        self.bubbles.append(Bubble(self.speaker, text, tuple(choices)))

    def feel(self, effect: Effect) -> None:
        super().feel(effect)
        if isinstance(effect, Say) and effect.files and self.bubbles:
            self.bubbles[-1] = replace(self.bubbles[-1], files=tuple(one.name for one in effect.files))

    def watched(self, event: Event, outcome: Outcome) -> None:
        if isinstance(event, CallDone):
            self.looks.append(Look("stage_answer", {"outcome": event.outcome, "value": _short(event.value)}))
        for one in outcome.trace:
            more = {key: _short(value) for key, value in one.items() if key not in {"flow", "step"}}
            key = "stage_branch" if "if" in more else "stage_step_with" if more else "stage_step"
            values = {"condition" if name == "if" else name: value for name, value in more.items()}
            self.looks.append(self.look(one.get("flow", ""), one.get("step", ""), key, values))
        self.looks += [Look(*told) for effect in outcome.effects if (told := _done(effect)) is not None]

    def look(self, flow_id: str, step_id: str, key: str = "", values: Mapping[str, str] | None = None) -> Look:
        flow = self.desk.flows.get(flow_id)
        step = flow.step(step_id) if flow is not None else None
        return Look(key, values or {}, flow_id, step_id, flow.file if flow else "", step.line if step else 0)


def _done(effect: Effect) -> tuple[str, dict[str, str]] | None:
    match effect:
        case Call():
            return "stage_asks", {"connector": effect.connector, "values": _short(effect.values)}
        case Fetch():
            return "stage_loads", {"url": effect.url}
        case AskModel():
            return "stage_model", {}
        case Escalate():
            return "stage_fetches", {"reason": effect.reason_code}
        case Close():
            return "stage_closes", {"outcome": effect.outcome}
        case Survey():
            return "stage_survey", {"instrument": effect.instrument}
        case SwitchLocale():
            return "stage_switches", {"locale": effect.locale}
        case Record():
            return "stage_records", {"kind": effect.kind, "values": _short(effect.values)}
        case Notify():
            return "stage_notifies", {"channel": effect.channel, "text": _short(effect.text)}
        case SetTimer():
            return "stage_timer", {"span": span(effect.after_s)}
        case _:
            return None


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= 200 else text[:199] + "…"


def span(seconds: int) -> str:
    """As a test writes it: 90 → 90s, 180 → 3m."""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def play(desk: Desk, sketch: Sketch) -> Scene:
    """The whole conversation, from its beginning. Takes some ms a line; the first question to the articles of a language
    loads its words, which takes a second: run it in a thread.
    """
    stage = _Watched(desk, sketch.locale, sketch.given)
    return _scene(stage, tuple(_beat(stage, kind, value) for kind, value in sketch.lines))


def _beat(stage: _Watched, kind: str, value: Any) -> Beat:
    stage.bubbles, stage.looks = [], []
    own = _own_bubble(stage, kind, value)
    stage.speaker = "agent" if kind in {"agent", "reply"} else "bot"
    wrong = LINES[kind](stage, value)
    bubbles = stage.bubbles if kind == "agent" else [*own, *stage.bubbles]
    return Beat(kind, value, tuple(bubbles), tuple(stage.looks), stage.now, wrong)


def _own_bubble(stage: Play, kind: str, value: Any) -> list[Bubble]:
    if kind == "choose":
        _, choices = stage.question or ("", ())
        label = next((one.label for one in choices if value in (one.value, one.label)), value)
        return [Bubble("customer", label)]
    if kind in {"user", "file"}:
        return [Bubble("customer", value, is_file=kind == "file")]
    if kind == "score":
        return [Bubble("customer", str(value))]
    if kind == "note":
        return [Bubble("note", value)]
    told = _happens(kind, value)
    return [Bubble("happens", key=told[0], values=told[1])] if told is not None else []


def _happens(kind: str, value: Any) -> tuple[str, dict[str, str]] | None:
    match kind:
        case "after":
            return "stage_later", {"span": span(value)}
        case "agents":
            return "stage_agents", {"count": str(value)}
        case "open":
            return ("stage_opens" if value else "stage_shuts"), {}
        case "switch_channel":
            return "stage_goes_on", {"channel": value}
        case "event":
            return "stage_event", {"name": value[0], "values": _short(value[1])}
        case "claim":
            return "stage_claims", {}
        case "resolve":
            return "stage_resolves", {"outcome": value}
        case _:
            return None


def _scene(stage: _Watched, beats: tuple[Beat, ...]) -> Scene:
    _, choices = stage.question or ("", ())
    asks_score = stage.closed is not None and stage.survey is not None
    return Scene(
        beats=beats,
        now=stage.now,
        locale=stage.locale,
        channel=str(stage.case["channel"]),
        slots={name: value for name, value in stage.slots.items() if value is not None},
        stack=tuple(_standing(stage, frame) for frame in stage.state.frames),
        choices=choices if beats and not asks_score else (),
        timers=tuple(sorted(at for at, _ in stage.timers)),
        waiting=stage.state.waiting,
        is_open=stage.is_open,
        agents=stage.agents,
        with_people=stage.with_people,
        claimed=stage.claimed,
        closed=stage.closed,
        survey=stage.survey if asks_score else None,
        scale=SCALES.get(stage.survey or "") if asks_score else None,
        score=stage.score,
        escalated=_team_of(stage),
        reason=stage.escalation.reason_code if stage.escalation else None,
    )


def _standing(stage: _Watched, frame: Frame) -> Look:
    return stage.look(frame.flow, frame.step_id)


def _team_of(stage: Play) -> str | None:
    if stage.escalation is None:
        return None
    first = stage.desk.escalation.team or (stage.desk.teams[0].id if stage.desk.teams else None)
    return stage.escalation.team or first
