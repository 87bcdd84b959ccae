"""What is changed and not in force yet: the differences, the faults, and putting it in force with a note."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from bot.console.draft import Checked, Draft, checked_path, diff, digest_of, on_disk
from bot.console.moments import when
from bot.console.page import Page, Visit
from bot.console.pages.files import place_of
from bot.console.people import Role, shown_who

MOST_LINES = 2_000  # of one difference


async def show(visit: Visit) -> Response:
    draft = await visit.drafting.now()
    checked, conflicts = await asyncio.gather(visit.drafting.check(draft), asyncio.to_thread(draft.conflicts))
    changes = await asyncio.to_thread(shown_changes, visit, draft, set(conflicts))
    faults = [one for one in checked.faults if one.severity == "fault"]
    warnings = [one for one in checked.faults if one.severity != "fault" and one.file in draft.changes]
    failed = await asyncio.to_thread(_failed, visit, checked) if changes else []
    can = visit.drafting.is_writable() and bool(changes) and not (faults or conflicts or failed)
    values: dict[str, Any] = {
        "faults": faults,
        "warnings": warnings,
        "failed": failed,
        "place_of": place_of,
        "can": can,
        "seen": digest_of(draft),
    }
    return await visit.page("changes.html", changes=changes, tests=_count(checked), **values)


def _failed(visit: Visit, checked: Checked) -> list[str]:
    """What the conversation tests say of the draft; played once on the same files."""
    return visit.rooms.played.failed(checked.desk, visit.rooms.storage.clock()) if checked.desk is not None else []


def _count(checked: Checked) -> int:
    return len(checked.desk.tests) if checked.desk is not None else 0


def shown_changes(visit: Visit, draft: Draft, conflicts: set[str] | None = None) -> list[dict[str, Any]]:
    """Each changed file with its difference from the folder. Reads files: run it in a thread."""
    shown = []
    for path, one in draft.changes.items():
        lines = diff(on_disk(draft.folder, path), one.text)
        kind = "deleted" if one.text is None else "new" if one.base_hash is None else "edited"
        shown.append(
            {
                "path": path,
                "place": place_of(path),
                "kind": kind,
                "who": shown_who(one.who),
                "at": when(visit, one.at),
                "lines": lines[:MOST_LINES],
                "more": max(0, len(lines) - MOST_LINES),
                "added": sum(line.kind == "new" for line in lines),
                "removed": sum(line.kind == "gone" for line in lines),
                "conflict": path in (conflicts or set()),
            }
        )
    return shown


async def publish(visit: Visit) -> Response:
    n = await visit.drafting.publish(visit.form.one("note"), visit.person, seen=visit.form.one("seen"))
    return visit.go("/history", "console_published", number=str(n))


async def keep(visit: Visit) -> Response:
    """The folder's file was changed meanwhile: the draft is to win."""
    path = checked_path(visit.form.one("path"))
    await visit.drafting.rebase(path, visit.person)
    return visit.go("/changes", "console_kept", path=path)


PAGES = (
    Page("/changes", show, menu="console_changes", group="console_group_publish"),
    Page("/changes/publish", do=publish, role_to_do=Role.PUBLISHER),
    Page("/changes/keep", do=keep),
)
