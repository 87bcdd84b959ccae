"""When an agent's Home is drawn, and what is pressed on it.

It is drawn as it leaves, so that one drawing on its way is enough however much changes: a row of the outbox (kind `home`),
due at once when the page is opened or something is pressed on it, else half a minute later.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from bot import outbox
from bot.errors import Refused, SendFault
from bot.model import CaseStatus
from bot.settings import Settings
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.port import Delivery, Sent
from channels.slack.connection import SlackConnection
from channels.slack.inbound import is_id
from channels.slack.payloads import Reply, mapping
from handoff import availability, clocks
from handoff import store as rows
from handoff.case import AgentView
from handoff.slack import forms
from handoff.slack.agents import Agents, Who, remember, zone_of
from handoff.slack.home import store, view
from handoff.slack.links import links_to
from handoff.slack.store import VIA, Reader
from handoff.slack.taking import snooze_until
from handoff.slack.wording import Wording

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

log = structlog.get_logger()
PACE = timedelta(seconds=30)  # between two drawings of the same Home that nobody asked for
NUDGE = timedelta(hours=4)  # a case of one's own in which nobody has said a word for so long
REMEMBERED = 10_000
BUCKET = "slack:home"


class HomeTab:
    """Opens, draws and hears the App Home. Whoever is no agent sees a line that says so, and nothing else."""

    def __init__(
        self,
        connection: SlackConnection,
        storage: Storage,
        settings: Settings,
        desk: Callable[[], Desk],
        agents: Agents,
        channels: Callable[[], Awaitable[Collection[str]]],
    ) -> None:
        self._slack, self._storage, self._settings = connection, storage, settings
        self._desk, self._agents, self._channels = desk, agents, channels
        self._shown: OrderedDict[str, str] = OrderedDict()  # user → digest of what they see

    # ── what is heard ──────────────────────────────────────────────────────────────────────────────────────────────
    async def opened(self, user: str) -> None:
        if not is_id(user):
            return
        who = await self._who(self._slack.team_id, user)
        if who is None:
            await self._storage.write(lambda tx: store.closed(tx, user))
            with suppress(Refused):  # logged; whom Slack does not know it won't know when it tells us again
                await self._publish(user, view.stranger(self._desk().name, self._wording))
            return
        agent = who
        self._shown.pop(user, None)
        await self._storage.write(lambda tx: self._watch(tx, agent))

    def _watch(self, tx: Tx, who: Who) -> None:
        remember(tx, who, self._desk(), "")
        store.opened(tx, who.user, who.agent_id, who.name)
        self._enqueue(tx, who.user, at_once=True)

    async def pressed(self, body: Mapping[str, Any], action: str) -> Reply:
        user = mapping(body.get("user"))
        who = await self._who(str(user.get("team_id") or self._slack.team_id), str(user.get("id") or ""))
        if who is None:
            await self.opened(str(user.get("id") or ""))  # what they pressed is not theirs any more
            return Reply()
        if action == view.AWAY:
            try:
                form = view.away_form(self._wording)
                await self._slack.call("views.open", trigger_id=str(body.get("trigger_id") or ""), view=form)
            except SendFault as error:
                log.warning("slack desk: form not opened", error=str(error))
            return Reply()
        agent = who
        await self._storage.write(lambda tx: self._stand(tx, agent, busy=action == view.BUSY))
        return Reply()

    def _stand(self, tx: Tx, who: Who, *, busy: bool) -> None:
        remember(tx, who, self._desk(), "")
        availability.set_available(tx, who.agent_id, True, busy=busy, name=who.name)
        self._watch(tx, who)

    async def submitted(self, body: Mapping[str, Any]) -> Reply:
        """The form I am away."""
        user, form = mapping(body.get("user")), mapping(body.get("view"))
        if body.get("type") != "view_submission":
            return Reply()
        who = await self._who(str(user.get("team_id") or self._slack.team_id), str(user.get("id") or ""))
        if who is None:
            return Reply(forms.errors(**{view.DATE: self._wording("refused_not_agent")}))
        agent = who
        return Reply(await self._storage.write(lambda tx: self._go_away(tx, agent, form)))

    def _go_away(self, tx: Tx, who: Who, form: Mapping[str, Any]) -> Mapping[str, Any] | None:
        date, time = forms.filled(form, view.DATE), forms.filled(form, view.TIME)
        until = snooze_until(tx.now, zone_of(who, self._desk()), "", date, time) if date or time else None
        if until is not None and until <= tx.now:
            return forms.errors(**{view.DATE: self._wording("refused_past")})
        remember(tx, who, self._desk(), "")
        availability.set_available(tx, who.agent_id, False, until=until, name=who.name)
        self._watch(tx, who)
        return None

    # ── when it is drawn ───────────────────────────────────────────────────────────────────────────────────────────
    def changed(self, tx: Tx) -> None:
        """Something changed that may stand on a Home: those that were opened lately are drawn anew before long."""
        for user in store.watchers(tx.conn, tx.now):
            self._enqueue(tx, user, at_once=False)

    def _enqueue(self, tx: Tx, user: str, *, at_once: bool) -> None:
        lane = f"{VIA}:home:{user}"
        if not at_once and store.is_coming(tx.conn, lane):
            return
        outbox.enqueue(
            tx,
            via=VIA,
            lane=f"{lane}:now" if at_once else lane,
            kind="home",
            payload={"user": user},
            bucket=BUCKET,
            due_at=tx.now if at_once else tx.now + PACE,
            expires_at=tx.now + store.WATCHES,
        )

    async def send(self, delivery: Delivery) -> Sent:
        """A row of kind `home`: the page as the database has it now; nothing is sent that they see already.

        Who is no agent any more sees no more of it: they are asked for anew, as at every act.
        """
        user = str(delivery.payload["user"])
        known = await self._storage.read(lambda conn: store.watcher(conn, user))
        if known is None:
            return Sent()
        who = await self._who(self._slack.team_id, user)
        agent_id = who.agent_id if who is not None else ""
        drawn = await self._storage.read(lambda conn: self._draw(conn, agent_id))
        if drawn is None:
            await self._storage.write(lambda tx: store.closed(tx, user))
            drawn = view.stranger(self._desk().name, self._wording)
        await self._publish(user, drawn)
        return Sent()

    def _draw(self, conn: Reader, agent_id: str) -> dict[str, Any] | None:
        now, desk = self._storage.clock(), self._desk()
        agent = next((one for one in rows.agents(conn, desk, now) if one.id == agent_id), None)
        if agent is None:
            return None
        shown = self._page(conn, agent)
        cases = [row.case.id for row in (*shown.mine, *shown.queue, *(one.row for one in shown.late))]
        return view.page(shown, self._wording, links_to(conn, cases, self._slack.site, self._settings.url))

    def _page(self, conn: Reader, agent: AgentView) -> view.Page:
        now = self._storage.clock()
        mine = store.mine(conn, agent.id)
        return view.Page(
            name=agent.name,
            here=store.availability(conn, agent.id, now),
            mine=mine,
            queue=store.queue(conn, agent),
            late=self._late(conn, agent),
            idle=[(row, since) for row in mine if (since := idle_since(row, now)) is not None],
            scores=store.scores(conn, agent.id, now),
        )

    def _late(self, conn: Reader, agent: AgentView) -> list[view.Late]:
        now, desk = self._storage.clock(), self._desk()
        found = [(row, clocks.next_due(desk, row.case)) for row in store.with_clocks(conn, agent)]
        late = [view.Late(row, due.at, due.at <= now) for row, due in found if due is not None and due.warn_at <= now]
        return sorted(late, key=lambda one: one.due_at)

    async def _publish(self, user: str, drawn: Mapping[str, Any]) -> None:
        content = json.dumps(drawn, sort_keys=True, ensure_ascii=False).encode()
        digest = hashlib.sha256(content).hexdigest()
        if self._shown.get(user) == digest:
            return
        try:
            await self._slack.call("views.publish", user_id=user, view=dict(drawn))
        except Refused as error:
            log.warning("slack desk: Home not drawn", user=user, error=str(error))
            raise
        self._shown[user] = digest
        while len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)

    async def _who(self, team: str, user: str) -> Who | None:
        return await self._agents.anywhere(team, user, sorted(await self._channels()))

    @property
    def _wording(self) -> Wording:
        return Wording(self._desk())


def idle_since(row: store.Row, now: datetime) -> datetime | None:
    """Since when nobody has said a word in an agent's case whose turn is theirs; None while that is not long."""
    case = row.case
    if case.status is not CaseStatus.OPEN:
        return None
    words = [at for at in (case.claimed_at, case.last_customer_at, case.last_agent_at) if at is not None]
    last = max(words, default=None)
    return last if last is not None and last + NUDGE <= now else None
