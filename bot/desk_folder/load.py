"""Reads a desk folder in one pass: either a `Desk`, or every fault in it.

The order is that of what refers to what: desk.yaml, the texts, the flows, then articles, macros and tests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.answers.article import Article
from bot.desk_folder import across, asking, languages, pages, staff
from bot.desk_folder.desk import Desk, Escalation, Interrupt, Routing, Table
from bot.desk_folder.files import Folder
from bot.desk_folder.rules import read_rules
from bot.desk_folder.settings import Settings, asked_for
from bot.errors import DeskFault
from bot.flows import load as flow_files
from bot.flows import transcripts
from bot.flows.names import Names, Seen, by_locale, text_of, texts_in
from bot.flows.schema import Flow
from bot.flows.source import Fault, Faults, Node, Reader, nearest, read
from bot.flows.templates import TemplateFault, places
from bot.texts import canonical, known
from bot.texts.spoken import listed

_TURNING_BACK = ("restart", "cancel", "back", "language")
"""What customers may say beside a call for a human, where a desk names no words of its own."""


class DeskFaults(DeskFault):
    """The desk cannot be used. `faults` are all that was found, warnings among them, by file and line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)
        wrong = [fault for fault in self.faults if fault.severity == "fault"]
        more = f" (and {len(wrong) - 1} more; stafett check shows them)" if len(wrong) > 1 else ""
        super().__init__(f"{wrong[0]}{more}")


def load(path: Path, drafts: Mapping[str, str | None] | None = None) -> Desk:
    """Read and check a desk folder, with `drafts` over its files (see Folder). Raises DeskFaults; warnings alone are in
    `desk.warnings`.
    """
    faults = Faults()
    folder = Folder(Path(path), faults, drafts)
    desk = _read(folder, faults)
    found = sorted(dict.fromkeys(faults.found), key=lambda one: (one.file, one.line, one.column))
    if desk is None or any(one.severity == "fault" for one in found):
        raise DeskFaults(found)
    return desk


def _read(folder: Folder, faults: Faults) -> Desk | None:
    if not folder.path.is_dir():
        what = "is a file, not a desk folder" if folder.path.exists() else "there is no such desk folder"
        faults.add(str(folder.path), 1, 1, f"{what}; `stafett init DIR` writes one", "file")
        return None
    if not folder.has("desk.yaml"):
        folder.fault("desk.yaml", "there is no desk.yaml in this folder; `stafett init DIR` writes a desk")
        return None
    root, reader, _ = _yaml(folder, "desk.yaml")
    settings = Settings(reader, folder)
    built: dict[str, Any] = settings.read(root) if root is not None else {}
    locales = settings.locales
    texts = _texts(folder, locales)
    # Where desk.yaml itself cannot be read, what flows refer to is unknown: one fault is enough.
    files, ids = _flow_files(folder)
    articles = pages.articles(folder, locales)
    known_names = (
        _names(files, ids, built, texts, articles, _declared(root, "connectors")) if root is not None else None
    )
    flows = _flows(files, known_names) if known_names is not None else {}
    if root is not None and known_names is not None:
        seen = Seen(reader, known_names, {})
        built |= _rules(root, seen, built) | _routing(root, seen, built)
    interrupts = _interrupts(built.get("interrupts", ()), flows, locales, texts)
    if root is not None:
        _check_interrupts(root, reader, ids, flows)
        asking.check_flows(root, reader, ids)
        languages.check(root, reader, locales, texts, interrupts)
        _check_rollouts(root, reader, ids)
    desk = Desk(
        **{
            **built,
            "name": built.get("name", "Support"),
            "interrupts": interrupts,
            "texts": texts,
            "flows": flows,
            "articles": articles,
            "names": known_names or Names(),
            "macros": pages.macros(folder, locales, known_names),
            "tests": _tests(folder, locales, known_names),
            "folder": folder.path,
        }
    )
    if root is None:  # what languages there are is unknown: say nothing about them
        faults.found = [one for one in faults.found if one.rule not in {"locale", "missing-language"}]
    return _with_hash(desk, folder, faults)


def _with_hash(desk: Desk, folder: Folder, faults: Faults) -> Desk:
    warnings = tuple(one for one in dict.fromkeys(faults.found) if one.severity == "warning")
    return replace(desk, hash=folder.digest, warnings=warnings)


def _yaml(folder: Folder, relative: str) -> tuple[Node | None, Reader, str]:
    reader = Reader(folder.name(relative), folder.faults)
    text = folder.text(relative)
    if text is None:
        return None, reader, ""
    before = len(folder.faults.found)
    root = read(reader.file, text, folder.faults)
    if root is None and len(folder.faults.found) == before:
        folder.fault(relative, "the file is empty")
    return root, reader, text


def _rules(root: Node, seen: Seen, built: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of the section `escalation`: read last, for they name texts and teams."""
    section = root.entries.get("escalation")
    node = section.entries.get("rules") if section is not None and section.kind == "map" else None
    if node is None:
        return {}
    return {"escalation": replace(built.get("escalation", Escalation()), rules=read_rules(node, seen))}


def _routing(root: Node, seen: Seen, built: Mapping[str, Any]) -> dict[str, Any]:
    """The rules and the ladder of the section `routing`, likewise."""
    section = root.entries.get("routing")
    inside = section.entries if section is not None and section.kind == "map" else {}
    agents = tuple(one.id for one in built.get("agents", ()))
    found: dict[str, Any] = {}
    if "rules" in inside:
        found["rules"] = staff.routing_rules(inside["rules"], seen)
    if "ladder" in inside:
        found["ladder"] = staff.ladder(inside["ladder"], seen, agents)
    return {"routing": replace(built.get("routing", Routing()), **found)} if found else {}


# ── texts ──


def _texts(folder: Folder, locales: tuple[str, ...]) -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = {}
    where: dict[str, dict[str, str]] = {}
    first: dict[str, tuple[Node, Reader]] = {}
    for relative in folder.listed("texts", ".yaml", ".yml"):
        root, reader, _ = _yaml(folder, relative)
        for key, node in reader.entries(root, None, "texts").items() if root is not None else ():
            if node.kind != "map":
                reader.wrong(node, f'the text "{key}" must be a wording by language')
                continue
            found = by_locale(node, reader, locales, f'the text "{key}"', must=False)
            for locale, body in found.items():
                if before := where.setdefault(key, {}).get(locale):
                    message = f'the text "{key}" stands also in {before}'
                    reader.fault(root.keys[key] if root else node, message, "duplicate")
                    break
                where[key][locale] = reader.file
                for one in texts_in(body):
                    _check_places(reader, one, key)
                texts.setdefault(key, {})[locale] = text_of(body)
            first.setdefault(key, (node, reader))
    for key, (node, reader) in first.items():
        missing = [locale for locale in locales if locale not in texts.get(key, {})]
        wrong = {canonical(language) for language in node.entries}  # told already
        # A built-in sentence has every language already: an own wording may change only some.
        if missing and not known(key) and not wrong & set(missing):
            reader.fault(node, f'the text "{key}": no wording in {", ".join(missing)}', "missing-language")
    return texts


def _check_places(reader: Reader, node: Node, key: str) -> None:
    try:
        places(node.raw)
    except TemplateFault as error:
        reader.fault(node, f'the text "{key}": {error.message}', "template", error.offset)


# ── flows ──


FlowFile = tuple[Node, Reader, str]


def _flow_files(folder: Folder) -> tuple[list[FlowFile], dict[str, str]]:
    """Every flow's file, parsed, and the flows' ids with the file of each."""
    files: list[FlowFile] = []
    ids: dict[str, str] = {}
    for relative in folder.listed("flows", ".yaml", ".yml"):
        root, reader, text = _yaml(folder, relative)
        if root is None:
            continue
        files.append((root, reader, text))
        flow_id = flow_files.flow_id(root)
        if flow_id is not None and flow_id in ids:
            reader.fault(root.entries["flow"], f'the flow "{flow_id}" stands also in {ids[flow_id]}', "duplicate")
        elif flow_id is not None:
            ids[flow_id] = reader.file
    return files, ids


def _names(
    files: Sequence[FlowFile],
    ids: Mapping[str, str],
    built: Mapping[str, Any],
    texts: Mapping[str, Mapping[str, str]],
    articles: Sequence[Article],
    declared: Collection[str],
) -> Names:
    """What flows may refer to."""
    slots = {
        flow_id: tuple(root.entries["slots"].entries) if "slots" in root.entries else ()
        for root, _, _ in files
        if (flow_id := flow_files.flow_id(root)) is not None
    }
    connectors = built.get("connectors", {})
    return Names(
        locales=built.get("locales", ("en",)),
        texts=texts,
        # A connector that is wrong still counts as known, so that one mistake makes one fault.
        connectors=dict.fromkeys(declared, frozenset[str]())
        | {name: asked_for(one) for name, one in connectors.items()},
        tables=frozenset(name for name, one in connectors.items() if isinstance(one, Table)),
        teams=tuple(team.id for team in built.get("teams", ())),
        flows=tuple(ids),
        slots=slots,
        collections=tuple(dict.fromkeys(tag for article in articles for tag in article.tags)),
    )


def _flows(files: Sequence[FlowFile], names: Names) -> dict[str, Flow]:
    read_flows = [flow_files.read_flow(root, text, reader, names) for root, reader, text in files]
    flows = {flow.id: flow for flow in read_flows if flow is not None}
    across.check(files, flows)
    return flows


def _declared(root: Node, section: str) -> Collection[str]:
    node = root.entries.get(section) if root.kind == "map" else None
    return node.entries.keys() if node is not None else ()


def _interrupts(
    own: Sequence[Interrupt],
    flows: Mapping[str, Flow],
    locales: tuple[str, ...],
    texts: Mapping[str, Mapping[str, str]],
) -> tuple[Interrupt, ...]:
    """The desk's own; where it has none, ours. A call for a human always exists, whatever the desk leaves out.

    A language in which the desk names no words has those of the list `words_human` and its like.
    """
    human_flow = "handoff" if "handoff" in flows else None
    human = Interrupt("human", _in("human", locales, texts), human_flow, None if human_flow else "escalate")
    if not own:
        return (human, *(Interrupt(name, _in(name, locales, texts), None, name) for name in _TURNING_BACK))
    found = [replace(one, phrases={**_in(one.id, locales, texts), **one.phrases}) for one in own]
    return tuple(found) if any(one.id == "human" for one in own) else (human, *found)


def _in(name: str, locales: tuple[str, ...], texts: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """The words for `human` and its like, by language; empty for an interrupt of the desk's own making."""
    if not known(f"words_{name}"):
        return {}
    return {locale: found for locale in locales if (found := listed(f"words_{name}", locale, texts))}


def _check_interrupts(root: Node, reader: Reader, ids: Mapping[str, str], flows: Mapping[str, Flow]) -> None:
    """Each interrupt's flow exists (one whose file has faults of its own counts, too), and that of `human` fetches somebody."""
    section = root.entries.get("interrupts") if root.kind == "map" else None
    for one in section.items if section is not None else ():
        run = one.entries.get("run")
        if run is not None and run.raw and run.raw not in ids:
            reader.fault(run, f'interrupt: unknown flow "{run.raw}"{nearest(run.raw, ids)}', "unknown-flow")
        elif run is not None and _is_human(one) and run.raw in flows and not across.escalates(run.raw, flows):
            message = f'the flow "{run.raw}" never escalates: no path leads to a human; give it a step escalate'
            reader.warn(run, message, "no-human")


def _check_rollouts(root: Node, reader: Reader, ids: Mapping[str, str]) -> None:
    section = root.entries.get("versions") if root.kind == "map" else None
    node = section.entries.get("rollout") if section is not None else None
    for flow_id in node.entries if node is not None else ():
        if flow_id not in ids:
            message = f'rollout: unknown flow "{flow_id}"{nearest(flow_id, ids)}'
            reader.fault(node.keys[flow_id] if node is not None else root, message, "unknown-flow")


def _is_human(interrupt: Node) -> bool:
    return "id" in interrupt.entries and interrupt.entries["id"].raw == "human"


# ── tests ──


def _tests(folder: Folder, locales: tuple[str, ...], names: Names | None) -> tuple[transcripts.ConversationTest, ...]:
    def read_flow(node: Node, reader: Reader) -> Flow | None:
        """The version of a flow that a line `reload: versions/order.yaml` names."""
        path = reader.text(node, "reload")
        if path is None or names is None:
            return None
        if not folder.has(path):
            reader.fault(node, f'reload: there is no file "{path}" in the desk folder', "file")
            return None
        root, other, text = _yaml(folder, path)
        return None if root is None else flow_files.read_flow(root, text, other, names)

    tests: list[transcripts.ConversationTest] = []
    for relative in folder.listed("tests", ".yaml", ".yml"):
        root, reader, _ = _yaml(folder, relative)
        if root is not None:
            tests += transcripts.read_tests(root, reader, locales, read_flow)
    return tuple(tests)
