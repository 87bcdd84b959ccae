"""The work list of whoever writes articles: what customers asked and nothing answered, and what did not help them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from bot.answers.unanswered import work_list
from bot.console import leaves
from bot.console.leaves import Leaf
from bot.console.material import material
from bot.console.moments import when
from bot.console.page import Page, Visit
from bot.errors import Conflict, NotFound
from bot.texts import is_rtl, match_locale

SINCE = timedelta(days=90)
MOST = 100  # entries on the page
SHOWN = 6  # questions of an entry
MOST_QUESTIONS = 30  # that go into an article at once


async def show(visit: Visit) -> Response:
    storage = visit.rooms.storage
    found = await material(visit, "knowledge")
    gaps = await work_list(storage.read_apart, storage.clock() - SINCE)  # three months of messages, gone through
    articles = leaves.leaves(found.files, "knowledge", found.locales)
    entries = []
    for gap in gaps[:MOST]:
        locale = match_locale(gap.locale, found.locales)
        first = gap.questions[:SHOWN]
        entries.append(
            {
                "questions": first,
                "more": len(gap.questions) - len(first),
                "asked": gap.asked,
                "locale": locale,
                "dir": "rtl" if is_rtl(locale) else "ltr",
                "last": when(visit, gap.last) if gap.last is not None else "",
                "tried": gap.tried,
                "new": urlencode({"locale": locale, "question": first}, doseq=True),
                "articles": [leaf for leaf in articles if leaf.locale == locale],
            }
        )
    return await visit.page("unanswered.html", entries=entries, left=max(0, len(gaps) - MOST))


async def add(visit: Visit) -> Response:
    """Questions become examples of an article: `path`, and each `question`."""
    found = await material(visit, "knowledge")
    path = visit.form.one("path")
    text = found.files.get(path) if path.startswith("knowledge/") else None
    leaf = leaves.leaf_of(path, text, found.locales) if text is not None else None
    if leaf is None or text is None:
        raise NotFound(visit.t("console_no_file", path=path[:100]))
    asked = [" ".join(one.split())[:300] for one in visit.form.many("question")[:MOST_QUESTIONS]]
    wanted = _with_questions(leaf, [one for one in asked if one])
    if wanted == leaf:
        raise Conflict(visit.t("console_unanswered_there"))
    await visit.drafting.save(path, leaves.edited(text, leaf, wanted), visit.person, seen=found.seen(path))
    return visit.go(f"/articles/{path}", "console_unanswered_added")


def _with_questions(leaf: Leaf, asked: list[str]) -> Leaf:
    return replace(leaf, questions=tuple(dict.fromkeys((*leaf.questions, *asked))))


PAGES = (Page("/unanswered", show, add, menu="console_unanswered", group="console_group_content"),)
