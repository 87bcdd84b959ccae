"""What the search searches: one self-service article, as the admin wrote it in `knowledge/*.md`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Article:
    """One article in one language.

    `id` is shared by an article's translations. `questions` are ways in which customers ask for it, in the
    admin's words. `body` is Markdown. `file` is its path as named in the desk folder, for faults and links.
    """

    id: str
    title: str
    locale: str
    body: str = ""
    tags: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    file: str = ""
