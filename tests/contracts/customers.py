"""Customers on each channel behind the same verbs: a widget's real WebSocket, Telegram's and Slack's stand-ins with the real SDKs.

Each channel is one `Platform`: a whole Stafett with that channel on, whose bot says what `scripted` says. What a platform
cannot do stands in `CANNOT`, with the reason; the suite marks those tests with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import itertools
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bot import outbox
from bot.events import CloseAsked, EscalationAsked
from bot.linking import Linking
from bot.model import BOT, Author, Body, Choice, Chose, FileRef, Message, TimelineEntry, Wrote, new_id, system_clock
from bot.storage import customers, history
from bot.storage import tables as t
from bot.turn import Turn
from handoff import cases
from tests.fakes.faults import Fault
from tests.fakes.slack import SlackServer
from tests.fakes.slack_shapes import Post
from tests.fakes.telegram import TelegramServer
from tests.support.house import MONDAY, House, Visitor

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
SECRET = "a-secret-of-Telegram_0123456789"
NUMBER = itertools.count(1)
PATIENCE = 30.0

NO_EDITS = "the widget has no editing: CONTRACT.md names no such frame of the client's"
NO_DELETES = "the widget has no deleting: CONTRACT.md names no such frame of the client's"
CANNOT = {
    "web": {
        "customer edits": NO_EDITS,
        "customer deletes": NO_DELETES,
        "429": "nobody stands between the house and the widget who could say 429",
        "block": "a visitor can't block the house; who is away finds everything when they come back (its own test)",
    },
    "telegram": {"customer deletes": "the Bot API tells no bot that somebody deleted a message in a private chat"},
    "slack": {},
}
CHANNELS = {
    "web": ("web", ""),
    "telegram-polling": ("telegram", "polling"),
    "telegram-webhook": ("telegram", "webhook"),
    "slack-socket": ("slack", "socket"),
    "slack-http": ("slack", "http"),
}


@dataclass(frozen=True)
class Shown:
    """One message as its customer sees it now. `id` is the platform's, `raw` the driver's own."""

    id: str
    text: str
    labels: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...]
    formatted: bool
    raw: Any


def scripted(turn: Turn) -> bool:
    """What the bot of this suite does: each line shows one thing that a channel has to carry."""

    def say(body: Body) -> None:
        outbox.say(turn.tx, turn.customer.id, body, author=BOT)

    if isinstance(turn.happening, Chose):
        say(Body(f"chosen: {turn.pressed.value if turn.pressed else '?'}"))
        return True
    if turn.message is None or not isinstance(turn.happening, Wrote):
        return False
    match turn.text:
        case "menu":
            say(Body("**Pick** one", markdown=True, choices=(Choice("order", "My order"), Choice("human", "A human"))))
        case "done":
            case = cases.ensure_open(turn.tx, turn.customer.id, turn.identity.channel, turn.message.id)
            turn.tx.emit(CloseAsked(turn.customer.id, "resolved"))
            assert case.id
        case "send me a file":
            say(Body("Here it is", files=(a_file(turn),)))
        case "":
            say(Body(f"{len(turn.message.body.files)} file(s)"))
        case text:
            say(Body(f"you said: {text}"))
    return True


def a_file(turn: Turn) -> FileRef:
    file = FileRef(new_id(), "plan.png", "image/png", len(PNG))
    row = {"id": file.id, "name": file.name, "type": file.type, "size": file.size, "data": PNG}
    turn.tx.conn.execute(t.files.insert().values(**row, customer_id=turn.customer.id, created_at=turn.tx.now))
    return file


class Customer:
    """What every channel's customer can do; a verb that the channel lacks raises LookupError."""

    def __init__(self, platform: Platform) -> None:
        self.platform, self.house = platform, platform.house
        self.number = next(NUMBER)
        self._heard: set[tuple[str, str]] = set()

    # ── each channel's own ─────────────────────────────────────────────────────────────────────────────────────────
    @property
    def external_id(self) -> str:
        raise NotImplementedError

    async def writes(self, text: str) -> Any:
        """Send it, and wait until the house has stored it."""
        raise NotImplementedError

    async def sends_file(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    async def presses(self, shown: Shown, label: str) -> None:
        raise NotImplementedError

    async def sees(self) -> list[Shown]:
        """What the house said, as it stands now, in order."""
        raise NotImplementedError

    async def edits(self, written: Any, text: str) -> None:
        raise LookupError

    async def deletes(self, written: Any) -> None:
        raise LookupError

    async def again(self) -> None:
        """The platform (or the widget) delivers the last thing once more."""
        raise NotImplementedError

    async def sends_rubbish(self) -> None:
        """What nobody can read comes from where this customer's messages come."""
        raise NotImplementedError

    async def blocks(self) -> None:
        raise LookupError

    async def unblocks(self) -> None:
        raise LookupError

    def meets(self, fault: Fault) -> None:
        """The next thing that is sent to this customer meets this."""
        raise LookupError

    # ── the same for all ───────────────────────────────────────────────────────────────────────────────────────────
    async def hears(self, words: str) -> Shown:
        """The first message, not yet heard, in which these words stand. Fails with what is there."""
        shown: list[Shown] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self.house.settle()
                    shown = await self.sees()
                    for one in shown:
                        if words in one.text and (one.id, one.text) not in self._heard:
                            self._heard.add((one.id, one.text))
                            return one
                    await asyncio.sleep(0.005)
        raise AssertionError(f"{words!r} did not come; there is {[one.text for one in shown]}")

    async def texts(self) -> list[str]:
        return [one.text for one in await self.sees()]

    async def until(self, look: Callable[[], Any]) -> Any:
        """The first true thing that `look` (plain or async) finds."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = look()
                found = await found if asyncio.iscoroutine(found) else found
                if found:
                    return found
                await asyncio.sleep(0.005)

    channel = ""

    async def identity(self) -> Any:
        return await self.house.app.storage.read(lambda conn: customers.identity(conn, self.channel, self.external_id))

    async def id(self) -> str:
        who = await self.identity()
        assert who is not None, "the house does not know this customer"
        return str(who.customer_id)

    async def timeline(self) -> list[TimelineEntry]:
        who = await self.id()
        found = await self.house.app.storage.read(lambda conn: history.since(conn, who, 0, 1000))
        assert [one.seq for one in found] == list(range(1, len(found) + 1)), "seq has no gaps"
        return found

    async def stored(self) -> list[Message]:
        """The customer's own messages."""
        who = await self.identity()
        if who is None:
            return []
        found = await self.house.app.storage.read(lambda conn: history.messages(conn, who.customer_id))
        return [one for one in found if one.author.kind == "customer"]

    async def said(self, text: str, author: Author = BOT, *, markdown: bool = False) -> Message:
        """The house says something to them."""
        who = await self.id()
        made = await self.house.app.storage.write(
            lambda tx: outbox.say(tx, who, Body(text, markdown=markdown), author=author)
        )
        await self.house.settle()
        return made

    async def asks_for_a_human(self) -> str:
        """A case that waits for people; its id."""
        who = await self.id()
        case = await self.house.app.storage.write(
            lambda tx: cases.on_escalation(tx, EscalationAsked(who, "asked", reason="wants a human"))
        )
        await self.house.settle()
        return str(case.id)

    async def stores(self, count: int) -> None:
        """Wait until so many of their messages are stored."""
        await self.until(lambda: self._has(count))
        await self.house.settle()

    async def _has(self, count: int) -> bool:
        return len(await self.stored()) >= count


# ── the web ────────────────────────────────────────────────────────────────────────────────────────────────────────
class WebCustomer(Customer):
    channel = "web"
    visitor: Visitor

    @property
    def external_id(self) -> str:
        import jwt

        return str(jwt.decode(self.visitor.token, options={"verify_signature": False})["sub"])

    async def begins(self) -> WebCustomer:
        self.visitor = await self.house.visitor()
        return self

    async def writes(self, text: str) -> Any:
        return await self._sends({"type": "message", "id": str(uuid.uuid4()), "text": text, "files": []})

    async def _sends(self, frame: dict[str, Any]) -> dict[str, Any]:
        self.last = frame
        await self.visitor.sends(frame)
        answer = await self.visitor.gets(lambda one: one["type"] in {"ack", "error"} and one.get("id") == frame["id"])
        assert answer["type"] == "ack", answer
        await self.house.settle()
        return answer

    async def sends_file(self, name: str, data: bytes) -> None:
        async with self.house.http(Authorization=f"Bearer {self.visitor.token}") as http:
            answer = await http.post("/api/web/files", files={"file": (name, data)})
        answer.raise_for_status()
        files = [answer.json()["id"]]
        await self._sends({"type": "message", "id": str(uuid.uuid4()), "text": "", "files": files})

    async def presses(self, shown: Shown, label: str) -> None:
        value = next(one["value"] for one in shown.raw["choices"] if label in (one["value"], one["label"]))
        await self._sends({"type": "choice", "id": str(uuid.uuid4()), "message": shown.id, "value": value})

    async def sees(self) -> list[Shown]:
        messages: dict[str, dict[str, Any]] = {}
        for frame in self.visitor.frames:
            match frame["type"]:
                case "message" if frame["author"]["kind"] != "customer":
                    assert frame["id"] not in messages, "shown twice"
                    messages[frame["id"]] = dict(frame)
                case "edit" if frame["id"] in messages:
                    messages[frame["id"]] |= {"text": frame["text"], "html": frame["html"]}
                case "delete":
                    messages.pop(frame["id"], None)
        return [await self._shown(one) for one in messages.values()]

    async def _shown(self, frame: dict[str, Any]) -> Shown:
        files = []
        for file in frame["files"]:
            async with self.house.http(Authorization=f"Bearer {self.visitor.token}") as http:
                answer = await http.get(file["url"])
            files.append((file["name"], answer.content))
        labels = tuple(one["label"] for one in frame["choices"] or ())
        formatted = bool(set(re.findall(r"<(\w+)", frame["html"])) - {"a", "br", "p"})  # addresses are links; no more
        return Shown(frame["id"], frame["text"], labels, tuple(files), formatted, frame)

    async def again(self) -> None:
        await self._sends(self.last)

    async def sends_rubbish(self) -> None:
        for raw in ("{", "[]", '{"type":"sing"}', '{"type":"message"}', json.dumps({"type": "choice", "id": 7})):
            await self.visitor.sends(raw)
            await self.visitor.gets(lambda one: one["type"] == "error")
        await self.house.settle()

    async def leaves(self) -> None:
        await self.visitor.leaves()

    async def comes_back(self) -> None:
        await self.visitor.connects()


# ── Telegram ───────────────────────────────────────────────────────────────────────────────────────────────────────
class TelegramCustomer(Customer):
    channel = "telegram"

    @property
    def external_id(self) -> str:
        return str(self.person.id)

    async def begins(self) -> TelegramCustomer:
        self.person = self.platform.tg.person(1000 + self.number, f"Kari {self.number}")
        return self

    async def _arrived(self) -> None:
        await self.platform.tg.settled()
        await self.house.settle()

    async def writes(self, text: str) -> Any:
        written = await self.person.says(text)
        await self._arrived()
        return written

    async def sends_file(self, name: str, data: bytes) -> None:
        await self.person.sends_document(data, name, "image/png")
        await self._arrived()

    async def presses(self, shown: Shown, label: str) -> None:
        await self.person.presses(shown.raw, label)
        await self._arrived()

    async def sees(self) -> list[Shown]:
        return [
            Shown(
                str(one.id),
                one.text,
                tuple(one.labels),
                ((one.file.name, one.file.content),) if one.file else (),
                bool([entity for entity in one.entities if entity["type"] != "bot_command"]),
                one,
            )
            for one in self.person.sees
        ]

    async def edits(self, written: Any, text: str) -> None:
        await self.person.edits(written, text)
        await self._arrived()

    async def again(self) -> None:
        self.platform.tg.repeat()
        await self._arrived()

    async def sends_rubbish(self) -> None:
        who = {"id": self.person.id, "is_bot": False, "first_name": "K"}
        for broken in (
            None,
            [],
            "x",
            {"message_id": "no"},
            {"message_id": 1, "from": who, "chat": 7, "date": "soon", "text": 7},
        ):
            self.platform.tg.push("message", broken)
        await self._arrived()

    async def blocks(self) -> None:
        await self.person.blocks()
        await self._arrived()

    async def unblocks(self) -> None:
        await self.person.unblocks()
        await self._arrived()

    def meets(self, fault: Fault) -> None:
        chat = str(self.person.id)
        self.platform.tg.script("sendMessage", fault, when=lambda params: str(params["chat_id"]) == chat)


# ── Slack ──────────────────────────────────────────────────────────────────────────────────────────────────────────
class SlackCustomer(Customer):
    channel = "slack"

    @property
    def external_id(self) -> str:
        return f"{self.platform.slack.space.team}:{self.person.id}"

    async def begins(self) -> SlackCustomer:
        self.person = self.platform.slack.person(f"U{1000 + self.number}", f"Kari {self.number}")
        return self

    async def _arrived(self) -> None:
        await self.platform.slack.settled()
        await self.house.settle()

    async def writes(self, text: str) -> Any:
        written = await self.person.dm(text)
        await self._arrived()
        return written

    async def sends_file(self, name: str, data: bytes) -> None:
        await self.person.dm("", files=[(name, "image/png", data)])
        await self._arrived()

    async def presses(self, shown: Shown, label: str) -> None:
        await self.person.presses(self.person.direct.id, shown.id, label)
        await self._arrived()

    async def sees(self) -> list[Shown]:
        files = self.platform.slack.space.files
        return [
            Shown(
                one.ts,
                slack_text(one),
                tuple(one.labels),
                tuple((file["name"], files[file["id"]][1]) for file in one.files),
                any(block.get("text", {}).get("type") == "mrkdwn" for block in one.raw.get("blocks", ())),
                one,
            )
            for one in self.person.direct.posts()
            if one.by_app
        ]

    async def edits(self, written: Any, text: str) -> None:
        await self.person.edits(self.person.direct.id, written.ts, text)
        await self._arrived()

    async def deletes(self, written: Any) -> None:
        await self.person.deletes(self.person.direct.id, written.ts)
        await self._arrived()

    async def again(self) -> None:
        self.platform.slack.repeat()
        await self._arrived()

    async def sends_rubbish(self) -> None:
        room = self.person.direct.id
        for broken in (
            {"user": 7},
            {"user": self.person.id, "ts": [], "text": "x"},
            {"user": self.person.id, "text": 7, "ts": {}},
        ):
            self.platform.slack.emit({"type": "message", "channel": room, "channel_type": "im", **broken})
        await self._arrived()

    async def blocks(self) -> None:
        """Slack knows no blocking; but a direct message can be closed to the app, which then learns it by sending."""
        self.meets(Fault.refusal("channel_not_found"))
        await self.said("are you there?")

    async def unblocks(self) -> None:
        """Nothing tells the app but the next that they write."""

    def meets(self, fault: Fault) -> None:
        room = self.person.direct.id
        self.platform.slack.script("chat.postMessage", fault, when=lambda params: params["channel"] == room)


def slack_text(post: Post) -> str:
    """The sections' words as people read them; without buttons, names and small print."""
    sections = [block["text"] for block in post.raw.get("blocks", ()) if block["type"] == "section"]
    return "\n".join(as_read(one["text"]) if one["type"] == "mrkdwn" else one["text"] for one in sections)


def as_read(mrkdwn: str) -> str:
    return html.unescape(re.sub(r"\*(.+?)\*", r"\1", mrkdwn))


KINDS: dict[str, type[Customer]] = {"web": WebCustomer, "telegram": TelegramCustomer, "slack": SlackCustomer}


@dataclass
class Platform:
    """One way for customers in, with the whole house behind it. `tg` and `slack` are the stand-ins, where there are any."""

    key: str
    channel: str
    mode: str
    house: House
    tg: Any = None
    slack: Any = None

    async def customer(self, channel: str = "") -> Any:
        made: Any = KINDS[channel or self.channel](self)
        return await made.begins()

    def cannot(self, what: str) -> str | None:
        """Why this channel has no such thing; None: it has."""
        return CANNOT[self.channel].get(what)

    async def rows(self, name: str) -> Sequence[Any]:
        table = t.metadata.tables[name]
        return await self.house.app.storage.read(lambda conn: list(conn.execute(select(table)).all()))


@contextlib.asynccontextmanager
async def standing(
    key: str, folder: Path, *, with_bot: bool = False, with_slack: bool = False, **settings: Any
) -> AsyncIterator[Platform]:
    """The whole house with one channel on (and Slack too); `with_bot`: with the demo desk's own bot, else `scripted`."""
    channel, mode = CHANNELS[key]
    built: list[House] = []

    def clock() -> datetime:
        return built[0].now if built else MONDAY

    async with contextlib.AsyncExitStack() as stack:
        platform: Platform
        now = MONDAY
        tg = slack = None
        if channel == "telegram":
            tg = await stack.enter_async_context(TelegramServer(clock=clock))
            settings |= {"telegram_token": tg.token, "telegram_api_url": tg.api_url}
            settings |= {"telegram_webhook_secret": SECRET} if mode == "webhook" else {}
        if channel == "slack" or with_slack:
            slack = await stack.enter_async_context(SlackServer(clock=system_clock if mode == "http" else clock))
            slack.delivery.ack_timeout = 2.0
            if mode == "http":
                now = datetime.now(UTC).replace(microsecond=0)  # Slack's requests are signed with the real time
            settings |= {"slack_bot_token": slack.bot_token, "slack_api_url": slack.api_url}
            settings |= (
                {"slack_signing_secret": slack.signing_secret}
                if mode == "http"
                else {"slack_app_token": slack.app_token}
            )
        house = House(folder, now=now, **settings)
        built.append(house)
        if slack is not None and mode == "http":
            slack.events_url = f"{house.url}/slack/events"
        await stack.enter_async_context(house)
        platform = Platform(key, channel, mode, house, tg, slack)
        if tg is not None:
            await tg.called("setWebhook" if mode == "webhook" else "getUpdates", timeout=30)
        if slack is not None:
            await house.app.tokens_accepted()
            if mode != "http":
                await slack.connected(2, timeout=10)
        if not with_bot:
            app = house.app
            app.inbox.takers = (Linking(app._deep_links).take, app.answers.take, scripted)
        yield platform
