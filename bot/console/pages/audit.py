"""Who did what, and when: everything that is written in the audit, the newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from bot.console import store
from bot.console.moments import when
from bot.console.page import Page, Visit
from bot.console.people import shown_who
from bot.texts import known

ON_PAGE = 100


async def show(visit: Visit) -> Response:
    given = visit.query("before")
    before = int(given) if given.isascii() and given.isdigit() and len(given) < 16 else None
    found = await visit.rooms.storage.read(lambda conn: store.audit(conn, before, ON_PAGE + 1))
    lines = [
        {
            "iso": one.at.isoformat(),
            "at": when(visit, one.at),
            "who": shown_who(one.who),
            "what": _what(visit, one.what),
            "more": _more(visit, one.data),
        }
        for one in found[:ON_PAGE]
    ]
    older = found[ON_PAGE - 1].n if len(found) > ON_PAGE else 0
    return await visit.page("audit.html", lines=lines, older=older)


def _what(visit: Visit, what: str) -> str:
    """In the reader's language; what only a newer program knows as it is written."""
    key = f"console_did_{what.removeprefix('console: ').replace(': ', '_').replace(' ', '_')}"
    return visit.t(key) if known(key) else what


def _more(visit: Visit, data: Mapping[str, Any]) -> str:
    parts = []
    for key, value in data.items():
        if key == "files":
            parts.append(", ".join(str(one) for one in value))
        elif key == "version":
            parts.append(visit.t("console_version_n", number=str(value)))
        elif key == "role":
            parts.append(visit.t(f"console_role_{value}") if known(f"console_role_{value}") else str(value))
        else:
            parts.append(str(value) if not isinstance(value, dict | list) else f"{key}: {value}")
    return " · ".join(part for part in parts if part)


PAGES = (Page("/audit", show, menu="console_audit", group="console_group_people"),)
