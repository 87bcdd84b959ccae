"""One flow's file, read and checked: every name resolved, every fault with its line and column.

What lives here: the head of a flow, its slots, triggers, and the order of its steps; each verb is in `verbs`, what only
the whole flow shows in `lint`. What it must not know: how a step is run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.flows import lint
from bot.flows.names import Names, Seen
from bot.flows.schema import (
    END,
    SCOPES,
    SLOT_TYPES,
    AskStep,
    EscalateStep,
    Flow,
    KbStep,
    LlmStep,
    Migration,
    Slot,
    Step,
    Triggers,
    WaitStep,
    Wording,
)
from bot.flows.source import Node, Reader, nearest
from bot.flows.verbs import VERBS, event_name
from bot.texts import canonical
from bot.texts.spoken import split

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}\Z")
_SLOT_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_RESERVED = frozenset({"customer", "case", "and", "or", "not", "in", "true", "false", "null"})
_FLOW_KEYS = ("schema", "flow", "version", "title", "triggers", "slots", "steps", "migrate")
MIGRATE_KEYS = ("from", "rename", "drop", "set")
_SLOT_KEYS = ("type", "scope", "pattern", "min", "max", "default", "sensitive", "ask_again")
MOST_STEPS = 1000
"""A flow of 60 is long; checking and running look steps up one after the other."""
_TRIGGER_KEYS = ("phrases", "commands", "event", "slots", "when", "channels")
_COMMON_KEYS = ("id", "if", "note", "next")
_COMMAND = re.compile(r"/[a-z][a-z0-9_]{0,31}\Z")
_KEPT_COMMANDS = frozenset({"/human", "/agent", "/link", "/unlink", "/language", "/help", "/start"})


def flow_id(root: Node) -> str | None:
    """The id that a flow's file gives itself, before anything is checked."""
    node = root.entries.get("flow") if root.kind == "map" else None
    return node.raw if node is not None and node.kind == "scalar" and _ID.match(node.raw) else None


def read_flow(root: Node, text: str, reader: Reader, names: Names) -> Flow | None:
    """The flow that `root` holds; None when it has faults, which are in `reader.faults`."""
    before = len(reader.faults.found)
    found = reader.entries(root, _FLOW_KEYS, "flow", ("schema", "flow", "version", "steps"))
    _schema(found, reader)
    if "flow" in found and flow_id(root) is None:
        reader.fault(found["flow"], "a flow's id is a letter, then letters, digits, _ or -", "value")
    version = reader.whole(found["version"], "version", 1) if "version" in found else None
    slots = _slots(found["slots"], reader) if "slots" in found else {}
    seen = Seen(reader, names, slots)
    triggers = _triggers(found["triggers"], seen) if "triggers" in found else Triggers()
    title = seen.wording(found["title"], "title") if "title" in found else {}
    steps = _steps(found["steps"], seen) if "steps" in found else ()
    flow = Flow(
        id=flow_id(root) or "",
        version=version or 0,
        hash=hashlib.sha256(text.encode()).hexdigest()[:16],
        steps=steps,
        slots=slots,
        triggers=triggers,
        title=title or {},
        migrate=_migration(found["migrate"], version, seen) if "migrate" in found else None,
        file=reader.file,
        source=text,
    )
    if steps:
        lint.check(flow, seen)
    faults = [one for one in reader.faults.found[before:] if one.severity == "fault"]
    return None if faults else flow


def _migration(node: Node, version: int | None, seen: Seen) -> Migration | None:
    """`migrate: {from: [1, 2], rename: {old: new}, drop: {old: new}, set: {slot: expression}}`."""
    reader = seen.reader
    found = reader.entries(node, MIGRATE_KEYS, "migrate", ("from",))
    versions = []
    for one in reader.items(found["from"], "migrate: from") if "from" in found else ():
        number = reader.whole(one, "migrate: from", 1)
        if number is not None and version is not None and number >= version:
            reader.fault(one, f"migrate: from: {number} is not older than this version, {version}", "migrate")
        elif number is not None:
            versions.append(number)
    maps: dict[str, dict[str, str]] = {"rename": {}, "drop": {}}
    for key, steps in maps.items():
        for old, body in reader.entries(found[key], None, f"migrate: {key}").items() if key in found else ():
            where = found[key].keys[old]
            if old in seen.ids and key == "rename":
                reader.fault(where, f'migrate: rename: the step "{old}" is still there', "migrate")
            if old in maps["rename"]:
                reader.fault(where, f'migrate: "{old}" is renamed already', "migrate")
            target = seen.target(body)
            if target == END:
                reader.fault(body, f"migrate: {key}: name a step", "migrate")
            elif target is not None:
                steps[old] = target
    values = []
    for name, body in reader.entries(found["set"], None, "migrate: set").items() if "set" in found else ():
        slot, expression = seen.slot(found["set"].keys[name], "migrate: set"), seen.expression(body, f"set {name}")
        if slot is not None and slot.scope != "flow":
            reader.fault(found["set"].keys[name], f'migrate: set: "{name}" lives longer than the flow', "migrate")
        elif slot is not None and expression is not None:
            values.append((name, expression))
    return Migration(tuple(versions), maps["rename"], maps["drop"], tuple(values))


def _schema(found: Mapping[str, Node], reader: Reader) -> None:
    if "schema" in found and found["schema"].value != 1:
        reader.wrong(found["schema"], "schema must be 1")


# ── slots ──


def _slots(node: Node, reader: Reader) -> dict[str, Slot]:
    slots = {}
    for name, body in reader.entries(node, None, "slots").items():
        if not _SLOT_NAME.match(name):
            reader.fault(node.keys[name], f'slot "{name}": a name is small letters, digits and _', "value")
        elif name in _RESERVED:
            reader.fault(node.keys[name], f'slot "{name}": this name has a meaning of its own', "value")
        slot = _slot(name, body, reader)
        if slot is not None:
            slots[name] = slot
    return slots


def _slot(name: str, node: Node, reader: Reader) -> Slot | None:
    what = f'slot "{name}"'
    found = reader.entries(node, _SLOT_KEYS, what, ("type",))
    kind = reader.one_of(found["type"], SLOT_TYPES, f"{what}: type") if "type" in found else None
    scope = reader.one_of(found["scope"], SCOPES, f"{what}: scope") if "scope" in found else "flow"
    pattern = _pattern(found["pattern"], what, reader) if "pattern" in found else ""
    if pattern and kind not in {"text", None}:
        reader.fault(found["pattern"], f"{what}: only a text has a pattern", "value")
    bounds: dict[str, float | None] = {"min": None, "max": None}
    for key in bounds.keys() & found.keys():
        bounds[key] = reader.number(found[key], f"{what}: {key}")
        if kind not in {"text", "number", None}:
            reader.fault(found[key], f"{what}: only a number or a text has {key}", "value")
    flags = {key: reader.flag(found[key], f"{what}: {key}") for key in ("sensitive", "ask_again") if key in found}
    default = found["default"].content() if "default" in found else None
    if kind == "number" and default is not None and (isinstance(default, bool) or not isinstance(default, int | float)):
        reader.wrong(found["default"], f"{what}: default must be a number")
    if kind in {"text", "choice", "email", "phone", "date"} and default is not None:
        default = reader.text(found["default"], f"{what}: default")
    # A slot whose type is wrong still counts as known, so that one mistake makes one fault.
    return Slot(name, kind or "object", scope or "flow", pattern or "", bounds["min"], bounds["max"], default, **flags)


def _pattern(node: Node, what: str, reader: Reader) -> str | None:
    from bot.flows.expressions import compiled_pattern

    pattern = reader.text(node, f"{what}: pattern")
    if pattern is None:
        return None
    try:
        compiled_pattern(pattern)
    except ValueError as error:
        reader.fault(node, f"{what}: {error}", "pattern")
        return None
    return pattern


# ── triggers ──


def _triggers(node: Node, seen: Seen) -> Triggers:
    reader = seen.reader
    found = reader.entries(node, _TRIGGER_KEYS, "triggers")
    commands = []
    for one in reader.items(found["commands"], "triggers: commands") if "commands" in found else ():
        command = reader.text(one, "a command")
        if command is not None and not _COMMAND.match(command):
            reader.fault(one, f'"{command}" is not a command: a slash, then small letters, digits or _', "value")
        elif command in _KEPT_COMMANDS:
            reader.fault(one, f'"{command}" is a command of Stafett itself', "value")
        elif command is not None:
            commands.append(command)
    return Triggers(
        phrases=(
            phrases(found["phrases"], seen.reader, seen.names.locales, "triggers", seen.names.texts)
            if "phrases" in found
            else {}
        ),
        commands=tuple(commands),
        when=seen.expression(found["when"], "triggers: when") if "when" in found else None,
        channels=reader.texts(found["channels"], "triggers: channels") if "channels" in found else (),
        event=(event_name(found["event"], seen, "triggers: event") if "event" in found else None) or "",
        slots=_telling(found["slots"], seen) if "slots" in found else (),
    )


def _telling(node: Node, seen: Seen) -> tuple[str, ...]:
    """Slots whose value starts the flow: it must be known by its pattern."""
    names = []
    for one in node.items if node.kind == "list" else [node]:
        slot = seen.slot(one, "triggers: slots")
        if slot is not None and not slot.pattern:
            seen.reader.fault(one, f'triggers: slots: "{slot.name}" has no pattern to know it by', "value")
        elif slot is not None:
            names.append(slot.name)
    return tuple(names)


def phrases(
    node: Node,
    reader: Reader,
    locales: tuple[str, ...],
    what: str,
    texts: Mapping[str, Wording] | None = None,
    *,
    must: bool = True,
) -> dict[str, tuple[str, ...]]:
    """`{LANG: [phrase]}`, by the desk's languages; or `$key`, a text of the desk with `|` between its phrases.

    With `must`, a language of the desk that has none is a fault.
    """
    found: dict[str, tuple[str, ...]] = {}
    if texts is not None and node.kind == "scalar" and node.raw.startswith("$"):
        said = texts.get(node.raw[1:])
        if said is None:
            hint = nearest(node.raw, ["$" + one for one in texts])
            reader.fault(node, f'{what}: unknown text "{node.raw}"{hint}', "unknown-text")
        return {locale: split(text) for locale, text in said.items()} if said else {}
    for language, body in reader.entries(node, None, f"{what}: phrases").items():
        locale = canonical(language)
        if locale not in locales:
            reader.warn(
                node.keys[language], f'{what}: the desk does not speak "{language}"{nearest(locale, locales)}', "locale"
            )
            continue
        found[locale] = reader.texts(body, f"{what}: a phrase")
    missing = [locale for locale in locales if locale not in found]
    if missing and must and node.kind == "map":
        reader.fault(node, f"{what}: phrases are missing in {', '.join(missing)}", "missing-language")
    return found


# ── steps ──


def _steps(node: Node, seen: Seen) -> tuple[Step, ...]:
    reader = seen.reader
    bodies = [one for one in reader.items(node, "steps") if _is_step(one, reader)]
    if node.kind == "list" and not node.items:
        reader.fault(node, "a flow needs at least one step", "value")
    if len(bodies) > MOST_STEPS:
        reader.fault(
            bodies[MOST_STEPS], f"a flow has at most {MOST_STEPS} steps; move some to another flow (run:)", "size"
        )
        return ()
    seen.ids = _named(bodies, reader)
    taken = dict.fromkeys(seen.ids, 1)
    steps = []
    for body in bodies:
        step = _step(body, seen, taken)
        if step is not None:
            steps.append(step)
    return tuple(_silenced(step, steps, seen) for step in steps)


def _silenced(step: Step, steps: Sequence[Step], seen: Seen) -> Step:
    """A kb step whose articles a model tells does not tell them itself; a model tells only what a kb step found."""
    if isinstance(step.verb, LlmStep):
        source = next((one for one in steps if one.id == step.verb.grounded_in), None)
        if source is not None and not isinstance(source.verb, KbStep):
            message = f'grounded_in: "{source.id}" is no kb step: a model only rewords what articles say'
            seen.reader.faults.add(seen.reader.file, step.line, step.column, message, "grounded")
    if not isinstance(step.verb, KbStep):
        return step
    if not any(isinstance(one.verb, LlmStep) and one.verb.grounded_in == step.id for one in steps):
        return step
    if step.verb.confirm:
        message = f'"{step.id}" leaves the telling to a step llm: confirm cannot stand here; ask after it'
        seen.reader.faults.add(seen.reader.file, step.line, step.column, message, "grounded")
    return replace(step, verb=replace(step.verb, silent=True))


def _is_step(node: Node, reader: Reader) -> bool:
    if node.kind != "map":
        reader.wrong(node, "a step must be a mapping such as {say: …}")
    return node.kind == "map"


def _named(bodies: list[Node], reader: Reader) -> dict[str, Node]:
    named: dict[str, Node] = {}
    for body in bodies:
        node = body.entries.get("id")
        step_id = reader.text(node, "a step's id") if node is not None else None
        if node is None or step_id is None:
            continue
        if not _ID.match(step_id) or step_id == END:
            reader.fault(node, f'"{step_id}" is no id: a letter, then letters, digits, _ or -; "end" is taken', "value")
        elif step_id in named:
            reader.fault(
                node, f'the step "{step_id}" stands here twice; the first is in line {named[step_id].line}', "duplicate"
            )
        else:
            named[step_id] = node
    return named


def _step(body: Node, seen: Seen, taken: dict[str, int]) -> Step | None:
    reader = seen.reader
    verbs = [key for key in body.entries if key in VERBS]
    if not verbs:
        unknown = [key for key in body.entries if key not in _COMMON_KEYS]
        hint = nearest(unknown[0], VERBS) if unknown else ""
        what = f'unknown verb "{unknown[0]}"' if unknown else "a step without a verb"
        at = body.keys[unknown[0]] if unknown else body
        reader.fault(at, f"{what}{hint or '; verbs are ' + ', '.join(VERBS)}", "unknown-verb")
        return None
    if len(verbs) > 1:
        reader.fault(
            body.keys[verbs[1]], f'a step has one verb, this one has two: "{verbs[0]}" and "{verbs[1]}"', "verbs"
        )
        return None
    keys, read = VERBS[verbs[0]]
    found = reader.entries(body, (*_COMMON_KEYS, verbs[0], *keys), f'step "{verbs[0]}"')
    if "next" in found and verbs[0] in {"branch", "goto"}:
        reader.fault(found["next"], f'"{verbs[0]}" says itself where it goes: next is never reached', "value")
    note = reader.text(found["note"], "note") if "note" in found else None
    condition = seen.expression(found["if"], "if") if "if" in found else None
    following = seen.target(found["next"]) if "next" in found else None
    verb = read(body, found, seen)
    if verb is None:
        return None
    if isinstance(verb, AskStep | EscalateStep | WaitStep) and "id" not in found:
        reader.fault(body, f'"{verbs[0]}" rests for people, so it needs an id: its name across versions', "missing-id")
    step_id = found["id"].raw if "id" in found else _made_id(verbs[0], body, taken)
    return Step(step_id, verb, body.line, body.column, condition, following, note or "")


def _made_id(verb: str, body: Node, taken: dict[str, int]) -> str:
    """A name from the step's content; the second of two equal steps gets a number of its own."""
    content = json.dumps(body.content(), sort_keys=True, ensure_ascii=False, default=str)
    name = f"~{verb}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name}-{taken[name]}"
