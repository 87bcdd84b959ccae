"""A language of the desk that the product does not speak by itself: what is still to be translated.

Adding a language is adding a file: `texts/fr.yaml` with the product's sentences, `greeting: {fr: …}`, the desk's own texts, and
the words in which customers say yes, thanks or "a person, please" (`words_yes: {fr: "oui | ouais"}`). What is missing there is
said in English, or not understood, so it is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.desk_folder.desk import Interrupt
from bot.flows.source import Node, Reader
from bot.texts import for_customers, speaks, word_lists

SHOWN = 8
"""Keys named in one line."""


def check(
    root: Node,
    reader: Reader,
    locales: Sequence[str],
    texts: Mapping[str, Mapping[str, str]],
    interrupts: Sequence[Interrupt],
) -> None:
    section = root.entries.get("locales") if root.kind == "map" else None
    nodes = {one.raw: one for one in section.items} if section is not None else {}
    for place, locale in enumerate(locales):
        node = section.items[place] if section is not None and place < len(section.items) else nodes.get(locale, root)
        missing = [key for key in for_customers() if not speaks(key, locale) and locale not in texts.get(key, {})]
        if missing:
            message = f'{len(missing)} sentences of the product have no wording in "{locale}" and are said in English: '
            reader.warn(node, f"{message}{_named(missing)}; write them in texts/{locale}.yaml", "missing-translation")
        deaf = [key for key in word_lists() if not speaks(key, locale) and locale not in texts.get(key, {})]
        if deaf:
            message = f'{len(deaf)} lists of words have none in "{locale}": what customers say in it is not understood there: '
            reader.warn(node, f"{message}{_named(deaf)}; write them in texts/{locale}.yaml", "missing-translation")
        human = next((one for one in interrupts if one.id == "human"), None)
        if human is not None and not human.phrases.get(locale):
            message = f'nobody can ask for a person in "{locale}": write words_human, or give the interrupt "human" phrases in it'
            reader.warn(node, message, "missing-translation")


def _named(keys: Sequence[str]) -> str:
    return ", ".join(keys[:SHOWN]) + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else "")
