"""The web as a channel: its routes, and what app.py ties together."""

from __future__ import annotations

import asyncio
import contextlib
import html
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from string import Template
from typing import Any

import structlog
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from bot import strict_json
from bot.errors import DatabaseFault, NotAllowed, Refused, StafettError
from bot.events import CaseChanged, CustomerErased, CustomersMerged, TimelineGrew
from bot.inbox import Inbox
from bot.model import FileRef, Message
from bot.outbox import Part
from bot.settings import Settings
from bot.storage import customers
from bot.storage.engine import Storage
from bot.storage.files import StoredFile
from bot.storage.tx import Tx
from bot.texts import languages_of, match_any, match_locale
from channels.port import Delivery, Sent, Verdict
from channels.web import files, store
from channels.web.hub import Hub
from channels.web.sessions import Session, from_token, new_session, renewed, to_token, vouched_for, zone_of
from channels.web.socket import WidgetSocket

log = structlog.get_logger()
STATIC = Path(__file__).parent / "static"
SESSIONS_PER_MINUTE = 120  # of one address
GOING_AWAY = 1001
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
Joiner = Callable[[Tx, str, str, str], object]
CaseOf = Callable[[Any, str], dict[str, Any] | None]


class WebOutlet:
    """What is said on the web stands in the timeline; one row per message is the proof that it was shown."""

    via = "web"

    def parts(self, message: Message, address: str) -> Sequence[Part]:  # noqa: ARG002
        return (Part("show", {}),)

    def edits(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:  # noqa: ARG002
        return ()

    def deletes(self, message: Message, refs: Sequence[str], address: str) -> Sequence[Part]:  # noqa: ARG002
        return ()

    def lane(self, address: str) -> str:
        return f"web:{address}"

    def bucket(self, address: str) -> str | None:  # noqa: ARG002
        return None


class WebChannel:
    """`case_of(conn, customer_id)` gives the `case` object of the frames; `join(tx, winner, loser, evidence)` merges;
    `own_name()` is the desk's name, None for the demo desk.
    """

    name = "web"

    def __init__(
        self,
        settings: Settings,
        secret: str,
        storage: Storage,
        inbox: Inbox,
        *,
        case_of: CaseOf,
        join: Joiner,
        locales: Callable[[], Sequence[str]],
        own_name: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.storage = storage
        self.inbox = inbox
        self.case_of = case_of
        self.outlet = WebOutlet()
        self.hub = Hub()
        self.sockets: set[WidgetSocket] = set()
        self.bad_frames = 0
        self._secret = secret
        self._join = join
        self._locales = locales
        self._own_name = own_name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._asked: dict[str, tuple[float, int]] = {}
        self._stopping = False
        self._following: asyncio.Task[None] | None = None

    # ── Channel ────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def sender(self) -> WebChannel:
        return self

    @property
    def via(self) -> str:
        return "web"

    async def send(self, delivery: Delivery) -> Sent:
        msg = f"{delivery.id}: the web's rows are shown by its sockets, not sent"
        raise Refused(msg)

    async def resolve(self, delivery: Delivery) -> Sent | Verdict:  # noqa: ARG002
        return Verdict.WAIT

    async def start(self) -> None:
        self._stopping = False
        if self.storage.poll is not None:
            self._following = asyncio.create_task(self._follow(self.storage.poll.total_seconds()))

    async def _follow(self, seconds: float) -> None:
        """Other nodes write into these conversations too: look once a second, one query for all open sockets."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.look_around()
            except DatabaseFault:
                pass  # away; what was missed is found when it is back
            except Exception:  # who ends here leaves the widgets of this node without what others write
                log.exception("widgets: other nodes' writing not looked for")

    async def look_around(self) -> None:
        visitors = [one.visitor for one in self.sockets if one.visitor]
        if visitors:
            found = await self.storage.read(lambda conn: store.standing(conn, visitors))
            for socket in tuple(self.sockets):
                socket.compare(found.get(socket.visitor))

    async def stop(self) -> None:
        self._stopping = True
        if self._following is not None:
            self._following.cancel()
        for socket in tuple(self.sockets):
            await socket.close(GOING_AWAY, "restarting")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)

    def faults(self) -> Sequence[str]:
        return ()

    def routes(self) -> Sequence[BaseRoute]:
        return (
            Route("/", self._page),
            Route("/widget.js", self._widget),
            Route("/api/web/session", self._session, methods=["POST", "OPTIONS"]),
            WebSocketRoute("/api/web/ws", self._websocket),
            Route("/api/web/files", self._upload, methods=["POST", "OPTIONS"]),
            Route("/api/web/files/{file_id}", self._file, methods=["GET", "OPTIONS"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        )

    # ── what the house tells us (bot/app.py subscribes these) ──────────────────────────────────────────────────────
    def timeline_grew(self, tx: Tx, event: TimelineGrew) -> None:
        tx.after_commit(lambda: self.hub.hint(event.customer_id, "timeline", seq=event.seq))

    def case_changed(self, tx: Tx, event: CaseChanged) -> None:
        tx.after_commit(lambda: self.hub.hint(event.customer_id, "case", case=event.case_id))

    def merged(self, tx: Tx, event: CustomersMerged) -> None:
        """A visitor whose conversation became part of another's (or left it) counts from the beginning again."""
        visitors = store.visitors_of(tx, event.loser_id, undone=event.undone)
        for one in visitors:
            store.moved(tx, one)
        left = event.winner_id if event.undone else event.loser_id
        tx.after_commit(lambda: self._moved(visitors, left))

    def _moved(self, visitors: Sequence[str], left: str) -> None:
        for socket in tuple(self.sockets):
            if socket.visitor in visitors:
                socket.ended()
        self.hub.hint(left, "timeline")

    def erased(self, tx: Tx, event: CustomerErased) -> None:
        """A forgotten customer's open widgets begin anew, as strangers."""
        for channel, external_id in event.identities:
            if channel == self.name:
                store.moved(tx, external_id)
        tx.after_commit(lambda: self.hub.hint(event.customer_id, "moved"))

    # ── for the sockets ────────────────────────────────────────────────────────────────────────────────────────────
    async def session_of(self, token: str) -> Session:
        """The living session of a token. Raises NotAllowed."""
        session = from_token(token, self._secret, self.storage.clock())
        if await self.storage.read(lambda conn: store.is_dead(conn, session)):
            msg = "this session has ended"
            raise NotAllowed(msg)
        return session

    async def own_files(self, customer_id: str | None, ids: Sequence[str]) -> list[FileRef]:
        if not ids or customer_id is None:
            return []
        return await self.storage.read(lambda conn: store.refs(conn, list(ids), customer_id))

    def shown(self, session: Session | None, seq: int) -> None:
        if session is not None:
            self.background(self.storage.write(lambda tx: store.shown(tx, session.visitor, seq)))

    def background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # ── HTTP ───────────────────────────────────────────────────────────────────────────────────────────────────────
    async def _page(self, _request: Request) -> Response:
        """The demo shop, which tells of the demo desk's orders; a plain page where the desk is somebody's own."""
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": PAGE_POLICY}
        name = self._own_name()
        if name is None:
            return FileResponse(STATIC / "demo.html", headers=headers)
        page = Template((STATIC / "own.html").read_text("utf-8"))
        shown = page.substitute(name=html.escape(name), locales=html.escape(" ".join(self._locales())))
        return HTMLResponse(shown, headers=headers)

    async def _widget(self, _request: Request) -> Response:
        headers = {
            "Cache-Control": "public, max-age=300",
            "Access-Control-Allow-Origin": "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        return FileResponse(STATIC / "widget.js", media_type="text/javascript", headers=headers)

    def _cors(self, request: Request) -> dict[str, str]:
        """The headers for an origin that may embed the widget. Raises NotAllowed for any other."""
        origin = request.headers.get("origin")
        if origin is None:
            return {}  # not a page: a program, which needs a token all the same
        if origin not in self.settings.origins:
            msg = f"this origin may not embed the widget; add it to STAFETT_WEB_ORIGINS: {origin[:200]}"
            raise NotAllowed(msg)
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Headers": "authorization, content-type",
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }

    async def _session(self, request: Request) -> Response:
        try:
            cors = self._cors(request)
        except NotAllowed as error:
            return problem(403, str(error))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=cors)
        if not self._may_ask(request.client.host if request.client else ""):
            return problem(429, "too many sessions from this address; wait a minute", {**cors, "Retry-After": "60"})
        try:
            wanted = await json_object(request)
            answer = await self._begin(wanted, request.headers.get("accept-language", ""))
        except NotAllowed as error:
            return problem(401, str(error), cors)
        except DatabaseFault:
            return unavailable(cors)
        except StafettError as error:
            return problem(400, str(error), cors)
        return JSONResponse(answer, headers={**cors, "Cache-Control": "no-store"})

    async def _begin(self, wanted: Mapping[str, Any], accept_language: str) -> dict[str, Any]:
        token, identity, locale = (text_of(wanted, name) for name in ("token", "identity", "locale"))
        now = self.storage.clock()
        chosen = match_locale(locale, self._locales()) if locale else ""
        old = await self._known(token)
        if identity:
            session = await self._signed_in(identity, old, chosen)
        elif old is not None:
            if chosen and chosen != old.locale:
                await self.storage.write(lambda tx: self._speak(tx, old.visitor, chosen))
            session = renewed(old, now, chosen)
        else:
            session = new_session(now, chosen or match_any(languages_of(accept_language), self._locales()))
        session = replace(session, zone=zone_of(wanted.get("timezone")) or session.zone)
        named = await self.storage.read(lambda conn: self._who(conn, session))
        return {
            "token": to_token(session, self._secret),
            "expires_at": session.expires_at.isoformat().replace("+00:00", "Z"),
            "customer": {"name": named[0]},
            "locale": named[1],
        }

    async def _known(self, token: str | None) -> Session | None:
        """The session of a token that may go on. One whose conversation was joined with another begins anew."""
        if not token:
            return None
        now = self.storage.clock()
        try:
            session = from_token(token, self._secret, now)
        except NotAllowed:
            return None
        state = await self.storage.read(lambda conn: store.death(conn, session))
        if state == "revoked":
            return None
        if state == "moved":
            moved = await self.storage.read(lambda conn: store.moved_at(conn, session))
            begins = max(now, moved + timedelta(milliseconds=1)) if moved else now  # later than what ended the old one
            return new_session(begins, session.locale, session.visitor, session.name, session.email)
        return session

    async def _signed_in(self, identity: str, old: Session | None, locale: str) -> Session:
        secret = self.settings.web_identity_secret
        now = self.storage.clock()
        who = vouched_for(identity, secret.get_secret_value() if secret else None, now)
        visitor = f"u:{who['sub']}"
        session = new_session(now, locale or (old.locale if old else ""), visitor, who["name"], who["email"])
        if old is not None and old.visitor != visitor:
            await self.storage.write(lambda tx: self._adopt(tx, session, old))
        return session

    def _adopt(self, tx: Tx, session: Session, old: Session) -> None:
        """A visitor turned out to be somebody: their anonymous conversation becomes this somebody's."""
        store.revoke(tx, old.id, old.expires_at)
        tx.after_commit(lambda: self._end(old.id))
        before = customers.identity(tx.conn, "web", old.visitor)
        if before is None or old.signed:
            return
        known, _, _ = customers.resolve(tx, session.sender(), session.locale or "en")
        if known.id != before.customer_id:
            self._join(tx, known.id, before.customer_id, "signed")

    def _end(self, session_id: str) -> None:
        for socket in tuple(self.sockets):
            if socket.session_id == session_id:
                socket.ended()

    def appeared(self, visitor: str) -> None:
        """This visitor has a conversation now: their other tabs, which had none to watch, look again."""
        for socket in tuple(self.sockets):
            socket.appeared(visitor)

    def _speak(self, tx: Tx, visitor: str, locale: str) -> None:
        found = customers.identity(tx.conn, "web", visitor)
        if found is not None:
            tx.lock_customer(found.customer_id)
            customers.set_locale(tx, found.customer_id, locale)

    def _who(self, conn: Any, session: Session) -> tuple[str, str]:
        found = store.visitor(conn, session.visitor)
        who = customers.customer(conn, found.customer_id) if found else None
        fallback = session.locale or self._locales()[0]
        return (who.name, who.locale) if who else (session.name, fallback)

    def _may_ask(self, address: str) -> bool:
        minute = time.monotonic() // 60
        at, count = self._asked.get(address, (minute, 0))
        count = count + 1 if at == minute else 1
        if len(self._asked) > 10_000:
            self._asked.clear()
        self._asked[address] = (minute, count)
        return count <= SESSIONS_PER_MINUTE

    async def _websocket(self, websocket: WebSocket) -> None:
        origin = websocket.headers.get("origin")
        if self._stopping or (origin is not None and origin not in self.settings.origins):
            await websocket.close(1008)  # before accept: the handshake is answered with 403
            return
        await WidgetSocket(self, websocket).run()

    async def _upload(self, request: Request) -> Response:
        try:
            cors = self._cors(request)
        except NotAllowed as error:
            return problem(403, str(error))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=cors)
        try:
            session = await self.session_of(bearer(request))
            name, data = await read_upload(request)
            kind = files.sniff(data)
            file = await self.storage.write(lambda tx: self._keep(tx, session, name, kind, data))
        except NotAllowed as error:
            return problem(401, str(error), cors)
        except Refused as error:
            return problem(413 if "20 MB" in str(error) else 415, str(error), cors, code="file_refused")
        except DatabaseFault:
            return unavailable(cors)
        except StafettError as error:
            return problem(400, str(error), cors, code="file_refused")
        return JSONResponse({"id": file.id, "name": file.name, "type": file.type, "size": file.size}, headers=cors)

    def _keep(self, tx: Tx, session: Session, name: str, kind: str, data: bytes) -> FileRef:
        who, _, _ = customers.resolve(tx, session.sender(), session.locale or "en")
        today = store.uploaded_since(tx.conn, who.id, tx.now - timedelta(days=1))
        if today + len(data) > files.MAX_PER_DAY:
            msg = "too many files today; try again tomorrow"
            raise Refused(msg)
        return store.add_file(tx, who.id, name, kind, data)

    async def _file(self, request: Request) -> Response:
        try:
            cors = self._cors(request)
        except NotAllowed as error:
            return problem(403, str(error))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=cors)
        try:
            session = await self.session_of(bearer(request))
        except NotAllowed as error:
            return problem(401, str(error), cors)
        file_id = request.path_params["file_id"]
        known = file_id.isascii() and file_id.isprintable()  # PostgreSQL refuses to look for a NUL
        found = await self.storage.read(lambda conn: self._owned(conn, session, file_id)) if known else None
        if found is None or found.data is None:
            return problem(404, "there is no such file", cors)
        headers = {**cors, **files.headers(found.ref.name, found.ref.type)}
        return Response(found.data, media_type=found.ref.type, headers=headers)

    def _owned(self, conn: Any, session: Session, file_id: str) -> StoredFile | None:
        visitor = store.visitor(conn, session.visitor)
        return store.owned_file(conn, file_id, visitor.customer_id) if visitor else None


async def json_object(request: Request, limit: int = 1024 * 1024) -> dict[str, Any]:
    """The body as one JSON object of at most `limit` bytes. Raises StafettError."""
    try:
        value = strict_json.loads(b"".join([chunk async for chunk in at_most(request, limit)]) or b"{}")
    except (ValueError, Refused):
        value = None
    if not isinstance(value, dict):
        msg = "the body is one JSON object"
        raise StafettError(msg)
    return value


async def at_most(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes, whatever its Content-Length says. Raises Refused where it is longer."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            msg = f"the body is longer than {limit // 1024} KiB"
            raise Refused(msg)
        yield chunk


def text_of(wanted: Mapping[str, Any], name: str) -> str | None:
    value = wanted.get(name)
    if value is not None and not isinstance(value, str):
        msg = f"{name} is a string"
        raise StafettError(msg)
    return value or None


def bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        msg = "this needs the header Authorization: Bearer <web token>"
        raise NotAllowed(msg)
    return token.strip()


async def read_upload(request: Request) -> tuple[str, bytes]:
    """The one file of a multipart body. Raises Refused when it is too large, StafettError when there is none."""
    if int(request.headers.get("content-length") or 0) > files.MAX_UPLOAD + 65_536:
        msg = "a file is at most 20 MB"
        raise Refused(msg)
    try:
        stream = at_most(request, files.MAX_UPLOAD + 65_536)
        form = await MultiPartParser(request.headers, stream, max_files=1, max_fields=10).parse()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(form.close)
            upload = next((one for one in form.values() if isinstance(one, UploadFile)), None)
            if upload is None:
                msg = "the body is multipart/form-data with one file"
                raise StafettError(msg)
            data = await upload.read(files.MAX_UPLOAD + 1)
    except Refused as error:
        msg = "a file is at most 20 MB"
        raise Refused(msg) from error
    except (MultiPartException, AssertionError, KeyError, ValueError) as error:
        msg = "the body is multipart/form-data with one file"
        raise StafettError(msg) from error
    if len(data) > files.MAX_UPLOAD:
        msg = "a file is at most 20 MB"
        raise Refused(msg)
    if not data:
        msg = "the file is empty"
        raise StafettError(msg)
    return files.safe_name(upload.filename), data


def unavailable(headers: Mapping[str, str]) -> Response:
    return problem(503, "this could not be stored just now; try again", {**headers, "Retry-After": "5"})


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, code: str | None = None) -> Response:
    """RFC 9457."""
    body = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail}
    return JSONResponse(
        {**body, "code": code} if code else body, status, headers=headers, media_type="application/problem+json"
    )


TITLES = {
    400: "Bad request",
    401: "Unauthorised",
    403: "Forbidden",
    404: "Not found",
    413: "Too large",
    415: "Not accepted",
    429: "Too many requests",
    503: "Unavailable",
}
