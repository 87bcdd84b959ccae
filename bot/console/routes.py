"""The console's door: who comes in, what they may, and the pages behind it (`pages/__init__.py` lists them)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bot.console import store
from bot.console.drafting import Drafting
from bot.console.page import (
    HERE,
    LOCALES,
    Draw,
    Form,
    Frame,
    Page,
    Rooms,
    Shell,
    View,
    Visit,
    Wing,
    form_of,
    given_csrf,
    is_part,
)
from bot.console.pages import PAGES, in_order
from bot.console.people import Person, Role
from bot.console.sign_in import LIFETIME, LONGEST_NAME, Doorkeeper, Session, from_our_page, password_of
from bot.desk_folder.watch import DeskInForce
from bot.errors import Conflict, DatabaseFault, NotAllowed, NotFound, StafettError
from bot.settings import Settings
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from bot.texts import languages_of, match_any, refused, say

LANGUAGE_COOKIE = "stafett-admin-lang"
YEAR = 365 * 86_400  # seconds
STATUS: Mapping[type[StafettError], int] = {NotAllowed: 403, NotFound: 404, Conflict: 409, DatabaseFault: 503}


AT_DESK = "desk:"
"""Begins the id of a person who came in by their session at the agents' desk; an agent's id follows."""

AtDesk: TypeAlias = Callable[[Request], Awaitable[tuple[str, str] | None]]
"""Id and name of the admin whose session at the agents' desk a request carries."""


class Console:
    """`overview()` gives what the first page shows: what does not work, the figures, the desk. `wings`: others' pages."""

    def __init__(
        self,
        settings: Settings,
        secret: str,
        storage: Storage,
        desk: DeskInForce,
        overview: View,
        drawn: Mapping[str, Draw] | None = None,
        admin_at_desk: AtDesk | None = None,
        wings: Sequence[Wing] = (),
    ) -> None:
        self._settings = settings
        self._door = Doorkeeper(settings, secret, lambda: self.password)
        self._admin_at_desk = admin_at_desk
        self._rooms = Rooms(settings, storage, desk, Drafting(storage, desk), overview, drawn or {})
        self._wings = wings
        self._pages = in_order((*(page for wing in wings for page in wing.pages), *PAGES))
        templates = [wing.templates for wing in wings]
        self._shell = Shell(self._pages, self._door.told_cookie, self._door.tell, templates)

    @property
    def password(self) -> str:
        return self._kept[0]

    @property
    def password_file(self) -> Path | None:
        """Where the password stands if it was made by us. Raises SettingsFault: it can't be kept."""
        return self._kept[1]

    @cached_property
    def _kept(self) -> tuple[str, Path | None]:
        """Only when it is asked for: a start that is refused leaves no file behind."""
        return password_of(self._settings)

    def routes(self) -> Sequence[BaseRoute]:
        return (
            Route("/admin/", lambda _request: RedirectResponse("/admin", 307)),
            Route("/admin/sign-in", self._sign_in, methods=["GET", "POST"]),
            Route("/admin/join", self._join, methods=["GET", "POST"]),
            Route("/admin/sign-out", self._sign_out, methods=["POST"]),
            *(
                Mount(f"/admin/static/{one.name}", StaticFiles(directory=one.static))
                for one in self._wings
                if one.static
            ),
            Mount("/admin/static", StaticFiles(directory=HERE / "static")),
            *(self._route(page) for page in self._pages),
            Route("/admin/{rest:path}", self._nowhere),
        )

    # ── coming in ──────────────────────────────────────────────────────────────────────────────────────────────────
    async def _sign_in(self, request: Request) -> Response:
        if request.method == "GET":
            return RedirectResponse("/admin", 303)
        address = request.client.host if request.client else ""
        if not from_our_page(request.headers, self._settings.origins):
            return await self._door_page(request, 403, "console_door_elsewhere")
        if not self._door.may_try(address, time.monotonic()):
            return await self._door_page(request, 429, "console_door_wait")
        form = await _small_form(request)
        if form.one("by") == "desk":
            return await self._sign_in_from_desk(request, _inside(form.one("then")))
        if not self._door.is_right(form.one("password"), address, time.monotonic()):
            return await self._door_page(request, 401, "console_door_wrong")
        name = " ".join(form.one("name").split())[:LONGEST_NAME]
        person = _holder(name, self._language(request))
        await self._rooms.storage.write(lambda tx: store.note(tx, person, "signed in"))
        return self._let_in(self._door.begin("", name), _inside(form.one("then")))

    async def _sign_in_from_desk(self, request: Request, then: str) -> Response:
        """An admin who is signed in at the agents' desk needs no password here."""
        found = await self._admin_at_desk(request) if self._admin_at_desk is not None else None
        if found is None:
            return await self._door_page(request, 401, "console_door_not_at_desk")
        person = Person(f"{AT_DESK}{found[0]}", found[1], Role.ADMIN)
        await self._rooms.storage.write(lambda tx: store.note(tx, person, "signed in"))
        return self._let_in(self._door.begin(person.id, person.name), then)

    async def _join(self, request: Request) -> Response:
        """Opening a link does nothing, for mail programs and previews open links too: the button uses it up."""
        storage, locale = self._rooms.storage, self._language(request)
        if request.method == "GET":
            token, now = request.query_params.get("token", ""), storage.clock()
            found = await storage.read(lambda conn: store.invited(conn, token, now)) if token else None
            if found is None:
                return self._shell.html("door.html", locale, 404, then="", error="console_door_dead", token="", who="")
            return self._shell.html("door.html", locale, then="", error="", token=token, who=found.name)
        if not from_our_page(request.headers, self._settings.origins):
            return await self._door_page(request, 403, "console_door_elsewhere")
        token = (await _small_form(request)).one("token")

        def unit(tx: Any) -> store.Listed | None:
            found = store.use_link(tx, token)
            if found is not None:
                store.seen(tx, found.id)
                store.note(tx, Person(found.id, found.name, found.role), "signed in")
            return found

        joined = await storage.write(unit)
        if joined is None:
            return self._shell.html("door.html", locale, 404, then="", error="console_door_dead", token="", who="")
        return self._let_in(self._door.begin(joined.id, joined.name), "/admin")

    def _let_in(self, session: str, to: str) -> Response:
        answer = RedirectResponse(to, 303, {"Cache-Control": "no-store"})
        secure = self._door.secure
        answer.set_cookie(self._door.cookie, session, max_age=LIFETIME, httponly=True, secure=secure, samesite="lax")
        return answer

    async def _sign_out(self, request: Request) -> Response:
        answer = RedirectResponse("/admin", 303)
        session = self._door.session(request.cookies)
        if session is not None and from_our_page(request.headers, self._settings.origins):
            until = self._rooms.storage.clock() + timedelta(seconds=LIFETIME)
            seated = await self._seat(session, request)

            def unit(tx: Tx) -> None:
                store.revoke(tx, session.id, until)
                if seated is not None:
                    store.note(tx, seated[0], "signed out")

            await self._rooms.storage.write(unit)
            answer.delete_cookie(self._door.cookie, secure=self._door.secure, httponly=True, samesite="lax")
        return answer

    async def _door_page(self, request: Request, status: int, error: str = "") -> Response:
        then = request.url.path if request.method == "GET" else ""
        at_desk = await self._admin_at_desk(request) if self._admin_at_desk is not None else None
        who = at_desk[1] if at_desk is not None else ""
        page = self._shell.html("door.html", self._language(request), status, then=then, error=error, token="", who=who)
        return _in_their_language(page, request)

    # ── being in ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _route(self, page: Page) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return await self._visited(request, page)
            except StafettError as error:
                line = refused.in_words(str(error), self._language(request))
                return self._refusal(request, STATUS.get(type(error), 400), line)

        methods = [name for name, handler in (("GET", page.show), ("POST", page.do)) if handler is not None]
        return Route("/admin" if page.path == "/" else f"/admin{page.path}", endpoint, methods=methods)

    async def _visited(self, request: Request, page: Page) -> Response:
        """The first refusal that applies is the answer: 401, 403, then what was asked."""
        session = self._door.session(request.cookies)
        seated = await self._seat(session, request) if session is not None else None
        if session is None or seated is None:
            return await self._door_page(request, 401)
        person, drafts = seated
        doing = request.method == "POST"
        if not person.may(page.role_to_do if doing else page.role):
            raise NotAllowed(say("console_not_allowed", self._language(request), None, role=person.role.word))
        form = await form_of(request) if doing else Form()
        if doing and not self._is_ours(request, form, session):
            raise NotAllowed(say("console_stale", self._language(request)))
        frame = Frame(drafts, self._door.told(request.cookies), self._door.csrf(session.id), self._banner())
        visit = Visit(request, self._rooms, person, session, self._language(request), form, frame, self._shell)
        handler = page.do if doing else page.show
        assert handler is not None  # the route takes no other method
        return _in_their_language(await handler(visit), request)

    async def _seat(self, session: Session, request: Request) -> tuple[Person, int] | None:
        """Who they are now, and how many files are changed; None for a session that was ended, and for who was removed."""
        storage = self._rooms.storage

        def read(conn: Any) -> tuple[store.Listed | None, bool, int]:
            listed = store.person(conn, session.person_id) if session.person_id else None
            return listed, store.is_revoked(conn, session.id), store.count_changes(conn)

        listed, revoked, drafts = await storage.read(read)
        if not revoked and session.person_id.startswith(AT_DESK):
            admin = self._still_admin(session.person_id.removeprefix(AT_DESK))
            return None if admin is None else (admin, drafts)
        if revoked or (session.person_id and listed is None):
            return None
        if listed is None:
            return _holder(session.name, self._language(request)), drafts
        if listed.seen_at is None or storage.clock() - listed.seen_at > store.SEEN_EVERY:
            await storage.write(lambda tx: store.seen(tx, session.person_id))
        return Person(listed.id, listed.name, listed.role), drafts

    def _still_admin(self, agent_id: str) -> Person | None:
        """An agent whom desk.yaml calls an admin, as it stands now."""
        agents = self._rooms.rules.agents
        found = next((one for one in agents if one.id == agent_id and one.role == "admin"), None)
        return None if found is None else Person(f"{AT_DESK}{found.id}", found.name, Role.ADMIN)

    def _is_ours(self, request: Request, form: Form, session: Session) -> bool:
        ours = from_our_page(request.headers, self._settings.origins)
        return ours and self._door.has_csrf(given_csrf(request, form), session.id)

    def _banner(self) -> str:
        drafting = self._rooms.drafting
        if drafting.is_builtin:
            return "console_builtin"
        return "" if drafting.is_writable() else "console_read_only"

    async def _nowhere(self, request: Request) -> Response:
        if self._door.session(request.cookies) is None:
            return await self._door_page(request, 401)
        return self._refusal(request, 404, say("console_nowhere", self._language(request)))

    def _refusal(self, request: Request, status: int, line: str) -> Response:
        template = "refusal_part.html" if is_part(request) else "refusal.html"
        return self._shell.html(template, self._language(request), status, line=line)

    def _language(self, request: Request) -> str:
        """What they chose, else the browser's first language that the console speaks, else English."""
        wanted = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
        if wanted in LOCALES:
            return str(wanted)
        return match_any(languages_of(request.headers.get("accept-language", "")), LOCALES)


def _holder(name: str, locale: str) -> Person:
    """Whoever has the password."""
    return Person("password", name or say("console_admin", locale), Role.ADMIN)


def _in_their_language(answer: Response, request: Request) -> Response:
    """Keep the language that somebody chose by a link."""
    if request.query_params.get("lang") in LOCALES:
        answer.set_cookie(LANGUAGE_COOKIE, request.query_params["lang"], max_age=YEAR, httponly=True, samesite="lax")
    return answer


def _inside(path: str) -> str:
    """Where to go after signing in: a place of the console, nothing else."""
    parts = urlsplit(path)
    inside = not parts.scheme and not parts.netloc and (parts.path == "/admin" or parts.path.startswith("/admin/"))
    return path if inside and "\\" not in path else "/admin"


async def _small_form(request: Request) -> Form:
    try:
        return await form_of(request)
    except Conflict:
        return Form()
