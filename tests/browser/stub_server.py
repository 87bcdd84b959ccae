"""A stand-in for the product's web channel that speaks its HTTP and frames, and misbehaves on request.

Everything lies in memory and in plain sight: a test reads what the widget sent in `frames`, and speaks as bot or
agent with `say`. The switches (`swallow`, `skip`, `deaf`, `refuse`) are the faults a real network has.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from aiohttp import WSMsgType, web

STATIC = Path(__file__).parents[2] / "channels" / "web" / "static"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
HOST_PAGE = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Host</title><body><h1>A page of somebody else</h1><script src="/widget.js" async {data}></script>"""

Frame = dict[str, Any]


@dataclass
class Visitor:
    """One customer: the story so far, and the sockets that are told of it."""

    token: str
    locale: str = "en"
    name: str | None = None
    story: list[Frame] = field(default_factory=list)
    seen_ids: dict[str, tuple[str, int]] = field(default_factory=dict)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    case: Frame | None = None


class StubServer:
    def __init__(self) -> None:
        self.visitors: dict[str, Visitor] = {}
        self.files: dict[str, tuple[str, str, bytes]] = {}
        self.ids = (f"m{number}" for number in itertools.count(1))
        self.known: dict[str, Visitor] = {}  # identity → whom the host page vouches for
        self.hellos: list[Frame] = []
        self.sessions: list[Frame] = []
        self.swallow = 0  # so many messages are stored, but neither acknowledged nor echoed, and the line drops
        self.skip: set[int] = set()  # seqs that are not sent live (a replay has them)
        self.echo = True  # whether the sender's own socket gets its message as a frame, besides the ack
        self.deaf = False  # the line looks alive, and nothing that is sent arrives
        self.refuse: Callable[[Frame], Frame | None] = lambda _frame: None
        self.down = False
        self.csp = CSP  # the host page's
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=25 * 2**20)
        app.add_routes(
            [
                web.get("/", self.host_page),
                web.get("/demo", self.demo_page),
                web.get("/widget.js", self.widget),
                web.static("/static", STATIC),
                web.post("/api/web/session", self.session),
                web.get("/api/web/ws", self.socket),
                web.post("/api/web/files", self.upload),
                web.get("/api/web/files/{id}", self.download),
            ]
        )
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://localhost:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        await self.runner.cleanup()

    @property
    def visitor(self) -> Visitor:
        """The only visitor of a test, or the latest."""
        return list(self.visitors.values())[-1]

    # What a test does as bot, agent or network.

    async def say(
        self, text: str, *, kind: str = "bot", name: str = "", visitor: Visitor | None = None, **more: Any
    ) -> Frame:
        who = visitor or self.visitor
        frame = {
            "type": "message", "id": next(self.ids), "author": {"kind": kind, "name": name}, "channel": "web",
            "text": text, "html": "", "choices": None, "files": [], "at": now(), "survey": None, **more,
        }  # fmt: skip
        return await self.add(who, frame)

    async def survey(self, low: int = 1, high: int = 7) -> Frame:
        return await self.say(
            "How easy was it to get help today?",
            choices=[{"value": str(score), "label": str(score)} for score in range(low, high + 1)],
            survey={"id": "s1", "instrument": "ces7", "min": low, "max": high, "low": "Very hard", "high": "Very easy"},
        )

    async def add(self, who: Visitor, frame: Frame, *, but: web.WebSocketResponse | None = None) -> Frame:
        frame = {**frame, "seq": len(who.story) + 1}
        who.story.append(frame)
        if frame["seq"] not in self.skip:
            await self.tell(who, frame, but=but)
        return frame

    async def tell(self, who: Visitor, frame: Frame, *, but: web.WebSocketResponse | None = None) -> None:
        for socket in list(who.sockets):
            if socket is not but:
                with suppress(ConnectionError):
                    await socket.send_json(frame)

    async def case(self, **case: Any) -> None:
        self.visitor.case = {"id": "c1", "position": None, "wait_s": None, "agent": None, **case}
        await self.tell(self.visitor, {"type": "case", **self.visitor.case})

    async def cut(self, code: int = 1012) -> None:
        for visitor in self.visitors.values():
            for socket in list(visitor.sockets):
                await asyncio.wait_for(socket.close(code=code), 5)

    # What a browser asks for.

    async def host_page(self, request: web.Request) -> web.Response:
        data = " ".join(f'data-{key}="{value}"' for key, value in request.query.items() if key != "lang")
        text = HOST_PAGE.format(lang=request.query.get("lang", "en"), data=data)
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": self.csp})

    async def demo_page(self, _request: web.Request) -> web.Response:
        text = (STATIC / "demo.html").read_text("utf-8")
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": CSP})

    async def widget(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "widget.js")

    async def session(self, request: web.Request) -> web.Response:
        if self.down:
            return web.Response(status=503)
        body = await request.json()
        self.sessions.append(body)
        visitor = self.known.get(body.get("identity") or "") or self.visitors.get(body.get("token") or "")
        if visitor is None:
            visitor = Visitor(token=f"token-{len(self.sessions)}")
            self.visitors[visitor.token] = visitor
        visitor.locale = body.get("locale") or visitor.locale
        answer = {
            "token": visitor.token,
            "expires_at": now(),
            "customer": {"name": visitor.name},
            "locale": visitor.locale,
        }
        return web.json_response(answer)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return web.Response(status=503)
        socket = web.WebSocketResponse(max_msg_size=65536, compress=False)
        await socket.prepare(request)
        hello = await socket.receive_json()
        self.hellos.append(hello)
        visitor = self.visitors.get(hello["token"])
        if visitor is None:
            await socket.send_json({"type": "error", "code": "unauthorised", "message": "unknown token"})
            await socket.close(code=4401)
            return socket
        await socket.send_json(
            {"type": "ready", "customer": {"name": visitor.name}, "case": visitor.case, "last_seq": len(visitor.story)}
        )
        for frame in visitor.story[hello["after"] :]:
            await socket.send_json(frame)
        visitor.sockets.append(socket)
        try:
            async for packet in socket:
                if packet.type is WSMsgType.TEXT:
                    await self.take(visitor, socket, json.loads(packet.data))
        finally:
            visitor.sockets.remove(socket)
        return socket

    async def take(self, visitor: Visitor, socket: web.WebSocketResponse, frame: Frame) -> None:
        if self.deaf:
            return
        visitor.frames.append(frame)
        if frame["type"] not in {"message", "choice"}:
            return
        if refusal := self.refuse(frame):
            await socket.send_json({"type": "error", "id": frame["id"], **refusal})
            return
        text = frame.get("text", frame.get("value"))
        known = visitor.seen_ids.get(frame["id"])
        if known and known[0] != text:
            await socket.send_json({"type": "error", "id": frame["id"], "code": "conflict", "message": "other text"})
            return
        seq = known[1] if known else len(visitor.story) + 1
        if not known:
            visitor.seen_ids[frame["id"]] = (text, seq)
            silent = self.swallow > 0
            but = None if self.echo and not silent else socket
            files = [
                {"id": key, "name": self.files[key][0], "type": self.files[key][1], "size": len(self.files[key][2])}
                for key in frame.get("files", [])
            ]
            author = {"kind": "customer", "name": ""}
            message = {"type": "message", "id": next(self.ids), "author": author, "channel": "web", "text": text, "html": "", "choices": None, "files": files, "at": now(), "survey": None}  # fmt: skip
            await self.add(visitor, message, but=but)
            if silent:
                self.swallow -= 1
                await socket.close(code=1012)
                return
        await socket.send_json({"type": "ack", "id": frame["id"], "seq": seq})

    def authorised(self, request: web.Request) -> bool:
        return request.headers.get("Authorization", "").removeprefix("Bearer ") in self.visitors

    async def upload(self, request: web.Request) -> web.Response:
        if not self.authorised(request):
            return web.Response(status=401)
        part = await (await request.multipart()).next()
        content = await part.read()
        if part.filename.endswith(".exe"):
            return web.json_response({"error": {"code": "file_refused"}}, status=415)
        key = f"f{len(self.files) + 1}"
        self.files[key] = (part.filename, part.headers["Content-Type"], bytes(content))
        return web.json_response({"id": key, "name": part.filename, "type": self.files[key][1], "size": len(content)})

    async def download(self, request: web.Request) -> web.Response:
        if not self.authorised(request):
            return web.Response(status=404)
        name, kind, content = self.files[request.match_info["id"]]
        return web.Response(
            body=content, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )


def now() -> str:
    return datetime.now(UTC).isoformat()
