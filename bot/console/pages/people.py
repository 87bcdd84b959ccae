"""Who may use the console: one-time links for people, and what each may do."""

from __future__ import annotations

import secrets

from starlette.responses import Response

from bot.console import store
from bot.console.moments import when
from bot.console.page import Page, Visit
from bot.console.people import Role, shown_who
from bot.console.sign_in import LONGEST_NAME
from bot.errors import Conflict
from bot.model import new_id
from bot.storage.tx import Tx


async def show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, link: str = "", link_name: str = "") -> Response:
    found = await visit.rooms.storage.read(store.people)
    rows = [
        {
            "id": one.id,
            "name": one.name,
            "role": one.role.word,
            "by": shown_who(one.invited_by),
            "seen": when(visit, one.seen_at) if one.seen_at is not None else "",
            "is_me": one.id == visit.person.id,
        }
        for one in found
    ]
    agents = [one.name for one in visit.rooms.rules.agents if one.role == "admin"]
    roles = [one.word for one in Role]
    return await visit.page("people.html", rows=rows, agents=agents, roles=roles, link=link, link_name=link_name)


async def change(visit: Visit) -> Response:
    """`do` is invite | link | role | remove. A link is shown once, on the answer itself: only its hash is kept."""
    do, storage, by = visit.form.one("do"), visit.rooms.storage, visit.person
    person_id = visit.form.one("id")
    if do == "invite":
        name, role = " ".join(visit.form.one("name").split())[:LONGEST_NAME], _role(visit)
        if not name:
            raise Conflict(visit.t("console_person_name"))
        token = secrets.token_urlsafe(32)
        await storage.write(lambda tx: store.invite(tx, new_id(), token, name, role, by))
        return await _page(visit, _link(visit, token), name)
    if do == "link":
        token = secrets.token_urlsafe(32)

        def again(tx: Tx) -> store.Listed:
            found = store.listed(tx.conn, person_id)
            store.add_link(tx, person_id, token)
            store.note(tx, by, "invited", person=found.name, role=found.role.word)
            return found

        found = await storage.write(again)
        return await _page(visit, _link(visit, token), found.name)
    if person_id == visit.person.id:
        raise Conflict(visit.t("console_person_self"))
    if do == "role":
        role = _role(visit)
        found = await storage.write(lambda tx: store.set_role(tx, person_id, role, by))
        return visit.go("/people", "console_role_set", name=found.name)
    if do == "remove":
        found = await storage.write(lambda tx: store.remove(tx, person_id, by))
        return visit.go("/people", "console_person_removed", name=found.name)
    raise Conflict(visit.t("console_stale"))


def _role(visit: Visit) -> Role:
    role = Role.named(visit.form.one("role"))
    if role is None:
        raise Conflict(visit.t("console_person_role"))
    return role


def _link(visit: Visit, token: str) -> str:
    return f"{visit.rooms.settings.url}/admin/join?token={token}"


PAGES = (
    Page(
        "/people",
        show,
        change,
        role=Role.ADMIN,
        role_to_do=Role.ADMIN,
        menu="console_people",
        group="console_group_people",
    ),
)
