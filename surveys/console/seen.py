"""What these pages share: the setting of a report, the languages of a message, days and people in the reader's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from bot.console.draft import digest
from bot.console.moments import when
from bot.console.page import NAMES, Visit
from bot.console.pages.flows import titled
from bot.console.people import Role
from bot.errors import Conflict, NotAllowed
from bot.outreach import store as notices
from bot.outreach.telling import Notices
from bot.staffing.hours import is_open_at
from bot.staffing.people import hours_of
from bot.texts import is_rtl
from surveys.insights.records.nouns import Improvement, Problem, Wish
from surveys.insights.reports import Setting
from surveys.insights.store import Reader

T = TypeVar("T")


def zone_of(visit: Visit) -> ZoneInfo:
    return ZoneInfo(visit.rooms.rules.time_zone)


def setting(visit: Visit) -> Setting:
    desk, now = visit.rooms.rules, visit.rooms.storage.clock()
    is_open: Callable[[datetime], bool] | None = None
    if desk.hours is not None:
        hours = hours_of(desk, None)
        is_open = lambda at: is_open_at(hours, at)  # noqa: E731 - one line says it
    return Setting(now, zone_of(visit), is_open)


async def read(visit: Visit, query: Callable[[Reader], T]) -> T:
    """On a connection of its own: what counts half a year of cases is in nobody's way."""
    return await visit.rooms.storage.read_apart(query)


def languages(visit: Visit, message: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """(locale, its name, its direction, the text) for every language of the desk, and for those a text is there in."""
    locales = list(dict.fromkeys((*visit.rooms.rules.locales, *message)))
    return [(one, NAMES.get(one, one), "rtl" if is_rtl(one) else "ltr", message.get(one, "")) for one in locales]


def message_in(visit: Visit) -> dict[str, str]:
    """What the fields `text_nl` … hold."""
    found = {name: values[0] for name, values in visit.form.fields.items() if name.startswith("text_") and values}
    return {name.removeprefix("text_"): text for name, text in found.items()}


def notices_of(visit: Visit) -> Notices:
    return Notices(lambda: visit.rooms.rules)


def only_publishers(visit: Visit) -> None:
    """Customers hear of it: as with a notice, who may publish presses it."""
    if not visit.person.may(Role.PUBLISHER):
        raise NotAllowed(visit.t("mend_publishers"))


def digest_of(one: Problem | Wish | Improvement) -> str:
    """Of what the form of a record says."""
    if isinstance(one, Improvement):
        judged = (one.starts_on.isoformat(), one.days, sorted(one.scope.items()), one.metric.value)
        return digest(one.title, one.what, judged, one.cost, one.unit_value, one.currency)
    more = (one.topic, one.cause, one.owner, one.fix, str(one.due_on)) if isinstance(one, Problem) else (str(one.area),)
    return digest(one.title, str(one.state), sorted(one.message.items()), more)


def must_be_as_seen(visit: Visit, one: Problem | Wish | Improvement) -> None:
    """Two at one record: nobody writes over the other's words, and nobody tells customers words that they have not seen."""
    seen = visit.form.one("seen")
    if seen and seen != digest_of(one):
        raise Conflict("this record was changed by somebody else meanwhile; load the page again, and look at it")


def moment(visit: Visit, at: datetime | str | None) -> str:
    if at is None:
        return ""
    return when(visit, datetime.fromisoformat(at) if isinstance(at, str) else at)


def day(visit: Visit, on: date | str | None) -> str:
    """As "Mar 9, 2026" in the reader's language."""
    if not on:
        return ""
    from babel.dates import format_date

    found = date.fromisoformat(on) if isinstance(on, str) else on
    return format_date(found, "medium", locale=visit.locale)


def short_day(visit: Visit, on: date) -> str:
    """As "Mar 9": the year goes without saying."""
    from babel.dates import format_skeleton

    return format_skeleton("MMMd", on, locale=visit.locale)


def namer(visit: Visit) -> Callable[[str | None], str]:
    """What a topic is called: one that a flow gave by its name has that flow's title."""
    titles = {one.id: titled(one.title, visit.locale) for one in visit.rooms.rules.flows.values()}
    return lambda topic: titles.get(topic or "") or topic or "–"


def told(conn: Reader, notice_id: str | None) -> Any:
    """Who was told by a notice: its progress, or None."""
    return notices.progress(conn, [notice_id])[notice_id] if notice_id else None
