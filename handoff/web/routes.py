"""`/desk` over HTTP: the page, signing in, what the page reads, and the door to the verbs.

    GET  /desk · /desk/join · /desk/static/…              the page, the one-time link, its parts
    GET  /desk/api/me · texts · cases · cases/{id} · events
    GET  /desk/api/cases/{id}/macros?q=  POST …/look       what helps who writes: see `helping`
    POST /desk/api/cases/{id}/{verb} · typing              see `verbs.VERBS`
    POST /desk/api/availability · sign-out · /desk/files    GET /desk/files/{id}?case={id}

Every call is an agent's: its session is checked and its agent looked up in desk.yaml, each time. Every POST comes from
our own page, with the session's token. The first refusal that applies is the answer: 401, 403, then what was asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bot.errors import Conflict, DatabaseFault, NotAllowed, NotFound, Refused, StafettError
from bot.settings import Settings
from bot.sheets import Sheets
from bot.storage.engine import Storage
from bot.texts import (
    FALLBACK,
    built_in,
    is_rtl,
    keys,
    languages_of,
    match_any,
    match_locale,
    placeholders,
    refused,
    say,
)
from channels.web import files
from channels.web.channel import json_object, read_upload
from channels.web.hub import Hub
from handoff import persons, store, terms
from handoff.availability import set_available
from handoff.case import AgentView, Case
from handoff.errands.verbs import Ended, NotTheirs
from handoff.steps import HeldByAnother, WroteMeanwhile
from handoff.web import alerts, asked, helping, pages, sheets, shown, sign_in
from handoff.web import store as own
from handoff.web.desk import WebDesk
from handoff.web.live import Live
from handoff.web.sign_in import AgentSession
from handoff.web.verbs import VERBS, LookAgain

LOCALES = ("en", "nl", "nb", "he")  # what the page speaks
POLL_S = 30  # the page reads everything so often, whatever it was told …
POLL_MANY_S = 4  # … and where other nodes may have written: hints stay inside a process
PREFIXES = ("desk_", "status_", "outcome_", "button_", "resolve_", "reply_", "note_", "channel_", "card_", "author_",
            "consult_", "task_", "errand_", "hint_", "mood_", "warn_", "held_", "macros_", "tip_", "verdict_")  # fmt: skip
OTHERS = ("taken_by", "taken_back", "too_late_to_undo", "not_delivered", "refused_over", "refused_claim_first",
          "home_busy", "more_done", "block_title", "block_sure", "merge_title", "merge_sure", "merge_number",
          "refused_reason_needed", "refused_empty", "refused_not_agent", "not_relayed_moved", "refused_no_case", "refused_same",
          "too_late_to_part", "refused_wrote_meanwhile")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seat:
    """Who asks: a living session, and its agent as desk.yaml has them now."""

    session: AgentSession
    agent: AgentView
    locale: str


Handler: TypeAlias = Callable[[Request, Seat], Awaitable[Response]]


class WebDeskRoutes:
    """`widgets` is the hub of the customers' web channel: typing passes through it, both ways. `forms` are other rooms'."""

    def __init__(
        self,
        storage: Storage,
        settings: Settings,
        secret: str,
        desk: WebDesk,
        desk_in_force: Callable[[], Any],
        widgets: Hub | None = None,
        forms: Callable[[], Sheets] | None = None,
    ) -> None:
        self._storage, self._settings, self._secret = storage, settings, secret
        self._desk_in_force, self._hub, self._widgets = desk_in_force, desk.hub, widgets
        self._live, self._forms = Live(desk.hub, widgets), forms
        self._cookie = sign_in.cookie_name(settings.url)
        self._how_in = "desk_door_slack" if settings.slack_on else "desk_door_text"

    def routes(self) -> Sequence[BaseRoute]:
        return (
            Route("/desk", self._page),
            Route("/desk/", self._page),
            Route("/desk/join", self._join, methods=["GET", "POST"]),
            Mount("/desk/static", StaticFiles(directory=pages.STATIC)),
            self._route("/desk/api/me", self._me),
            self._route("/desk/api/texts", self._texts),
            self._route("/desk/api/cases", self._cases),
            self._route("/desk/api/events", self._events),
            self._route("/desk/api/cases/{case_id}", self._case),
            self._route("/desk/api/cases/{case_id}/macros", self._macros),
            self._route("/desk/api/cases/{case_id}/look", self._look, "POST"),
            self._route("/desk/api/cases/{case_id}/typing", self._typing, "POST"),
            self._route("/desk/api/cases/{case_id}/{verb}", self._act, "POST"),
            *alerts.routes(self._route, self._storage, self._desk_in_force),
            *(sheets.routes(self._route, self._storage, self._forms) if self._forms else ()),
            self._route("/desk/api/availability", self._availability, "POST"),
            self._route("/desk/api/sign-out", self._sign_out, "POST"),
            self._route("/desk/files", self._upload, "POST"),
            self._route("/desk/files/{file_id}", self._file),
        )

    async def stop(self) -> None:
        """End the open streams: a server that drains would wait for them."""
        self._live.close()

    async def admin(self, request: Request) -> tuple[str, str] | None:
        """Id and name of the admin whose living session this request carries; the demo agent never signed in."""
        seat = await self._seat(request)
        is_admin = seat is not None and seat.agent.role == "admin" and not seat.session.demo
        return (seat.agent.id, seat.agent.name) if seat is not None and is_admin else None

    # ── who asks ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _route(self, path: str, handler: Handler, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            seat: Seat | None = None
            try:
                seat = await self._seat(request)
                if seat is None:
                    return pages.refusal(401, "sign in first, at /desk", "signed_out")
                if method == "POST" and not self._came_from_us(request, seat.session):
                    return pages.refusal(403, "this did not come from the desk's own page; reload it", "stale_page")
                return await handler(request, seat)
            except NotFound:
                return pages.not_found()
            except DatabaseFault as error:
                return pages.refusal(503, str(error), "unavailable")
            except Refused as error:
                return pages.refusal(413 if "20 MB" in str(error) else 415, str(error), "file_refused")
            except NotAllowed as error:
                return pages.refusal(403, _told(error, seat), "not_allowed")
            except Conflict as error:
                return pages.refusal(409, _told(error, seat), "conflict")
            except StafettError as error:
                return pages.refusal(400, _told(error, seat), getattr(error, "code", "bad_request"))

        return Route(path, endpoint, methods=[method])

    async def _seat(self, request: Request) -> Seat | None:
        """Who asks; None unless a living session of an agent whom desk.yaml lists."""
        try:
            session = sign_in.from_token(request.cookies.get(self._cookie, ""), self._secret, self._storage.clock())
        except NotAllowed:
            return None
        if session.demo and not self._is_newcomer(request):
            return None
        return await self._storage.read(lambda conn: self._seated(conn, session))

    def _seated(self, conn: store.Reader, session: AgentSession) -> Seat | None:
        desk = self._desk_in_force()
        if own.is_revoked(conn, session.id) or all(one.id != session.agent_id for one in terms.listed_agents(desk)):
            return None
        found = store.agents(conn, desk, self._storage.clock())
        agent = next((one for one in found if one.id == session.agent_id), None)
        return Seat(session, agent, self._language(agent)) if agent else None

    def _language(self, agent: AgentView) -> str:
        """The first of the agent's languages that the page speaks, else the desk's."""
        spoken = [match_locale(one, ("", *LOCALES)) for one in agent.locales]
        return next((one for one in spoken if one), match_locale(terms.agents_locale(self._desk_in_force()), LOCALES))

    def _is_newcomer(self, request: Request) -> bool:
        return sign_in.signs_in_by_itself(
            self._desk_in_force(),
            on_loopback=self._settings.on_loopback,
            peer=request.client.host if request.client else None,
            headers=request.headers,
        )

    def _came_from_us(self, request: Request, session: AgentSession) -> bool:
        ours = sign_in.from_our_page(request.headers, self._settings.url)
        return ours and sign_in.has_csrf(request.headers, session, self._secret)

    def _let_in(self, response: Response, session: AgentSession) -> Response:
        response.set_cookie(
            self._cookie,
            sign_in.to_token(session, self._secret),
            max_age=int(sign_in.LIFETIME.total_seconds()),
            path="/",
            secure=self._cookie.startswith("__Host-"),
            httponly=True,
            samesite="lax",
        )
        return response

    # ── pages ──────────────────────────────────────────────────────────────────────────────────────────────────────
    async def _page(self, request: Request) -> Response:
        seat = await self._seat(request)
        now = self._storage.clock()
        if seat is not None:
            page, session = pages.desk_page(), seat.session
            if now - session.issued_at > sign_in.RENEW_AFTER:
                session = replace(session, issued_at=now, expires_at=now + sign_in.LIFETIME)
                return self._let_in(page, session)
            return page
        demo = sign_in.demo_agent(self._desk_in_force()) if self._is_newcomer(request) else None
        if demo is not None:
            return self._let_in(pages.desk_page(), sign_in.new_session(demo, now, demo=True))
        return pages.door(_visitors_locale(request), "desk_door_title", self._how_in)

    async def _join(self, request: Request) -> Response:
        """Opening a link does nothing, for mail programs and previews open links too: the button uses it up."""
        locale = _visitors_locale(request)
        if request.method == "GET":
            token = request.query_params.get("token", "")
            now = self._storage.clock()
            agent_id = await self._storage.read(lambda conn: own.invited(conn, token, now)) if token else None
            listed = {one.id: one.name for one in terms.listed_agents(self._desk_in_force())}
            if agent_id not in listed:
                return pages.door(locale, "desk_door_dead", self._how_in, status=404)
            return pages.door(locale, "desk_join_title", "desk_join_text", token=token, name=str(listed[agent_id]))
        if not sign_in.from_our_page(request.headers, self._settings.url):
            return pages.door(locale, "desk_door_dead", self._how_in, status=403)
        form = parse_qs((await request.body())[:4096].decode("utf-8", "replace"))
        token = form.get("token", [""])[0]
        try:
            session = await self._storage.write(lambda tx: sign_in.accept(tx, token))
        except NotFound:
            return pages.door(locale, "desk_door_dead", self._how_in, status=404)
        return self._let_in(RedirectResponse("/desk", 303, headers={"Cache-Control": "no-store"}), session)

    async def _sign_out(self, _request: Request, seat: Seat) -> Response:
        session = seat.session
        await self._storage.write(lambda tx: own.revoke(tx, session.id, session.expires_at))
        gone = pages.answer({})
        gone.delete_cookie(self._cookie, path="/", secure=self._cookie.startswith("__Host-"), httponly=True)
        return gone

    # ── what is shown ──────────────────────────────────────────────────────────────────────────────────────────────
    async def _me(self, _request: Request, seat: Seat) -> Response:
        desk, now = self._desk_in_force(), self._storage.clock()
        agents, topics = await self._storage.read(lambda conn: (store.agents(conn, desk, now), own.topics(conn)))
        me = seat.agent
        return pages.answer(
            {
                "agent": {
                    "id": me.id,
                    "name": me.name,
                    "team": me.team,
                    "role": me.role,
                    "available": me.available,
                    "busy": me.busy,
                },
                "csrf": sign_in.csrf_token(seat.session, self._secret),
                "demo": seat.session.demo,
                "locale": seat.locale,
                "desk": str(getattr(desk, "name", "") or ""),
                "undo_s": terms.undo(desk).total_seconds(),
                "poll_s": POLL_S if self._storage.poll is None else POLL_MANY_S,
                "agents": shown.agent_rows(agents),
                "teams": [{"id": one.id, "name": one.name} for one in terms.teams(desk)],
                "topics": topics,
                "now": shown.iso(now),
            }
        )

    async def _texts(self, request: Request, seat: Seat) -> Response:
        """The page's words. Their placeholders stay: the page fills them in."""
        wanted = request.query_params.get("locale")
        locale = match_locale(wanted, LOCALES) if wanted else seat.locale
        mine = terms.texts(self._desk_in_force())
        chosen = [key for key in keys() if key.startswith(PREFIXES) or key in OTHERS]
        texts = {key: say(key, locale, mine, **_holes(key)) for key in chosen}
        return pages.answer({"locale": locale, "dir": "rtl" if is_rtl(locale) else "ltr", "texts": texts})

    async def _cases(self, request: Request, seat: Seat) -> Response:
        view = request.query_params.get("view", "queue")
        if view not in own.VIEWS:
            raise StafettError(f"view is one of {', '.join(own.VIEWS)}")
        desk = self._desk_in_force()
        found = await self._storage.read(lambda conn: shown.listing(conn, desk, view, seat.agent))
        return pages.answer({**found, "now": shown.iso(self._storage.clock())})

    async def _case(self, request: Request, seat: Seat) -> Response:
        limit = request.query_params.get("limit", "")
        many = min(int(limit), shown.MOST) if limit.isascii() and limit.isdigit() and int(limit) else shown.PAGE
        desk, case_id = self._desk_in_force(), request.path_params["case_id"]

        def query(conn: store.Reader) -> dict[str, Any]:
            case = store.case(conn, case_id)
            if case is None:
                raise NotFound(case_id)
            merged = persons.merged_lately(store.events(conn, case.id), self._storage.clock())
            return {**shown.whole(conn, desk, case, seat.agent, many), "merged": merged}

        return pages.answer({**await self._storage.read(query), "now": shown.iso(self._storage.clock())})

    async def _events(self, request: Request, seat: Seat) -> Response:
        if self._live.full:
            return pages.refusal(503, "too many open pages", "unavailable")

        async def still_in() -> bool:
            now = await self._seat(request)
            return now is not None and now.agent.id == seat.agent.id

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._live.stream(still_in), media_type="text/event-stream", headers=headers)

    # ── what agents do ─────────────────────────────────────────────────────────────────────────────────────────────
    async def _act(self, request: Request, seat: Seat) -> Response:
        case_id, verb = request.path_params["case_id"], VERBS.get(request.path_params["verb"])
        if verb is None:
            return pages.not_found()
        unit = verb(case_id, seat.agent.id, await json_object(request))
        try:
            return pages.answer(await self._storage.write(unit))
        except (Conflict, NotAllowed) as error:
            return await self._why(error, case_id, seat)

    async def _why(self, error: StafettError, case_id: str, seat: Seat) -> Response:
        """A refusal with the reason as a code, for the page to say it in its agent's language."""
        desk = self._desk_in_force()
        case = await self._storage.read(lambda conn: store.case(conn, case_id))
        name, code = "", "conflict"
        if isinstance(error, LookAgain):
            return pages.refusal(409, str(error), "look_again", {"warnings": error.warnings})
        if isinstance(error, Ended | NotTheirs):
            code, name = ("errand_ended", "") if isinstance(error, Ended) else ("errand_not_yours", error.owner)
        elif isinstance(error, WroteMeanwhile):
            code = "wrote_meanwhile"
        elif isinstance(error, HeldByAnother):
            code, name = "taken", error.holder
        elif case is not None and not case.live:
            code = "over"
        elif case is not None and case.agent_id not in {None, seat.agent.id}:
            holder = case.agent_id
            name, code = await self._storage.read(lambda conn: store.agent_name(conn, desk, holder)), "taken"
        elif case is not None and case.agent_id is None and "claim" in str(error):
            code = "claim_first"
        told = _told(error, seat)
        return pages.refusal(409 if isinstance(error, Conflict) else 403, told, code, {"agent": name})

    async def _macros(self, request: Request, seat: Seat) -> Response:
        """Saved replies for this case; those that `q` finds."""
        desk, query = self._desk_in_force(), request.query_params.get("q", "")
        case_id = request.path_params["case_id"]
        found = await self._storage.read(
            lambda conn: helping.saved(conn, desk, _case_in(conn, case_id), seat.agent, query)
        )
        return pages.answer({"items": found})

    async def _look(self, request: Request, _seat: Seat) -> Response:
        """What seems odd in words that are being written."""
        body, case_id, desk = await json_object(request), request.path_params["case_id"], self._desk_in_force()
        words = asked.words(body)
        return pages.answer(
            await self._storage.read(lambda conn: helping.looked(conn, desk, _case_in(conn, case_id), words))
        )

    async def _typing(self, request: Request, seat: Seat) -> Response:
        """Colleagues see who is at it; the customer does too, while the holder writes to them (not a note)."""
        body, case_id = await json_object(request), request.path_params["case_id"]
        case = await self._storage.read(lambda conn: store.case(conn, case_id))
        if case is None:
            return pages.not_found()
        me = seat.agent
        self._hub.hint(case.customer_id, "at_it", case=case.id, agent=me.id, name=me.name)
        if self._widgets is not None and body.get("note") is not True and case.with_people and case.agent_id == me.id:
            self._widgets.hint(case.customer_id, "typing", who="agent", name=me.name)
        return pages.answer({})

    async def _availability(self, request: Request, seat: Seat) -> Response:
        body = await json_object(request)
        if not isinstance(body.get("available"), bool):
            raise StafettError("available is true or false")
        here, busy = body["available"], body["available"] and body.get("busy") is True
        await self._storage.write(lambda tx: set_available(tx, seat.agent.id, here, busy=busy, name=seat.agent.name))
        return pages.answer({"available": here, "busy": busy})

    # ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────
    async def _upload(self, request: Request, seat: Seat) -> Response:
        name, data = await read_upload(request)
        kind = files.sniff(data)
        file = await self._storage.write(lambda tx: own.add_upload(tx, seat.agent.id, name, kind, data))
        return pages.answer(shown.file_row(file))

    async def _file(self, request: Request, _seat: Seat) -> Response:
        file_id, case_id = request.path_params["file_id"], request.query_params.get("case", "")

        def query(conn: store.Reader) -> Any:
            case = store.case(conn, case_id)
            return own.file_in_timeline(conn, file_id, case.customer_id) if case else None

        found = await self._storage.read(query)
        if found is None or found[1] is None:
            return pages.not_found()
        headers = files.headers(found[0].name, found[0].type, to_colleagues=True)
        headers |= {"Cross-Origin-Resource-Policy": "same-origin"}
        return Response(found[1], media_type=found[0].type, headers=headers)


def _holes(key: str) -> dict[str, str]:
    """Each placeholder of a sentence of ours, standing for itself."""
    named = {name for template in built_in(key).values() for name in placeholders(template)}
    return {name: f"{{{{ {name} }}}}" for name in named}


def _case_in(conn: store.Reader, case_id: str) -> Case:
    """Raises NotFound."""
    found = store.case(conn, case_id)
    if found is None:
        raise NotFound(case_id)
    return found


def _told(error: StafettError, seat: Seat | None) -> str:
    """Why, in the language of the agent's page."""
    return refused.in_words(str(error), seat.locale if seat is not None else FALLBACK)


def _visitors_locale(request: Request) -> str:
    return match_any(languages_of(request.headers.get("accept-language", "")), LOCALES)
