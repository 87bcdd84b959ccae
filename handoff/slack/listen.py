"""What agents do in Slack, committed before it is acknowledged: what they write, delete, edit and react with.

What they press and submit stands in `presses`. An event that comes twice, or late, changes nothing: each post is known
by its `{channel}:{ts}`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from bot.errors import Conflict
from bot.storage import history, letters
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.slack.connection import SlackConnection
from channels.slack.payloads import Reply, SlackPayload, mapping
from channels.text import TEXT_LIMIT, one_line, shorten, to_plain
from handoff import cases, relays, second_look, terms
from handoff import store as rows
from handoff.case import Case
from handoff.slack import outgoing, second, store
from handoff.slack.agents import Agents, Who, remember, user_of
from handoff.slack.home.tab import HomeTab
from handoff.slack.posts import Gone, Post, Words, fate, mentioned, read, refs_in, words
from handoff.slack.presses import Presses
from handoff.slack.verb import SideThread
from handoff.slack.verbs import SIDE_THREADS
from handoff.slack.wording import Wording

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

log = structlog.get_logger()
BACK = {"leftwards_arrow_with_hook", "back", "arrow_left_hook"}
AS_NOTE = {"lock", "closed_lock_with_key", "lock_with_ink_pen"}
NAMES = 10  # mentioned people whose names are looked up
_BROKEN = (AttributeError, TypeError, ValueError, KeyError, IndexError, RecursionError)

ShownAnew = Callable[[Tx, Case], None]


class Listener:
    """A `channels.slack.payloads.Listener` for the agents' channels, forms and shortcuts."""

    def __init__(
        self,
        connection: SlackConnection,
        storage: Storage,
        desk: Callable[[], Desk],
        agents: Agents,
        channels: Callable[[], Awaitable[Collection[str]]],
        shown_anew: ShownAnew,
        home: HomeTab,
    ) -> None:
        self._slack = connection
        self._storage = storage
        self._desk = desk
        self._agents = agents
        self._channels = channels
        self._shown_anew = shown_anew
        self._home = home
        self._presses = Presses(connection, storage, desk, agents, channels, shown_anew, home)

    async def __call__(self, payload: SlackPayload) -> Reply | None:
        if payload.kind != "event":
            return await self._presses(payload)
        event = payload.event
        if event.get("type") == "app_home_opened":
            if event.get("tab") == "home":
                await self._home.opened(str(event.get("user") or ""))
            return Reply()
        channel = event.get("channel") or mapping(event.get("item")).get("channel")
        if not isinstance(channel, str) or channel not in await self._channels():
            return None
        if event.get("type") == "reaction_added":
            item, user = mapping(event.get("item")), event.get("user")
            name, ts = str(event.get("reaction") or ""), str(item.get("ts"))
            if isinstance(user, str):
                key = f"{channel}:{ts}:{name}:{user}:{event.get('event_ts')}"
                await self._once(key, partial(self._reacted, channel, ts, user, name))
        elif event.get("type") == "message":
            await self._told(payload)
        return Reply()

    async def _told(self, payload: SlackPayload) -> None:
        try:
            said = read(payload.event, self._slack.team_id)
        except _BROKEN as error:
            raw = json.dumps(dict(payload.event), ensure_ascii=False, default=str).encode("utf-8", "replace")
            key, why = str(payload.body.get("event_id") or "")[:200] or None, f"{type(error).__name__}: {error}"
            log.warning("slack desk: dropped", error=why[:200])
            await self._storage.write(lambda tx: letters.bury(tx, store.VIA, key, raw, why))
            return
        await self._heard(said)

    async def read_again(self, raw: bytes) -> None:
        """A dead letter of ours, as if it had just come. Raises ValueError for what still can't be read."""
        try:
            said = read(mapping(json.loads(raw)), self._slack.team_id)
        except _BROKEN as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        await self._heard(said)

    async def _heard(self, said: Post | Gone | None) -> None:
        if isinstance(said, Gone):
            await self._storage.write(lambda tx: self._deleted(tx, said))
        elif said is not None:
            await self._posted(said)

    async def found(self, message: Mapping[str, Any], channel: str) -> None:
        """A message that was read from Slack because its event may have been missed: new, edited, or with reactions.

        What is known already stays as it is.
        """
        ref, ts = f"{channel}:{message.get('ts')}", str(message.get("ts"))
        by_us = message.get("user") == self._slack.bot_user_id
        try:
            said = None if by_us else read({**message, "type": "message", "channel": channel}, self._slack.team_id)
        except _BROKEN:
            return
        if isinstance(said, Post):
            known, edit = await self._storage.read(lambda conn: store.seen(conn, ref)), mapping(message.get("edited"))
            if not known:
                await self._posted(said)
            elif edit:
                await self._once(f"{ref}:edited:{edit.get('ts')}", partial(self._posted, replace(said, edited=True)))
        for reaction in message.get("reactions") or ():
            name = str(mapping(reaction).get("name") or "")
            for user in mapping(reaction).get("users") or ():
                if user != self._slack.bot_user_id:
                    await self._once(f"{ref}:{name}:{user}", partial(self._reacted, channel, ts, str(user), name))

    async def gone(self, ref: str) -> None:
        """A post of an agent's that Slack has no more, though nobody told us."""
        channel, _, ts = ref.partition(":")
        relay = await self._storage.read(lambda conn: rows.relay(conn, store.DESK, ref))
        user = user_of(relay.agent_id, self._desk()) if relay is not None else None
        await self._storage.write(lambda tx: self._deleted(tx, Gone(channel, ts, user or "")))

    async def _once(self, key: str, act: Callable[[], Awaitable[None]]) -> None:
        """Kept only when it is done: what failed (Slack could not say who it is) comes again, and is not known then."""
        if not await self._storage.read(lambda conn: store.has_come(conn, key)):
            await act()
            await self._first_time(key)

    async def _first_time(self, key: str) -> bool:
        return await self._storage.write(lambda tx: store.first_time(tx, key))

    # ── posts ──────────────────────────────────────────────────────────────────────────────────────────────────────
    async def _posted(self, post: Post) -> None:
        case_id = await self._storage.read(lambda conn: store.case_under(conn, post.channel, post.thread))
        if case_id is None:
            await self._aside(post)
            return
        who = await self._agents.who(post.team, post.user, post.channel)
        if who is None:
            await self._storage.write(lambda tx: self._refuse(tx, case_id, post))
            return
        said = words(post, await self._names(post))
        await self._storage.write(lambda tx: self._take(tx, case_id, post, who, said))

    async def _aside(self, post: Post) -> None:
        """A post in a thread that is no case's own: it may have to do with one; below another post of ours it is astray."""
        found = await self._storage.read(lambda conn: _side_at(conn, post.channel, post.thread))
        astray = found is None and post.parent == self._slack.bot_user_id and not post.edited
        who = await self._agents.who(post.team, post.user, post.channel) if found or astray else None
        if who is None:
            return
        agent = who
        if found is not None:
            side, known = found
            said = words(post, await self._names(post))
            await self._storage.write(lambda tx: self._take_aside(tx, side, known, post, agent, said))
        elif await self._first_time(f"astray:{post.channel}:{post.thread}:{post.user}"):
            text = self._wording("slack_wrong_thread")
            await self._storage.write(lambda tx: outgoing.tell(tx, post.channel, agent.user, text, post.thread))

    def _take_aside(self, tx: Tx, side: SideThread, known: str, post: Post, who: Who, said: Words) -> None:
        remember(tx, who, self._desk(), post.channel)
        if not store.seen(tx.conn, post.ref):
            side.posted(tx, known, post, who, said)
        elif post.edited:
            self._edit_note(tx, post, to_plain(said.text))

    def _refuse(self, tx: Tx, case_id: str, post: Post) -> None:
        """Somebody who is no agent: nothing is kept of their words but that they tried."""
        case = rows.held(tx, case_id)
        if not post.edited and not store.seen(tx.conn, post.ref):
            store.bury(tx, post.ref)
            rows.log(tx, case, "refused", None, who=f"{post.team}:{post.user}", what="post")
            self._tell(tx, case, post, post.user, self._wording("refused_not_agent"))

    def _take(self, tx: Tx, case_id: str, post: Post, who: Who, said: Words) -> None:
        case = rows.held(tx, case_id)
        remember(tx, who, self._desk(), post.channel)
        if store.seen(tx.conn, post.ref):
            if post.edited:
                self._edit(tx, case, post, who, said)
            return
        if not to_plain(said.text).strip() and not post.files:  # an empty quote
            return
        since = store.held_since(tx.conn, case)
        after_claim = since is not None and post.at >= since
        does = fate(case, who.agent_id, said, self._desk().replies, after_claim=after_claim)
        files = [(store.expect_file(tx, remote), remote.ref) for remote in post.files]
        for file, ref in files:
            outgoing.fetch(tx, case, file, ref)
        kept = [file for file, _ in files]
        if does.leaves:
            text = shorten(said.text, TEXT_LIMIT)
            found = second_look.look(tx.conn, self._desk(), case, to_plain(text))
            relays.draft(tx, case.id, who.agent_id, text, kept, desk=store.DESK, ref=post.ref, held=found.warnings)
            if found.seems is not None:
                self._tell(tx, case, post, who.user, second.tip(found.customer, found.seems, self._wording))
            return
        knows = store.noted_before(tx.conn, case.id, who.agent_id)
        text = shorten(to_plain(said.text), TEXT_LIMIT)
        cases.note(tx, case.id, who.agent_id, text, kept, desk=store.DESK, ref=post.ref)
        if does.hint and not (knows and does.hint in {"not_relayed_unclaimed", "not_relayed_not_yours"}):
            holder = rows.agent_name(tx.conn, self._desk(), case.agent_id)
            values = {"agent": holder} if does.hint == "not_relayed_not_yours" else {}
            self._tell(tx, case, post, who.user, self._wording(does.hint, **values))

    def _edit(self, tx: Tx, case: Case, post: Post, who: Who, said: Words) -> None:
        """An agent edited their post. The customer's copy follows, unless the new words are none for them."""
        relay = rows.relay(tx.conn, store.DESK, post.ref)
        if relay is not None and relay.agent_id != who.agent_id:
            return
        keep = said.is_note or said.mentions
        if relay is None or relay.state in {"note", "refused"}:
            self._edit_note(tx, post, to_plain(said.text))
        elif relay.state == "waiting":
            if keep:
                relays.take_back(tx, store.DESK, post.ref, as_note=True)
                self._edit_note(tx, post, to_plain(said.text))
            elif said.text.strip():
                held = second_look.look(tx.conn, self._desk(), case, to_plain(said.text)).warnings
                relays.edit_relay(tx, store.DESK, post.ref, shorten(said.text, TEXT_LIMIT), held)
        elif relay.state == "said" and said.text.strip() and said.text != relay.text:
            may = case.with_people and case.agent_id == who.agent_id and not keep
            if may and second_look.look(tx.conn, self._desk(), case, to_plain(said.text)).warnings:
                self._tell(tx, case, post, who.user, self._wording("slack_not_edited_look"))  # nobody could confirm it
            elif not may or not relays.edit_relay(tx, store.DESK, post.ref, shorten(said.text, TEXT_LIMIT)):
                self._tell(tx, case, post, who.user, self._wording("slack_not_edited"))

    def _edit_note(self, tx: Tx, post: Post, text: str) -> None:
        relay = rows.relay(tx.conn, store.DESK, post.ref)
        if relay is not None and relay.message_id:
            note = history.message(tx.conn, relay.message_id)
        else:
            note = history.by_ref(tx.conn, relays.note_channel(store.DESK), post.ref)
        if note is not None and note.seq is None and note.deleted_at is None and text.strip() != note.body.text:
            history.edit(tx, note, shorten(text, TEXT_LIMIT))

    # ── taking back ────────────────────────────────────────────────────────────────────────────────────────────────
    def _deleted(self, tx: Tx, gone: Gone) -> None:
        """An agent's post: taken back, and from the customer too. A card: posted again while the case lives."""
        case_id = store.case_under(tx.conn, gone.channel, gone.ts)
        if case_id is not None:
            self._card_deleted(tx, case_id, gone.ts)
            return
        beside = _side_at(tx.conn, gone.channel, gone.ts)
        if beside is not None:
            beside[0].deleted(tx, beside[1])
            return
        if not store.seen(tx.conn, gone.ref):
            store.bury(tx, gone.ref)
            return
        self._take_back(tx, gone.ref, gone.user)

    def _card_deleted(self, tx: Tx, case_id: str, ts: str) -> None:
        case, known = rows.held(tx, case_id), store.thread(tx.conn, case_id)
        if known is not None and known.root == ts:
            store.forget_root(tx, known)
            if case.live:
                self._shown_anew(tx, case)

    def _take_back(self, tx: Tx, ref: str, user: str) -> None:
        relay = rows.relay(tx.conn, store.DESK, ref)
        try:
            with tx.savepoint():
                gone = relays.take_back(tx, store.DESK, ref)
        except Conflict:
            return  # never a case's: somebody who is no agent wrote it
        case = rows.case(tx.conn, relay.case_id) if relay is not None else None
        if not gone and case is not None:
            channel, _, _ = ref.partition(":")
            known = store.thread(tx.conn, case.id)
            outgoing.tell(tx, channel, user, self._wording("too_late_to_undo"), known.root if known else None, case)

    async def _reacted(self, channel: str, ts: str, user: str, name: str) -> None:
        """↩️ or 🔒 on one's own answer keeps it here; on a card, what desk.yaml says (👀 claims, ✅ resolves)."""
        if name in BACK | AS_NOTE:
            await self._keep(f"{channel}:{ts}", user, as_note=name in AS_NOTE)
            return
        verb = terms.reactions(self._desk()).get(name)
        case_id = await self._storage.read(lambda conn: store.case_under(conn, channel, ts)) if verb else None
        if verb is not None and case_id is not None:
            await self._presses.react(verb, case_id, channel, ts, user)
            # It counts once: a sweep that finds it again must not claim a case that was given back since.
            await self._first_time(f"{channel}:{ts}:{name}:{user}")

    async def _keep(self, ref: str, user: str, *, as_note: bool) -> None:
        relay = await self._storage.read(lambda conn: rows.relay(conn, store.DESK, ref))
        if relay is None or relay.state not in {"waiting", "said"} or (as_note and relay.state == "said"):
            return
        who = await self._agents.who(self._slack.team_id, user, ref.partition(":")[0])
        known = await self._storage.read(lambda conn: store.thread(conn, relay.case_id))
        if who is not None and who.agent_id == relay.agent_id:
            agent, root = who, known.root if known else None
            await self._storage.write(lambda tx: self._presses.take_back(tx, agent, ref, root, as_note=as_note))

    # ── what both sides need ───────────────────────────────────────────────────────────────────────────────────────
    async def _names(self, post: Post) -> dict[str, str]:
        """Names of who is mentioned; who can't be looked up in time stays nameless."""
        names = {}
        for user in refs_in(mentioned(post))[:NAMES]:
            person = await self._slack.user_soon(post.team, user)
            if person.is_known and person.name:
                names[user] = one_line(person.name, 60)
        return names

    def _tell(self, tx: Tx, case: Case, post: Post, user: str, text: str) -> None:
        outgoing.tell(tx, post.channel, user, text, post.thread, case)

    @property
    def _wording(self) -> Wording:
        return Wording(self._desk())


def _side_at(conn: store.Reader, channel: str, root: str) -> tuple[SideThread, str] | None:
    for side in SIDE_THREADS:
        known = side.under(conn, channel, root)
        if known is not None:
            return side, known
    return None
