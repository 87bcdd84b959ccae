"""A language of the desk that the product does not speak by itself: what is still to be translated.

Adding a language is adding a file: `texts/fr.yaml` with the product's sentences, `greeting: {fr: …}`. What is missing there is
said in English, so it is a warning; in which words people ask for a person stands under `interrupts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.desk_folder.desk import Interrupt
from bot.flows.source import Node, Reader
from bot.texts import for_customers, speaks

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
            named = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
            message = f'{len(missing)} sentences of the product have no wording in "{locale}" and are said in English: '
            reader.warn(node, f"{message}{named}; write them in texts/{locale}.yaml", "missing-translation")
        human = next((one for one in interrupts if one.id == "human"), None)
        if human is not None and not human.phrases.get(locale):
            message = f'nobody can ask for a person in "{locale}": give the interrupt "human" phrases in it'
            reader.warn(node, message, "missing-translation")
