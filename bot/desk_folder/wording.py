"""Words in each language: texts/*.yaml, the texts and phrases of flows, and the `{{ places }}` in them.

A text is a bare string (serves every locale), `$key` (from texts/*.yaml or the product's own sentences), or a mapping of
locales, in which every declared one must be there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.desk_folder.faults import did_you_mean
from bot.desk_folder.fields import Reader
from bot.desk_folder.nodes import Map, Node, Scalar
from bot.texts import _built_in, canonical

LONGEST_TEXT = 4096  # characters: Telegram's limit of a message; longer ones are split
LONGEST_LABEL = 75  # characters: Slack's limit of a button's text
LONGEST_STORED = 16_000  # characters: CONTRACT's limit of a message
EVERY = "*"
_KEY = re.compile(r"\$([A-Za-z_][A-Za-z0-9_.]*)")
_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PATH = re.compile(r"[^\W\d]\w*(\.\w+)*")
FILTERS = ("upper", "lower", "title", "trim", "date", "time", "number", "money")

CheckPath = Callable[[str, Node, int], None]
"""(dotted path, where its text stands, column): tells the report what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Own:
    """A key of texts/*.yaml, with the places of its words (locale → scalar)."""

    texts: Mapping[str, str]
    nodes: Mapping[str, Scalar]


@dataclass(slots=True)
class Wording:
    """Reads texts for one desk. `own` are the keys of texts/*.yaml; a key used by flows is noted in `used`."""

    locales: Sequence[str]
    read: Reader
    own: dict[str, Own] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def take_file(self, node: Node | None) -> None:
        """The keys of one file of texts/."""
        for key, entry in self.read.mapping(node, "a file of texts").entries.items():
            if key in self.own:
                first = next(iter(self.own[key].nodes.values()), None)
                where = f" in {first.file.rpartition('/')[2]}:{first.line}" if first else ""
                self.read.fault(entry.key, f'the text "{key}" is there already{where}', "duplicate")
                continue
            if not _KEY.fullmatch(f"${key}"):
                self.read.fault(entry.key, f'"{key[:80]}" is no name for a text: letters, digits and _', "name")
            nodes = self._nodes(entry.value, f'text "{key}"', complete=key not in _built_in())
            if EVERY in nodes:
                nodes = dict.fromkeys(self.locales, nodes[EVERY])
            for one in nodes.values():
                _check_places(one, self.read, None)
            self.own[key] = Own({locale: one.text for locale, one in nodes.items()}, nodes)

    def text(self, node: Node | None, what: str, check: CheckPath, longest: int = LONGEST_TEXT) -> dict[str, str]:
        """A flow's text, `$key` resolved; every place in it checked where it stands."""
        if node is None:
            return {}
        if isinstance(node, Scalar) and (match := _KEY.fullmatch(node.text.strip())):
            return self._by_key(node, match[1], check, what, longest)
        nodes = self._nodes(node, what)
        self._check(nodes, check, what, longest)
        return {locale: one.text for locale, one in nodes.items()}

    def _by_key(self, node: Scalar, key: str, check: CheckPath, what: str, longest: int) -> dict[str, str]:
        self.used.add(key)
        own, built_in = self.own.get(key), _built_in().get(key)
        if own is None and built_in is None:
            near = did_you_mean(key, [*self.own, *_built_in()])
            self.read.fault(node, f'unknown text "${key}"{near or "; add it to a file in texts/"}', "unknown-text")
            return {}
        if own is not None:
            self._check(own.nodes, check, what, longest)
        return {**(built_in or {}), **(own.texts if own else {})}

    def _check(self, nodes: Mapping[str, Scalar], check: CheckPath, what: str, longest: int) -> None:
        for one in nodes.values():
            _check_places(one, self.read, check)
            length = len(_PLACE.sub("", one.text))
            if longest == LONGEST_LABEL and length > longest:
                self.read.fault(one, f"{what} is {length} characters long; a button holds {longest}", "length")
            elif length > LONGEST_STORED:
                self.read.fault(one, f"{what} is {length} characters long; at most {LONGEST_STORED}", "length")
            elif length > longest:
                self.read.warn(one, f"{what} is {length} characters long; above {longest} it is sent in parts", "length")

    def _nodes(self, node: Node, what: str, *, complete: bool = True) -> dict[str, Scalar]:
        if isinstance(node, Scalar):
            if not node.text.strip():
                self.read.fault(node, f"{what} is empty", "empty")
                return {}
            if len(self.locales) > 1:
                self.read.warn(node, f"{what} is written once and serves every language", "one-language")
            return {EVERY: node}
        if not isinstance(node, Map):
            self.read.fault(node, f"{what} must be a text, $key or {{language: text}}", "type")
            return {}
        found: dict[str, Scalar] = {}
        for locale, entry in self._languages(node, what):
            if not isinstance(entry, Scalar) or not entry.text.strip():
                self.read.fault(entry, f'{what} in "{locale}" must be a text', "type")
            found[locale] = entry if isinstance(entry, Scalar) else Scalar(entry.file, entry.line, entry.column)
        missing = [locale for locale in self.locales if locale not in found]
        if missing and complete:
            self.read.fault(node, f"{what} has no words for {', '.join(missing)}", "missing-language")
        return found

    def _languages(self, node: Map, what: str) -> list[tuple[str, Node]]:
        """(locale, value); `no` is read as `nb`. A locale that the desk does not declare is a warning."""
        found: dict[str, Node] = {}
        for key, entry in node.entries.items():
            locale = canonical(key)
            if locale in found:
                self.read.fault(entry.key, f'"{key}" and another key are the same language ({locale})', "duplicate")
                continue
            if locale not in self.locales:
                near = did_you_mean(locale, self.locales)
                self.read.warn(entry.key, f'{what}: "{key[:40]}" is not among the desk\'s locales{near}', "undeclared-language")
            found[locale] = entry.value
        return list(found.items())

    def phrases(self, node: Node | None, what: str) -> dict[str, tuple[str, ...]]:
        """`{language: [phrase, …]}`; a bare list serves every locale."""
        if node is None:
            return {}
        if not isinstance(node, Map):
            return {EVERY: self.read.names(node, what)}
        return {locale: self.read.names(one, what) for locale, one in self._languages(node, what)}


def template(node: Scalar, read: Reader, check: CheckPath) -> str:
    """A technical template (a connector's value, an idempotency key): one text for all languages."""
    _check_places(node, read, check)
    return node.text


def _check_places(node: Scalar, read: Reader, check: CheckPath | None) -> None:
    """Every `{{ path | filter }}` is well formed; `check`, where given, judges the path."""
    rest = node.text
    for match in _PLACE.finditer(node.text):
        rest = rest.replace(match[0], "", 1)
        path, *filters = (part.strip() for part in match[1].split("|"))
        column = node.column_of(match.start())
        if not _PATH.fullmatch(path) or any(part.startswith("_") for part in path.split(".")):
            read.fault(node, f'"{match[0][:60]}" can\'t be read; write {{{{ slot }}}} or {{{{ slot.part | filter }}}}', "placeholder", column)
            continue
        for one in filters:
            if one not in FILTERS:
                near = did_you_mean(one, FILTERS) or f"; known are {', '.join(FILTERS)}"
                read.fault(node, f'unknown filter "{one[:40]}"{near}', "placeholder", column)
        if check is not None:
            check(path, node, node.column_of(match.start(1) + len(match[1]) - len(match[1].lstrip())))
    for mark in ("{{", "}}"):
        if mark in rest:
            read.fault(node, f'a "{mark}" without its other half', "placeholder", node.column_of(node.text.find(mark)))
            return
