"""Each verb of a step: which keys it takes, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.answers.grounded import LONGEST_ANSWER
from bot.flows.names import BUTTON, BUTTONS, Seen
from bot.flows.schema import (
    INSTRUMENTS,
    OUTCOMES,
    PRIORITIES,
    AskStep,
    BranchStep,
    CallStep,
    CloseStep,
    EscalateStep,
    GotoStep,
    KbStep,
    LlmStep,
    NotifyStep,
    Option,
    RecordStep,
    Retry,
    RunStep,
    SayStep,
    SetStep,
    SurveyStep,
    Verb,
    WaitStep,
)
from bot.flows.source import Node, nearest

RETRY_KEYS = ("max", "text", "then")
ESCALATE_KEYS = ("team", "priority", "reason", "show", "sla")
WAIT_KEYS = ("for", "event", "business_open", "timeout", "then")
RECORD_KINDS = ("feature_request", "complaint", "suggestion", "praise", "promise")
LONGEST_CALL = 60  # seconds; the sender of connectors waits no longer
LONGEST_ADDRESS = 2000  # characters
MOST_ANSWER = 2000  # characters that a model may be allowed
MOST_RETRIES = 5  # after 1, 2, 4 … s: with calls of a minute each the customer has waited six minutes by then
EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\Z")
_OUTCOME = re.compile(r"[1-5][0-9][0-9]\Z|timeout\Z|error\Z")
_WITH_OPTIONS = frozenset({"text", "number", "bool", "choice"})

Found = Mapping[str, Node]


def _say(_: Node, found: Found, seen: Seen) -> Verb | None:
    text = seen.wording(found["say"], "say")
    media = seen.reader.text(found["media"], "media") if "media" in found else ""
    if media and (not media.startswith("https://") or "{{" in media or len(media) > LONGEST_ADDRESS):
        seen.reader.wrong(found["media"], "media must be an https:// address, written out")
    return SayStep(text, media or "") if text is not None else None


def _ask(body: Node, found: Found, seen: Seen) -> Verb | None:
    reader = seen.reader
    slot = seen.slot(found["ask"], "ask")
    text = seen.wording(found["text"], "text") if "text" in found else None
    if "text" not in found:
        reader.fault(body.keys["ask"], 'ask: "text" is missing: the question', "missing-key")
    options = _options(found["options"], seen) if "options" in found else ()
    if slot is not None and slot.type == "choice" and "options" not in found:
        reader.fault(body.keys["ask"], f'"{slot.name}" is a choice: it needs options', "missing-key")
    if slot is not None and slot.type == "object":
        reader.fault(found["ask"], f'"{slot.name}" is an object, which nobody can type; set it by call', "type")
    if slot is not None and "options" in found and slot.type not in _WITH_OPTIONS:
        reader.fault(body.keys["options"], f'a {slot.type} ("{slot.name}") has no options', "type")
    check = seen.expression(found["check"], "check") if "check" in found else None
    if "check" in found and "error" not in found:
        reader.fault(body.keys["check"], 'check: "error" is missing: what to say when it does not hold', "missing-key")
    error = seen.wording(found["error"], "error") if "error" in found else None
    retry = _retry(found["retry"], seen) if "retry" in found else Retry()
    after, then = _timeout(found["timeout"], seen) if "timeout" in found else (None, None)
    if slot is None or text is None:
        return None
    return AskStep(slot.name, text, options, check, error, retry, after, then)


def _options(node: Node, seen: Seen) -> tuple[Option, ...]:
    options: list[Option] = []
    for one in seen.reader.items(node, "options"):
        found = seen.reader.entries(one, ("value", "label", "synonyms"), "option", ("value", "label"))
        value = seen.reader.text(found["value"], "value") if "value" in found else None
        label = seen.wording(found["label"], "label", BUTTON) if "label" in found else None
        if value is not None and any(value == option.value for option in options):
            seen.reader.fault(found["value"], f'two options have the value "{value}"', "duplicate")
        if value is not None and label is not None:
            options.append(Option(value, label, _synonyms(found["synonyms"], seen) if "synonyms" in found else ()))
    if node.kind == "list" and not node.items:
        seen.reader.fault(node, "options are empty", "value")
    if len(node.items) > BUTTONS:
        message = f"options: {len(node.items)} buttons; Telegram shows {BUTTONS}, from here on they can only be typed"
        seen.reader.warn(node.items[BUTTONS], message, "length")
    return tuple(options)


def _synonyms(node: Node, seen: Seen) -> tuple[str, ...]:
    """A list, or lists by language."""
    bodies = seen.reader.entries(node, None, "synonyms").values() if node.kind == "map" else (node,)
    return tuple(text for body in bodies for text in seen.reader.texts(body, "a synonym"))


def _retry(node: Node, seen: Seen) -> Retry:
    found = seen.reader.entries(node, RETRY_KEYS, "retry")
    most = seen.reader.whole(found["max"], "retry: max", 0, 20) if "max" in found else 3
    text = seen.wording(found["text"], "retry: text") if "text" in found else None
    return Retry(3 if most is None else most, text, seen.target(found["then"]) if "then" in found else None)


def _timeout(node: Node, seen: Seen) -> tuple[int | None, str | None]:
    found = seen.reader.entries(node, ("after", "then"), "timeout", ("after", "then"))
    span = seen.reader.span(found["after"], "timeout: after") if "after" in found else None
    return int(span.total_seconds()) if span else None, seen.target(found["then"]) if "then" in found else None


def _set(_: Node, found: Found, seen: Seen) -> Verb | None:
    slots = []
    for name, body in seen.reader.entries(found["set"], None, "set").items():
        slot = seen.slot(found["set"].keys[name], "set")
        expression = seen.expression(body, f"set {name}")
        if slot is not None and expression is not None:
            slots.append((name, expression))
    return SetStep(tuple(slots))


def _branch(body: Node, found: Found, seen: Seen) -> Verb | None:
    reader, cases, otherwise = seen.reader, [], None
    for at, one in enumerate(items := reader.items(found["branch"], "branch")):
        entries = reader.entries(one, ("if", "goto", "else"), "branch")
        if "else" in entries:
            otherwise = seen.target(entries["else"])
            if at != len(items) - 1 or len(entries) > 1:
                reader.fault(one, "else must be the last line of a branch, and alone", "branch")
            continue
        for key in ("if", "goto"):
            if key not in entries:
                reader.fault(one, f'branch: "{key}" is missing', "missing-key")
        condition = seen.expression(entries["if"], "if") if "if" in entries else None
        goto = seen.target(entries["goto"]) if "goto" in entries else None
        if condition is not None and goto is not None:
            cases.append((condition, goto))
    if not any("else" in one.entries for one in items):
        reader.fault(body.keys["branch"], "a branch needs an else: where to go when nothing holds", "missing-else")
    return BranchStep(tuple(cases), otherwise) if otherwise is not None else None


def _call(body: Node, found: Found, seen: Seen) -> Verb | None:
    reader = seen.reader
    name = reader.text(found["call"], "call")
    if name is not None and name not in seen.names.connectors:
        hint = nearest(name, seen.names.connectors)
        reader.fault(found["call"], f'unknown connector "{name}"{hint}', "unknown-connector")
        name = None
    values = {}
    for key, node in reader.entries(found["with"], None, "with").items() if "with" in found else ():
        template = seen.template(node, f"with: {key}")
        values[key] = template or ""
    for key in sorted(seen.names.connectors.get(name or "", frozenset()) - values.keys()):
        reader.fault(
            found.get("with") or body.keys["call"],
            f'connector "{name}" needs "{key}": add it under with',
            "missing-key",
        )
    on = _outcomes(body, found, seen, table=name in seen.names.tables)
    span = reader.span(found["timeout"], "timeout") if "timeout" in found else None
    timeout = int(span.total_seconds()) if span else 10
    if not 1 <= timeout <= LONGEST_CALL:
        reader.fault(found["timeout"], f"timeout must be from 1s to {LONGEST_CALL}s", "value")
    retries = reader.whole(found["retries"], "retries", 0, MOST_RETRIES) if "retries" in found else 0
    if retries and "once" not in found:
        reader.fault(
            body.keys["retries"],
            'retries: "once" is missing: without its key a second try may count twice',
            "missing-key",
        )
    once = seen.template(found["once"], "once") if "once" in found else ""
    save = seen.slot(found["save"], "save") if "save" in found else None
    if save is not None and save.type not in {"object", "text", "number", "bool"}:
        reader.fault(found["save"], f'"{save.name}" is a {save.type}; an answer is saved in an object', "type")
    if name is None or on is None:
        return None
    return CallStep(name, values, on, timeout, once or "", retries or 0, save.name if save else "")


def _outcomes(body: Node, found: Found, seen: Seen, *, table: bool) -> dict[str, str] | None:
    reader = seen.reader
    wanted = ("404",) if table else ("timeout", "error")
    if "on" not in found:
        reader.fault(body.keys["call"], f'a call needs "on": where to go for {" and ".join(wanted)}', "missing-failure")
        return None
    on: dict[str, str] = {}
    for key, node in reader.entries(found["on"], None, "on").items():
        if not _OUTCOME.match(key):
            hint = nearest(key, ("timeout", "error", "404"))
            reader.fault(
                found["on"].keys[key],
                f'on: unknown outcome "{key}"{hint or "; write a status such as 404, timeout or error"}',
                "unknown-key",
            )
        elif target := seen.target(node):
            on[key] = target
    for key in wanted:
        if key not in found["on"].entries:
            reader.fault(body.keys["on"], f'on: "{key}" is missing: where to go then', "missing-failure")
    return on


def _escalate(_: Node, found: Found, seen: Seen) -> Verb | None:
    reader = seen.reader
    inside = reader.entries(found["escalate"], ESCALATE_KEYS, "escalate")
    team = reader.one_of(inside["team"], seen.names.teams, "team", "unknown-team") if "team" in inside else None
    priority = reader.one_of(inside["priority"], PRIORITIES, "priority") if "priority" in inside else None
    reason = seen.template(inside["reason"], "reason") if "reason" in inside else ""
    show = (
        [slot.name for one in reader.items(inside["show"], "show") if (slot := seen.slot(one, "show"))]
        if "show" in inside
        else []
    )
    sla = reader.span(inside["sla"], "sla") if "sla" in inside else None
    text = seen.wording(found["text"], "text") if "text" in found else {}
    on = reader.entries(found["on"], ("no_agent",), "on") if "on" in found else {}
    return EscalateStep(
        text=text or {},
        team=team,
        priority=priority,
        reason=reason or "",
        show=tuple(show),
        sla_s=int(sla.total_seconds()) if sla else None,
        no_agent=seen.target(on["no_agent"]) if "no_agent" in on else None,
    )


def _close(body: Node, found: Found, seen: Seen) -> Verb | None:
    outcome = seen.reader.one_of(found["close"], OUTCOMES, "close")
    topic = seen.reader.text(found["topic"], "topic") if "topic" in found else None
    reason = seen.wording(found["reason"], "reason") if "reason" in found else None
    if outcome == "no_solution" and "reason" not in found:
        seen.reader.fault(body.keys["close"], 'close: no_solution needs a "reason"', "missing-key")
    confirmed = seen.expression(found["confirmed"], "confirmed") if "confirmed" in found else None
    if "confirmed" in found and outcome not in {"resolved", None}:
        seen.reader.fault(body.keys["confirmed"], "confirmed: only what is resolved can have helped", "value")
    return CloseStep(outcome, topic, reason or {}, confirmed) if outcome else None


def _survey(_: Node, found: Found, seen: Seen) -> Verb | None:
    instrument = seen.reader.one_of(found["survey"], INSTRUMENTS, "survey")
    if instrument == "nps":
        told = "nps asks about the whole relationship and never about one case: nobody is asked; see surveys: nps: in desk.yaml"
        seen.reader.warn(found["survey"], f"survey: {told}", "never-per-case")
    delay = seen.reader.span(found["delay"], "delay") if "delay" in found else None
    return SurveyStep(instrument, int(delay.total_seconds()) if delay is not None else None) if instrument else None


def _goto(_: Node, found: Found, seen: Seen) -> Verb | None:
    target = seen.target(found["goto"])
    return GotoStep(target) if target else None


def _run(_: Node, found: Found, seen: Seen) -> Verb | None:
    reader = seen.reader
    flow = reader.one_of(found["run"], seen.names.flows, "run: flow", "unknown-flow")
    values: dict[str, Any] = {}
    theirs = seen.names.slots.get(flow or "", ())
    for name, node in reader.entries(found["with"], None, "with").items() if "with" in found else ():
        if flow is not None and name not in theirs:
            hint = nearest(name, theirs)
            reader.fault(found["with"].keys[name], f'the flow "{flow}" has no slot "{name}"{hint}', "unknown-slot")
        if expression := seen.expression(node, f"with {name}"):
            values[name] = expression
    save = _saved(found["save"], seen, flow) if "save" in found else ()
    return RunStep(flow, values, save) if flow else None


def _saved(node: Node, seen: Seen, flow: str | None) -> tuple[tuple[str, str], ...]:
    """`save: sum`, a slot of both flows; or `save: {total: sum}`, ours and theirs."""
    theirs = seen.names.slots.get(flow or "", ())
    pairs = seen.reader.entries(node, None, "save").items() if node.kind == "map" else ((node.raw, node),)
    saved = []
    for name, body in pairs:
        mine = seen.slot(node.keys[name] if node.kind == "map" else node, "save")
        result = seen.reader.text(body, "save")
        if flow is not None and mine is not None and result is not None and result not in theirs:
            hint = nearest(result, theirs)
            seen.reader.fault(body, f'the flow "{flow}" has no slot "{result}" to be saved{hint}', "unknown-slot")
        elif mine is not None and result is not None:
            saved.append((mine.name, result))
    return tuple(saved)


def _record(_: Node, found: Found, seen: Seen) -> Verb | None:
    inside = seen.reader.entries(found["record"], None, "record", ("kind",))
    kind = seen.reader.one_of(inside["kind"], RECORD_KINDS, "record: kind") if "kind" in inside else None
    values = {key: seen.template(node, f"record: {key}") or "" for key, node in inside.items() if key != "kind"}
    return RecordStep(kind, values) if kind else None


def _notify(_: Node, found: Found, seen: Seen) -> Verb | None:
    inside = seen.reader.entries(found["notify"], ("slack", "text"), "notify", ("slack", "text"))
    channel = seen.reader.text(inside["slack"], "notify: slack") if "slack" in inside else None
    text = seen.template(inside["text"], "notify: text") if "text" in inside else None
    return NotifyStep(channel, text) if channel and text else None


def _wait(_: Node, found: Found, seen: Seen) -> Verb | None:
    reader = seen.reader
    inside = reader.entries(found["wait"], WAIT_KEYS, "wait")
    ways = [key for key in ("for", "event", "business_open") if key in inside]
    then = seen.target(inside["then"]) if "then" in inside else None
    if len(ways) != 1:
        at = found["wait"].keys[ways[1]] if ways else found["wait"]
        reader.fault(at, "wait: write one of for: a duration, event: a name, business_open: true", "missing-key")
        return None
    if "timeout" in inside and ways != ["event"]:
        reader.fault(found["wait"].keys["timeout"], 'wait: only an event has a timeout; "for" is one itself', "value")
    if ways == ["event"]:
        return _wait_for_event(found["wait"], inside, then, seen)
    if ways == ["business_open"] or inside["for"].raw == "business_open":
        if "business_open" in inside and not reader.flag(inside["business_open"], "wait: business_open"):
            reader.wrong(inside["business_open"], "wait: business_open must be true")
        return WaitStep(then=then, open=True)
    span = reader.span(inside["for"], "wait: for")
    return WaitStep(int(span.total_seconds()), then) if span else None


def _wait_for_event(node: Node, inside: Found, then: str | None, seen: Seen) -> Verb | None:
    name = event_name(inside["event"], seen, "wait: event")
    span = seen.reader.span(inside["timeout"], "wait: timeout") if "timeout" in inside else None
    if "timeout" not in inside:
        seen.reader.fault(node, 'wait: "timeout" is missing: an event may never come', "missing-key")
    return WaitStep(int(span.total_seconds()), then, event=name) if name and span else None


def event_name(node: Node, seen: Seen, what: str) -> str | None:
    name = seen.reader.text(node, what)
    if name is not None and not EVENT.match(name):
        seen.reader.fault(
            node, f'{what}: "{name}" is no event; write small letters and dots: parcel.delivered', "value"
        )
        return None
    return name


def _kb(body: Node, found: Found, seen: Seen) -> Verb | None:
    reader = seen.reader
    if found["kb"].kind == "scalar" and not found["kb"].raw.startswith("$"):  # mostly a slot: no wording
        template = seen.template(found["kb"], "kb")
        query = dict.fromkeys(seen.names.locales, template) if template else None
    else:
        query = dict(seen.wording(found["kb"], "kb") or {}) or None
    collections = reader.texts(found["collections"], "collections") if "collections" in found else ()
    for node, name in zip(_each(found.get("collections")), collections, strict=False):
        if name not in seen.names.collections:
            hint = nearest(name, seen.names.collections)
            reader.fault(node, f'collections: no article has the tag "{name}"{hint}', "unknown-collection")
    confirm = "confirm" in found and reader.flag(found["confirm"], "confirm")
    if confirm and "id" not in found:
        reader.fault(
            body, '"kb" with confirm rests for people, so it needs an id: its name across versions', "missing-id"
        )
    if "on" not in found:
        reader.fault(body.keys["kb"], 'a kb needs "on": where to go for unsure and none', "missing-failure")
        return None
    on = reader.entries(found["on"], ("unsure", "none"), "on")
    for key in ("unsure", "none"):
        if key not in on:
            reader.fault(body.keys["on"], f'on: "{key}" is missing: where to go then', "missing-failure")
    unsure, none = (seen.target(on[key]) if key in on else None for key in ("unsure", "none"))
    if query is None or unsure is None or none is None:
        return None
    return KbStep(query, unsure, none, collections, confirm)


def _llm(body: Node, found: Found, seen: Seen) -> Verb | None:
    reader = seen.reader
    order = seen.template(found["llm"], "llm")
    source = seen.target(found["grounded_in"]) if "grounded_in" in found else None
    if "grounded_in" not in found:
        reader.fault(
            body.keys["llm"],
            'llm: "grounded_in" is missing: the kb step whose articles the model may reword',
            "missing-key",
        )
    longest = reader.whole(found["max_chars"], "max_chars", 50, MOST_ANSWER) if "max_chars" in found else LONGEST_ANSWER
    if "on" not in found:
        reader.fault(body.keys["llm"], 'a step llm needs "on": where to go for refused (no article)', "missing-failure")
        return None
    on = reader.entries(found["on"], ("refused", "off", "timeout"), "on")
    if "refused" not in on:
        reader.fault(
            body.keys["on"], 'on: "refused" is missing: where to go when there is no article', "missing-failure"
        )
    targets = {key: seen.target(node) for key, node in on.items()}
    refused = targets.get("refused")
    if order is None or source is None or refused is None or longest is None:
        return None
    return LlmStep(order, source, refused, longest, targets.get("off"), targets.get("timeout"))


def _each(node: Node | None) -> list[Node]:
    return [] if node is None else node.items if node.kind == "list" else [node]


VERBS: Mapping[str, tuple[tuple[str, ...], Callable[[Node, Found, Seen], Verb | None]]] = {
    "say": (("media",), _say),
    "ask": (("text", "options", "check", "error", "retry", "timeout"), _ask),
    "set": ((), _set),
    "branch": ((), _branch),
    "call": (("with", "timeout", "once", "retries", "save", "on"), _call),
    "escalate": (("text", "on"), _escalate),
    "close": (("topic", "reason", "confirmed"), _close),
    "survey": (("delay",), _survey),
    "goto": ((), _goto),
    "run": (("with", "save"), _run),
    "record": ((), _record),
    "notify": ((), _notify),
    "wait": ((), _wait),
    "kb": (("collections", "confirm", "on"), _kb),
    "llm": (("grounded_in", "max_chars", "on"), _llm),
}
"""verb → the keys that it takes beside those of every step, and its reader."""
