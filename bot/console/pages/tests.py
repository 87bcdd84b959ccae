"""The desk's conversation tests, played on the draft: which pass, which fail, and where."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response

from bot.console.material import material
from bot.console.moments import when
from bot.console.page import Page, Visit
from bot.console.people import Role
from bot.flows.transcripts import TestResult


async def show(visit: Visit) -> Response:
    """The last result on just these files, if this process has one: nothing is played before somebody asks for it."""
    found = await material(visit)
    desk = found.checked.desk
    if desk is None:
        faults = [one for one in found.checked.faults if one.severity == "fault"]
        return await visit.page("tests.html", faults=faults, played=None, total=0, files=[], failed=0)
    played = visit.rooms.played.get(desk.hash)
    files: dict[str, list[dict[str, Any]]] = {}
    unplayed = (TestResult(one.name, one.file, one.line, True) for one in desk.tests)
    for one in played.results if played is not None else unplayed:
        shown = _shown(one, f"{desk.folder}/")
        files.setdefault(shown["file"], []).append(shown)
    failed = sum(not one.ok for one in played.results) if played is not None else 0
    values: dict[str, Any] = {"files": list(files.items()), "total": len(desk.tests), "failed": failed}
    at = when(visit, played.at) if played is not None else ""
    return await visit.page("tests.html", faults=[], played=played, at=at, **values)


async def play(visit: Visit) -> Response:
    """Play all of them on the draft as it is now, in a thread; the result is shown until a file changes."""
    desk = (await material(visit)).checked.desk
    if desk is not None:
        await asyncio.to_thread(visit.rooms.played.play, desk, visit.rooms.storage.clock())
    return visit.go("/tests")


def _shown(one: TestResult, folder: str) -> dict[str, Any]:
    file = one.file.removeprefix(folder)
    wrong = one.message.removeprefix(f"{one.file}:{one.line}: ")
    expected, got = wrong, ""
    if wrong.startswith("expected ") and ", got " in wrong:
        expected, _, got = wrong.removeprefix("expected ").partition(", got ")
    return {"name": one.name, "file": file, "line": one.line, "ok": one.ok, "expected": expected, "got": got}


PAGES = (Page("/tests", show, play, role_to_do=Role.VIEWER, menu="console_tests", group="console_group_try"),)
