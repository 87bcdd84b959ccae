"""Notices: what customers are told unasked. Drafts, whom they would reach, approval, and what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from starlette.responses import Response

from bot.console.draft import digest
from bot.console.moments import when
from bot.console.page import NAMES, Page, Visit, url_of
from bot.console.pages.flows import titled
from bot.console.people import Role, shown_who
from bot.errors import Conflict, NotFound, StafettError
from bot.model import Customer
from bot.outreach import store
from bot.outreach.notice import Audience, Facts, Kind, Notice, NoticeFault, Skip, State, decide, rules_from
from bot.outreach.telling import Notices, body
from bot.storage.tx import Tx
from bot.texts import is_rtl
from bot.texts.refused import in_words

LOOKED_AT = 500  # customers of an audience whose lot is foretold
CHANNELS = ("web", "telegram", "slack")
Shown: TypeAlias = Callable[[datetime | None, ZoneInfo], str]
"""A moment as a field shows it."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """What would come of it, were it told now: of `of` customers looked at, and whether there are `more`."""

    of: int = 0
    told: int = 0
    skipped: Mapping[str, int] | None = None
    more: bool = False


async def listed(visit: Visit) -> Response:
    def query(conn: Any) -> tuple[list[Notice], Mapping[str, store.Progress]]:
        found = store.listing(conn, before=visit.query("before") or None)
        return found, store.progress(conn, [one.id for one in found])

    found, came = await visit.rooms.storage.read(query)
    rows = [
        {"notice": one, "came": came[one.id], "at": when(visit, one.starts_at or one.drafted_at), "by": _by(visit, one)}
        for one in found
    ]
    return await visit.page("notices.html", rows=rows)


def _by(visit: Visit, notice: Notice) -> str:
    if notice.source is not None:
        return visit.t("console_notice_by_alarm")
    return shown_who(notice.approved_by or notice.drafted_by)


async def begun(visit: Visit) -> Response:
    return await _editor(visit, _fresh(visit))


async def opened(visit: Visit) -> Response:
    return await _editor(visit, await _found(visit))


async def saved(visit: Visit) -> Response:
    """`do` is save | foretell. What cannot be told stands in the fields again, below the reason."""
    notice_id = visit.param("id")
    before = await _found(visit) if notice_id else _fresh(visit)
    by, notices = visit.person.who, _notices(visit)
    wanted, wrong = _written(visit, before)
    if wrong:
        return await _editor(visit, wanted, error=wrong)
    try:
        if notice_id:

            def change(tx: Tx) -> Notice:
                _must_be_as_seen(visit, store.held(tx, notice_id))
                return notices.change(tx, wanted, by)

            kept = await visit.rooms.storage.write(change)
        else:
            kept = await visit.rooms.storage.write(lambda tx: notices.draft(tx, wanted, by))
    except NoticeFault as fault:
        return await _editor(visit, wanted, error=visit.t(f"console_notice_wrong_{fault.at}"))
    except StafettError as refused:
        return await _editor(visit, wanted, error=in_words(str(refused), visit.locale))
    return visit.go(f"/notices/{kept.id}", "console_notice_saved")


async def decided(visit: Visit) -> Response:
    """`do` is approve | cancel."""
    do, notice_id, by = visit.form.one("do"), visit.param("id"), visit.person.who
    verbs = {"approve": _notices(visit).approve, "cancel": _notices(visit).cancel}
    if do not in verbs:
        raise Conflict(visit.t("console_stale"))

    def unit(tx: Tx) -> None:
        if do == "approve":
            _must_be_as_seen(visit, store.held(tx, notice_id))
        verbs[do](tx, notice_id, by)

    await visit.rooms.storage.write(unit)
    return visit.go(f"/notices/{notice_id}", f"console_notice_told_{do}")


def _must_be_as_seen(visit: Visit, now: Notice) -> None:
    """Two at one draft: nobody writes over the other's words, and nobody approves words that they have not seen."""
    seen = visit.form.one("seen")
    if seen and now.state is State.DRAFT and seen != _digest(now):
        raise Conflict("this notice was changed by somebody else meanwhile; load the page again, and look at it")


def _digest(notice: Notice) -> str:
    """Of all that a draft says."""
    texts, audience = sorted(notice.texts.items()), sorted(store.to_json(notice.audience).items())
    moments = [one and one.astimezone(UTC).isoformat() for one in (notice.starts_at, notice.ends_at)]
    return digest(notice.kind.value, notice.title, notice.flow, texts, audience, moments)


# ── the editor ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def _editor(visit: Visit, notice: Notice, error: str = "") -> Response:
    rules, storage = visit.rooms.rules, visit.rooms.storage
    draft = notice.state is State.DRAFT
    came = (await storage.read(lambda conn: store.progress(conn, [notice.id])))[notice.id]
    topics = await storage.read(store.topics)
    may_foretell = draft and notice.id and not notice.audience.fault
    zone, form = ZoneInfo(rules.time_zone), visit.form
    moments = {
        "starts": _field(notice.starts_at, zone),
        "ends": _field(notice.ends_at, zone),
        "since": _day_field(notice.audience.since, zone),
    }
    return await visit.page(
        "notice.html",
        status=409 if error else 200,
        notice=notice,
        seen=visit.form.one("seen") or _digest(notice),
        action=url_of("notices", notice.id) if notice.id else url_of("notices"),
        is_draft=draft,
        error=error,
        came=came,
        by=_by(visit, notice),
        topics=topics,
        flows=sorted(rules.flows.values(), key=lambda one: one.id),
        titled=lambda flow: titled(flow.title, visit.locale) or flow.id,
        teams=rules.teams,
        channels=CHANNELS,
        languages=[(one, NAMES.get(one, one), "rtl" if is_rtl(one) else "ltr") for one in rules.locales],
        slot=next(iter(notice.audience.slots.items()), ("", "")),
        **({name: form.one(name) for name in moments} if error else moments),
        zone=rules.time_zone,
        when=lambda at: when(visit, at),
        foretold=await storage.read(lambda conn: _foretell(visit, conn, notice)) if may_foretell else None,
        shown=_preview(visit, notice),
    )


def _foretell(visit: Visit, conn: Any, notice: Notice) -> Foretold:
    """The same decision as when it is told, made now for the first of those affected."""
    rules, now = visit.rooms.rules, visit.rooms.storage.clock()
    found, last = store.affected(conn, notice.audience, None, LOOKED_AT)
    lots: Counter[str] = Counter()
    for customer_id in found:
        known: Facts = store.facts(conn, notice.id, customer_id)
        lot = decide(notice, known, rules_from(rules.notices), now, ZoneInfo(rules.time_zone))
        lots[lot.reason if isinstance(lot, Skip) else ""] += 1
    told = lots.pop("", 0)
    return Foretold(len(found), told, dict(lots), more=last is not None)


def _preview(visit: Visit, notice: Notice) -> list[tuple[str, str, Sequence[Any]]]:
    """Per language: its code, and the posts as they look on the web."""
    now = visit.rooms.storage.clock()
    shown = []
    for locale, text in notice.texts.items():
        said = body(notice, Customer("", "", locale, now), visit.rooms.rules)
        if text.strip():
            shown.append(
                (locale, "rtl" if is_rtl(locale) else "ltr", visit.rooms.drawn["web"](said.text, said.choices))
            )
    return shown


# ── in and out of the form ─────────────────────────────────────────────────────────────────────────────────────────
def _fresh(visit: Visit) -> Notice:
    now = visit.rooms.storage.clock()
    return Notice("", Kind.INCIDENT, State.DRAFT, "", {}, Audience(), visit.person.who, now)


def _written(visit: Visit, before: Notice) -> tuple[Notice, str]:
    """What stands in the fields; and in a line what is wrong with a moment that is none, or ""."""
    form, zone = visit.form, ZoneInfo(visit.rooms.rules.time_zone)
    wrong: list[str] = []

    def moment(name: str, known: datetime | None, shown: Shown) -> datetime | None:
        try:
            return _moment(visit, name, zone, known, shown)
        except ValueError as error:
            wrong.append(str(error))
            return None

    texts = {one: form.one(f"text_{one}").strip() for one in visit.rooms.rules.locales}
    others = {key: text for key, text in before.texts.items() if key not in texts}  # of a language that is gone
    slot, value = form.one("slot").strip(), form.one("value").strip()
    more = dict(list(before.audience.slots.items())[1:])  # the form shows one
    channel, locale = form.one("channel") or None, form.one("locale") or None
    if form.one("who") == "everyone":
        audience = Audience(channel=channel, locale=locale, everyone=True)
    else:
        audience = replace(  # who waits for a problem or a wish is no field: it stays
            before.audience,
            everyone=False,
            topic=form.one("topic").strip() or None,
            flow=form.one("of_flow") or None,
            team=form.one("team") or None,
            since=moment("since", before.audience.since, _day_field),
            channel=channel,
            locale=locale,
            slots=more | ({slot: value} if slot else {}),
            customers=tuple(form.one("customers").split()),
        )
    wanted = Notice(
        id=before.id,
        kind=Kind.CAMPAIGN if form.one("kind") == Kind.CAMPAIGN else Kind.INCIDENT,
        state=State.DRAFT,
        title=" ".join(form.one("title").split()),
        texts={key: text for key, text in {**texts, **others}.items() if text},
        audience=audience,
        drafted_by=before.drafted_by,
        drafted_at=before.drafted_at,
        flow=form.one("flow") or None,
        source=before.source,
        starts_at=moment("starts", before.starts_at, _field),
        ends_at=moment("ends", before.ends_at, _field),
    )
    return wanted, next(iter(wrong), "")


def _moment(visit: Visit, name: str, zone: ZoneInfo, before: datetime | None, shown: Shown) -> datetime | None:
    """A day or a minute by the desk's clock, in UTC; a field that still shows `before` leaves it, to the second.

    Raises ValueError in a line for what is none.
    """
    written = visit.form.one(name)
    if not written:
        return None
    if written == shown(before, zone):
        return before
    try:
        at = datetime.fromisoformat(written)
        local = at if "T" in written or " " in written else datetime.combine(at.date(), time())
        return local.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):  # the year 1 east of Greenwich is no year in UTC
        raise ValueError(visit.t("console_notice_wrong_time", text=written[:40])) from None


def _day_field(at: datetime | None, zone: ZoneInfo) -> str:
    return "" if at is None else at.astimezone(zone).date().isoformat()


def _field(at: datetime | None, zone: ZoneInfo) -> str:
    return "" if at is None else at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


async def _found(visit: Visit) -> Notice:
    notice_id = visit.param("id")
    found = await visit.rooms.storage.read(lambda conn: store.notice(conn, notice_id))
    if found is None:
        raise NotFound(visit.t("console_notice_none"))
    return found


def _notices(visit: Visit) -> Notices:
    return Notices(lambda: visit.rooms.rules)


PAGES = (
    Page("/notices", listed, saved, menu="console_notices", group="console_group_mend"),
    Page("/notices/new", begun),
    Page("/notices/{id}", opened, saved),
    Page("/notices/{id}/decide", do=decided, role_to_do=Role.PUBLISHER),
)
