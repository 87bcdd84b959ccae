"""The simulator: talk to the draft, or to the desk in force, with a clock, connectors and colleagues of one's own making.

Nothing here reaches a customer or another system, and nothing is kept: the conversation travels in the page (`sketch`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from bot.console.draft import hash_of
from bot.console.material import Material, material
from bot.console.page import Page, Visit
from bot.console.people import Role
from bot.console.saved_test import FILE, NEW_FILE, as_test
from bot.console.sketch import CHANNELS, OUTCOMES, Sketch, is_moment
from bot.console.stage import Bubble, Scene, play
from bot.desk_folder.desk import Table
from bot.desk_folder.edit import append
from bot.errors import Conflict
from bot.flows.source import Faults, read, seconds
from bot.flows.templates import shown
from bot.flows.transcripts import run_test
from bot.texts import is_rtl, known
from bot.texts.refused import in_words

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

LONGEST_SKETCH = 300_000  # characters
ANSWERS = ("", "ok", "404", "timeout", "error")
"""How a connector answers: its own way ("": a table looks up, another system is down), or as it is told."""
PLAYS = ("draft", "live")


async def show(visit: Visit) -> Response:
    found = await material(visit)
    spoken = [one for one in (visit.query("locale"), visit.locale) if one in found.locales]
    sketch = Sketch(spoken[0] if spoken else found.locales[0])
    return await _page(visit, found, sketch, "draft" if found.checked.desk is not None else "live")


async def do(visit: Visit) -> Response:
    """One thing done: `do` says which; the fields of the page say the rest."""
    form = visit.form
    found = await material(visit)
    which = "live" if form.one("which") == "live" or found.checked.desk is None else "draft"
    desk = _desk(visit, found, which)
    sketch = _sketch_in(form.one("sketch"), desk.locales)
    error = ""
    try:
        sketch = _done(sketch, form.one("do"), form.fields, desk)
    except Conflict as refused:
        error = in_words(str(refused), visit.locale)
    return await _page(visit, found, sketch, which, error)


def _done(sketch: Sketch, what: str, fields: Mapping[str, Sequence[str]], desk: Desk) -> Sketch:
    """The conversation with what was pressed. Raises Conflict, in one line, for what cannot be meant."""

    def one(name: str) -> str:
        return fields[name][0] if fields.get(name) else ""

    kind, _, value = what.partition(":")
    match kind:
        case "say":
            return sketch.then("user", one("text"))
        case "choose" | "resolve" | "switch_channel":
            return sketch.then(kind, value)
        case "score" | "agents":
            return sketch.then(kind, int(value) if value.isdigit() else 0)
        case "open":
            return sketch.then("open", value == "yes")
        case "claim":
            return sketch.then("claim", True)
        case "file":
            return sketch.then("file", one("file") or "photo.jpg")
        case "after":
            span = seconds(value or one("after"))
            if not span:
                raise Conflict("a time is 30s, 5m, 2h or 1d")
            return sketch.then("after", span)
        case "agent" | "note":
            return sketch.then(kind, one("agent_text"))
        case "event":
            return sketch.then("event", (one("event"), _values(one("event_values"), "the event's values")))
        case "back":
            return sketch.back()
        case "again":
            return Sketch(sketch.locale, sketch.given)
        case "set":
            locale = one("locale")
            return Sketch(locale if locale in desk.locales else sketch.locale, _given(fields, desk), sketch.lines)
        case _:
            return sketch


def _given(fields: Mapping[str, Sequence[str]], desk: Desk) -> dict[str, Any]:
    """How things stand at the beginning, as the fields say."""

    def one(name: str) -> str:
        return fields[name][0].strip() if fields.get(name) else ""

    given: dict[str, Any] = {}
    connectors: dict[str, Any] = {}
    for name in desk.connectors:
        how = one(f"how_{name}")
        if how == "ok":
            connectors[name] = {"*": _values(one(f"answer_{name}"), name)}
        elif how in ANSWERS and how:
            connectors[name] = 404 if how == "404" else how
    if connectors:
        given["connectors"] = connectors
    if customer := _values(one("customer"), "the customer"):
        given["customer"] = customer
    if one("at"):
        if not is_moment(one("at")):
            raise Conflict("a time of the desk's clock is written 2026-01-05T22:00")
        given["at"] = one("at")
    if one("model"):
        given["model"] = one("model")
    if one("agents_at_first") == "0":
        given["agents"] = 0
    return given


def _values(text: str, what: str) -> dict[str, Any]:
    """`status: shipped` on lines of their own, or JSON. Raises Conflict."""
    if not text.strip():
        return {}
    faults = Faults()
    node = read(what, text, faults)
    if faults.found:
        one = faults.found[0]
        raise Conflict(f"{what}, line {one.line}: {one.message}")
    content = node.content() if node is not None else {}
    if not isinstance(content, dict):
        raise Conflict(f"{what}: write values as lines such as status: shipped")
    return content


def _sketch_in(text: str, locales: Sequence[str]) -> Sketch:
    if len(text) > LONGEST_SKETCH:
        raise Conflict("this conversation is too long; begin a new one")
    try:
        stored = json.loads(text) if text else None
    except (ValueError, RecursionError):
        stored = None
    return Sketch.from_json(stored, locales)


def _desk(visit: Visit, found: Material, which: str) -> Desk:
    return found.checked.desk if which == "draft" and found.checked.desk is not None else visit.rooms.rules


async def save(visit: Visit) -> Response:
    """The conversation as a test in the draft: only one that passes."""
    found = await material(visit, "tests")
    name = " ".join(visit.form.one("name").split())[:200]
    if found.checked.desk is None:
        raise Conflict(visit.t("console_sim_mend_first"))
    desk = found.checked.desk
    sketch = _sketch_in(visit.form.one("sketch"), desk.locales)
    if not name or not sketch.lines:
        raise Conflict(visit.t("console_sim_nothing"))
    if any(test.name == name for test in desk.tests):
        raise Conflict(visit.t("console_sim_name_taken", name=name))
    scene = await asyncio.to_thread(play, desk, sketch)
    before = found.files.get(FILE)
    block = as_test(name, sketch, scene)
    text = append((before or NEW_FILE).encode("utf-8", "surrogateescape"), block).decode("utf-8", "surrogateescape")
    checked = await visit.drafting.check(found.draft, {FILE: text})
    made = next((one for one in checked.desk.tests if one.name == name), None) if checked.desk is not None else None
    if checked.desk is None or made is None:
        raise Conflict(visit.t("console_sim_not_saved", why=str(checked.faults[0]) if checked.faults else name))
    result = await asyncio.to_thread(run_test, checked.desk, made)
    if not result.ok:
        raise Conflict(visit.t("console_sim_not_saved", why=result.message.partition(": ")[2]))
    await visit.drafting.save(FILE, text, visit.person, seen=hash_of(before) or "")
    return visit.go("/tests", "console_sim_saved", name=name)


# ── the page ──


async def _page(visit: Visit, found: Material, sketch: Sketch, which: str, error: str = "") -> Response:
    desk = _desk(visit, found, which)
    scene = await asyncio.to_thread(play, desk, sketch)
    drawn = await asyncio.to_thread(_drawn, visit, scene)
    return await visit.page(
        "simulator_stage.html" if visit.is_part else "simulator.html",
        which=which,
        plays=PLAYS,
        broken=[one for one in found.checked.faults if one.severity == "fault"],
        sketch=sketch,
        packed=json.dumps(sketch.to_json(), ensure_ascii=False),
        scene=scene,
        slots={name: shown(value) for name, value in scene.slots.items()},
        drawn=drawn,
        looks=_by_channel(visit, scene),
        clock=_clock(scene.now, desk),
        clocks=[_clock(beat.at, desk) for beat in scene.beats],
        rings=[_clock(at, desk) for at in scene.timers],
        connectors=_connectors(desk, sketch),
        customer=_lines_of(sketch.given.get("customer", {})),
        locales_of_desk=desk.locales,
        told_of=lambda one: _told(visit, one.key, one.values),
        reason=_word(visit, f"console_reason_{scene.reason}", scene.reason or ""),
        outcome=_word(visit, f"console_outcome_{scene.closed}", scene.closed or ""),
        dir_of=lambda locale: "rtl" if is_rtl(locale) else "ltr",
        channels=CHANNELS,
        outcomes=OUTCOMES,
        answers=ANSWERS,
        error=error,
        folder=f"{desk.folder}/" if desk.folder else "",
    )


def _told(visit: Visit, key: str, values: Mapping[str, str]) -> str:
    """What happened, in the reader's language as far as the program has words for it: reasons, outcomes, what a step did."""
    words = {name: _word(visit, f"console_{name}_{value}", value) for name, value in values.items()}
    if key != "stage_step_with":
        return visit.t(f"console_{key}", **words)
    parts = (f"{_word(visit, f'console_trace_{name}', name)}: {value}" for name, value in words.items())
    return visit.t(f"console_{key}", more=", ".join(parts))


def _word(visit: Visit, key: str, value: str) -> str:
    return visit.t(key) if known(key) else value


def _drawn(visit: Visit, scene: Scene) -> list[list[str]]:
    """Each bubble's words as safe HTML, by beat; on the channel on which they were said."""
    html, channel = [], "web"
    for beat in scene.beats:
        if beat.kind == "switch_channel" and not beat.wrong:
            channel = beat.value
        html.append([_html(visit, bubble, channel) for bubble in beat.bubbles])
    return html


def _html(visit: Visit, bubble: Bubble, channel: str) -> str:
    if bubble.who not in {"bot", "agent"}:
        return ""
    return "".join(html for html, _ in visit.rooms.drawn[channel](bubble.text, ()))


def _by_channel(visit: Visit, scene: Scene) -> list[tuple[str, list[Any]]]:
    """The last words of the bot as each channel shows them."""
    said = [bubble for beat in scene.beats for bubble in beat.bubbles if bubble.who == "bot"]
    if not said:
        return []
    return [(name, list(visit.rooms.drawn[name](said[-1].text, said[-1].choices))) for name in CHANNELS]


def _clock(at: datetime, desk: Desk) -> str:
    return at.astimezone(ZoneInfo(desk.time_zone)).strftime("%Y-%m-%d %H:%M:%S")


def _connectors(desk: Desk, sketch: Sketch) -> list[dict[str, Any]]:
    given = sketch.given.get("connectors", {})
    found = []
    for name, one in desk.connectors.items():
        how = given.get(name, "")
        told = isinstance(how, Mapping)
        answer = _lines_of(how.get("*")) if isinstance(how, Mapping) else ""
        found.append(
            {"name": name, "is_table": isinstance(one, Table), "how": "ok" if told else str(how), "answer": answer}
        )
    return found


def _lines_of(values: Any) -> str:
    if not isinstance(values, Mapping):
        return ""
    return "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())


PAGES = (
    Page("/simulator", show, do, role_to_do=Role.VIEWER, menu="console_sim", group="console_group_try"),
    Page("/simulator/save", do=save),
)
