"""Wishes: the most wanted first, which may be one, and each with the words of those who have it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from bot.console.page import Visit
from bot.errors import Conflict
from bot.storage.tx import Tx
from surveys.console.seen import (
    digest_of,
    languages,
    message_in,
    moment,
    must_be_as_seen,
    notices_of,
    only_publishers,
    read,
    told,
)
from surveys.insights.records import store, wishing
from surveys.insights.records.nouns import Area, Wish, WishState
from surveys.insights.store import Reader

AREAS = [one.value for one in Area]


async def listed(visit: Visit) -> Response:
    def query(conn: Reader) -> tuple[list[Wish], list[tuple[Wish, Wish, float]]]:
        return store.wishes(conn), wishing.proposals(conn)

    found, pairs = await read(visit, query)
    asked = [one for one in found if one.state in wishing.ASKED]
    settled = [one for one in found if one.state not in wishing.ASKED]
    most = max((one.votes for one in asked), default=1) or 1
    return await visit.page("mend_wishes.html", asked=asked, settled=settled, pairs=pairs[:20], most=most)


async def begin(visit: Visit) -> Response:
    """`do` is add | merge."""
    form, by, storage = visit.form, visit.person.who, visit.rooms.storage
    if form.one("do") == "merge":
        into = await storage.write(lambda tx: wishing.merge(tx, form.one("id"), form.one("into"), by))
        return visit.go("/wishes", "mend_wishes_merged", title=into.title, votes=str(into.votes))
    made = await storage.write(lambda tx: wishing.add_wish(tx, form.one("title"), by))
    return visit.go(f"/wishes/{made.id}", "mend_wish_added")


async def show(visit: Visit) -> Response:
    wish_id = visit.param("id")

    def query(conn: Reader) -> dict[str, Any]:
        found = store.wish(conn, wish_id)
        others = [one for one in store.wishes(conn, wishing.ASKED) if one.id != wish_id]
        return {
            "wish": found,
            "votes": store.votes(conn, wish_id),
            "others": others,
            "came": told(conn, found.notice_id),
        }

    found = await read(visit, query)
    if found["wish"].state is WishState.MERGED:
        return visit.go(f"/wishes/{found['wish'].merged_into}")
    votes = [{"vote": one, "at": moment(visit, one.at)} for one in found["votes"]]
    return await visit.page(
        "mend_wish.html",
        **{**found, "votes": votes},
        areas=AREAS,
        languages=languages(visit, found["wish"].message),
        asked=found["wish"].state in wishing.ASKED,
        seen=digest_of(found["wish"]),
        shipped=moment(visit, found["wish"].shipped_at),
    )


async def change(visit: Visit) -> Response:
    """`do` is save | merge | part | ship | decline."""
    wish_id, by, form = visit.param("id"), visit.person.who, visit.form
    storage, here = visit.rooms.storage, f"/wishes/{visit.param('id')}"
    match form.one("do"):
        case "save":
            area = Area(form.one("area")) if form.one("area") in AREAS else None
            planned = form.one("state") == WishState.PLANNED.value
            title, message = form.one("title"), message_in(visit)

            def save(tx: Tx) -> None:
                must_be_as_seen(visit, store.held_wish(tx, wish_id))
                wishing.change_wish(tx, wish_id, by, title=title, area=area, message=message, planned=planned)

            await storage.write(save)
            return visit.go(here, "mend_kept")
        case "merge":
            into = await storage.write(lambda tx: wishing.merge(tx, wish_id, form.one("into"), by))
            return visit.go(f"/wishes/{into.id}", "mend_wishes_merged", title=into.title, votes=str(into.votes))
        case "part":
            made = await storage.write(lambda tx: wishing.part(tx, wish_id, form.one("vote"), by))
            return visit.go(f"/wishes/{made.id}", "mend_wish_parted")
        case "ship":
            only_publishers(visit)
            notices = notices_of(visit)

            def ship(tx: Tx) -> None:
                must_be_as_seen(visit, store.held_wish(tx, wish_id))
                wishing.ship(tx, notices, wish_id, by)

            await storage.write(ship)
            return visit.go(here, "mend_wish_shipped")
        case "decline":
            await storage.write(lambda tx: wishing.decline(tx, wish_id, by))
            return visit.go("/wishes", "mend_wish_declined")
    raise Conflict(visit.t("console_stale"))
