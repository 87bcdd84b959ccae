"""What agents press, fill in, and pick from a message's menu. Who they are is asked anew each time; of two who press
Claim, the second is told who was first, and the card is drawn anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from bot.errors import Conflict, NotAllowed, NotFound, SendFault
from bot.storage import customers
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.slack.connection import SlackConnection
from channels.slack.payloads import Reply, SlackPayload, mapping
from channels.text import clean, from_mrkdwn, plain_to_mrkdwn
from handoff import cases, relays
from handoff import store as rows
from handoff.case import Case
from handoff.slack import card, commands, forms, outgoing, store
from handoff.slack.agents import Agents, Who, remember
from handoff.slack.wording import Wording

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

log = structlog.get_logger()
COMMAND = "/stafett"
SHORTCUTS = {"note", "take_back", "claim", "resolve"}
REFUSALS = (Conflict, NotAllowed, NotFound)


class Presses:
    """Actions, forms, shortcuts and the command; None for those that are not the desk's."""

    def __init__(
        self,
        connection: SlackConnection,
        storage: Storage,
        desk: Callable[[], Desk],
        agents: Agents,
        channels: Callable[[], Awaitable[Collection[str]]],
        shown_anew: Callable[[Tx, Case], None],
    ) -> None:
        self._slack = connection
        self._storage = storage
        self._desk = desk
        self._agents = agents
        self._channels = channels
        self._shown_anew = shown_anew

    async def __call__(self, payload: SlackPayload) -> Reply | None:
        body = payload.body
        match payload.kind:
            case "action":
                return await self._pressed(body)
            case "view":
                return await self._submitted(body)
            case "shortcut":
                return await self._picked(body)
            case "command":
                return await self._commanded(body)
            case _:
                return None

    # ── buttons ────────────────────────────────────────────────────────────────────────────────────────────────────
    async def _pressed(self, body: Mapping[str, Any]) -> Reply | None:
        given = body.get("actions")
        action = mapping(given[0]) if isinstance(given, list) and given else {}
        verb = str(action.get("action_id") or "")
        if not verb.startswith(card.ACTION):
            return None
        case_id = str(action.get("value") or "")
        if verb in {card.CLAIM, card.RELEASE, card.REPLY, card.RESOLVE}:
            await self._act(body, case_id, verb)
        return Reply()

    async def _act(self, body: Mapping[str, Any], case_id: str, verb: str) -> None:
        channel, root = await self._place(body, case_id)
        if channel is None:
            return
        who = await self._who(body, channel)
        if who is None:
            await self._storage.write(lambda tx: self._refuse(tx, body, case_id, channel, root, verb))
            return
        if verb in {card.CLAIM, card.RELEASE}:
            await self._storage.write(lambda tx: self._move(tx, case_id, who, channel, root, verb))
            return
        view = await self._storage.write(lambda tx: self._form(tx, case_id, who, channel, root, verb))
        if view is not None:
            await self._open(body, view, who, channel, root)

    def _move(self, tx: Tx, case_id: str, who: Who, channel: str, root: str | None, verb: str) -> None:
        remember(tx, who, self._desk(), channel)
        try:
            with tx.savepoint():
                if verb == card.CLAIM:
                    cases.claim(tx, case_id, who.agent_id, desk=store.DESK)
                else:
                    cases.release(tx, case_id, who.agent_id, desk=store.DESK)
        except REFUSALS as error:
            self._explain(tx, case_id, who, channel, root, error)

    def _explain(self, tx: Tx, case_id: str, who: Who, channel: str, root: str | None, error: Exception | None) -> None:
        """Tell who acted why nothing came of it, and draw the card as it now is."""
        case = rows.case(tx.conn, case_id)
        if case is not None:
            outgoing.tell(tx, channel, who.user, self._why(tx, case, who, error), root, case)
            self._shown_anew(tx, case)

    def _why(self, tx: Tx, case: Case, who: Who, error: Exception | None) -> str:
        holder = rows.agent_name(tx.conn, self._desk(), case.agent_id)
        if not case.live:
            return self._wording("refused_over")
        if isinstance(error, NotAllowed) and case.agent_id in {None, who.agent_id}:
            return self._wording("refused_not_agent")
        if case.with_people and case.agent_id not in {None, who.agent_id}:
            return self._wording("refused_not_yours" if isinstance(error, NotAllowed) else "taken_by", agent=holder)
        if case.agent_id is None:
            return self._wording("refused_claim_first")
        return self._wording("refused_stale")

    def _form(self, tx: Tx, case_id: str, who: Who, channel: str, root: str | None, verb: str) -> dict[str, Any] | None:
        """The form that the button opens; None where this agent may not, and was told so."""
        remember(tx, who, self._desk(), channel)
        case = rows.case(tx.conn, case_id)
        if case is None:
            return None
        agent = rows.agent(tx.conn, self._desk(), who.agent_id)
        held_by_other = case.with_people and case.agent_id not in {None, who.agent_id}
        may = case.agent_id == who.agent_id if verb == card.REPLY else not held_by_other or agent.leads
        if not case.with_people or not may:
            self._explain(tx, case_id, who, channel, root, NotAllowed("") if held_by_other else None)
            return None
        customer = customers.customer(tx.conn, case.customer_id)
        name = customer.name if customer else ""
        if verb == card.REPLY:
            return forms.reply_form(case.id, case.number, name, self._wording)
        return forms.resolve_form(case.id, case.number, name, case.topic or "", self._wording)

    async def _open(
        self, body: Mapping[str, Any], view: Mapping[str, Any], who: Who, channel: str, root: str | None
    ) -> None:
        """Slack allows a form within 3 s of the press: it is opened at once, or not at all."""
        try:
            await self._slack.call("views.open", trigger_id=str(body.get("trigger_id") or ""), view=dict(view))
        except SendFault as error:
            log.warning("slack desk: form not opened", error=str(error))
            text = self._wording("slack_try_again")
            await self._storage.write(lambda tx: outgoing.tell(tx, channel, who.user, text, root))

    # ── forms ──────────────────────────────────────────────────────────────────────────────────────────────────────
    async def _submitted(self, body: Mapping[str, Any]) -> Reply | None:
        view = mapping(body.get("view"))
        callback = view.get("callback_id")
        if callback not in {forms.REPLY, forms.RESOLVE}:
            return None
        if body.get("type") != "view_submission":
            return Reply()
        case_id = str(view.get("private_metadata") or "")
        field = forms.TEXT if callback == forms.REPLY else forms.OUTCOME
        channel, _ = await self._place(body, case_id)
        who = await self._who(body, channel) if channel is not None else None
        if channel is None or who is None:
            user = f"{mapping(body.get('user')).get('team_id')}:{mapping(body.get('user')).get('id')}"
            await self._storage.write(lambda tx: self._audit(tx, case_id, user, str(callback)))
            return Reply(forms.errors(**{field: self._wording("refused_not_agent")}))
        if callback == forms.REPLY:
            return await self._storage.write(lambda tx: self._reply(tx, case_id, who, channel, view))
        return await self._storage.write(lambda tx: self._resolve(tx, case_id, who, channel, view))

    def _reply(self, tx: Tx, case_id: str, who: Who, channel: str, view: Mapping[str, Any]) -> Reply:
        """The form is the second look that the undo window gives elsewhere: its words leave at once."""
        remember(tx, who, self._desk(), channel)
        ref = f"view:{view.get('id')}"
        if rows.relay(tx.conn, store.DESK, ref) is not None:
            return Reply()
        text = clean(from_mrkdwn(plain_to_mrkdwn(forms.filled(view, forms.TEXT)), {})).strip()
        if not text:
            return Reply(forms.errors(**{forms.TEXT: self._wording("refused_empty")}))
        try:
            with tx.savepoint():
                cases.reply(tx, case_id, who.agent_id, text, desk=store.DESK, ref=ref)
        except REFUSALS as error:
            return self._wrong(tx, case_id, who, forms.TEXT, error)
        return Reply()

    def _resolve(self, tx: Tx, case_id: str, who: Who, channel: str, view: Mapping[str, Any]) -> Reply:
        remember(tx, who, self._desk(), channel)
        outcome, reason = forms.filled(view, forms.OUTCOME), clean(forms.filled(view, forms.REASON))
        if outcome == "no_solution" and not reason:
            return Reply(forms.errors(**{forms.REASON: self._wording("refused_reason_needed")}))
        topic = clean(forms.filled(view, forms.TOPIC)).strip()
        try:
            with tx.savepoint():
                cases.resolve(tx, case_id, who.agent_id, outcome, topic or None, reason or None)
        except REFUSALS as error:
            return self._wrong(tx, case_id, who, forms.OUTCOME, error)
        return Reply()

    def _wrong(self, tx: Tx, case_id: str, who: Who, field: str, error: Exception) -> Reply:
        case = rows.case(tx.conn, case_id)
        why = self._why(tx, case, who, error) if case is not None else self._wording("slack_no_case")
        return Reply(forms.errors(**{field: why}))

    # ── a message's menu ───────────────────────────────────────────────────────────────────────────────────────────
    async def _picked(self, body: Mapping[str, Any]) -> Reply | None:
        callback, message = body.get("callback_id"), mapping(body.get("message"))
        if callback not in SHORTCUTS or body.get("type") != "message_action":
            return None
        channel, ts = str(mapping(body.get("channel")).get("id") or ""), str(message.get("ts") or "")
        user = str(mapping(body.get("user")).get("id") or "")
        root = str(message.get("thread_ts") or ts)
        case_id = None
        if channel in await self._channels():
            case_id = await self._storage.read(lambda conn: store.case_under(conn, channel, root))
        if case_id is None:
            text = self._wording("slack_no_case")
            await self._storage.write(lambda tx: outgoing.tell(tx, channel, user, text, None))
            return Reply()
        if callback in {"claim", "resolve"}:
            await self._act(body, case_id, card.CLAIM if callback == "claim" else card.RESOLVE)
            return Reply()
        who = await self._who(body, channel)
        found = case_id
        as_note = callback == "note"
        if who is None:
            await self._storage.write(lambda tx: self._refuse(tx, body, found, channel, root, str(callback)))
        else:
            await self._storage.write(lambda tx: self._back(tx, who, f"{channel}:{ts}", root, as_note=as_note))
        return Reply()

    def _back(self, tx: Tx, who: Who, ref: str, root: str, *, as_note: bool) -> None:
        """Take one's own answer back; `as_note`: it stays in the house instead."""
        relay = rows.relay(tx.conn, store.DESK, ref)
        if relay is None or relay.agent_id != who.agent_id:
            return
        case = rows.case(tx.conn, relay.case_id)
        channel = ref.partition(":")[0]
        too_late = relay.state == "said" and as_note
        if too_late or not relays.take_back(tx, store.DESK, ref, as_note=as_note):
            outgoing.tell(tx, channel, who.user, self._wording("too_late_to_undo"), root, case)

    async def _commanded(self, body: Mapping[str, Any]) -> Reply | None:
        if body.get("command") != COMMAND:
            return None
        channels = sorted(await self._channels())
        here = str(body.get("channel_id") or "")
        team, user = str(body.get("team_id") or self._slack.team_id), str(body.get("user_id") or "")
        who = None
        for channel in [here] if here in channels else channels:
            who = who or await self._agents.who(team, user, channel)
        if who is None:
            return Reply({"response_type": "ephemeral", "text": self._wording("refused_not_agent")})
        agent, word = who, str(body.get("text") or "")

        def unit(tx: Tx) -> str:
            remember(tx, agent, self._desk(), here)
            return commands.run(tx, word, agent, self._desk())

        return Reply({"response_type": "ephemeral", "text": await self._storage.write(unit)})

    # ── who, and where ─────────────────────────────────────────────────────────────────────────────────────────────
    async def _who(self, body: Mapping[str, Any], channel: str) -> Who | None:
        user = mapping(body.get("user"))
        team = user.get("team_id") or self._slack.team_id
        return await self._agents.who(str(team), str(user.get("id") or ""), channel)

    async def _place(self, body: Mapping[str, Any], case_id: str) -> tuple[str | None, str | None]:
        """(channel, root) of a case that is shown in Slack; what was pressed elsewhere is nobody's."""
        known = await self._storage.read(lambda conn: store.thread(conn, case_id))
        pressed_in = mapping(body.get("channel")).get("id")
        if known is None:
            return None, None
        channel = pressed_in if isinstance(pressed_in, str) and pressed_in else known.channel
        return (channel, known.root) if channel in await self._channels() else (None, None)

    def _refuse(self, tx: Tx, body: Mapping[str, Any], case_id: str, channel: str, root: str | None, what: str) -> None:
        user = mapping(body.get("user"))
        self._audit(tx, case_id, f"{user.get('team_id')}:{user.get('id')}", what)
        outgoing.tell(tx, channel, str(user.get("id")), self._wording("refused_not_agent"), root)

    def _audit(self, tx: Tx, case_id: str, who: str, what: str) -> None:
        case = rows.case(tx.conn, case_id)
        if case is not None:
            rows.log(tx, case, "refused", None, who=who, what=what)

    @property
    def _wording(self) -> Wording:
        return Wording(self._desk())
