"""The team: samples of cases and their scorecards; the month's pulse. Forms are the same sheets that Slack shows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from starlette.responses import Response

from bot.console.page import Visit
from bot.console.people import Role
from bot.console.routes import AT_DESK
from bot.errors import Conflict, NotAllowed
from bot.sheets import Sheet
from surveys.console.seen import day, moment, read, zone_of
from surveys.insights.records.words import day_of
from surveys.insights.weeks import midnight
from surveys.team import pulse, quality, rounds, store
from surveys.team.pulse import Round
from surveys.team.quality import Quality
from surveys.team.rubric import from_section
from surveys.team.sheets import COMMENT, PULSE, REVIEW, TeamSheets, name_of
from surveys.team.store import Reader, Sample

SHOWN = 12  # samples and rounds on a page


def colleague(visit: Visit) -> str:
    """Who rates or answers: an agent by their id at the desk, so that nobody rates their own case by another door."""
    return visit.person.id.removeprefix(AT_DESK)


def _is_agent(visit: Visit) -> bool:
    return visit.person.id.startswith(AT_DESK)


@dataclass(frozen=True, slots=True)
class Team:
    """The handlers."""

    sheets: TeamSheets
    pulses: rounds.Pulse

    # ── quality ────────────────────────────────────────────────────────────────────────────────────────────────────
    async def quality(self, visit: Visit) -> Response:
        who = colleague(visit)

        def query(conn: Reader) -> list[tuple[Sample, Quality, int]]:
            found = []
            for one in store.samples(conn, SHOWN):
                drawn, given = store.drawn(conn, one.id), store.reviews(conn, one.id)
                waits = quality.waits_for(who, [(case.case_id, case.agents) for case in drawn], given)
                found.append((one, quality.summed(one.rubric, [case.case_id for case in drawn], given), len(waits)))
            return found

        found = await read(visit, query)
        today = visit.rooms.storage.clock().astimezone(zone_of(visit)).date()
        first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
        rubric = from_section(visit.rooms.rules.quality)
        return await visit.page(
            "team_quality.html",
            rows=[self._sample(visit, *one) for one in found],
            waits=sum(waits for *_, waits in found),
            since=first.isoformat(),
            until=(today.replace(day=1) - timedelta(days=1)).isoformat(),
            size=rubric.sample,
            criteria=[name_of(one, visit.locale) for one in rubric.criteria],
            seed=secrets.randbelow(10**6),
        )

    def _sample(self, visit: Visit, one: Sample, came: Quality, waits: int) -> dict[str, Any]:
        until = one.until.astimezone(zone_of(visit)).date() - timedelta(days=1)
        return {
            "sample": one,
            "came": came,
            "waits": waits,
            "span": f"{day(visit, one.since.astimezone(zone_of(visit)).date())} – {day(visit, until)}",
            "criteria": [
                (name_of(each, visit.locale), came.by_criterion.get(each.id), came.agreement.get(each.id))
                for each in one.rubric.criteria
            ],
        }

    async def draw(self, visit: Visit) -> Response:
        form, by, zone = visit.form, visit.person.who, zone_of(visit)
        since, until = day_of(form.one("since")), day_of(form.one("until"))
        if since is None or until is None or until < since:
            raise Conflict(visit.t("mend_days_needed"))
        seed = form.one("seed")
        number = int(seed) if seed.isascii() and seed.isdigit() and len(seed) < 12 else -1
        rubric = from_section(visit.rooms.rules.quality)
        end: date = until + timedelta(days=1)
        made = await visit.rooms.storage.write(
            lambda tx: rounds.draw(tx, rubric, number, midnight(since, zone), midnight(end, zone), by)
        )
        return visit.go("/quality", "team_drawn", seed=str(made.seed))

    async def review(self, visit: Visit) -> Response:
        return await self._sheet(visit, REVIEW, "/quality")

    async def reviewed(self, visit: Visit) -> Response:
        return await self._filled(visit, REVIEW, "/quality/review")

    # ── the pulse ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def pulse(self, visit: Visit) -> Response:
        now = visit.rooms.storage.clock()
        found = await read(visit, lambda conn: store.rounds(conn, SHOWN))
        rows = [
            {
                "round": one,
                "open": one.is_open(now),
                "until": moment(visit, one.closes_at),
                "results": self._results(visit, one) if not one.is_open(now) else None,
            }
            for one in found
        ]
        month = pulse.month_of(now, zone_of(visit))
        may_open = all(one.id != month for one in found)
        return await visit.page(
            "team_pulse.html", rows=rows, may_open=may_open, five=pulse.FIVE, is_agent=_is_agent(visit)
        )

    def _results(self, visit: Visit, one: Round) -> list[dict[str, Any]] | None:
        found = pulse.results(one, visit.rooms.storage.clock())
        if found is None:
            return None
        return [
            {
                "label": each.text or visit.t(f"team_pulse_{each.question}"),
                "answered": each,
                "most": max(each.counts),
            }
            for each in found
        ]

    async def conduct(self, visit: Visit) -> Response:
        """`do` is open | close."""
        by, storage = visit.person.who, visit.rooms.storage
        if visit.form.one("do") == "close":
            await storage.write(lambda tx: self.pulses.close(tx, visit.form.one("round"), by))
            return visit.go("/pulse", "team_pulse_closed")
        await storage.write(lambda tx: self.pulses.open(tx, by))
        return visit.go("/pulse", "team_pulse_opened")

    async def asked(self, visit: Visit) -> Response:
        self._only_agents(visit)
        return await self._sheet(visit, PULSE, "/pulse")

    async def answered(self, visit: Visit) -> Response:
        self._only_agents(visit)
        return await self._filled(visit, PULSE, "/pulse")

    def _only_agents(self, visit: Visit) -> None:
        """Whoever is counted answers once: an agent of the desk, not the holder of a password that many know."""
        if not _is_agent(visit):
            raise NotAllowed(visit.t("team_pulse_agents"))

    # ── sheets ─────────────────────────────────────────────────────────────────────────────────────────────────────
    async def _sheet(self, visit: Visit, kind: str, back: str) -> Response:
        who = colleague(visit)
        found = await visit.rooms.storage.read(lambda conn: self.sheets.open(conn, kind, who, visit.locale))
        if isinstance(found, str):
            return await visit.page("team_sheet.html", sheet=None, why=found, back=back, wrong={}, given={})
        return await self._drawn(visit, found, back)

    async def _drawn(self, visit: Visit, found: Sheet, back: str, wrong: dict[str, str] | None = None) -> Response:
        given = {name: visit.form.one(name) for name in (one.id for one in found.questions)}
        status = 409 if wrong else 200
        return await visit.page(
            "team_sheet.html", status=status, sheet=found, why="", back=back, wrong=wrong or {}, given=given
        )

    async def _filled(self, visit: Visit, kind: str, then: str) -> Response:
        who, sheet_id = colleague(visit), visit.form.one("sheet")
        names = [name for name in visit.form.fields if name not in {"csrf", "sheet"}]
        given = {name: visit.form.one(name) for name in names}
        given.setdefault(COMMENT, "")
        if not sheet_id.startswith(f"{kind}:"):
            raise Conflict(visit.t("console_stale"))
        wrong = await visit.rooms.storage.write(lambda tx: self.sheets.answered(tx, sheet_id, who, given, visit.locale))
        if not wrong:
            return visit.go(then, "team_thanks")
        found = await visit.rooms.storage.read(lambda conn: self.sheets.open(conn, kind, who, visit.locale))
        if isinstance(found, str) or found.id != sheet_id:
            raise Conflict(next(iter(wrong.values())))
        return await self._drawn(visit, found, then, dict(wrong))


MAY_CONDUCT = Role.PUBLISHER
"""Who opens and closes a round, and draws samples."""
