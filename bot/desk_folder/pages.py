"""Markdown with a front matter: articles for customers, saved replies for agents."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from bot.answers.article import Article
from bot.desk_folder.desk import Macro
from bot.desk_folder.files import Folder
from bot.flows.names import Names
from bot.flows.source import Fault, Faults, Node, Reader, nearest, read
from bot.flows.templates import TemplateFault, places
from bot.texts import canonical

MACRO_NAMES = ("agent.name", "case.id", "case.topic", "customer.locale", "customer.name")
"""What a macro can name besides slots: see `handoff.macros.values`."""


def articles(folder: Folder, locales: tuple[str, ...]) -> tuple[Article, ...]:
    found: dict[tuple[str, str], Article] = {}
    for relative in folder.listed("knowledge", ".md"):
        reader = Reader(folder.name(relative), folder.faults)
        for front, body, line in _page(folder, relative, reader):
            entries = reader.entries(
                front, ("id", "title", "locale", "tags", "questions"), "article", ("title", "locale")
            )
            title = reader.text(entries["title"], "title") if "title" in entries else None
            locale = _locale(entries, reader, locales)
            article_id = (reader.text(entries["id"], "id") if "id" in entries else None) or _id(relative, locales)
            tags = reader.texts(entries["tags"], "a tag") if "tags" in entries else ()
            questions = reader.texts(entries["questions"], "a question") if "questions" in entries else ()
            if not body.strip():
                reader.faults.add(reader.file, line, 1, "the article has no text", "empty")
            if title is None or locale is None:
                continue
            before = found.get((article_id, locale))
            if before is not None:
                reader.fault(
                    front,
                    f'the article "{article_id}" stands also in {folder.name(before.file)} in {locale}',
                    "duplicate",
                )
                continue
            found[article_id, locale] = Article(article_id, title, locale, body.strip(), tags, questions, relative)
    return tuple(found.values())


def macro_names(names: Names) -> frozenset[str]:
    """All that a macro can name in a desk with these slots."""
    return frozenset((*MACRO_NAMES, *(slot for slots in names.slots.values() for slot in slots)))


def macros(folder: Folder, locales: tuple[str, ...], names: Names | None = None) -> tuple[Macro, ...]:
    """`names` None: what slots there are is unknown, and their places are not looked at."""
    found: dict[tuple[str, str], Macro] = {}
    for relative in folder.listed("macros", ".md"):
        reader = Reader(folder.name(relative), folder.faults)
        for front, body, line in _page(folder, relative, reader):
            entries = reader.entries(front, ("id", "title", "locale"), "macro", ("title",))
            title = reader.text(entries["title"], "title") if "title" in entries else None
            locale = _locale(entries, reader, locales) if "locale" in entries else locales[0]
            macro_id = (reader.text(entries["id"], "id") if "id" in entries else None) or _id(relative, locales)
            _macro_places(reader, body, line, names)
            if title is None or locale is None:
                continue
            if (macro_id, locale) in found:
                reader.fault(front, f'the macro "{macro_id}" stands twice in {locale}', "duplicate")
                continue
            found[macro_id, locale] = Macro(macro_id, title, locale, body.strip(), relative)
    return tuple(found.values())


def _macro_places(reader: Reader, body: str, line: int, names: Names | None) -> None:
    known = macro_names(names or Names())
    try:
        wrong = [place for place in places(body) if place.name not in known and (names or len(place.path) > 1)]
    except TemplateFault as error:
        reader.faults.add(reader.file, line + body.count("\n", 0, error.offset), 1, error.message, "template")
        return
    for place in wrong:
        message = (
            f'unknown "{place.name}"{nearest(place.name, known)}; a macro knows {", ".join(MACRO_NAMES)} and slots'
        )
        reader.faults.add(reader.file, line + body.count("\n", 0, place.start), 1, message, "template")


def _page(folder: Folder, relative: str, reader: Reader) -> Iterator[tuple[Node, str, int]]:
    """Front matter, body, and the line in which the body begins; nothing, and a fault, without a front matter."""
    text = folder.text(relative)
    if text is None:
        return
    lines = text.split("\n")
    end = next((at for at, one in enumerate(lines[1:], 1) if one.rstrip() == "---"), None)
    if lines[0].rstrip() != "---":
        reader.faults.add(
            reader.file, 1, 1, "no front matter: begin with ---, title: …, locale: …, ---", "front-matter"
        )
        return
    if end is None:
        message = "the front matter never ends: write a line of --- between it and the text"
        reader.faults.add(reader.file, 1, 1, message, "front-matter")
        return
    faults = Faults()
    front = read(reader.file, "\n" + "\n".join(lines[1:end]), faults)  # one empty line keeps the numbers of the lines
    reader.faults.found += [
        Fault(one.file, one.line, one.column, one.message, one.severity, one.rule) for one in faults.found
    ]
    if front is not None:
        yield front, "\n".join(lines[end + 1 :]), end + 2
    elif not faults.found:
        reader.faults.add(reader.file, 1, 1, 'article: "title" is missing', "missing-key")


def _locale(entries: dict[str, Node], reader: Reader, locales: Collection[str]) -> str | None:
    raw = reader.text(entries["locale"], "locale") if "locale" in entries else None
    if raw is None:
        return None
    locale = canonical(raw)
    if locale not in locales:
        reader.warn(entries["locale"], f'the desk does not speak "{raw}"; it speaks {", ".join(locales)}', "locale")
    return locale


def _id(relative: str, locales: Collection[str]) -> str:
    """`knowledge/nl/returns.md` and `knowledge/returns.nl.md` are both "returns"."""
    stem = PurePosixPath(relative).stem
    name, dot, ending = stem.rpartition(".")
    return name if dot and canonical(ending) in {*locales, "en", "nl", "nb", "he"} else stem
