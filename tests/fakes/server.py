"""What both stand-ins share: a port that can go down and come back, a log, scripted faults, waiting by event.

Everything happens in the test's own event loop; a waiter wakes when the server's state changes, so tests
neither sleep nor poll. Another process reaches the server by `url`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Self, TypeVar

from aiohttp import ClientSession, web

from bot.model import Clock, system_clock
from tests.fakes.faults import Call, Fault, FaultKind, Params, Script, When

MAX_BODY = 60 * 1024 * 1024
T = TypeVar("T")


class Changes:
    """Wakes whoever waits for a state, each time that something changed."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def tell(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def until(self, look: Callable[[], T | None], *, timeout: float, failure: Callable[[], str]) -> T:
        """The first thing that `look` finds (not None, not False). Raises AssertionError with `failure()`."""
        try:
            async with asyncio.timeout(timeout):
                while (found := look()) is None or found is False:
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiting.add(waiter)
                    await waiter
                return found
        except TimeoutError:
            raise AssertionError(failure()) from None


class LocalServer(ABC):
    """An HTTP server on 127.0.0.1; `async with` starts and stops it."""

    def __init__(self, *, port: int = 0, clock: Clock = system_clock) -> None:
        self.port = port
        self.clock = clock
        self.log: list[Call] = []
        self.changes = Changes()
        self._script = Script()
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._http: ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def now(self) -> datetime:
        """The clock as it is set now: a test may hand in another."""
        return self.clock()

    @property
    def http(self) -> ClientSession:
        """The session with which the platform calls the product."""
        assert self._http is not None, "the server was not started"
        return self._http

    async def __aenter__(self) -> Self:
        self._http = ClientSession()
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.down()
        await self.http.close()

    async def up(self) -> None:
        """Listens, again on the port that it had."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self.handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = int(self._runner.addresses[0][1])

    async def down(self) -> None:
        """Refuses connections and drops those that are open."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def script(self, method: str, *faults: Fault | None, when: When | None = None, times: int = 1) -> None:
        """Queues faults for the next calls of `method` (`*`: any); None lets one call pass; `when` reads its params."""
        self._script.add(method, faults * times, when)

    def calls(self, method: str) -> list[Call]:
        return [call for call in self.log if call.method == method]

    async def called(self, method: str, *, when: When | None = None, times: int = 1, timeout: float = 20) -> Call:
        """Waits until `method` was called `times` times (with params that fit); the last of these calls."""

        def look() -> Call | None:
            fit = [call for call in self.calls(method) if when is None or when(call.params)]
            return fit[times - 1] if len(fit) >= times else None

        seen = lambda: f"{method} was not called {times}×; the log has {[call.method for call in self.log]}"  # noqa: E731
        return await self.changes.until(look, timeout=timeout, failure=seen)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that ends with the server at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def answer(
        self, request: web.Request, method: str, params: Params, act: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Logs the call, meets it with the fault that waits for it, and acts before, after or not at all."""
        call = Call(method, params, self.clock(), self._script.take(method, params))
        self.log.append(call)
        self.changes.tell()
        response = await self._meet(request, call, act)
        call.reply = _readable(response)
        self.changes.tell()
        return response

    async def _meet(
        self, request: web.Request, call: Call, act: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        fault = call.fault
        if fault is None:
            return await act()
        if fault.kind is FaultKind.SLOW:
            early = await act() if fault.acts else None
            await fault.wait()
            return early or await act()
        if fault.acts:
            await act()
        if fault.kind is FaultKind.RESET:
            return tear_down(request)
        if fault.kind is FaultKind.RAW:
            return web.Response(status=fault.code, body=fault.body, content_type=fault.type)
        return self.refuse(fault)

    @abstractmethod
    async def handle(self, request: web.Request) -> web.StreamResponse: ...

    @abstractmethod
    def refuse(self, fault: Fault) -> web.Response:
        """The fault in the platform's own JSON."""


def tear_down(request: web.Request) -> web.Response:
    """Resets the connection: the client reads a reset, not an end. The response that is returned goes nowhere."""
    transport = request.transport
    if transport is not None:
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


async def read_params(request: web.Request, nested: frozenset[str]) -> Params:
    """The query and the body (JSON, form, multipart) as one dict; `nested` names hold JSON where they are text.

    An uploaded file becomes an `Upload`.
    """
    params: Params = dict(request.query)
    if request.content_type == "application/json":
        params.update(json.loads(await request.read() or b"{}"))
    elif request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        for name, value in (await request.post()).items():
            params[name] = (
                Upload(value.filename, value.file.read(), value.content_type)
                if isinstance(value, web.FileField)
                else value
            )
    for name in nested & params.keys():
        if isinstance(params[name], str) and params[name]:
            params[name] = json.loads(params[name])
    return params


class Upload:
    """A file that came in a multipart body."""

    def __init__(self, name: str, content: bytes, type: str) -> None:  # noqa: A002 - the MIME type
        self.name, self.content, self.type = name, content, type

    def __repr__(self) -> str:
        return f"Upload({self.name!r}, {len(self.content)} bytes, {self.type})"


def _readable(response: web.StreamResponse) -> Any:
    text = response.body if isinstance(response, web.Response) else None
    if not isinstance(text, bytes):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
