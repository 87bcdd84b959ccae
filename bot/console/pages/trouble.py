"""What did not go as it should: the same list as `stafett audit`, with the two things that can be done about each."""

from __future__ import annotations

import re

from starlette.responses import Response

from bot.console import store
from bot.console.moments import when
from bot.console.page import Page, Visit
from bot.console.people import Role
from bot.errors import Conflict, NotFound
from bot.storage import trouble, trouble_raw
from bot.storage.tx import Tx

HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\U000e0000-\U000e007f]")
KINDS = ("uncertain", "failed", "delayed", "stuck", "dead", "gap")


def visible(text: str) -> str:
    """With letters that nobody sees, or that turn the line around, written out."""
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


async def show(visit: Visit) -> Response:
    storage = visit.rooms.storage
    now = storage.clock()
    found = await storage.read(lambda conn: trouble.find(conn, now))
    groups: dict[str, list[dict[str, str]]] = {}
    for one in found:
        row = {"id": one.id, "at": when(visit, one.at), "iso": one.at.isoformat(), "what": one.what, "why": one.why}
        groups.setdefault(one.kind, []).append(row)
    order = [*KINDS, *(kind for kind in groups if kind not in KINDS)]
    return await visit.page(
        "trouble.html", kinds=[(kind, groups[kind]) for kind in order if kind in groups], known=KINDS
    )


async def do(visit: Visit) -> Response:
    """Try one again, or give it up: `do` is retry | drop."""
    act, trouble_id = visit.form.one("do"), visit.form.one("id")
    done = {"retry": trouble.retry, "drop": trouble.drop}.get(act)
    if done is None:
        raise Conflict(visit.t("console_trouble_which"))

    def unit(tx: Tx) -> str:
        told = done(tx, trouble_id)
        store.note(tx, visit.person, "tried again" if act == "retry" else "given up", id=trouble_id)
        return told

    try:
        await visit.rooms.storage.write(unit)
    except NotFound:
        return visit.go("/trouble", "console_trouble_gone")
    return visit.go("/trouble", "console_trouble_retried" if act == "retry" else "console_trouble_dropped")


async def look(visit: Visit) -> Response:
    """What came, or was to be sent: a customer's words, so for those who can do something about it."""
    trouble_id = visit.query("id")
    copy = await visit.rooms.storage.read(lambda conn: trouble_raw.copy_of(conn, trouble_id))
    if copy is None:
        raise NotFound(visit.t("console_trouble_gone"))
    return await visit.page("trouble_look.html", id=trouble_id, copy=visible(copy))


PAGES = (
    Page("/trouble", show, do, role_to_do=Role.PUBLISHER, menu="console_trouble"),
    Page("/trouble/look", look, role=Role.PUBLISHER),
)
