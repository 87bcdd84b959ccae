"""Every state of the desk that was published: who, when, why, what; and the way back to one."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from bot.console import store
from bot.console.draft import diff
from bot.console.drafting import FOUND
from bot.console.moments import when
from bot.console.page import Page, Visit
from bot.console.pages.changes import MOST_LINES, shown_changes
from bot.console.people import Role, shown_who
from bot.errors import NotFound


async def show(visit: Visit) -> Response:
    found = await visit.rooms.storage.read(store.versions)
    rows = [_row(visit, one) | {"files": list(one.changes)[:6], "more": max(0, len(one.changes) - 6)} for one in found]
    return await visit.page("history.html", rows=rows, newest=found[0].n if found else 0)


def _row(visit: Visit, one: store.Version) -> dict[str, Any]:
    is_found = one.note == FOUND and one.who == FOUND
    return {
        "n": one.n,
        "at": when(visit, one.at),
        "iso": one.at.isoformat(),
        "who": "" if is_found else shown_who(one.who),
        "note": visit.t("console_version_found") if is_found else one.note,
    }


async def version(visit: Visit) -> Response:
    """One version: what it changed, and what going back to it would change."""
    one = await _version(visit)
    hashes = [found for pair in one.changes.values() for found in pair if found]
    kept = await visit.rooms.storage.read(lambda conn: store.texts(conn, hashes))
    changes = []
    for path, (before, after) in one.changes.items():
        lines = diff(kept.get(before or ""), kept.get(after or ""))
        changes.append({"path": path, "lines": lines[:MOST_LINES], "more": max(0, len(lines) - MOST_LINES)})
    is_first = len(one.changes) == len(one.files) and all(before is None for before, _ in one.changes.values())
    back = await visit.drafting.back_to(one.n)
    values: dict[str, Any] = {
        "version": _row(visit, one),
        "changes": [] if is_first else changes,
        "is_first": is_first,
        "back": await asyncio.to_thread(shown_changes, visit, back),
    }
    return await visit.page("version.html", **values, can=visit.drafting.is_writable())


async def roll_back(visit: Visit) -> Response:
    one = await _version(visit)
    n = await visit.drafting.roll_back(one.n, visit.form.one("note"), visit.person)
    return visit.go("/history", "console_rolled_back", number=str(one.n), new=str(n))


async def _version(visit: Visit) -> store.Version:
    given = visit.param("n")
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 16 else 0
    found = await visit.rooms.storage.read(lambda conn: store.version(conn, number))
    if found is None:
        raise NotFound(visit.t("console_no_version"))
    return found


PAGES = (
    Page("/history", show, menu="console_history", group="console_group_publish"),
    Page("/history/{n}", version, roll_back, role_to_do=Role.PUBLISHER),
)
