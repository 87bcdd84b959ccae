"""What goes with the score; who may leave, and who left."""

from __future__ import annotations

from starlette.responses import Response

from bot.console.page import Visit
from surveys.console.seen import moment, namer, read, setting
from surveys.insights import reports


async def drivers(visit: Visit) -> Response:
    found = await read(visit, lambda conn: reports.key_drivers(conn, setting(visit)))
    most = max((one["interval"][1] for one in found["drivers"]), default=1) or 1
    bars = [
        {
            **one,
            "width": round(200 * one["share"] / most, 1),
            "low": round(200 * one["interval"][0] / most, 1),
            "high": round(200 * one["interval"][1] / most, 1),
        }
        for one in found["drivers"]
    ]
    return await visit.page("mend_drivers.html", found=found, bars=bars)


async def leaving(visit: Visit) -> Response:
    found = await read(visit, lambda conn: reports.churn_report(conn, setting(visit)))
    people = [{**one, "at": moment(visit, one["last_at"])} for one in found["risk"]["customers"]]
    risk, rate = found["risk"], found["rate"]
    return await visit.page("mend_leaving.html", risk=risk, rate=rate, people=people, named=namer(visit))
