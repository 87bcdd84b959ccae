"""Sends the desk's rows. Where a thread's root was deleted, Slack posts at the channel's top and says nothing (T9): such
a stray goes, and the case gets a new card.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from bot.errors import NotSent, Refused, Uncertain
from bot.storage import files
from bot.storage.engine import Storage
from channels.port import Delivery, Sent, Verdict
from channels.slack.connection import SlackConnection
from channels.slack.payloads import mapping, metadata_for, outbox_id_of
from channels.web.files import safe_name, sniff
from handoff import store as cases
from handoff.case import Case
from handoff.slack import store
from handoff.slack.verb import Kind
from handoff.slack.verbs import KINDS

LOOK_BACK = timedelta(seconds=5)  # our clock and Slack's may differ by that much
PAGES = 5
KEPT_ABSENCES = 1_000
HELD = 60.0  # seconds; a channel that is not there yet may come: the case waits for it (F23)
GONE = ("message_not_found", "thread_not_found", "channel_not_found")
DONE = ("already_reacted", "no_reaction", "message_not_found", "too_many_reactions", "thread_locked", "bad_timestamp")

Draw = Callable[[store.Reader, Case], dict[str, Any]]
Send = Callable[[Delivery], Awaitable[Sent]]


class DeskSender:
    """A `channels.port.Sender`. `draw` makes a case's card as the database has it, `home` sends an agent's Home."""

    via = store.VIA

    def __init__(self, connection: SlackConnection, storage: Storage, draw: Draw, home: Send) -> None:
        self._slack = connection
        self._storage = storage
        self._draw = draw
        self._home = home
        self._absent: OrderedDict[str, int] = OrderedDict()

    async def send(self, delivery: Delivery) -> Sent:
        payload = delivery.payload
        match delivery.kind:
            case "root":
                return await self._root(delivery)
            case "thread":
                return await self._thread(delivery)
            case "card":
                return await self._card(delivery)
            case "redraw":
                return await self._redraw(str(payload["row"]))
            case "mark":
                return await self._mark(payload)
            case "tell":
                words = {name: payload.get(name) for name in ("channel", "user", "text", "thread_ts", "blocks")}
                await self._slack.call("chat.postEphemeral", **words)
                return Sent()
            case "notify":
                answer = await self._post(str(payload["channel"]), None, {"text": payload["text"]}, delivery.id)
                return Sent(f"{answer.get('channel') or payload['channel']}:{answer.get('ts')}")
            case "file":
                return await self._file(delivery)
            case "home":
                return await self._home(delivery)
            case "fetch":
                return await self._fetch(str(payload["file_id"]), str(payload["ref"]))
            case kind if kind in KINDS:
                return await KINDS[kind].send(self._slack, self._storage, delivery)
            case kind:
                raise Refused(f"the Slack desk has no kind {kind}")

    async def resolve(self, delivery: Delivery) -> Sent | Verdict:
        """By our own echo, or read back 5 and 15 seconds after the send; what is missing twice is not there.

        The rest does no harm twice. A file or a line for colleagues that may have arrived is not sent again: it stands in
        the case as well.
        """
        if delivery.kind in {"file", "notify"}:
            return Verdict.GIVE_UP
        kind = KINDS.get(delivery.kind)
        if kind is not None and kind.found is None:
            return kind.in_doubt
        if kind is None and not await self._would_stand_twice(delivery):
            return Verdict.ABSENT
        found = await (self._find(delivery) if kind is None else self._find_of(kind, delivery))
        if found is not None:
            self._absent.pop(delivery.id, None)
            return found
        times = self._absent.pop(delivery.id, 0) + 1
        if times >= 2 or delivery.attempts > 4:
            return Verdict.ABSENT
        self._absent[delivery.id] = times
        while len(self._absent) > KEPT_ABSENCES:
            self._absent.popitem(last=False)
        return Verdict.WAIT

    # ── the card ───────────────────────────────────────────────────────────────────────────────────────────────────
    async def _root(self, delivery: Delivery) -> Sent:
        known = await self._known(delivery)
        if known.root is not None:
            return Sent(f"{known.channel}:{known.root}")  # a thread's post found it missing and was first
        answer = await self._post(known.channel, None, delivery.payload, delivery.id)
        return card_sent(known.channel, str(answer.get("ts")))

    async def _card(self, delivery: Delivery) -> Sent:
        payload = delivery.payload
        if payload.get("ts"):  # in a channel that the case has left
            await self._update(str(payload["channel"]), str(payload["ts"]), payload)
            return Sent()
        known = await self._known(delivery)
        if known.root is None:
            return await self._root(delivery)
        try:
            await self._update(known.channel, known.root, payload)
        except Refused as error:
            if "message_not_found" not in str(error):
                raise
            await self._storage.write(lambda tx: store.forget_root(tx, known))
            return await self._root(delivery)
        return Sent(f"{known.channel}:{known.root}")

    async def _update(self, channel: str, ts: str, post: Mapping[str, Any]) -> None:
        await self._slack.call("chat.update", channel=channel, ts=ts, text=post["text"], blocks=list(post["blocks"]))

    # ── the thread ─────────────────────────────────────────────────────────────────────────────────────────────────
    async def _thread(self, delivery: Delivery) -> Sent:
        known = await self._known(delivery)
        if known.root is None:
            known = await self._open_again(delivery, known)
        answer = await self._post(known.channel, known.root, delivery.payload, delivery.id)
        if mapping(answer.get("message")).get("thread_ts") == known.root:
            return Sent(f"{known.channel}:{answer.get('ts')}")
        try:
            await self._delete(known.channel, str(answer.get("ts")))
        except NotSent as error:  # the words stand there: they must not be posted once more before these are gone
            raise Uncertain(f"a post that went astray is still there: {error}") from error
        await self._storage.write(lambda tx: store.forget_root(tx, known))
        again = await self._open_again(delivery, await self._known(delivery))
        answer = await self._post(again.channel, again.root, delivery.payload, delivery.id)
        return Sent(f"{again.channel}:{answer.get('ts')}")

    async def _open_again(self, delivery: Delivery, known: store.Thread) -> store.Thread:
        """A new card, with its summary, under which the case goes on."""
        case = await self._case(delivery)
        drawn = await self._storage.read(lambda conn: self._draw(conn, case))
        answer = await self._post(known.channel, None, drawn, above(delivery))
        root = str(answer.get("ts"))
        await self._storage.write(lambda tx: store.set_root(tx, case.id, root))
        return store.Thread(known.case_id, known.channel, root, known.card_hash)

    async def _post(self, channel: str, thread: str | None, post: Mapping[str, Any], outbox_id: str) -> dict[str, Any]:
        try:
            return await self._slack.call(
                "chat.postMessage",
                channel=channel,
                thread_ts=thread,
                reply_broadcast=True if thread and post.get("broadcast") else None,
                text=post["text"],
                blocks=list(post.get("blocks", ())) or None,
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
                metadata=metadata_for(outbox_id),
            )
        except Refused as error:
            if "channel_not_found" in str(error):
                raise NotSent(
                    f"Slack has no channel {channel}, or the app is not in it; invite it there", HELD
                ) from error
            raise

    async def _redraw(self, outbox_id: str) -> Sent:
        row = await self._storage.read(lambda conn: store.row(conn, outbox_id))
        if row is None or row.state != "sent" or not row.ext_id:
            return Sent()  # it has not left yet, and will leave as it now is; or never will
        channel, _, ts = row.ext_id.partition(":")
        try:
            await self._update(channel, ts, row.payload)
        except Refused as error:
            if not any(word in str(error) for word in GONE):
                raise
        return Sent()

    async def _delete(self, channel: str, ts: str) -> None:
        try:
            await self._slack.call("chat.delete", channel=channel, ts=ts)
        except Refused as error:
            if not any(word in str(error) for word in GONE):
                raise

    # ── marks and files ────────────────────────────────────────────────────────────────────────────────────────────
    async def _mark(self, payload: Mapping[str, Any]) -> Sent:
        place = {"channel": payload["channel"], "timestamp": payload["ts"]}
        for name in payload["remove"]:
            await self._react("reactions.remove", name=name, **place)
        await self._react("reactions.add", name=payload["add"], **place)
        return Sent()

    async def _react(self, method: str, **params: Any) -> None:
        try:
            await self._slack.call(method, **params)
        except Refused as error:
            if not any(word in str(error) for word in DONE):
                raise

    async def _file(self, delivery: Delivery) -> Sent:
        file_id = str(delivery.payload["file_id"])
        about, data = files.ready(await self._storage.read(lambda conn: files.one(conn, file_id)))
        known = await self._known(delivery)
        if known.root is None:
            raise NotSent("the card is not in Slack yet", 2)
        uploaded = await self._slack.upload(
            channel=known.channel, name=safe_name(about.name), content=data, thread_ts=known.root
        )
        return Sent(f"file:{uploaded}")

    async def _fetch(self, file_id: str, ref: str) -> Sent:
        """An agent's file comes to us; what may not be passed on leaves its reason in its place."""
        try:
            data = await self._slack.download(await self._url_of(ref))
            kind = sniff(data)
        except Refused as error:
            why = str(error)
            await self._storage.write(lambda tx: files.never_comes(tx, file_id, why))
            raise
        except Uncertain as error:
            raise NotSent(str(error)) from error
        await self._storage.write(lambda tx: files.came(tx, file_id, kind, data))
        return Sent(data={"size": len(data), "type": kind})

    async def _url_of(self, ref: str) -> str:
        if not ref.startswith("id:"):
            return ref
        about = mapping((await self._slack.call("files.info", file=ref.removeprefix("id:"))).get("file"))
        return str(about.get("url_private_download") or about.get("url_private") or "")

    # ── what we know, and what Slack knows ─────────────────────────────────────────────────────────────────────────
    async def _known(self, delivery: Delivery) -> store.Thread:
        case_id = delivery.case_id or ""
        known = await self._storage.read(lambda conn: store.thread(conn, case_id))
        if known is None:
            raise Refused("the case is not shown in Slack")
        return known

    async def _case(self, delivery: Delivery) -> Case:
        found = await self._storage.read(lambda conn: cases.case(conn, delivery.case_id or ""))
        if found is None:
            raise Refused("there is no such case")
        return found

    async def _would_stand_twice(self, delivery: Delivery) -> bool:
        """Whether it is posted; a card that is there is only drawn anew."""
        if delivery.kind == "card":
            return not delivery.payload.get("ts") and (await self._known(delivery)).root is None
        return delivery.kind in {"root", "thread"}

    async def _find(self, delivery: Delivery) -> Sent | None:
        known = await self._known(delivery)
        if delivery.kind == "thread" and known.root is None:
            await self._find_card(delivery, known)
        if delivery.kind == "root" and known.root is not None:
            return Sent(f"{known.channel}:{known.root}")
        place = await self._place(delivery, known)
        if place is None:
            return None
        ts, thread = place
        if delivery.kind != "thread":
            return card_sent(known.channel, ts)
        if thread is not None and thread == known.root:
            return Sent(f"{known.channel}:{ts}")
        await self._delete(known.channel, ts)  # a stray at the channel's top
        return None

    async def _find_card(self, delivery: Delivery, known: store.Thread) -> None:
        """The new card that a post was to stand under may be there, and nobody wrote down where."""
        name, echo = above(delivery), self._slack.echo(above(delivery))
        where = {"channel": known.channel, "oldest": since(delivery)}
        place = (echo.ts, None) if echo is not None else await self._search(name, "conversations.history", where)
        if place is not None:
            root = place[0]
            await self._storage.write(lambda tx: store.set_root(tx, known.case_id, root))

    async def _find_of(self, kind: Kind, delivery: Delivery) -> Sent | None:
        """A post at the top of a channel, of a kind that somebody else sends."""
        channel, echo = str(delivery.payload["channel"]), self._slack.echo(delivery.id)
        if echo is not None:
            return kind.found(delivery, channel, echo.ts) if kind.found is not None else None
        oldest = since(delivery)
        place = await self._search(delivery.id, "conversations.history", {"channel": channel, "oldest": oldest})
        return kind.found(delivery, channel, place[0]) if place is not None and kind.found is not None else None

    async def _place(self, delivery: Delivery, known: store.Thread) -> tuple[str, str | None] | None:
        """(ts, thread) of the post with this outbox id: as Slack told it back, or read from the channel."""
        echo = self._slack.echo(delivery.id)
        if echo is not None and (delivery.kind != "thread" or echo.thread_ts == known.root):
            return echo.ts, echo.thread_ts
        oldest = since(delivery)
        if delivery.kind == "thread" and known.root is not None:
            try:
                where = {"channel": known.channel, "ts": known.root, "oldest": oldest}
                found = await self._search(delivery.id, "conversations.replies", where)
            except Refused as error:
                if "thread_not_found" not in str(error):
                    raise
                found = None
            if found is not None:
                return found
        return await self._search(delivery.id, "conversations.history", {"channel": known.channel, "oldest": oldest})

    async def _search(self, outbox_id: str, method: str, where: Mapping[str, Any]) -> tuple[str, str | None] | None:
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self._slack.call(method, **where, include_all_metadata=True, limit=200, cursor=cursor)
            for raw in page.get("messages") or ():
                message = mapping(raw)
                if outbox_id_of(message) == outbox_id:
                    thread = message.get("thread_ts")
                    return str(message.get("ts")), thread if isinstance(thread, str) else None
            cursor = str(mapping(page.get("response_metadata")).get("next_cursor") or "") or None
            if cursor is None:
                return None
        raise NotSent("the channel is too busy to find a post in it")


def card_sent(channel: str, ts: str) -> Sent:
    """The proof of a card; `SlackDesk.on_settled` keeps its place."""
    return Sent(f"{channel}:{ts}", {"root": ts})


def above(delivery: Delivery) -> str:
    """The name of the new card that a post is to stand under."""
    return f"{delivery.id}:root"


def since(delivery: Delivery) -> str:
    """From when to look for a post, as Slack's `oldest`."""
    return f"{(delivery.started_at - LOOK_BACK).timestamp():.6f}"
