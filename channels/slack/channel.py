"""Slack as the customers' channel: direct messages to the app, and threads where it is mentioned."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from bot import outbox
from bot.errors import NotSent, RateLimited, Refused, SendFault, Uncertain
from bot.inbox import Inbox
from bot.model import Chose, Inbound, Reachability, Sender, Wrote
from bot.storage import files
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.port import Delivery, Sent, Verdict
from channels.slack import inbound, store
from channels.slack.connection import SlackConnection
from channels.slack.outbound import SlackOutlet, last_post
from channels.slack.payloads import Reply, SlackPayload, kind_of, mapping, metadata_for, outbox_id_of, raw_of
from channels.web.files import safe_name, sniff

log = structlog.get_logger()
LOOK_BACK = timedelta(seconds=5)  # our clock and Slack's may differ by that much
PAGES = 5
SWEEP = timedelta(days=3)  # how far back customers' places are looked at after a (re)connect
SWEEP_PACE = 1.2  # seconds between reads: conversations.history and .replies are Tier 3, 50 a minute
SWEEP_TRIES = 4  # of a read that Slack would not answer
KEPT_ABSENCES = 1_000
Found = tuple[str, Mapping[str, Any]]  # the ref of what was read back, and its message
GONE = {"message_not_found", "file_deleted", "file_not_found", "thread_not_found"}


class SlackChannel:
    """A `channels.port.Channel` and its `Sender`. Adds its listener to the connection when it is built.

    `agent_channels()` gives the ids of the channels where agents work: in those nobody is a customer.
    """

    name = "slack"
    via = "slack"

    def __init__(
        self,
        connection: SlackConnection,
        storage: Storage,
        inbox: Inbox,
        agent_channels: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self.connection = connection
        self.storage = storage
        self.inbox = inbox
        self.outlet = SlackOutlet()
        self._agent_channels = agent_channels
        self._absent: OrderedDict[str, int] = OrderedDict()
        connection.add_listener(self.take)
        connection.add_connect_hook(self.catch_up)

    # ── Channel ────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def sender(self) -> SlackChannel:
        return self

    async def start(self) -> None:
        await self.connection.start()

    async def ready(self) -> None:
        """As `SlackConnection.ready`: a token that Slack refuses ends the start."""
        await self.connection.ready()

    async def stop(self) -> None:
        await self.connection.stop()

    def routes(self) -> Sequence[Any]:
        return self.connection.routes()

    def faults(self) -> Sequence[str]:
        return self.connection.faults()

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    async def read_again(self, raw: bytes) -> None:
        """A dead letter of ours, as if it had just come. Raises ValueError for what still can't be read."""
        body = mapping(json.loads(raw))
        await self.take(SlackPayload(kind_of(body), body), again=True)

    async def take(self, payload: SlackPayload, *, again: bool = False) -> Reply | None:
        """What a customer did is committed, then acknowledged. None: it is nobody's here. Broken: kept, or ValueError."""
        agents = frozenset(self._agent_channels())
        place = inbound.place_of(payload, agents)
        if place is None:
            return None
        thread = store.Thread()
        if not place.direct:
            thread = await self.storage.read(lambda conn: store.thread(conn, place.channel, place.thread))
        found = inbound.read(
            payload,
            team=self.connection.team_id,
            bot_user=self.connection.bot_user_id,
            followers=thread.followers,
            agent_channels=agents,
        )
        if isinstance(found, inbound.Malformed):
            if again:
                raise ValueError(found.reason)
            await self.inbox.drop(
                "slack", raw_of(payload), found.reason, str(payload.body.get("event_id") or "")[:200] or None
            )
            return Reply()
        if found is None:
            return None
        if not place.direct and found.sender.external_id not in thread.followers:
            if not isinstance(found.happening, Wrote):
                return Reply()  # somebody else pressed the customer's button
            await self.storage.write(lambda tx: store.follow(tx, place.channel, place.thread, found.sender.external_id))
        return await self._receive(payload, found)

    async def catch_up(self) -> None:
        """What customers wrote while nobody listened (Slack gives up after some six minutes), read where they were last.

        Known posts are told by their (team, channel, ts). Edits and deletions of that time are not seen.
        """
        since = self.storage.clock() - SWEEP
        for channel, thread, last in await self.storage.read(lambda conn: store.recent_places(conn, since)):
            method = "conversations.replies" if thread else "conversations.history"
            try:
                page = await self._page(method, channel=channel, ts=thread or None, oldest=last, limit=200)
            except SendFault as error:
                log.warning("slack place not swept", error=str(error))
                continue
            kind = "im" if channel.startswith("D") else "channel"
            for message in sorted(map(mapping, page.get("messages") or ()), key=lambda one: str(one.get("ts"))):
                event = {**message, "type": "message", "channel": channel, "channel_type": kind}
                event_id = f"sweep:{self.connection.team_id}:{channel}:{message.get('ts')}"
                team = self.connection.team_id
                await self.connection.take(
                    SlackPayload("event", {"event_id": event_id, "team_id": team, "event": event})
                )
            await asyncio.sleep(SWEEP_PACE)

    async def _page(self, method: str, **where: Any) -> dict[str, Any]:
        """As `SlackConnection.call`; what Slack would not say just now is asked for again, for nobody comes back to it."""
        for _ in range(SWEEP_TRIES - 1):
            try:
                return await self.connection.call(method, **where)
            except RateLimited as error:
                await asyncio.sleep(SWEEP_PACE if error.retry_after is None else error.retry_after)
            except Uncertain:
                await asyncio.sleep(SWEEP_PACE)
        return await self.connection.call(method, **where)

    async def _receive(self, payload: SlackPayload, found: Inbound) -> Reply | None:
        team, _, user = found.sender.external_id.partition(":")
        person = await self.connection.user_soon(team, user)
        if person.is_known and person.is_bot:
            return None
        zone = {"time_zone": person.tz} if person.tz else {}
        sender = replace(found.sender, name=person.name, locale=person.locale, attributes=zone)
        receipt = await self.inbox.receive(replace(found, sender=sender, raw=raw_of(payload)))
        message_id = receipt.message_id
        if isinstance(found.happening, Chose) and message_id is not None and not receipt.duplicate:
            posted = mapping(payload.body.get("message")).get("ts") or mapping(payload.body.get("container")).get(
                "message_ts"
            )
            address = found.sender.address
            await self.storage.write(lambda tx: self._show_choice(tx, message_id, address, str(posted)))
        return Reply()

    def _show_choice(self, tx: Tx, message_id: str, address: str, ts: str) -> None:
        """The pressed button is shown, and the row goes; a survey's scale stays and can be pressed again."""
        pressed = store.pressed(tx.conn, message_id)
        if pressed is None:
            return
        said, value = pressed
        channel = address.partition(":")[0]
        outbox.enqueue(
            tx,
            via=self.via,
            lane=self.outlet.lane(address),
            bucket=self.outlet.bucket(address),
            kind="edit",
            payload={"ref": f"{channel}:{ts}", **last_post(said, value), "address": address},
            customer_id=said.customer_id,
        )

    # ── out ────────────────────────────────────────────────────────────────────────────────────────────────────────
    async def send(self, delivery: Delivery) -> Sent:
        try:
            return await self._perform(delivery)
        except Refused as error:
            if error.unreachable and delivery.kind in {"text", "file"}:
                await self._left(delivery)
            raise

    async def _left(self, delivery: Delivery) -> None:
        """The customer can't be written to where they wrote last: marked once, until they write again."""
        who, address = delivery.customer_id, str(delivery.payload.get("address"))
        known = await self.storage.read(lambda conn: store.reachable_at(conn, who, address)) if who else None
        if known is not None:
            sender = Sender(self.name, known.external_id, address)
            key = f"{self.connection.team_id}:unreachable:{delivery.id}"
            await self.inbox.receive(Inbound(self.name, key, sender, Reachability(False)))

    async def _perform(self, delivery: Delivery) -> Sent:
        payload = delivery.payload
        match delivery.kind:
            case "text":
                return await self._post(delivery)
            case "file":
                return await self._upload(delivery)
            case "fetch":
                return await self._fetch(str(payload["file_id"]), str(payload["ref"]))
            case "edit":
                channel, ts = place(str(payload["ref"]))
                await self.connection.call("chat.update", channel=channel, ts=ts, **drawn(payload))
                return Sent(str(payload["ref"]))
            case "delete":
                return await self._delete(str(payload["ref"]))
            case kind:
                raise Refused(f"Slack has no kind {kind}")

    async def resolve(self, delivery: Delivery) -> Sent | Verdict:
        """Own echo seen, or read back 5 and 15 seconds after the send: what is missing twice is certainly not there.

        To edit, delete or fetch twice does no harm: those are simply done again.
        """
        if delivery.kind not in {"text", "file"}:
            return Verdict.ABSENT
        echo = self.connection.echo(delivery.id)
        if echo is not None:
            return await self._proof(delivery, echo.ts, echo.thread_ts)
        found = await self._read_back(delivery)
        if found is not None:
            self._absent.pop(delivery.id, None)
            ref, message = found
            return (
                Sent(ref)
                if delivery.kind == "file"
                else await self._proof(delivery, place(ref)[1], message.get("thread_ts"))
            )
        times = self._absent.pop(delivery.id, 0) + 1
        if times >= 2 or delivery.attempts > 4:
            return Verdict.ABSENT
        self._absent[delivery.id] = times
        while len(self._absent) > KEPT_ABSENCES:
            self._absent.popitem(last=False)
        return Verdict.WAIT

    async def _proof(self, delivery: Delivery, ts: str, landed: str | None) -> Sent | Verdict:
        """What the post that was found says. At its channel's top, though it belongs into a thread, it is the new thread's
        root; or it went astray, and goes.
        """
        channel, thread, known = await self._where(delivery)
        if thread and not channel.startswith("D") and thread not in {ts, landed}:
            if known.opened_by != delivery.id and await self._take_away(delivery, channel, thread, ts):
                return Verdict.ABSENT
            await self.storage.write(lambda tx: store.move(tx, channel, thread, ts))
        return Sent(f"{channel}:{ts}")

    async def _post(self, delivery: Delivery) -> Sent:
        channel, thread, known = await self._where(delivery)
        if thread and known.opened_by == delivery.id:  # what went astray is gone, and these words never came
            return Sent(f"{channel}:{await self._open_again(delivery, channel, thread, known)}")
        answer = await self._say(delivery, channel, thread, drawn(delivery.payload))
        ts, landed = str(answer.get("ts")), mapping(answer.get("message")).get("thread_ts")
        if thread and landed != thread:  # its root was deleted: Slack posted at the channel's top (T9)
            if await self._take_away(delivery, channel, thread, ts):
                ts = await self._open_again(delivery, channel, thread, known)
            else:
                await self.storage.write(lambda tx: store.move(tx, channel, thread, ts))
        return Sent(f"{channel}:{ts}")

    async def _say(
        self, delivery: Delivery, channel: str, thread: str | None, post: Mapping[str, Any]
    ) -> dict[str, Any]:
        return await self.connection.call(
            "chat.postMessage",
            channel=channel,
            thread_ts=thread,
            **post,
            parse="none",
            link_names=False,
            unfurl_links=False,
            unfurl_media=False,
            metadata=metadata_for(delivery.id),
            client_msg_id=delivery.id,  # undocumented; where Slack honours it, a second copy is refused
        )

    async def _take_away(self, delivery: Delivery, channel: str, thread: str, stray: str) -> bool:
        """Delete a post that went astray: its words will open a new thread. False: it stays, and so is the new thread."""
        try:
            await self._delete(f"{channel}:{stray}")
        except NotSent as error:  # the words stand there: they must not be posted once more before these are gone
            raise Uncertain(f"a post that went astray is still there: {error}") from error
        except Refused as error:
            log.warning("a post that went astray stays", error=str(error))
            return False
        self.connection.went_astray(channel, stray)
        await self.storage.write(lambda tx: store.open_again(tx, channel, thread, delivery.id))
        return True

    async def _open_again(self, delivery: Delivery, channel: str, thread: str, known: store.Thread) -> str:
        """A new thread that calls its customers by name; what follows goes there too. Its ts."""
        called = " ".join(f"<@{who.partition(':')[2]}>" for who in sorted(known.followers)[:5])
        post = drawn(delivery.payload)
        if called:
            post["blocks"] = [{"type": "section", "text": {"type": "mrkdwn", "text": called}}, *post["blocks"]]
        answer = await self._say(delivery, channel, None, post)
        root = str(answer.get("ts"))
        await self.storage.write(lambda tx: store.move(tx, channel, thread, root))
        return root

    async def _where(self, delivery: Delivery) -> tuple[str, str | None, store.Thread]:
        """Channel and thread of an address, and what is known of it; a thread that goes on elsewhere is followed there."""
        channel, _, thread = str(delivery.payload["address"]).partition(":")
        if not thread or channel.startswith("D"):
            return channel, thread or None, store.Thread()
        return channel, *await self.storage.read(lambda conn: store.goes_on(conn, channel, thread))

    async def _upload(self, delivery: Delivery) -> Sent:
        channel, thread, _ = await self._where(delivery)
        file, data = files.ready(
            await self.storage.read(lambda conn: files.one(conn, str(delivery.payload["file_id"])))
        )
        uploaded = await self.connection.upload(
            channel=channel, name=safe_name(file.name), content=data, thread_ts=thread
        )
        return Sent(f"file:{uploaded}")

    async def _delete(self, ref: str) -> Sent:
        try:
            if ref.startswith("file:"):
                await self.connection.call("files.delete", file=ref.removeprefix("file:"))
            else:
                channel, ts = place(ref)
                await self.connection.call("chat.delete", channel=channel, ts=ts)
        except Refused as error:
            if not any(word in str(error) for word in GONE):
                raise
        return Sent(ref)

    async def _fetch(self, file_id: str, ref: str) -> Sent:
        """A customer's file comes to us; what may not be kept leaves its reason in its place."""
        try:
            url = await self._url_of(ref)
            data = await self.connection.download(url)
            kind = sniff(data)
        except Refused as error:
            why = str(error)
            await self.storage.write(lambda tx: files.never_comes(tx, file_id, why))
            raise
        except Uncertain as error:
            raise NotSent(str(error)) from error
        await self.storage.write(lambda tx: files.came(tx, file_id, kind, data))
        return Sent(data={"size": len(data), "type": kind})

    async def _url_of(self, ref: str) -> str:
        if not ref.startswith("id:"):
            return ref
        file = mapping((await self.connection.call("files.info", file=ref.removeprefix("id:"))).get("file"))
        return str(file.get("url_private_download") or file.get("url_private") or "")

    async def _read_back(self, delivery: Delivery) -> Found | None:
        """The post with this outbox id in its metadata (of a file: our post with its name), since we began."""
        channel, thread, _ = await self._where(delivery)
        oldest = f"{(delivery.started_at - LOOK_BACK).timestamp():.6f}"
        places: list[tuple[str, dict[str, Any]]] = [("conversations.history", {})]
        if thread:
            places.insert(0, ("conversations.replies", {"ts": thread}))
        for method, where in places:
            try:
                found = await self._search(delivery, method, {"channel": channel, "oldest": oldest, **where})
            except Refused as error:
                if "thread_not_found" not in str(error):
                    raise
                continue  # its root was deleted: a post of ours would stand at the channel's top
            if found is not None:
                return found
        return None

    async def _search(self, delivery: Delivery, method: str, where: Mapping[str, Any]) -> Found | None:
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self.connection.call(method, **where, include_all_metadata=True, limit=200, cursor=cursor)
            for message in page.get("messages") or ():
                ref = self._is(delivery, mapping(message))
                if ref is not None:
                    return ref or f"{where['channel']}:{message['ts']}", mapping(message)
            cursor = str(mapping(page.get("response_metadata")).get("next_cursor") or "") or None
            if cursor is None:
                return None
        raise NotSent("the channel is too busy to find a post in it")

    def _is(self, delivery: Delivery, message: Mapping[str, Any]) -> str | None:
        """None: another message. Else the file's ref, or "" for a post."""
        if delivery.kind == "text":
            return "" if outbox_id_of(message) == delivery.id else None
        if message.get("bot_id") != self.connection.bot_id and message.get("user") != self.connection.bot_user_id:
            return None
        name = safe_name(str(delivery.payload.get("name")))
        files = [mapping(one) for one in message.get("files") or ()]
        return next((f"file:{one.get('id')}" for one in files if name in {one.get("name"), one.get("title")}), None)


def place(ref: str) -> tuple[str, str]:
    """(channel, ts) of a ref."""
    channel, _, ts = ref.partition(":")
    return channel, ts


def drawn(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": payload["text"], "blocks": list(payload["blocks"])}
