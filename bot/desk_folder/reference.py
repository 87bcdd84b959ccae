"""The reference of a desk's files, as Markdown: made of the JSON Schema, which is made of the loader's own tables.

`stafett check --reference` prints it. `meanings` has a sentence for each key; a test holds the page in docs/ against this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bot.answers.rules import KINDS
from bot.desk_folder.json_schema import schema
from bot.desk_folder.meanings import FILTERS, FUNCTIONS, MEANINGS, RULES, VERBS
from bot.flows.expressions import ARITY
from bot.flows.templates import FILTERS as KNOWN_FILTERS

Node = Mapping[str, Any]

HEAD = """\
# Reference: every key of a desk's files

Made from what the program reads, by `make reference`; don't edit it by hand. [Writing a desk](desk.md) explains, [the
guide](guide.md) begins at the beginning. A *duration* is `30s`, `5m`, `2h` or `1d`; a *text* is a sentence for all languages,
`$a_key` of `texts/*.yaml`, or one for each language: `{en: …, nl: …}`. Keys in **bold** must be there.
"""
TITLES = {
    "desk": "desk.yaml",
    "flow": "flows/*.yaml",
    "tests": "tests/*.yaml: conversation tests",
}


def reference() -> str:
    """The whole page."""
    made = schema()["$defs"]
    parts = [HEAD, *(_file(kind, title, made[kind]) for kind, title in TITLES.items())]
    parts.insert(3, _verbs(made["step"]))
    return "\n".join([*parts, _lists()])


def missing() -> list[str]:
    """Keys, verbs, rules, functions and filters that have no meaning written down."""
    made = schema()["$defs"]
    keys = [path for kind in TITLES for path, *_ in _keys(kind, made[kind])]
    keys += [
        f"step.{verb}.{key}"
        for verb, node in _by_verb(made["step"]).items()
        for key in node["properties"]
        if key != verb
    ]
    lists = ((KINDS, RULES), (ARITY, FUNCTIONS), (KNOWN_FILTERS, FILTERS), (_by_verb(made["step"]), VERBS))
    return [key for key in keys if not _meaning(key)] + [
        name for known, meanings in lists for name in known if name not in meanings
    ]


def _file(kind: str, title: str, node: Node) -> str:
    rows = [
        f"| {_indent(path, kind)}`{path.rpartition('.')[2]}` | {what} | {_meaning(path)} |"
        if not must
        else f"| {_indent(path, kind)}**`{path.rpartition('.')[2]}`** | {what} | {_meaning(path)} |"
        for path, what, must in _keys(kind, node)
    ]
    return "\n".join([f"## {title}", "", "| key | is | means |", "| --- | --- | --- |", *rows, ""])


def _indent(path: str, kind: str) -> str:
    return " · " * (path.removeprefix(kind).count(".") - 1)


def _keys(path: str, node: Node) -> Iterator[tuple[str, str, bool]]:
    """(way, kind, whether it must be there) of every key below, each before what is in it."""
    for inner in _inner(node):
        required = inner.get("required", ())
        for key, value in inner.get("properties", {}).items():
            way = f"{path}.{key}"
            yield way, _kind(value), key in required
            yield from _keys(way, value)


def _inner(node: Node) -> Iterator[Node]:
    """The mappings that a value may be: itself, what is in its list, what stands under any name."""
    if "properties" in node:
        yield node
        return
    for one in node.get("anyOf", ()):
        if isinstance(one, dict) and one.get("type") == "object":
            yield from _inner(one)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from _inner(node[key])


def _kind(node: Node) -> str:
    """In a few words."""
    if "enum" in node:
        return ", ".join(f"`{one}`" for one in node["enum"])
    if "const" in node:
        return f"`{_shown(node['const'])}`"
    if "$ref" in node:
        return "step"
    if node.get("type") == "array":
        each = _kind(node.get("items", {}))
        return f"list of {each}s" if each in {"text", "number", "step"} else "list"
    if "anyOf" in node:
        return _either([_kind(one) for one in node["anyOf"]])
    kinds = node.get("type", "anything")
    known = {"string": "text", "boolean": "true or false", "integer": "number", "object": "mapping"}
    return "text" if isinstance(kinds, list) else known.get(kinds, str(kinds))


def _either(kinds: list[str]) -> str:
    if kinds == ["number", "text"]:
        return "duration"
    if kinds[:2] == ["duration", "`off`"]:
        return "duration, or `off`"
    return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "`false`"))


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _meaning(path: str) -> str:
    """By the whole way, or without its beginning, down to the last name."""
    parts = path.split(".")
    return next((found for at in range(len(parts)) if (found := MEANINGS.get(".".join(parts[at:])))), "") or (
        MEANINGS.get(f"step.{parts[-1]}", "") if parts[0] == "step" else ""
    )


def _by_verb(node: Node) -> dict[str, Node]:
    return {one["required"][0]: one for one in node["anyOf"]}


def _verbs(node: Node) -> str:
    """What every step may have, then each verb with its own keys."""
    verbs = _by_verb(node)
    common = [
        key
        for key in next(iter(verbs.values()))["properties"]
        if all(key in one["properties"] for one in verbs.values())
    ]
    lines = ["## Steps of a flow", "", "| every step may have | means |", "| --- | --- |"]
    lines += [f"| `{key}` | {_meaning(f'step.{key}')} |" for key in common]
    lines += ["", "| verb | does | with it |", "| --- | --- | --- |"]
    for verb, one in verbs.items():
        own = [key for key in one["properties"] if key not in {*common, verb}]
        told = "; ".join(f"`{key}`: {_meaning(f'step.{verb}.{key}')}" for key in own)
        lines.append(f"| `{verb}` | {VERBS.get(verb, '')} | {told} |")
    return "\n".join([*lines, ""])


def _lists() -> str:
    parts = (
        ("Signals of escalation.rules", "when", {kind: RULES.get(kind, "") for kind in KINDS}),
        (
            "Functions in conditions",
            "function",
            {f"{name}({_arguments(name)})": FUNCTIONS.get(name, "") for name in ARITY},
        ),
        ("Filters in texts", "`{{ value | … }}`", {name: FILTERS.get(name, "") for name in KNOWN_FILTERS}),
    )
    return "\n".join(_list(title, head, entries) for title, head, entries in parts)


def _arguments(name: str) -> str:
    fewest, most = ARITY[name]
    return ", ".join("abcdefgh"[:fewest]) + (", …" if most > fewest else "")


def _list(title: str, head: str, entries: Mapping[str, str]) -> str:
    rows: Iterable[str] = (f"| `{name}` | {meaning} |" for name, meaning in entries.items())
    return "\n".join([f"## {title}", "", f"| {head} | means |", "| --- | --- |", *rows, ""])
