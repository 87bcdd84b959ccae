"""The dry run: stored conversations played against the draft, and where the bot would say something else now."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from bot.console.material import Material, material
from bot.console.page import Page, Visit
from bot.console.people import Role
from bot.errors import Conflict
from bot.replay import Report, Wanted, replay
from bot.replay.compare import DEAD_END, FEWER, MORE, SURVEY, UNRECORDED
from bot.replay.report import cells

DAYS = (7, 30, 90)
SAMPLES = (100, 1000)
SHOWN = 50  # conversations on the page
KINDS = {MORE: "more", FEWER: "fewer", DEAD_END: "dead", UNRECORDED: "unrecorded", SURVEY: "survey"}


async def show(visit: Visit) -> Response:
    return await _page(visit, await material(visit), DAYS[1], SAMPLES[0], None)


async def run(visit: Visit) -> Response:
    """Reads what customers wrote, and changes nothing: whoever may see the console may ask."""
    found = await material(visit)
    if found.checked.desk is None:
        raise Conflict(visit.t("console_sim_mend_first"))
    days, sample = _one_of(visit.form.one("days"), DAYS), _one_of(visit.form.one("sample"), SAMPLES)
    storage = visit.rooms.storage
    wanted = Wanted(since=storage.clock() - timedelta(days=days), sample=sample)
    report = await replay(storage.read, found.checked.desk, wanted)
    return await _page(visit, found, days, sample, report)


def _one_of(given: str, known: tuple[int, ...]) -> int:
    return next((one for one in known if str(one) == given), known[0])


async def _page(visit: Visit, found: Material, days: int, sample: int, report: Report | None) -> Response:
    faults = [one for one in found.checked.faults if one.severity == "fault"]
    differing = [*report.differing, *report.reworded] if report is not None else []
    return await visit.page(
        "dry_run.html",
        faults=faults,
        days=days,
        sample=sample,
        all_days=DAYS,
        samples=SAMPLES,
        report=report,
        whole=report.whole if report is not None else None,
        lines=[cells(one) for one in (*report.lines, report.whole)] if report is not None else [],
        shown=differing[:SHOWN],
        left=max(0, len(differing) - SHOWN),
        kinds=KINDS,
    )


PAGES = (Page("/dry-run", show, run, role_to_do=Role.VIEWER, menu="console_dry", group="console_group_try"),)
