"""What only all flows together show: the same words start two of them, or they run each other and never ask anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bot.flows.lint import leads_to
from bot.flows.schema import AskStep, EscalateStep, Flow, KbStep, RunStep, Step, WaitStep
from bot.flows.source import Node, Reader
from bot.texts import canonical

FlowFile = tuple[Node, Reader, str]
"""A flow's file, parsed: its root, its reader, its text."""


def check(files: Sequence[FlowFile], flows: Mapping[str, Flow]) -> None:
    _same_triggers(files)
    _circles({file.file: file for _, file, _ in files}, flows)


def escalates(flow: str, flows: Mapping[str, Flow]) -> bool:
    """Whether this flow, or one that it runs, has a step that fetches a human."""
    waiting, seen = [flow], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in flows:
            continue
        seen.add(name)
        verbs = [step.verb for step in flows[name].steps]
        if any(isinstance(verb, EscalateStep) for verb in verbs):
            return True
        waiting += [verb.flow for verb in verbs if isinstance(verb, RunStep)]
    return False


def _same_triggers(files: Sequence[FlowFile]) -> None:
    """The first flow, by the files' names, would always win: the other one waits for these words in vain."""
    first: dict[tuple[str, str], str] = {}
    for root, reader, _ in files:
        mine: dict[tuple[str, str], str] = {}
        flow = root.entries["flow"].raw if root.kind == "map" and "flow" in root.entries else reader.file
        for kind, node in _triggers(root):
            words = kind, " ".join(node.raw.casefold().split())
            if words in first:
                what = "the command" if kind == "command" else "the phrase"
                reader.warn(node, f'{what} "{node.raw[:60]}" starts the flow "{first[words]}" already', "same-trigger")
            mine[words] = flow
        first |= {words: flow for words, flow in mine.items() if words not in first}


def _triggers(root: Node) -> Iterator[tuple[str, Node]]:
    """("command", its node), and (language, phrase's node), as far as they are written as they should be."""
    triggers = _inside(root, "triggers")
    if triggers is None:
        return
    commands, phrases = triggers.entries.get("commands"), _inside(triggers, "phrases")
    yield from (("command", one) for one in (commands.items if commands is not None else ()) if one.raw)
    for language, body in phrases.entries.items() if phrases is not None else ():
        nodes = body.items if body.kind == "list" else [body]
        yield from ((canonical(language), one) for one in nodes if one.raw)


def _inside(node: Node, key: str) -> Node | None:
    found = node.entries.get(key) if node.kind == "map" else None
    return found if found is not None and found.kind == "map" else None


def _circles(readers: Mapping[str, Reader], flows: Mapping[str, Flow]) -> None:
    """Flows that run each other before anybody is asked anything go round until the breaker stops them."""
    begins: dict[str, dict[str, Step]] = {}
    for flow in flows.values():
        begins[flow.id] = {step.verb.flow: step for step in _at_once(flow) if isinstance(step.verb, RunStep)}
    for flow in flows.values():
        for target, step in begins[flow.id].items():
            if flow.id in _reached(target, begins):
                message = f'a circle without a question: "{target}" leads back to this flow, and nobody is ever asked'
                readers[flow.file].faults.add(flow.file, step.line, step.column, message, "circle")


def _reached(flow: str, begins: Mapping[str, Mapping[str, Step]]) -> set[str]:
    """The flows that run at once when `flow` does, itself among them."""
    reached, waiting = set[str](), [flow]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += begins.get(name, {})
    return reached


def _at_once(flow: Flow) -> Iterator[Step]:
    """The steps that run before the conversation first rests; what follows a flow that is run may come after a question."""
    waiting, seen = [one.id for one in flow.steps[:1]], set[str]()
    while waiting:
        step = flow.step(waiting.pop())
        if step is None or step.id in seen:
            continue
        seen.add(step.id)
        yield step
        rests = isinstance(step.verb, KbStep) and step.verb.confirm
        if not rests and not isinstance(step.verb, AskStep | EscalateStep | WaitStep | RunStep):
            waiting += leads_to(flow, step)
