"""Every way in is fed with payloads gone wrong, two thousand each (a hundred thousand in the long run), the real program behind it.

Each is answered by rule: a 4xx, or accepted and dropped; never a 5xx, which platforms would repeat for a day, and never an
error that nobody foresaw. Then somebody comes with good words, at the same door, and is answered. The seed is printed.
"""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest
import websockets

from tests.fakes.slack import SlackServer
from tests.fakes.telegram import TelegramServer
from tests.faults import chance
from tests.faults.invariants import Books, check
from tests.faults.mutations import IN_A_PATH, as_bytes, mutated, payloads, scrambled
from tests.faults.program import Nursery, Program

COUNT = 100_000 if chance.is_long() else 2_000
AT_ONCE = 16
QUESTION = "where is my order?"
WORDS = "order number"
SECRET = "a-secret-of-Telegram_0123456789"
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
TOKEN = "a token for the programs that call us"
UNFORESEEN = (
    "unexpected error",
    "turn failed",
    "Exception in ASGI",
    "worker failed",
    "timer failed",
    "Task exception",
    "could not be read",
)
PAYLOADS = Path(__file__).parents[1] / "payloads"
Ask = Callable[[bytes], Coroutine[Any, Any, int]]

pytestmark = pytest.mark.timeout(7200 if chance.is_long() else 300)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        yield session


async def pour(bodies: Iterator[bytes], ask: Ask) -> Counter[int]:
    """Send them all, some at once; how often each status came. Raises AssertionError with the body that met a 5xx."""
    statuses: Counter[int] = Counter()

    async def work() -> None:
        for body in bodies:
            status = await ask(body)
            statuses[status] += 1
            assert status < 500, f"seed {chance.seed()}: {status} for {body[:2000]!r}"

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    print(f"seed {chance.seed()}: {dict(statuses)}")
    return statuses


def nothing_unforeseen(program: Program) -> None:
    assert program.exit_code is None, program.logged()[-3000:]
    found = [line for line in program.logged().splitlines() if any(word in line for word in UNFORESEEN)]
    assert found == [], f"seed {chance.seed()}: {found[0][:6000]}"


async def all_is_well(program: Program, told: list[str]) -> None:
    nothing_unforeseen(program)
    books = Books(program.database)
    async with asyncio.timeout(120):
        while books.rows("SELECT key FROM inbox WHERE state = 'new'"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    for line in told:
        assert books.one("SELECT count(*) FROM messages WHERE author_kind = 'customer' AND text = ?", line) == 1
    assert books.one("PRAGMA quick_check") == "ok"
    nothing_unforeseen(program)


async def test_f39_a_webhook_of_telegram_takes_whatever_comes(
    nursery: Nursery, tmp_path: Path, tg: TelegramServer, http: aiohttp.ClientSession
) -> None:
    program = Program(nursery, tmp_path, tg, STAFETT_TELEGRAM_WEBHOOK_SECRET=SECRET)
    await program.starts()
    await tg.called("setWebhook")
    luck = chance.chance("telegram")
    good = list(json.loads((PAYLOADS / "telegram_updates.json").read_text()).values())
    numbers = iter(range(1, 10**9))

    def bodies() -> Iterator[bytes]:
        for _ in range(COUNT):
            update = deepcopy(luck.choice(good))
            update["update_id"] = 800_000_000 + next(numbers)
            raw = as_bytes(mutated(update, luck), luck)
            yield scrambled(raw, luck) if luck.random() < 0.35 else raw

    async def ask(body: bytes) -> int:
        headers = {SECRET_HEADER: SECRET if luck.random() < 0.97 else luck.choice(["", "wrong", SECRET[:-1], "é"])}
        async with http.post(f"{program.url}/telegram/webhook", data=io.BytesIO(body), headers=headers) as answer:
            await answer.read()
            return answer.status

    statuses = await pour(bodies(), ask)
    assert set(statuses) <= {200, 400, 401, 413}
    kari = tg.person(1001)
    await kari.says(QUESTION)
    await kari.hears(WORDS, timeout=120)
    await all_is_well(program, [QUESTION])
    await program.dies()


async def slack_bodies(program: Program, slack: SlackServer) -> list[tuple[Any, str]]:
    """What Slack really posts while a case is lived through: (payload, the way it is wrapped)."""
    seen: list[tuple[Any, str]] = []
    post = slack.delivery._post

    async def watched(url: str, body: str, type_: str, headers: dict[str, str]) -> tuple[str, str]:
        seen.append((body, type_))
        return await post(url, body, type_, headers)

    slack.delivery._post = watched  # type: ignore[method-assign]
    kari, ann = slack.person("U7", "Kari"), slack.person("U1", "Ann")
    first = await kari.dm("talk to a human")
    await kari.hears("queue", timeout=30)
    card = await slack.channel("C1").hears(lambda post: bool(post.buttons), timeout=30)
    await kari.edits(kari.direct.id, first.ts, "talk to a human, please")
    other = await kari.dm("never mind")
    await kari.deletes(kari.direct.id, other.ts)
    await ann.presses("C1", card.ts, "Claim")
    words = await ann.posts("C1", "It left Oslo.", thread_ts=card.ts)
    await ann.reacts("C1", words.ts, "eyes")
    shop = slack.channel("C7", members=[kari])
    await kari.mentions_app(shop.room.id, QUESTION)
    await ann.opens_home()
    await ann.commands("C1", "/stafett", "queue")
    await slack.settled(timeout=30)
    slack.delivery._post = post  # type: ignore[method-assign]
    return [(dict_of(body), kind) for body, kind in seen]


def dict_of(body: str) -> Any:
    if body.startswith("{"):
        return json.loads(body)
    from urllib.parse import parse_qsl

    form = dict(parse_qsl(body))
    return json.loads(form["payload"]) if "payload" in form else form


async def test_f39_the_door_for_slack_takes_whatever_comes(
    office: Program, slack: SlackServer, http: aiohttp.ClientSession
) -> None:
    await office.starts()
    luck = chance.chance("slack")
    good = await slack_bodies(office, slack)
    assert len(good) > 10
    numbers = iter(range(1, 10**9))

    def bodies() -> Iterator[bytes]:
        for _ in range(COUNT):
            payload, kind = deepcopy(luck.choice(good))
            if "event_id" in payload:
                payload["event_id"] = f"Ev9{next(numbers):09d}"
            wrong = mutated(payload, luck)
            if kind == "application/json":
                raw = as_bytes(wrong, luck)
            elif isinstance(wrong, dict) and "command" in wrong:
                raw = urlencode({k: str(v) for k, v in wrong.items()}, errors="surrogatepass").encode()
            else:
                raw = b"payload=" + quote(as_bytes(wrong, luck)).encode()
            yield scrambled(raw, luck) if luck.random() < 0.35 else raw

    async def ask(body: bytes) -> int:
        form = not body.startswith((b"{", b"[")) or luck.random() < 0.02
        headers = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
        headers |= slack.delivery.signed(body)
        if luck.random() < 0.05:
            headers["X-Slack-Signature"] = luck.choice(["v0=", "", "é", headers["X-Slack-Signature"][:-1]])
        elif luck.random() < 0.05:
            headers["X-Slack-Request-Timestamp"] = luck.choice(["0", "-1", "9" * 400, "١٢٣", "", "1e9"])
        async with http.post(f"{office.url}/slack/events", data=io.BytesIO(body), headers=headers) as answer:
            await answer.read()
            return answer.status

    statuses = await pour(bodies(), ask)
    assert set(statuses) <= {200, 400, 401, 413}, statuses
    ola = slack.person("U8", "Ola")
    await ola.dm(QUESTION + " (Ola)")
    await ola.hears(WORDS, timeout=120)
    await all_is_well(office, [QUESTION + " (Ola)"])


def frames() -> list[Any]:
    message = str(uuid.UUID(int=1))
    return [
        {"type": "message", "id": message, "text": "hello there", "files": []},
        {"type": "message", "id": message, "text": "**two** files", "files": [message, message]},
        {"type": "choice", "id": message, "message": message, "value": "yes"},
        {"type": "typing"},
        {"type": "read", "seq": 3},
        {"type": "hello", "token": "abc", "after": 0},
    ]


async def test_f39_a_widgets_socket_takes_whatever_comes(web: Program) -> None:
    """Bad frames are told and tolerated, up to a number; a new socket of the same customer serves on."""
    await web.starts()
    luck = chance.chance("frames")
    visitor = await web.visitor()
    left = iter(range(COUNT))
    url = web.url.replace("http", "ws") + "/api/web/ws"
    closes: Counter[int] = Counter()

    async def one_socket(token: str) -> None:
        async with websockets.connect(url, origin=web.url, proxy=None, max_size=None) as socket:  # type: ignore[arg-type]
            reading = asyncio.create_task(drained(socket))
            try:
                if luck.random() < 0.9:
                    await socket.send(json.dumps({"type": "hello", "token": token, "after": 0}))
                for raw in payloads(frames(), luck, 100):
                    if next(left, None) is None:
                        break
                    text = raw.decode("utf-8", "replace")
                    await socket.send(text if luck.random() < 0.9 else raw)
                await socket.send(json.dumps({"type": "read", "seq": 0}))
            except websockets.ConnectionClosed:
                pass
            finally:
                await socket.close()
                await reading
        closes[socket.close_code or 0] += 1

    async def drained(socket: Any) -> None:
        try:
            async for raw in socket:
                told = json.loads(raw)
                assert told["type"] != "error" or told["code"] != "unavailable", told
        except websockets.ConnectionClosed:
            pass

    async def work() -> None:
        while next(left, None) is not None:
            await one_socket(visitor.token)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(work())
    print(f"seed {chance.seed()}: closed with {dict(closes)}")
    assert 1011 not in closes, closes
    other = await web.visitor()
    await other.says(QUESTION)
    await other.hears(WORDS, "bot")
    assert (await visitor.says("still here"))["type"] == "ack"
    await all_is_well(web, [QUESTION, "still here"])
    books = Books(web.database)
    await books.at_rest()
    check(books, [QUESTION, "still here"], may_bury=True)
    for one in (visitor, other):
        await one.leaves()


CALLS: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/api/web/session", {"locale": "en", "token": "abc", "identity": "abc"}),
    ("GET", "/api/web/files/{id}", None),
    ("POST", "/api/web/files", None),
    ("GET", "/api/v1/customers", None),
    ("GET", "/api/v1/customers/{id}", None),
    ("GET", "/api/v1/customers/{id}/messages?after={n}&limit={n}", None),
    ("POST", "/api/v1/customers/{id}/messages", {"text": "hello"}),
    ("GET", "/api/v1/cases?status={n}&customer={id}", None),
    ("GET", "/api/v1/cases/{id}", None),
    ("POST", "/api/v1/cases/{id}/assign", {"agent": "demo"}),
    ("POST", "/api/v1/cases/{id}/messages", {"text": "hello", "agent": "demo"}),
    ("POST", "/api/v1/cases/{id}/notes", {"text": "hello"}),
    ("POST", "/api/v1/cases/{id}/resolve", {"outcome": "resolved", "topic": "delivery", "reason": "because"}),
    ("POST", "/desk/api/cases/{id}/reply", {"text": "hello", "ref": "00000000-0000-0000-0000-000000000001"}),
    ("POST", "/desk/api/cases/{id}/claim", {}),
    ("GET", "/desk/api/cases/{id}", None),
)


def path_of(template: str, known: list[str], luck: Random) -> str:
    odd = ("", *IN_A_PATH)
    one_of = lambda: luck.choice(known) if luck.random() < 0.6 else luck.choice(odd)  # noqa: E731
    return template.replace("{id}", one_of()).replace("{n}", luck.choice(["0", "10", *odd]))


async def test_f39_the_api_and_the_widgets_pages_take_whatever_comes(
    nursery: Nursery, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    program = Program(nursery, tmp_path, STAFETT_API_TOKEN=TOKEN)
    await program.starts()
    luck = chance.chance("rest")
    kari = await program.visitor()
    await kari.says("talk to a human")
    await kari.hears("number 1 in the queue")
    books = Books(program.database)
    known = [
        str(row["id"]) for table in ("customers", "cases", "messages") for row in books.rows(f"SELECT id FROM {table}")
    ]
    agent = await program.agent()
    cookies = dict(agent.http.cookies)
    other = await program.visitor()  # now, because one address may ask for so many sessions a minute
    todo = iter([luck.choice(CALLS) for _ in range(COUNT)])

    def bodies() -> Iterator[bytes]:
        for _ in range(COUNT):
            yield next(payloads([{"text": "hello", "agent": "demo"}], luck, 1))

    async def ask(body: bytes) -> int:
        method, template, good = next(todo)
        if good is not None:
            body = next(payloads([good], luck, 1))
        path = path_of(template, known, luck)
        headers = {
            "Content-Type": luck.choice(
                ["application/json"] * 8 + ["text/plain", "multipart/form-data; boundary=x", ""]
            )
        }
        if path.startswith("/desk"):
            headers |= {"Origin": program.url, "X-Stafett-CSRF": agent.http.headers["X-Stafett-CSRF"]}
        else:
            token = kari.token if path.startswith("/api/web") else TOKEN
            headers["Authorization"] = (
                f"Bearer {token}" if luck.random() < 0.95 else luck.choice(["", "Bearer", "Basic x"])
            )
        url = aiohttp.client.URL(f"{program.url}{path}", encoded=True)
        more = {"data": io.BytesIO(body)} if method == "POST" else {}
        async with http.request(method, url, headers=headers, cookies=cookies, allow_redirects=False, **more) as answer:
            await answer.read()
            return answer.status

    statuses = await pour(bodies(), ask)
    assert statuses[400] + statuses[422] > 0, statuses
    await other.says(QUESTION)
    await other.hears(WORDS, "bot")
    await all_is_well(program, ["talk to a human", QUESTION])
    await agent.http.aclose()
    for one in (kari, other):
        await one.leaves()
    await program.dies()
