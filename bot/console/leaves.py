"""Articles and saved replies as the console edits them: Markdown with a front matter. Pure.

A file is read as it is written, also one that has faults; a change of its title or its questions leaves every other byte
of the front matter as it was, comments included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.desk_folder.edit import CannotEdit, change, change_list
from bot.desk_folder.pages import _id as id_of
from bot.desk_folder.spelling import double, plain
from bot.flows.source import Faults, Node, read
from bot.flows.templates import TemplateFault, places
from bot.texts import canonical

_FRONT = re.compile(r"\A(\ufeff?---[ \t]*\r?\n)(.*?)(^---[ \t]*(?:\r?\n|\Z))", re.DOTALL | re.MULTILINE)
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One article or saved reply in one language, as its file says. `locale` "" where it names none."""

    path: str
    id: str
    locale: str
    title: str
    body: str
    tags: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()


def leaves(files: Mapping[str, str], folder: str, locales: Sequence[str]) -> list[Leaf]:
    """Every file of `folder` ("knowledge" or "macros") that has a front matter, by id, the desk's languages in their order."""
    found = [
        leaf for path, text in files.items() if path.startswith(f"{folder}/") and (leaf := leaf_of(path, text, locales))
    ]
    order = {locale: at for at, locale in enumerate(locales)}
    return sorted(found, key=lambda leaf: (leaf.id, order.get(leaf.locale, len(order)), leaf.path))


def leaf_of(path: str, text: str, locales: Sequence[str]) -> Leaf | None:
    parts = _FRONT.match(text)
    if parts is None:
        return None
    front = read(path, parts[2].replace("\r\n", "\n"), Faults())
    entries = front.entries if front is not None and front.kind == "map" else {}
    own = entries["id"].raw if "id" in entries else ""
    body = text[parts.end() :].replace("\r\n", "\n").strip("\n")
    return Leaf(
        path,
        own or id_of(path, locales),
        canonical(entries["locale"].raw) if "locale" in entries else "",
        entries["title"].raw if "title" in entries else "",
        body,
        _texts(entries.get("tags")),
        _texts(entries.get("questions")),
    )


def _texts(node: Node | None) -> tuple[str, ...]:
    if node is None:
        return ()
    return tuple(item.raw for item in (node.items if node.kind == "list" else [node]) if item.raw)


def by_id(found: Sequence[Leaf]) -> dict[str, dict[str, Leaf]]:
    """By id, then by language."""
    grouped: dict[str, dict[str, Leaf]] = {}
    for leaf in found:
        grouped.setdefault(leaf.id, {}).setdefault(leaf.locale, leaf)
    return grouped


def says(leaf: Leaf, query: str) -> bool:
    """Whether all words of `query` stand in it."""
    text = " ".join((leaf.id, leaf.title, leaf.body, *leaf.tags, *leaf.questions)).casefold()
    return all(word in text for word in query.casefold().split())


# ── writing ──


def edited(text: str, leaf: Leaf, wanted: Leaf) -> str:
    """The file's text with what `wanted` says otherwise than `leaf` did. Raises CannotEdit."""
    parts = _FRONT.match(text)
    if parts is None:
        raise CannotEdit("the file has no front matter (---, title: …, ---); mend it as a file first")
    front = parts[2].encode("utf-8", "surrogateescape")
    if wanted.title != leaf.title:
        front = change(front, ("title",), wanted.title)
    for name in ("tags", "questions"):
        if getattr(wanted, name) != getattr(leaf, name):
            front = change_list(front, (name,), getattr(wanted, name))
    body = text[parts.end() :]
    if wanted.body.strip("\n") != leaf.body:
        inside = body.strip("\r\n")
        before = body[: len(body) - len(body.lstrip("\r\n"))]
        after = body[len(body.rstrip("\r\n")) :] if inside else ""
        newline = "\r\n" if "\r\n" in text else "\n"
        body = before + wanted.body.strip("\n").replace("\n", newline) + (after or newline)
    return parts[1] + front.decode("utf-8", "surrogateescape") + parts[3] + body


def written(leaf: Leaf) -> str:
    """A new file."""
    lines = ["---", f"title: {_word(leaf.title)}", f"locale: {leaf.locale}"]
    if leaf.tags:
        lines.append(f"tags: [{', '.join(map(_word, leaf.tags))}]")
    if leaf.questions:
        lines += ["questions:", *(f"  - {_word(one)}" for one in leaf.questions)]
    return "\n".join([*lines, "---", leaf.body.strip("\n"), ""])


def _word(text: str) -> str:
    return plain(text) or double(text)


def new_path(folder: str, name: str, locale: str, taken: Sequence[str]) -> str:
    """A file for a new leaf: `knowledge/gift_cards.nl.md`, with a number where that is taken."""
    stem = _NOT_IN_A_NAME.sub("_", name.casefold()).strip("_")[:40] or folder.rstrip("s")
    numbers: Iterator[str] = iter(("", *(f"_{n}" for n in range(2, 10_000))))
    return next(path for n in numbers if (path := f"{folder}/{stem}{n}.{locale}.md") not in taken)


def faults_of(text: str, known: frozenset[str]) -> list[str]:
    """What is wrong with the places of a saved reply."""
    try:
        return [f'unknown "{place.name}"' for place in places(text) if place.name not in known]
    except TemplateFault as error:
        return [error.message]
