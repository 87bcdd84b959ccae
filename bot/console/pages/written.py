"""Articles and saved replies: the list by language, and the editor with a preview of what people will see."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from starlette.responses import Response

from bot.console import leaves
from bot.console.leaves import Leaf
from bot.console.material import Material, material
from bot.console.page import Handler, Page, Visit
from bot.desk_folder.pages import MACRO_NAMES, macro_names
from bot.errors import Conflict, NotFound, StafettError
from bot.storage import told
from bot.texts import fill, is_rtl
from bot.texts.refused import in_words

LONGEST_LINE = 300  # characters of a title, a tag or a question
MOST_QUESTIONS = 200
TOLD_IN = timedelta(days=30)
EXAMPLE = {
    "agent.name": "Robin",
    "case.id": "1042",
    "case.topic": "delivery",
    "customer.locale": "en",
    "customer.name": "Noa",
}
"""With which a saved reply is previewed here; slots show by their names."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One kind of leaf: `folder` in the desk, `path` in the console, `word` the prefix of its texts' keys."""

    folder: str
    path: str
    word: str

    @property
    def is_articles(self) -> bool:
        return self.folder == "knowledge"


ARTICLES = Shelf("knowledge", "articles", "console_article")
MACROS = Shelf("macros", "macros", "console_macro")


async def listed(shelf: Shelf, visit: Visit) -> Response:
    found = await material(visit, shelf.folder)
    counted = await _told(visit) if shelf.is_articles else {}
    grouped = leaves.by_id(leaves.leaves(found.files, shelf.folder, found.locales))
    query, only = visit.query("q")[:200], visit.query("show")
    rows = [
        {"id": name, "cells": [(locale, by.get(locale)) for locale in found.locales]}
        for name, by in grouped.items()
        if any(leaves.says(one, query) for one in by.values())
        and (only != "missing" or any(locale not in by for locale in found.locales))
        and (only != "untold" or any((name, locale) not in counted for locale in by))
    ]
    missing = {locale: sum(locale not in by for by in grouped.values()) for locale in found.locales}
    return await visit.page(
        "written.html",
        shelf=shelf,
        rows=rows,
        q=query,
        show=only,
        total=len(grouped),
        missing={locale: count for locale, count in missing.items() if count},
        locales_of_desk=found.locales,
        counted=counted,
        days=TOLD_IN.days,
        changed=found.draft.changes,
        faulty={one.file for one in found.checked.faults if one.severity == "fault"},
    )


async def _told(visit: Visit) -> Mapping[tuple[str, str], int]:
    storage = visit.rooms.storage
    since = storage.clock() - TOLD_IN
    return await storage.read(lambda conn: told.articles(conn, since))


async def opened(shelf: Shelf, visit: Visit) -> Response:
    path = visit.param("path")
    found = await material(visit, shelf.folder)
    leaf = _leaf(shelf, found, path)
    return await _editor(shelf, visit, found, leaf, path)


async def begun(shelf: Shelf, visit: Visit) -> Response:
    """A new one: of its own, another language of one that there is, or from a question that nobody answered."""
    found = await material(visit, shelf.folder)
    locale = visit.query("locale")
    locale = locale if locale in found.locales else found.locales[0]
    asked = (
        " ".join(one[:LONGEST_LINE].split()) for one in visit.request.query_params.getlist("question")[:MOST_QUESTIONS]
    )
    questions = tuple(dict.fromkeys(one for one in asked if one))
    leaf = Leaf("", visit.query("id")[:60], locale, next(iter(questions), ""), "", (), questions)
    others = leaves.by_id(leaves.leaves(found.files, shelf.folder, found.locales)).get(leaf.id, {})
    return await _editor(shelf, visit, found, leaf, "", tuple(others.values()))


async def _editor(
    shelf: Shelf, visit: Visit, found: Material, leaf: Leaf, path: str, others: tuple[Leaf, ...] = (), error: str = ""
) -> Response:
    if path:
        grouped = leaves.by_id(leaves.leaves(found.files, shelf.folder, found.locales))
        others = tuple(one for one in grouped.get(leaf.id, {}).values() if one.path != path)
    return await visit.page(
        "written_one.html",
        status=409 if error else 200,
        shelf=shelf,
        leaf=leaf,
        path=path,
        seen=found.seen(path),
        others=others,
        locales_of_desk=found.locales,
        faults=found.checked.of(path) if path else [],
        shown=_preview(shelf, visit, leaf),
        error=error,
        is_rtl=is_rtl,
        places=MACRO_NAMES,
    )


async def preview(shelf: Shelf, visit: Visit) -> Response:
    leaf = _written(shelf, visit, visit.form.one("locale"), "", "")
    wrong = leaves.faults_of(leaf.body, macro_names(visit.rooms.rules.names)) if not shelf.is_articles else []
    return await visit.page(
        "written_preview.html", shown=_preview(shelf, visit, leaf), wrong=wrong, leaf=leaf, is_rtl=is_rtl, shelf=shelf
    )


def _preview(shelf: Shelf, visit: Visit, leaf: Leaf) -> str:
    """As customers see it: by the renderer of the channels, which escapes what is no markup."""
    body = leaf.body
    if not shelf.is_articles:
        slots = {name: name.upper() for name in macro_names(visit.rooms.rules.names)}
        with contextlib.suppress(KeyError):  # an unknown place is shown as it is written, and told beside
            body = fill(body, slots | EXAMPLE)
    return "".join(html for html, _ in visit.rooms.drawn["web"](body, ()))


async def saved(shelf: Shelf, visit: Visit) -> Response:
    found = await material(visit, shelf.folder)
    path = visit.form.one("path")
    if visit.form.one("do") == "delete" and path:
        _leaf(shelf, found, path)
        await visit.drafting.save(path, None, visit.person, seen=visit.form.one("seen"))
        return visit.go(f"/{shelf.path}", f"{shelf.word}_deleted")
    before = _leaf(shelf, found, path) if path else None
    name, locale = (before.id, before.locale) if before else (visit.form.one("id"), visit.form.one("locale"))
    wanted = _written(shelf, visit, locale, path, name)
    try:
        if before is not None:
            to = await _changed(visit, found, before, wanted)
        else:
            to = await _created(shelf, visit, found, wanted)
    except StafettError as refused:  # what was written stands in the fields again, below the reason
        return await _editor(shelf, visit, found, wanted, path, error=in_words(str(refused), visit.locale))
    return visit.go(f"/{shelf.path}/{to}", f"{shelf.word}_saved")


async def _changed(visit: Visit, found: Material, before: Leaf, wanted: Leaf) -> str:
    _must_say_something(visit, wanted)
    text = leaves.edited(found.files[before.path], before, _untouched(visit, before, wanted))
    await visit.drafting.save(before.path, text, visit.person, seen=visit.form.one("seen"))
    return before.path


async def _created(shelf: Shelf, visit: Visit, found: Material, leaf: Leaf) -> str:
    if leaf.locale not in found.locales:
        raise Conflict(visit.t("console_written_language"))
    _must_say_something(visit, leaf)
    path = leaves.new_path(shelf.folder, leaf.id or leaf.title, leaf.locale, [*found.files])
    await visit.drafting.save(path, leaves.written(leaf), visit.person, seen="")
    return path


def _leaf(shelf: Shelf, found: Material, path: str) -> Leaf:
    text = found.files.get(path) if path.startswith(f"{shelf.folder}/") else None
    if text is None:
        raise NotFound(f"there is no file {path[:100]}; look at the list again")
    leaf = leaves.leaf_of(path, text, found.locales)
    if leaf is None:
        raise Conflict(f"{path} has no front matter (---, title: …, ---); mend it as a file first")
    return leaf


def _written(shelf: Shelf, visit: Visit, locale: str, path: str, leaf_id: str) -> Leaf:
    """What stands in the form's fields."""
    form = visit.form
    title = " ".join(form.one("title").split())[:LONGEST_LINE].replace("\0", "")
    body = form.one("body").replace("\0", "")  # no text file holds it
    if not shelf.is_articles:
        return Leaf(path, leaf_id, locale, title, body)
    tags = tuple(dict.fromkeys(one.strip()[:LONGEST_LINE] for one in form.one("tags").split(",") if one.strip()))
    lines = (" ".join(one.split())[:LONGEST_LINE] for one in form.one("questions").split("\n"))
    questions = tuple(dict.fromkeys(one for one in lines if one))[:MOST_QUESTIONS]
    return Leaf(path, leaf_id, locale, title, body, tags, questions)


def _untouched(visit: Visit, before: Leaf, wanted: Leaf) -> Leaf:
    """A field that still shows what the file says was not changed, however a form would read it: a comma within a tag."""
    fields = {"title": before.title, "tags": ", ".join(before.tags), "questions": "\n".join(before.questions)}
    same = {name: getattr(before, name) for name, shown in fields.items() if visit.form.one(name) == shown}
    return replace(wanted, **same)


def _must_say_something(visit: Visit, leaf: Leaf) -> None:
    if not leaf.title or not leaf.body.strip():
        raise Conflict(visit.t("console_written_empty"))


def pages_of(shelf: Shelf, menu: str) -> tuple[Page, ...]:
    def of(handler: Callable[[Shelf, Visit], Awaitable[Response]]) -> Handler:
        return partial(handler, shelf)

    return (
        Page(f"/{shelf.path}", of(listed), of(saved), menu=menu, group="console_group_content"),
        Page(f"/{shelf.path}/new", of(begun)),
        Page(f"/{shelf.path}/preview", do=of(preview)),
        Page(f"/{shelf.path}/{{path:path}}", of(opened)),
    )


PAGES = (*pages_of(ARTICLES, "console_articles"), *pages_of(MACROS, "console_macros"))
