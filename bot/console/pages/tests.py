"""The desk's conversation tests, played on the draft: which pass, which fail, and where."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.responses import Response

from bot.console.material import material
from bot.console.page import Page, Visit
from bot.flows.transcripts import TestResult, run_tests


async def show(visit: Visit) -> Response:
    found = await material(visit)
    desk = found.checked.desk
    if desk is None:
        faults = [one for one in found.checked.faults if one.severity == "fault"]
        return await visit.page("tests.html", faults=faults, files=[], total=0, failed=0, took="")
    began = time.perf_counter()
    results = await asyncio.to_thread(run_tests, desk)
    took = f"{time.perf_counter() - began:.1f}"
    folder = f"{desk.folder}/"
    shown = [_shown(one, folder) for one in results]
    files: dict[str, list[dict[str, Any]]] = {}
    for one in shown:
        files.setdefault(one["file"], []).append(one)
    failed = sum(not one.ok for one in results)
    return await visit.page(
        "tests.html", faults=[], files=list(files.items()), total=len(results), failed=failed, took=took
    )


def _shown(one: TestResult, folder: str) -> dict[str, Any]:
    file = one.file.removeprefix(folder)
    wrong = one.message.removeprefix(f"{one.file}:{one.line}: ")
    expected, got = wrong, ""
    if wrong.startswith("expected ") and ", got " in wrong:
        expected, _, got = wrong.removeprefix("expected ").partition(", got ")
    return {"name": one.name, "file": file, "line": one.line, "ok": one.ok, "expected": expected, "got": got}


PAGES = (Page("/tests", show, menu="console_tests", group="console_group_try"),)
