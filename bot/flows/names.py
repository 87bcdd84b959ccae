"""What a flow may refer to, and the readers that look names up: texts, expressions, templates, targets, slots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.flows.expressions import Expression, ExpressionFault, parse
from bot.flows.schema import END, Slot, Wording
from bot.flows.source import Node, Reader, nearest
from bot.flows.templates import TemplateFault, places
from bot.texts import canonical, known, say
from bot.texts.plural import FORMS, Plural, needed, variants

TELEGRAM_TEXT = 4096
"""Characters of one Telegram message; longer ones are split in delivery."""
BUTTON = 75
"""Characters of a Slack button, the shortest of the channels."""
BUTTONS = 100
"""Buttons under one Telegram message; Slack takes 125 in our rows. Further options can only be typed."""
_ALWAYS = ("customer", "case")
_KEY = re.compile(r"\$[A-Za-z]\w*")
"""What names a text where customers are spoken to; for programs it would be a word like any other."""


@dataclass(frozen=True, slots=True)
class Names:
    """Everything of the desk that a flow can name. `connectors` maps to the names that each must be given."""

    locales: tuple[str, ...] = ("en",)
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    connectors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    teams: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    slots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of each flow
    collections: tuple[str, ...] = ()  # the articles' tags
    was_valid: bool = (
        False  # and its flow may be running: a text's name that names none goes on as a word like any other
    )


@dataclass(slots=True)
class Seen:
    """One flow while it is read: its reader, what it may name, its slots, and the ids of its steps."""

    reader: Reader
    names: Names
    slots: Mapping[str, Slot]
    ids: Mapping[str, Node] = field(default_factory=dict)

    def slot(self, node: Node, what: str) -> Slot | None:
        name = self.reader.text(node, what)
        if name is None:
            return None
        if name not in self.slots:
            self.reader.fault(node, f'{what}: unknown slot "{name}"{nearest(name, self.slots)}', "unknown-slot")
            return None
        return self.slots[name]

    def target(self, node: Node) -> str | None:
        """A step's id, or END."""
        target = self.reader.text(node, "a target")
        if target is None or target == END or target in self.ids:
            return target
        self.reader.fault(node, f'unknown step "{target}"{nearest(target, self.ids)}', "unknown-target")
        return None

    def expression(self, node: Node, what: str) -> Expression | None:
        if node.kind != "scalar":
            self.reader.wrong(node, f"{what} must be an expression")
            return None
        try:
            expression = parse(node.raw)
        except ExpressionFault as error:
            self.reader.fault(node, f"{what}: {error.message}", "expression", error.offset)
            return None
        for name, offset in expression.names:
            self._visible(node, name, offset, what)
        return expression

    def template(self, node: Node, what: str) -> str | None:
        """A text with places, for programs: every place checked."""
        if node.kind != "scalar" or not node.raw:
            self.reader.wrong(node, f"{what} must be a text")
            return None
        if _KEY.fullmatch(node.raw) and not self.names.was_valid:
            told = f'{what}: "{node.raw}" would be taken letter by letter; a slot is written "{{{{ {node.raw[1:]} }}}}"'
            self.reader.fault(node, told, "template")
            return None
        return node.raw if self._places(node, node.raw, what) else None

    def _places(self, node: Node, template: str, what: str) -> bool:
        try:
            found = places(template)
        except TemplateFault as error:
            self.reader.fault(node, f"{what}: {error.message}", "template", error.offset)
            return False
        checked = [self._visible(node, place.name, place.start, what) for place in found]
        return all(checked)

    def _visible(self, node: Node, name: str, offset: int, what: str) -> bool:
        root, _, rest = name.partition(".")
        if root in _ALWAYS:
            return True
        if root not in self.slots:
            hint = nearest(root, (*self.slots, *_ALWAYS))
            self.reader.fault(node, f'{what}: unknown slot "{root}"{hint}', "unknown-slot", offset)
            return False
        if rest and self.slots[root].type not in {"object", "file"}:
            kind = self.slots[root].type
            self.reader.fault(node, f'{what}: "{root}" is a {kind} and has no part "{rest}"', "unknown-slot", offset)
            return False
        return True

    def wording(self, node: Node, what: str, longest: int = TELEGRAM_TEXT) -> Wording | None:
        """A TEXT: `$key`, one string for every language (a warning where there are several), or `{LANG: string}`."""
        found = self._by_key(node, what) if node.kind == "scalar" else self._by_locale(node, what)
        if found is None:
            return None
        for locale, text in found.items():
            length = max(map(len, variants(text)))
            if length > longest:
                self.reader.warn(
                    node,
                    f"{what}: {length} characters in {locale}; more than {longest} are too long for a channel",
                    "length",
                )
        return found

    def _by_key(self, node: Node, what: str) -> Wording | None:
        text = self.reader.text(node, what)
        if text is None:
            return None
        if not text.startswith("$") or " " in text:
            if len(self.names.locales) > 1:
                self.reader.warn(node, f"{what}: one wording for every language", "bare-text")
            return dict.fromkeys(self.names.locales, text) if self._places(node, text, what) else None
        key = text[1:]
        own = self.names.texts.get(key)
        if own is None and not known(key):
            if self.names.was_valid:
                return dict.fromkeys(self.names.locales, text)
            self.reader.fault(
                node,
                f'{what}: unknown text "{text}"{nearest(text, ["$" + one for one in self.names.texts])}',
                "unknown-text",
            )
            return None
        try:
            found = {
                locale: own[locale] if own and locale in own else say(key, locale) for locale in self.names.locales
            }
        except KeyError as error:
            if own is None:
                self.reader.fault(
                    node, f'{what}: the text "{text}" needs {error}, which a flow cannot give', "template"
                )
            return None  # a missing language is told where the text stands
        checked = [
            self._places(node, one, f'{what}: text "{text}" ({locale})')
            for locale, template in found.items()
            for one in variants(template)
        ]
        return found if all(checked) else None

    def _by_locale(self, node: Node, what: str) -> Wording | None:
        if node.kind != "map":
            self.reader.wrong(node, f"{what} must be a text")
            return None
        found = by_locale(node, self.reader, self.names.locales, what)
        checked = [self._places(one, one.raw, what) for body in found.values() for one in texts_in(body)]
        return (
            {locale: text_of(body) for locale, body in found.items()}
            if all(checked) and len(found) == len(self.names.locales)
            else None
        )


def text_of(node: Node) -> str:
    """What stands there: a text, or one whose words depend on a number."""
    return Plural({form: body.raw for form, body in node.entries.items()}) if node.kind == "map" else node.raw


def texts_in(node: Node) -> list[Node]:
    """The text itself, or each of its forms."""
    return list(node.entries.values()) if node.kind == "map" else [node]


def _is_text(node: Node, reader: Reader, what: str, locale: str) -> bool:
    """Whether that is a text, or has the forms of one that counts something. A form that is missing is a warning."""
    if node.kind != "map":
        return reader.text(node, what) is not None
    forms = reader.entries(node, FORMS, what, ("other",))
    wanted = needed(locale)
    if missing := [form for form in wanted if form not in forms and form != "other"]:
        reader.warn(node, f"{what}: this language also needs the form {', '.join(missing)}", "plural")
    for form in forms:
        if form not in wanted:
            reader.warn(node.keys[form], f'{what}: no number takes the form "{form}" in this language', "plural")
    texts = [reader.text(one, f"{what} {form}") for form, one in forms.items()]  # each fault in one pass
    return "other" in forms and None not in texts


def by_locale(node: Node, reader: Reader, locales: tuple[str, ...], what: str, *, must: bool = True) -> dict[str, Node]:
    """`{LANG: text}` by the desk's languages, each for `text_of`. With `must`, a missing language of the desk is a fault."""
    found: dict[str, Node] = {}
    for language, body in node.entries.items():
        locale = canonical(language)
        if locale not in locales:
            reader.warn(node.keys[language], f'{what}: the desk does not speak "{language}"', "locale")
        elif locale in found:
            reader.fault(node.keys[language], f'{what}: "{locale}" stands here twice', "duplicate")
        elif _is_text(body, reader, f"{what} ({locale})", locale):
            found[locale] = body
    missing = [locale for locale in locales if locale not in found and locale not in map(canonical, node.entries)]
    if missing and must:
        reader.fault(node, f"{what}: no wording in {', '.join(missing)}", "missing-language")
    return found
