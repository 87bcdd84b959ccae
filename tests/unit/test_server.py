"""The outside of one App: health, figures, headers, and what nobody foresaw."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import InvalidState

from bot.errors import SettingsFault
from bot.server import Server, Socket, asgi, bind, fastest_loop
from bot.settings import Settings


class StubApp:
    """What the server asks of an App."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(_env_file=None, **settings)
        self.reasons: list[str] = []

    async def unready(self) -> list[str]:
        return self.reasons

    def faults(self) -> list[str]:
        return ["telegram: down"]

    async def figures(self) -> bytes:
        return b"customers 3\n"

    def api(self) -> Any:
        return None

    def routes(self) -> list[Any]:
        async def breaks(_: Request) -> None:
            msg = "the token is 12345:secret"
            raise ValueError(msg)

        return [Route("/breaks", breaks), Route("/fine", lambda _: PlainTextResponse("fine"))]


def client(app: StubApp, address: str = "127.0.0.1") -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=asgi(app), client=(address, 1), raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080")


async def test_alive_is_not_yet_ready() -> None:
    app = StubApp()
    async with client(app) as http:
        assert (await http.get("/healthz")).text == "ok"
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": [], "faults": ["telegram: down"]})
        app.reasons = ["the database is away"]
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["the database is away"])
        assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("127.0.0.1", {"X-Forwarded-For": "10.0.0.1"}, 401),
        ("127.0.0.1", {"Forwarded": "for=10.0.0.1"}, 401),
        ("127.0.0.1", {"Via": "1.1 proxy"}, 401),
        ("10.0.0.1", {}, 401),
        ("10.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("10.0.0.1", {"Authorization": "Bearer wrong"}, 401),
        ("10.0.0.1", {"Authorization": "Bearer "}, 401),
        ("10.0.0.1", {"Authorization": "Basic the-token-of-the-api"}, 401),
        ("10.0.0.1", {"Authorization": "Bearer the-token-of-the-api"}, 200),
    ],
)
async def test_figures_are_for_loopback_or_the_token(address: str, headers: dict[str, str], status: int) -> None:
    async with client(StubApp(api_token="the-token-of-the-api"), address) as http:
        assert (await http.get("/metrics", headers=headers)).status_code == status


async def test_without_a_token_no_token_opens_the_figures() -> None:
    async with client(StubApp(), "10.0.0.1") as http:
        assert (await http.get("/metrics", headers={"Authorization": "Bearer "})).status_code == 401
        assert (await http.get("/metrics", headers={"Authorization": "Bearer None"})).status_code == 401


async def test_every_answer_forbids_sniffing() -> None:
    async with client(StubApp()) as http:
        for path in ("/fine", "/healthz", "/api/v1/customers", "/nowhere"):
            assert (await http.get(path)).headers["x-content-type-options"] == "nosniff"


async def test_the_api_is_off_without_a_token_and_says_so() -> None:
    async with client(StubApp()) as http:
        answer = await http.get("/api/v1/customers")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert "STAFETT_API_TOKEN" in answer.json()["detail"]


async def test_what_nobody_foresaw_shows_an_id_and_no_detail() -> None:
    async with client(StubApp()) as http:
        answer = await http.get("/breaks")
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        assert answer.json()["detail"].startswith("error 0")


def test_a_taken_port_is_one_line_with_another_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsFault, match=f"port {port} on 127.0.0.1 is taken by another program") as fault:
            bind("127.0.0.1", port)
        assert "\n" not in str(fault.value)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("127.0.0.1", -1), ("192.0.2.1", 0)])
def test_an_address_that_is_not_ours_is_one_line(host: str, port: int) -> None:
    with pytest.raises(SettingsFault, match="port"):
        bind(host, port)


@pytest.mark.parametrize(("hidden", "module"), [(False, "uvloop"), (True, "asyncio.unix_events")])
def test_the_server_runs_on_uvloop_and_on_asyncio_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, hidden: bool, module: str
) -> None:
    if hidden:
        monkeypatch.setitem(sys.modules, "uvloop", None)
    with asyncio.Runner(loop_factory=fastest_loop) as runner:
        assert type(runner.get_loop()).__module__ == module


def test_a_client_that_is_saying_goodbye_does_not_spoil_the_stop() -> None:
    """uvicorn closes every socket when it stops; one that the other side is closing already raises there."""

    class Transport:
        closed = False

        def close(self) -> None:
            self.closed = True

    class Closing:
        def send_close(self, _code: int) -> None:
            raise InvalidState("connection is closing")

    class Queue:
        def put_nowait(self, _event: object) -> None:
            pass

    socket = Socket.__new__(Socket)
    socket.close_sent, socket.handshake_complete = False, True
    socket.conn, socket.queue, socket.transport = Closing(), Queue(), Transport()  # type: ignore[assignment]
    socket.stop_keepalive = lambda: None  # type: ignore[method-assign]
    socket.shutdown()
    assert socket.transport.closed


@pytest.mark.parametrize("answer", ["websocket.accept", "websocket.close"])
async def test_who_is_just_coming_when_the_server_stops_gets_one_answer(answer: str, caplog: Any) -> None:
    knocked, asked, may_answer = asyncio.Event(), asyncio.Event(), asyncio.Event()
    heard: list[str] = []

    class Told(Socket):
        def shutdown(self) -> None:
            super().shutdown()
            asked.set()

    async def house(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            heard.append((await receive())["type"])
            knocked.set()
            await may_answer.wait()
            await send({"type": answer})
            heard.append((await receive())["type"])

    server = Server(uvicorn.Config(house, ws=Told, lifespan="off", log_config=None))
    listening = bind("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await knocked.wait()
    server.should_exit = True
    await asked.wait()
    may_answer.set()
    said = await reader.read()
    assert said.count(b"HTTP/1.1") == 1
    assert said.startswith(b"HTTP/1.1 101" if answer == "websocket.accept" else b"HTTP/1.1 403")
    await asyncio.wait_for(serving, 30)
    writer.close()
    assert heard == ["websocket.connect", "websocket.disconnect"]
    assert "Exception" not in caplog.text


async def test_a_connection_that_is_made_while_the_server_stops_is_asked_to_end_as_well() -> None:
    """uvicorn asks those that it has; a widget that comes back at once would hold up the stop until its time is over."""
    server = Server(uvicorn.Config(asgi(StubApp())))
    server.servers = []

    class Connection:
        def shutdown(self) -> None:
            server.server_state.connections.discard(self)  # type: ignore[arg-type]

    first, late = Connection(), Connection()
    server.server_state.connections.add(first)  # type: ignore[arg-type]
    waiting = asyncio.create_task(server._wait_tasks_to_complete())
    await asyncio.sleep(0)
    server.server_state.connections.add(late)  # type: ignore[arg-type]
    first.shutdown()
    await asyncio.wait_for(waiting, 30)
    assert server.server_state.connections == set()
