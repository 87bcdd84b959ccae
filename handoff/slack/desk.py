"""The Slack desk as a port: what changes in the house becomes rows of the outbox, in the transaction that changed it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from bot.events import DeskRefused, DigestMade, NotifyAsked, SendSettled
from bot.model import AuthorKind, CaseStatus, Message
from bot.settings import Settings
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.slack.connection import SlackConnection
from channels.slack.payloads import Reply, SlackPayload
from handoff import brief as briefs
from handoff import store as cases
from handoff import terms
from handoff.case import Case, PeopleCalled, Relay
from handoff.errands.errand import ErrandChanged
from handoff.errands.verbs import META
from handoff.hints import store as hints
from handoff.slack import aside, outgoing, second, store, transcript, undo, weekly
from handoff.slack.agents import Agents, user_of
from handoff.slack.card import card, digest
from handoff.slack.home.tab import HomeTab
from handoff.slack.links import links_to
from handoff.slack.listen import Listener
from handoff.slack.sender import DeskSender
from handoff.slack.store import Thread
from handoff.slack.sweep import Sweep
from handoff.slack.verbs import KINDS
from handoff.slack.wording import Wording
from handoff.steps import tell_agents

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

log = structlog.get_logger()
SHOWN_FAULTS = 5
_POST = re.compile(r"[A-Z][A-Z0-9]+:\d+\.\d+")


class SlackDesk:
    """An `AgentDesk`. `sender` sends its rows; `listen` takes what agents do; `channels` are where they work.

    Without `STAFETT_SLACK_AGENT_CHANNEL`, cases of teams that name no channel of their own are not shown here.
    """

    name = store.DESK

    def __init__(
        self, connection: SlackConnection, storage: Storage, settings: Settings, desk: Callable[[], Desk]
    ) -> None:
        self._slack = connection
        self._settings = settings
        self._desk = desk
        self._storage = storage
        self._seen: set[str] | None = None  # channels of threads from before a change of settings
        agents = Agents(connection, desk)
        self._home = HomeTab(connection, storage, settings, desk, agents, self._all_channels)
        self.sender = DeskSender(connection, storage, self.draw, self._home.send)
        self._listener = Listener(connection, storage, desk, agents, self._all_channels, self.shown_anew, self._home)
        self.sweep = Sweep(connection, storage, self._listener.found, self._listener.gone)
        if not self.channels():
            log.warning(
                "slack shows no cases: set STAFETT_SLACK_AGENT_CHANNEL, or slack_channel of a team in desk.yaml"
            )

    # ── what the house asks ────────────────────────────────────────────────────────────────────────────────────────
    def channels(self) -> Collection[str]:
        """Ids of the agents' channels: in those nobody is a customer."""
        teams = {one.slack_channel for one in terms.teams(self._desk()) if one.slack_channel}
        default = {self._settings.slack_agent_channel} if self._settings.slack_agent_channel else set()
        return frozenset(teams | default | (self._seen or set()))

    async def listen(self, payload: SlackPayload) -> Reply | None:
        """What agents do, committed before it is acknowledged; None: it is not theirs."""
        return await self._listener(payload)

    async def read_again(self, raw: bytes) -> None:
        """As `Listener.read_again`."""
        await self._listener.read_again(raw)

    async def catch_up(self) -> None:
        """For ever, in the background: read what was written while nobody listened."""
        await self.sweep.run()

    async def _all_channels(self) -> Collection[str]:
        if self._seen is None:
            self._seen = await self._storage.read(store.channels)
        return self.channels()

    # ── the port ───────────────────────────────────────────────────────────────────────────────────────────────────
    def case_changed(self, tx: Tx, case: Case) -> None:
        if not case.concerns_people:
            return
        self._home.changed(tx)
        known = store.thread(tx.conn, case.id)
        if known is None:
            if case.with_people:
                self._open(tx, case)
            return
        wanted = self.channel_of(case.team)
        if case.status is CaseStatus.QUEUED and wanted is not None and wanted != known.channel:
            self._move(tx, case, known, wanted)
            return
        self._refresh(tx, case, known)
        if case.with_people:
            self._show_new(tx, case, known.channel)

    def message_added(self, tx: Tx, case: Case, message: Message) -> None:
        known = store.thread(tx.conn, case.id)
        if known is None:
            return
        if message.seq is not None:
            # What the bot says in a case that came back to it is shown when people take it up again.
            if case.status is not CaseStatus.BOT:
                self._show_new(tx, case, known.channel)
        elif is_post(message):
            if "relay" not in message.meta:  # a relay's marks follow the relay
                outgoing.mark(tx, case.id, case.customer_id, str(message.meta["ref"]), outgoing.NOTE)
        else:
            self._show(tx, case, known.channel, [message])

    def message_amended(self, tx: Tx, case: Case, message: Message) -> None:
        """The post is drawn anew in its place; what a customer changed is told as well."""
        known = store.thread(tx.conn, case.id)
        if known is None or message.customer_id != case.customer_id or is_post(message):
            return
        for outbox_id in store.posts_with(tx.conn, message):
            row = store.row(tx.conn, outbox_id)
            if row is not None:
                store.set_payload(tx, outbox_id, transcript.redrawn(row.payload, message, self._wording))
                outgoing.redraw(tx, case, known.channel, outbox_id)
        if message.author.kind is AuthorKind.CUSTOMER:
            self._refresh(tx, case, known)  # its words may stand in the summary
            if case.with_people:
                self._tell_amended(tx, case, known, message)

    def relay_changed(self, tx: Tx, relay: Relay) -> None:
        if relay.desk != self.name or relay.ref is None or not _POST.fullmatch(relay.ref):
            return
        found = mark_of(relay, tx.now)
        if found is not None:
            outgoing.mark(tx, relay.case_id, relay.customer_id, relay.ref, *found)
        if relay.state == "refused":
            self._tell_refused(tx, relay)
        elif relay.state == "waiting" and (relay.held or relay.created_at == tx.now):
            self._offer_undo(tx, relay)

    def people_called(self, tx: Tx, event: PeopleCalled) -> None:
        """Whoever should look is named in the case's thread: the note says why, this one makes their Slack ring."""
        known = store.thread(tx.conn, event.case.id)
        user = user_of(event.person, self._desk()) if event.person else None
        if known is not None and (user or event.group):
            outgoing.post(tx, event.case, known.channel, transcript.call_of(event.text, user, event.group), {})

    def errand_changed(self, tx: Tx, event: ErrandChanged) -> None:
        aside.on_errand(tx, event, self.channel_of, self._wording)

    def on_notify(self, tx: Tx, event: NotifyAsked) -> None:
        """A flow's line for colleagues: to the channel that the flow names."""
        outgoing.notify(tx, event.channel, event.text, event.customer_id, event.case_id)

    def on_digest(self, tx: Tx, event: DigestMade) -> None:
        weekly.on_digest(tx, event, self.channel_of(terms.default_team(self._desk())))

    def on_desk_refused(self, tx: Tx, event: DeskRefused) -> None:
        """A broken desk is told where its people are: the channel of the desk's first team."""
        channel = self.channel_of(terms.default_team(self._desk()))
        if channel is not None:
            more = len(event.faults) - SHOWN_FAULTS
            lines = [*event.faults[:SHOWN_FAULTS], *([f"… +{more}: stafett check"] if more > 0 else [])]
            told = self._wording("slack_desk_refused")
            outgoing.notify(tx, channel, "\n".join((told, *lines)), None, None)

    def on_settled(self, tx: Tx, event: SendSettled) -> None:
        """What became of our rows: the card's place is kept; an agent's file that can't be had is told."""
        kind = KINDS.get(event.kind) if event.via == store.VIA else None
        if kind is not None and kind.settled is not None:
            kind.settled(tx, event)
        if event.via != store.VIA or event.case_id is None:
            return
        if event.outcome == "sent" and event.data.get("root"):
            store.set_root(tx, event.case_id, str(event.data["root"]))
        elif event.outcome == "failed" and event.kind == "fetch":
            case = cases.case(tx.conn, event.case_id)
            if case is not None:
                tell_agents(tx, case, "not_delivered", reason=f"{event.payload.get('name')}: {event.error}")
        elif event.outcome == "failed":
            log.warning("slack desk: not sent", kind=event.kind, case=event.case_id, error=event.error)

    # ── cards ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def channel_of(self, team_id: str | None) -> str | None:
        team = terms.team(self._desk(), team_id)
        return (team.slack_channel if team else None) or self._settings.slack_agent_channel

    def draw(self, conn: store.Reader, case: Case) -> dict[str, Any]:
        """The card of a case as the database has it now."""
        made = briefs.read(conn, case, self._desk())
        earlier = [one.case_id for one in made.earlier]
        links = links_to(conn, earlier, self._slack.site, self._settings.url)
        return card(made, self._wording, links, hints.read(conn, case, self._desk()))

    def shown_anew(self, tx: Tx, case: Case) -> None:
        """Somebody acted on a card that was out of date, or deleted it: it is drawn, or posted, again."""
        known = store.thread(tx.conn, case.id)
        if known is None:
            return
        drawn = self.draw(tx.conn, case)
        if known.root is None:
            outgoing.root(tx, case, known.channel, drawn)
        else:
            outgoing.card(tx, case, known, drawn)
        store.set_hash(tx, case.id, digest(drawn, case.status))

    @property
    def _wording(self) -> Wording:
        return Wording(self._desk())

    def _open(self, tx: Tx, case: Case) -> None:
        channel = self.channel_of(case.team)
        if channel is None:
            return
        drawn = self.draw(tx.conn, case)
        store.open_thread(tx, case.id, channel, digest(drawn, case.status))
        tx.after_commit(lambda: self._seen.add(channel) if self._seen is not None else None)
        self._begin(tx, case, channel, drawn)

    def _move(self, tx: Tx, case: Case, known: Thread, channel: str) -> None:
        """Another team with a channel of its own: the case begins anew there."""
        drawn = self.draw(tx.conn, case)
        outgoing.old_card(tx, case, known, drawn)
        store.forget_root(tx, known, channel)
        store.forget_shown(tx, case)
        store.set_hash(tx, case.id, digest(drawn, case.status))
        self._begin(tx, case, channel, drawn)

    def _begin(self, tx: Tx, case: Case, channel: str, drawn: Mapping[str, Any]) -> None:
        outgoing.root(tx, case, channel, drawn)
        left_out = store.count_said(tx.conn, case) - store.MOST
        if left_out > 0:
            line = transcript.note_of_ours(self._wording("card_transcript_cut", count=left_out))
            outgoing.post(tx, case, channel, line, {})
        self._show_new(tx, case, channel)

    def _refresh(self, tx: Tx, case: Case, known: Thread) -> None:
        drawn = self.draw(tx.conn, case)
        new = digest(drawn, case.status)
        if new == known.card_hash:
            return
        outgoing.card(tx, case, known, drawn)
        store.set_hash(tx, case.id, new)
        if case.status is CaseStatus.QUEUED and not known.card_hash.startswith(f"{CaseStatus.QUEUED}:"):
            who = briefs.read(tx.conn, case, self._desk()).customer
            words = self._wording("slack_waits_again", number=case.number, customer=who)
            outgoing.post(tx, case, known.channel, {**transcript.note_of_ours(words), "broadcast": True}, {})

    # ── the thread ─────────────────────────────────────────────────────────────────────────────────────────────────
    def _show_new(self, tx: Tx, case: Case, channel: str) -> None:
        """Everything that customers can see, and the thread has not: also what was said while the bot had it."""
        self._show(tx, case, channel, [one for one in store.unshown(tx.conn, case) if not is_post(one)])

    def _show(self, tx: Tx, case: Case, channel: str, messages: list[Message]) -> None:
        pieces = [piece for message in messages for piece in transcript.pieces(message, self._wording)]
        shown = {message.id: message for message in messages}
        for post in transcript.posts(pieces):
            outgoing.post(tx, case, channel, post, shown)
        for message in messages:
            for file in message.body.files:
                outgoing.file(tx, case, channel, file)

    def _tell_amended(self, tx: Tx, case: Case, known: Thread, message: Message) -> None:
        deleted = message.deleted_at is not None
        words = self._wording("customer_deleted" if deleted else "customer_edited")
        text = words if deleted else f"{words}\n{message.body.text}"
        outgoing.post(tx, case, known.channel, transcript.note_of_ours(text), {})

    def _offer_undo(self, tx: Tx, relay: Relay) -> None:
        """Its author sees when it leaves, and two buttons that keep it here."""
        known, user = store.thread(tx.conn, relay.case_id), user_of(relay.agent_id, self._desk())
        if known is not None and user is not None:
            drawn = (second if relay.held else undo).line(relay, self._wording)
            blocks, channel = drawn["blocks"], str(relay.ref).partition(":")[0]
            outgoing.tell(tx, channel, user, drawn["text"], known.root, blocks=blocks, until=relay.due_at)

    def _tell_refused(self, tx: Tx, relay: Relay) -> None:
        case, known = cases.case(tx.conn, relay.case_id), store.thread(tx.conn, relay.case_id)
        if case is None or known is None:
            return
        if case.with_people and case.agent_id == relay.agent_id:
            words = self._wording("not_relayed_over")  # somebody else ends it at this moment
        elif case.with_people and case.agent_id:
            holder = cases.agent_name(tx.conn, self._desk(), case.agent_id)
            words = self._wording("not_relayed_moved", agent=holder)
        else:
            words = self._wording("not_relayed_unclaimed" if case.live else "not_relayed_over")
        outgoing.post(tx, case, known.channel, transcript.note_of_ours(words), {})


def is_post(message: Message) -> bool:
    """Whether a message or note stands in its case's thread already, as its author's own post."""
    if META in message.meta:  # said in a thread beside
        return False
    return message.meta.get("desk") == store.DESK and bool(_POST.fullmatch(str(message.meta.get("ref") or "")))


def mark_of(relay: Relay, now: datetime) -> tuple[str, tuple[str, ...]] | None:
    """(the mark that a relay's post gets, those that go); None: it has it already."""
    waits = (outgoing.WAITS,)
    match relay.state, relay.delivery:
        case "waiting", _:
            return outgoing.WAITS, ()
        case "said", "sent":
            return outgoing.SENT, waits
        case "said", ("failed" | "uncertain"):
            return outgoing.FAILED, waits
        case "said", _:
            return (outgoing.WAITS, ()) if relay.created_at == now else None  # said at once, without a window
        case "taken_back", _:
            return outgoing.TAKEN_BACK, (*waits, outgoing.SENT)
        case _:
            return outgoing.NOTE, waits
