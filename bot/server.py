"""The one ASGI server: the widget and its socket, the platforms' webhooks, the desk, the API, the operator's pages.

Bare Starlette routes; FastAPI is imported only where the API is on. uvicorn runs it on a socket that is bound before
anything else is done: a taken port is one line, and nothing has been changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hmac
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from bot.errors import SettingsFault
from bot.settings import LOOPBACK, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bot.app import App

log = structlog.get_logger()
MAX_FRAME = 128 * 1024  # bytes; a frame over 64 KiB gets an error, one over this closes the socket (1009)
GRACE = 10  # seconds that running requests may take when the server stops
YOUNG = 10_000  # objects before the collector looks at them: 64 requests under way hold more than Python's 700
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"strict-origin-when-cross-origin")]


def asgi(app: App) -> Doors:
    """The whole outside of one App."""
    channels = list(app.routes())
    routes: list[BaseRoute] = [
        Route("/healthz", lambda _request: PlainTextResponse("ok")),
        Route("/readyz", _ready(app)),
        Route("/metrics", _metrics(app)),
        Mount("/api/v1", app=app.api() or _not_here),
        *channels,
    ]
    middleware = [Middleware(PlainHeaders), Middleware(GZipMiddleware, minimum_size=1_000)]
    return Doors(channels, Starlette(routes=routes, middleware=middleware, exception_handlers={Exception: _unexpected}))


def _ready(app: App) -> Callable[[Request], Any]:
    async def ready(_request: Request) -> Response:
        """200 when this process can do its job, 503 with the reasons when it can't."""
        reasons = await app.unready()
        body = {"ready": not reasons, "reasons": reasons, "faults": app.faults()}
        return JSONResponse(body, 503 if reasons else 200)

    return ready


def _metrics(app: App) -> Callable[[Request], Any]:
    async def metrics(request: Request) -> Response:
        if not may_see_metrics(request, app.settings):
            return PlainTextResponse("metrics are shown on loopback, or with the API token\n", 401)
        return Response(await app.figures(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return metrics


def may_see_metrics(request: Request, settings: Settings) -> bool:
    """From loopback and not through a proxy, or with the API token."""
    forwarded = any(name in request.headers for name in ("x-forwarded-for", "forwarded", "via"))
    if request.client is not None and request.client.host in LOOPBACK and not forwarded:
        return True
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    token = settings.api_token
    return (
        token is not None
        and scheme.lower() == "bearer"
        and hmac.compare_digest(given.encode(), token.get_secret_value().encode())
    )


async def _not_here(scope: Scope, receive: Receive, send: Send) -> None:
    """The API is off: STAFETT_API_TOKEN is not set."""
    body = {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "the API is off; set STAFETT_API_TOKEN",
    }
    await JSONResponse(body, 404, media_type="application/problem+json")(scope, receive, send)


async def _unexpected(_request: Request, error: Exception) -> Response:
    """What nobody foresaw: an id for the log, and no detail outside."""
    from bot.model import new_id

    error_id = new_id()
    log.error("unexpected error", error_id=error_id, exc_info=error)
    body = {"type": "about:blank", "title": "Internal error", "status": 500, "detail": f"error {error_id}"}
    return JSONResponse(body, 500, media_type="application/problem+json")


class Doors:
    """Routes whose endpoint is an ASGI app of its own (a platform's webhook) are reached straight: five layers and a search
    through all routes cost more than what most of these calls are about. They answer for themselves whatever happens.
    """

    def __init__(self, routes: Iterable[BaseRoute], inside: ASGIApp) -> None:
        self._inside = inside
        bare = [route for route in routes if isinstance(route, Route) and route.app is route.endpoint]
        self._doors = {(method, route.path): route.app for route in bare for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = self._doors.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        await (door or self._inside)(scope, receive, send)


class PlainHeaders:
    """Headers that every answer carries."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                date = (b"date", formatdate(usegmt=True).encode())
                message["headers"] = [*message["headers"], *(one for one in (*HEADERS, date) if one[0] not in present)]
            await send(message)

        await self._app(scope, receive, with_headers)


class Socket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket. A client that is just coming, or saying goodbye, when the server stops must not end the stop with a
    fault.
    """

    _is_asked_to_end = False

    def shutdown(self) -> None:
        if not self.handshake_complete and self.initial_response is None:
            # uvicorn would answer at once, and the house's own answer, which is coming, would be one too many
            self._is_asked_to_end = True
            return
        try:
            super().shutdown()
        except InvalidState:  # "connection is closing", by the other side: uvicorn only knows of its own closing
            self.transport.close()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self._is_asked_to_end:
            self._is_asked_to_end = False
            self.shutdown()


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: ours drain the house first, and a stop that was asked for exits with 0.

    It waits until it is told to end, where uvicorn looks ten times a second; the `Date` that it would renew then is made
    with each answer.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        self._told = asyncio.Event()
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        return self._told.is_set()

    @should_exit.setter
    def should_exit(self, wanted: bool) -> None:
        if wanted:
            self._told.set()
        else:
            self._told.clear()

    async def main_loop(self) -> None:
        self.server_state.default_headers = self.config.encoded_headers
        await self._told.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def _wait_tasks_to_complete(self) -> None:
        """Until all connections have ended. uvicorn has asked those that it had; one that was just being made (a widget that
        comes back at once) is asked as well, or the stop would wait for as long as it may.
        """
        asking = asyncio.create_task(self._ask_newcomers(set(self.server_state.connections)))
        try:
            await super()._wait_tasks_to_complete()
        finally:
            asking.cancel()

    async def _ask_newcomers(self, asked: set[Any]) -> None:
        while True:
            await asyncio.sleep(0.1)
            newcomers = self.server_state.connections - asked
            asked |= newcomers
            for one in newcomers:
                one.shutdown()


def bind(host: str, port: int) -> socket.socket:
    """The listening socket. Raises SettingsFault when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
    except (OSError, OverflowError) as error:
        made.close()
        why = (
            "is taken by another program" if getattr(error, "errno", 0) == 98 or "in use" in str(error) else str(error)
        )
        msg = f"port {port} on {host} {why}; choose another one: stafett serve --port {port + 1 if port < 65535 else 8080}"
        raise SettingsFault(msg) from error
    made.setblocking(False)
    return made


def configure(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        asgi(app),
        ws=Socket,
        ws_max_size=MAX_FRAME,
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=20,
        h11_max_incomplete_event_size=64 * 1024,
    )


def say(line: str) -> None:
    """Writes a line at once: under systemd or Docker nobody would read it before the end otherwise."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(settings: Settings) -> None:
    """`serve`, on the fastest event loop that there is here. Raises as it does."""
    with asyncio.Runner(loop_factory=fastest_loop) as runner:
        runner.run(serve(settings))


def fastest_loop() -> asyncio.AbstractEventLoop:
    """uvloop's: a third less CPU for a message's way in and out than asyncio's own, which stands in where there is none."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def serve(settings: Settings, *, tell: Callable[[str], None] = say) -> None:
    """Run until SIGINT or SIGTERM. Raises StafettError in one line when it cannot begin."""
    settings.checked()
    listening = bind(settings.host, settings.port)
    gc.disable()  # it would walk all that is imported now, again and again, and find nothing
    try:
        from bot.app import App

        app = App(settings)
        await app.start()
        gc.freeze()
        app.storage.answers_at(own_address(settings))
    except BaseException:
        listening.close()
        raise
    finally:
        gc.enable()
        gc.set_threshold(YOUNG)
    server = Server(configure(app))
    _on_signals(server, app)
    for line in app.greeting():
        tell(line)
    refusals: list[SettingsFault] = []
    watching = asyncio.create_task(_watch_tokens(app, server, refusals))
    try:
        await server.serve(sockets=[listening])
    finally:
        watching.cancel()
        await app.stop()
    if refusals:
        raise refusals[0]


def own_address(settings: Settings) -> str:
    """Where this machine's own commands reach the server."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::", "localhost"} else settings.host  # noqa: S104 - compared
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


async def _watch_tokens(app: App, server: Server, refusals: list[SettingsFault]) -> None:
    """A platform that is down comes back; a token that it refuses does not: then the whole start was wrong."""
    try:
        await app.tokens_accepted()
        gc.freeze()  # the platforms' libraries are here by now: 150,000 objects, each full collection stood still for
    except* SettingsFault as faults:
        refusals += [fault for fault in faults.exceptions if isinstance(fault, SettingsFault)]
        await app.hang_up()
        server.should_exit = True


def _on_signals(server: Server, app: App) -> None:
    loop = asyncio.get_running_loop()
    stopping: set[asyncio.Task[None]] = set()

    def stop() -> None:
        if server.should_exit:
            server.force_exit = True  # the second Ctrl-C
            return
        server.should_exit = True
        stopping.add(asyncio.ensure_future(app.hang_up()))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
