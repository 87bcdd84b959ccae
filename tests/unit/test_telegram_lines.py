"""What became of a post over a kept connection: answered, never begun, or nobody knows; on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.server import fastest_loop
from channels.telegram import lines
from channels.telegram.lines import Lines, Unanswered, Unreached

Answerer = Callable[[int, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
PATIENCE = 30.0  # seconds


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test twice: what a broken connection looks like is the event loop's to say."""

    def run(loop: Callable[[], asyncio.AbstractEventLoop], **given: Any) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(test(**given))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    asked = inspect.signature(test)
    more = inspect.Parameter("loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = asked.replace(parameters=[more, *asked.parameters.values()])  # type: ignore[attr-defined]
    loops = [asyncio.new_event_loop, fastest_loop]
    return pytest.mark.parametrize("loop", loops, ids=["asyncio", "fastest"])(run)


class Server:
    """Answers the posts of all connections by their number, from 0 on."""

    def __init__(self, answer: Answerer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"Content-Length: (\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.requests.append(head + body)
                await self.answer(len(self.requests) - 1, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def lines(self, user: str = "") -> Lines:
        return Lines(f"http://{user}127.0.0.1:{self.port}/api")


@asynccontextmanager
async def server(answer: Answerer) -> AsyncIterator[Server]:
    made = Server(answer)
    listening = await asyncio.start_server(made.talk, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()


def says(*answers: bytes) -> Answerer:
    async def answer(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answers[min(number, len(answers) - 1)])

    return answer


def reset(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@on_both_loops
async def test_one_connection_carries_one_post_after_another() -> None:
    async with server(says(OK)) as there:
        ours = there.lines()
        for _ in range(3):
            assert await ours.post(b"/api/bot1:A/sendMessage", b'{"a":1}', PATIENCE) == (200, b"fine")
        assert there.connections == 1
        assert there.requests[0] == (
            b"POST /api/bot1:A/sendMessage HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
            b'Content-Length: 7\r\n\r\n{"a":1}' % there.port
        )
        ours.close()


@on_both_loops
async def test_two_at_a_time_have_a_connection_each_and_their_own_answers() -> None:
    both = asyncio.Event()

    async def answer(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            both.set()
        await both.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

    async with server(answer) as there:
        ours = there.lines()
        found = await asyncio.gather(*(ours.post(b"/", b"%d" % one, PATIENCE) for one in range(2)))
        asked = [int(request[-1:]) for request in there.requests]
        assert [int(found[one][1]) for one in asked] == [0, 1]
        ours.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 429 Slow down\r\nContent-Length: 2\r\n\r\n{}", (429, b"{}")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n", (200, b"fine")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", (200, b"fine")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
    ],
)
@on_both_loops
async def test_every_way_to_say_how_long_an_answer_is(answer: bytes, expected: tuple[int, bytes]) -> None:
    async with server(says(answer)) as there:
        ours = there.lines()
        assert await ours.post(b"/", b"{}", PATIENCE) == expected
        assert await ours.post(b"/", b"{}", PATIENCE) == expected
        assert there.connections == 1
        ours.close()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine", b"HTTP/1.0 200 OK\r\n\r\nfine"]
)
@on_both_loops
async def test_an_answer_that_ends_its_connection_is_an_answer(answer: bytes) -> None:
    async def once(_number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with server(once) as there:
        ours = there.lines()
        for _ in range(2):
            assert await ours.post(b"/", b"{}", PATIENCE) == (200, b"fine")
        assert there.connections == 2
        ours.close()


@on_both_loops
async def test_a_connection_that_takes_no_more_is_closed_by_us_where_the_other_side_waits() -> None:
    """Each would be kept open for as long as the server runs."""
    last = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine"
    async with server(says(last)) as there:
        ours = there.lines()
        for _ in range(2):
            assert await ours.post(b"/x", b"{}", PATIENCE) == (200, b"fine")
            assert all(line._transport.is_closing() for line in ours._all)
        assert there.connections == 2


@on_both_loops
async def test_where_nobody_listens_nothing_was_sent() -> None:
    async with server(says(OK)) as there:
        ours = there.lines()
    with pytest.raises(Unreached):
        await ours.post(b"/", b"{}", PATIENCE)


@pytest.mark.parametrize("how", ["reset", "hangs up", "half an answer", "no HTTP", "switches"])
@on_both_loops
async def test_whatever_goes_wrong_after_the_connection_stands_is_uncertain(how: str) -> None:
    async def answer(_number: int, writer: asyncio.StreamWriter) -> None:
        if how == "reset":
            reset(writer)
        elif how == "hangs up":
            writer.close()
        elif how == "half an answer":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            writer.close()
        elif how == "no HTTP":
            writer.write(b"\x00\x01\x02 nonsense\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc")

    async with server(answer) as there:
        ours = there.lines()
        with pytest.raises(Unanswered):
            await ours.post(b"/", b"{}", PATIENCE)
        assert len(there.requests) == 1
        there.answer = says(OK)
        assert await ours.post(b"/", b"{}", PATIENCE) == (200, b"fine")
        assert there.connections == 2
        ours.close()


@on_both_loops
async def test_an_answer_that_comes_too_late_is_not_the_next_ones() -> None:
    begun, may = asyncio.Event(), asyncio.Event()

    async def answer(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 0:
            begun.set()
            await may.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

    async with server(answer) as there:
        ours = there.lines()
        asking = asyncio.ensure_future(ours.post(b"/", b"{}", PATIENCE))
        await begun.wait()
        (line,) = ours._all
        line._look()
        assert not asking.done(), "it has not waited for long enough"
        line._give_up = 0.0
        line._look()
        with pytest.raises(Unanswered, match="TimeoutError"):
            await asking
        assert (await ours.post(b"/", b"{}", PATIENCE))[1] == b"1"
        may.set()
        assert (await ours.post(b"/", b"{}", PATIENCE))[1] == b"2"
        ours.close()


@on_both_loops
async def test_who_is_cancelled_leaves_no_answer_behind() -> None:
    begun, may = asyncio.Event(), asyncio.Event()

    async def answer(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            begun.set()
            await may.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

    async with server(answer) as there:
        ours = there.lines()
        await ours.post(b"/", b"{}", PATIENCE)
        asking = asyncio.ensure_future(ours.post(b"/", b"{}", PATIENCE))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        may.set()
        assert (await ours.post(b"/", b"{}", PATIENCE))[1] == b"2"
        assert there.connections == 2
        ours.close()


@on_both_loops
async def test_a_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    closed = asyncio.Event()

    async def answer(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        if number == 0:
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            closed.set()

    async with server(answer) as there:
        ours = there.lines()
        assert await ours.post(b"/", b"{}", PATIENCE) == (200, b"fine")
        await closed.wait()
        while any(line.is_open for line in ours._all):  # noqa: ASYNC110 - nobody tells when a loop has heard of it
            await asyncio.sleep(0)
        assert await ours.post(b"/", b"{}", PATIENCE) == (200, b"fine")
        assert there.connections == 2
        ours.close()


@on_both_loops
async def test_a_connection_that_was_long_unused_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(says(OK)) as there:
        ours = there.lines()
        await ours.post(b"/", b"{}", PATIENCE)
        monkeypatch.setattr(lines, "IDLE", -1.0)
        await ours.post(b"/", b"{}", PATIENCE)
        assert there.connections == 2
        ours.close()


@on_both_loops
async def test_an_answer_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST", 10_000)
    async with server(says(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000)) as there:
        ours = there.lines()
        with pytest.raises(Unanswered, match="too long"):
            await ours.post(b"/", b"{}", PATIENCE)
        ours.close()


@on_both_loops
async def test_a_user_and_password_of_the_address_are_sent() -> None:
    async with server(says(OK)) as there:
        ours = there.lines("kari:s%40fe@")
        await ours.post(b"/", b"{}", PATIENCE)
        assert b"\r\nHost: 127.0.0.1:%d\r\nAuthorization: Basic a2FyaTpzQGZl\r\n" % there.port in there.requests[0]
        ours.close()
