"""A whole Stafett in the test's own process: the App of `bot/app.py` behind a real server on loopback, and a clock to set.

async with House(tmp_path) as house:
    kari = await house.visitor()           # a widget, in the public frames
    await kari.says("where is my order")
    assert "order number" in (await kari.hears("order number"))["text"]
    await house.passes(minutes=5)          # the clock moves, and everything that is due happens
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx2
import websockets

from bot.app import App
from bot.server import Server, bind, configure
from bot.settings import Settings
from bot.storage import schema

MONDAY = datetime(2026, 3, 9, 12, tzinfo=UTC)
PATIENCE = 30.0  # seconds that a test waits for a frame before it fails


class House:
    """`settings` are more of them (telegram_token …). `folder` holds the database."""

    def __init__(
        self, folder: Path, *, database_url: str | None = None, now: datetime = MONDAY, **settings: Any
    ) -> None:
        self.folder = folder
        self.now = now
        self._listening = bind("127.0.0.1", 0)
        port = self._listening.getsockname()[1]
        self.settings = Settings(
            _env_file=None,
            database_url=database_url or f"sqlite+aiosqlite:///{folder / 'stafett.db'}",
            port=port,
            secret=settings.pop("secret", "a secret for tests, long enough"),
            admin_password=settings.pop("admin_password", "open sesame"),
            **settings,
        )
        self.url = f"http://localhost:{port}"
        self.app = App(self.settings, lambda: self.now)
        self._serving: asyncio.Task[None] | None = None
        self._visitors: list[Visitor] = []
        self._agents: list[Agent] = []

    async def __aenter__(self) -> Self:
        if not self.app.storage.is_sqlite:
            await schema.upgrade(self.settings.database_url)
        await self.app.start()
        config = configure(self.app)
        config.loop = "asyncio"
        self._server = Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listening]))
        await self._is_up()
        return self

    async def _is_up(self) -> None:
        async with self.http() as http:  # the socket listens already: the request waits until it is served
            (await http.get("/healthz")).raise_for_status()

    async def __aexit__(self, *_: object) -> None:
        for visitor in self._visitors:
            await visitor.leaves()
        for agent in self._agents:
            await agent.http.aclose()
        await self.app.hang_up()
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        await self.app.stop()

    async def settle(self) -> None:
        await self.app.settle()

    async def passes(self, **span: float) -> None:
        """Time goes by; whatever became due happens."""
        self.now += timedelta(**span)
        await self.settle()

    async def visitor(self, locale: str = "en", token: str | None = None, **identity: str) -> Visitor:
        visitor = Visitor(self)
        await visitor.begins(locale, token, **identity)
        self._visitors.append(visitor)
        return visitor

    def http(self, **headers: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, headers=headers, trust_env=False)

    async def agent(self) -> Agent:
        """The demo agent at the web desk, signed in as a newcomer is."""
        agent = Agent(self)
        self._agents.append(agent)
        await agent.signs_in()
        return agent


class Agent:
    """Somebody at the web desk, over its own HTTP."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.http = house.http(Origin=house.url)

    async def signs_in(self) -> None:
        (await self.http.get("/desk")).raise_for_status()
        me = await self.gets("me")
        self.http.headers["X-Stafett-CSRF"] = me["csrf"]

    async def gets(self, what: str) -> Any:
        answer = await self.http.get(f"/desk/api/{what}")
        answer.raise_for_status()
        return answer.json()

    async def sees(self, view: str = "queue") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.gets(f"cases?view={view}"))["items"]
        return found

    async def opens(self, case_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.gets(f"cases/{case_id}")
        return found

    async def does(self, case_id: str, verb: str, **body: Any) -> httpx2.Response:
        answer = await self.http.post(f"/desk/api/cases/{case_id}/{verb}", json=body)
        await self.house.settle()
        return answer

    async def replies(self, case_id: str, text: str) -> None:
        """Write, and let the undo window pass."""
        (await self.does(case_id, "reply", text=text, ref=str(uuid.uuid4()))).raise_for_status()
        await self.house.passes(seconds=6)


class Visitor:
    """A customer at the widget: what they send, and every frame that came, in order."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.token = ""
        self.name = ""
        self.locale = ""
        self.frames: list[dict[str, Any]] = []
        self.ready: dict[str, Any] = {}
        self._heard = 0
        self._news = asyncio.Event()
        self._socket: Any = None
        self._reading: asyncio.Task[None] | None = None

    async def begins(self, locale: str = "", token: str | None = None, **more: str) -> None:
        body = {key: value for key, value in {"locale": locale, "token": token or "", **more}.items() if value}
        async with self.house.http() as http:
            answer = await http.post("/api/web/session", json=body)
        answer.raise_for_status()
        session = answer.json()
        self.token, self.locale, self.name = session["token"], session["locale"], session["customer"]["name"]
        await self.connects()

    async def connects(self, after: int | None = None) -> None:
        url = self.house.url.replace("http", "ws") + "/api/web/ws"
        self._socket = await websockets.connect(url, origin=self.house.url, proxy=None)  # type: ignore[arg-type]
        await self.sends({"type": "hello", "token": self.token, "after": self.last_seq if after is None else after})
        self._reading = asyncio.create_task(self._read())
        self.ready = await self.gets(lambda frame: frame["type"] in {"ready", "error"})

    async def leaves(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading

    async def closed(self) -> int:
        """Wait until the server closes the socket; the code with which it did."""
        async with asyncio.timeout(PATIENCE):
            await self._socket.wait_closed()
        return int(self._socket.close_code)

    def rewinds(self) -> None:
        """What was heard already may be heard again."""
        self._heard = 0

    async def _read(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for raw in self._socket:
                self.frames.append(json.loads(raw))
                self._news.set()
        self._news.set()

    async def sends(self, frame: dict[str, Any] | str) -> None:
        await self._socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def says(self, text: str, files: tuple[str, ...] = (), id_: str | None = None) -> dict[str, Any]:
        """Write, and wait for the acknowledgement; then whatever follows from it."""
        client_id = id_ or str(uuid.uuid4())
        await self.sends({"type": "message", "id": client_id, "text": text, "files": list(files)})
        answer = await self.gets(lambda frame: frame["type"] in {"ack", "error"} and frame.get("id") == client_id)
        await self.house.settle()
        return answer

    async def presses(self, message: dict[str, Any], wanted: str) -> dict[str, Any]:
        """Press the button with this value or label."""
        value = next(one["value"] for one in message["choices"] if wanted in (one["value"], one["label"]))
        client_id = str(uuid.uuid4())
        await self.sends({"type": "choice", "id": client_id, "message": message["id"], "value": value})
        answer = await self.gets(lambda frame: frame["type"] in {"ack", "error"} and frame.get("id") == client_id)
        await self.house.settle()
        return answer

    async def hears(self, words: str, author: str | None = None) -> dict[str, Any]:
        """The next message, not yet heard, in which these words stand."""

        def fits(frame: dict[str, Any]) -> bool:
            return (
                frame["type"] == "message"
                and words.casefold() in frame["text"].casefold()
                and author in {None, frame["author"]["kind"]}
            )

        return await self.gets(fits)

    async def gets(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next frame that fits, from where the last one was found. Fails with what came instead."""
        start = self._heard
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    for place in range(start, len(self.frames)):
                        if wanted(self.frames[place]):
                            self._heard = place + 1
                            return self.frames[place]
                    self._news.clear()
                    if self._reading is not None and self._reading.done():
                        break
                    await self._news.wait()
        except TimeoutError:
            pass
        came = [one.get("text") or one for one in self.frames[start:]]
        msg = f"it did not come; what came instead: {came}"
        raise AssertionError(msg)

    def said(self) -> list[str]:
        """All texts so far, in order."""
        return [frame["text"] for frame in self.frames if frame["type"] == "message"]

    @property
    def last_seq(self) -> int:
        return max((frame["seq"] for frame in self.frames if "seq" in frame), default=0)

    @property
    def seqs(self) -> list[int]:
        return sorted({frame["seq"] for frame in self.frames if "seq" in frame})


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
