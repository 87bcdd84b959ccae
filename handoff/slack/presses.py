"""What agents press, fill in, and pick from a message's menu. Who they are is asked anew each time; of two who press
Claim, the second is told who was first, and the card is drawn anew. What can be done stands in `verbs`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from bot.errors import Conflict, NotAllowed, NotFound, SendFault
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.slack.connection import SlackConnection
from channels.slack.payloads import Reply, SlackPayload, mapping
from channels.text import to_plain
from handoff import relays
from handoff import store as rows
from handoff.case import Case
from handoff.errands.verbs import Ended, NotTheirs
from handoff.slack import commands, forms, more, outgoing, store
from handoff.slack.agents import Agents, Who, remember
from handoff.slack.answering import reply_form
from handoff.slack.blocks import line
from handoff.slack.home.store import search
from handoff.slack.home.tab import HomeTab
from handoff.slack.home.view import HOME
from handoff.slack.second import ANYWAY, EDIT
from handoff.slack.undo import KEEP, UNDO
from handoff.slack.verb import ACTION, Refusal, Scene, Verb, View
from handoff.slack.verbs import VERBS
from handoff.slack.wording import Wording
from handoff.steps import HeldByAnother

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

log = structlog.get_logger()
COMMAND = "/stafett"
ON_A_POST = {"note", "take_back"}  # shortcuts that mean the post itself; the others mean its case
REFUSALS = (Conflict, NotAllowed, NotFound)


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody acts: the case, the channel and root of its card, and the message whose menu was opened."""

    case_id: str
    channel: str
    root: str | None
    message: Mapping[str, Any] = field(default_factory=dict)
    extra: str = ""


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
        home: HomeTab,
    ) -> None:
        self._slack = connection
        self._storage = storage
        self._desk = desk
        self._agents = agents
        self._channels = channels
        self._shown_anew = shown_anew
        self._home = home

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
        wanted = str(action.get("action_id") or "")
        if wanted.startswith(HOME):
            return await self._home.pressed(body, wanted)
        if not wanted.startswith(ACTION):
            return None
        name, _, detail = wanted.removeprefix(ACTION).partition(":")
        value = str(action.get("value") or "")
        if wanted in {UNDO, KEEP}:
            await self._undo(body, value, as_note=wanted == KEEP)
        elif wanted in {ANYWAY, EDIT}:
            await self._look_again(body, value, edit=wanted == EDIT)
        elif detail:
            await self._within(body, name, action)
        elif name == more.NAME or name in VERBS:
            case_id, _, extra = value.partition(" ")
            place = await self._place(body, case_id)
            if place is not None:
                await self._act(body, replace(place, extra=extra), name)
        return Reply()

    async def _act(self, body: Mapping[str, Any], place: Place, name: str) -> None:
        """A verb is begun: done at once, or its form is opened."""
        who = await self._who(body, place.channel)
        if who is None:
            await self._storage.write(lambda tx: self._refuse(tx, body, place, name))
            return
        within = mapping(body.get("view"))
        inside = within if within.get("type") == "modal" else {}
        view, told = await self._storage.write(lambda tx: self._begin(tx, place, who, name, told_here=bool(inside)))
        if view is not None and told is None:
            await self._open(body, view, who, place, "views.push" if inside else "views.open")
        elif view is not None:
            await self._update(inside, view)

    def _begin(self, tx: Tx, place: Place, who: Who, name: str, *, told_here: bool) -> tuple[View | None, str | None]:
        """(the form that opens, None); (the form More… drawn anew, what was done) for a button in it; or nothing."""
        remember(tx, who, self._desk(), place.channel)
        try:
            with tx.savepoint():
                scene = self._scene(tx, place, who)
                if name == more.NAME:
                    return more.form(scene), None
                verb = VERBS[name]
                if verb.form is not None:
                    return verb.form(scene), None
                if verb.act is not None:
                    verb.act(scene)
            told = self._wording("more_done")
        except REFUSALS as error:
            case = rows.case(tx.conn, place.case_id)
            if case is None:
                return None, None
            told = self._why(tx, case, who, error)
            if not told_here:
                self._explain(tx, case, who, place, told)
        if not told_here:
            return None, told
        return more.form(self._scene(tx, place, who), told), told

    def _explain(self, tx: Tx, case: Case, who: Who, place: Place, told: str) -> None:
        """Tell who acted why nothing came of it, and draw the card as it now is."""
        outgoing.tell(tx, place.channel, who.user, told, place.root, case)
        self._shown_anew(tx, case)

    def _why(self, tx: Tx, case: Case, who: Who, error: Exception) -> str:
        if isinstance(error, Refusal):
            return str(error)
        if isinstance(error, Ended):
            return self._wording("errand_ended")
        if isinstance(error, NotTheirs):
            return self._wording("errand_not_yours", agent=error.owner)
        if not case.live:
            return self._wording("refused_over")
        if isinstance(error, HeldByAnother):
            return self._wording("refused_not_yours", agent=error.holder)
        if isinstance(error, NotAllowed) and case.agent_id in {None, who.agent_id}:
            return self._wording("refused_not_agent")
        if case.with_people and case.agent_id not in {None, who.agent_id}:
            holder = rows.agent_name(tx.conn, self._desk(), case.agent_id)
            return self._wording("refused_not_yours" if isinstance(error, NotAllowed) else "taken_by", agent=holder)
        if case.agent_id is None:
            return self._wording("refused_claim_first")
        return self._wording("refused_stale")

    async def _open(self, body: Mapping[str, Any], view: View, who: Who, place: Place, method: str) -> None:
        """Slack allows a form within 3 s of the press: it is opened at once, or not at all."""
        try:
            await self._slack.call(method, trigger_id=str(body.get("trigger_id") or ""), view=dict(view))
        except SendFault as error:
            log.warning("slack desk: form not opened", error=str(error))
            text = self._wording("slack_try_again")
            await self._storage.write(lambda tx: outgoing.tell(tx, place.channel, who.user, text, place.root))

    async def _update(self, within: Mapping[str, Any], view: View) -> None:
        """The form that somebody looks at becomes another; who has closed it meanwhile misses nothing."""
        try:
            await self._slack.call("views.update", view_id=str(within.get("id") or ""), view=dict(view))
        except SendFault as error:
            log.info("slack desk: form not updated", error=str(error))

    async def _within(self, body: Mapping[str, Any], name: str, action: Mapping[str, Any]) -> None:
        """Something was pressed or chosen inside a verb's form."""
        view, verb = mapping(body.get("view")), VERBS.get(name)
        place = await self._place(body, forms.kept(view)[0])
        if verb is None or verb.pick is None or place is None:
            return
        who = await self._who(body, place.channel)
        if who is None:
            await self._storage.write(lambda tx: self._refuse(tx, body, place, name))
            return
        following = await self._storage.write(lambda tx: self._pick(tx, place, who, verb, view, action))
        if following is not None:
            await self._update(view, following)

    def _pick(
        self, tx: Tx, place: Place, who: Who, verb: Verb, view: Mapping[str, Any], action: Mapping[str, Any]
    ) -> View | None:
        remember(tx, who, self._desk(), place.channel)
        try:
            with tx.savepoint():
                return verb.pick(self._scene(tx, place, who), view, action) if verb.pick is not None else None
        except REFUSALS as error:
            case = rows.case(tx.conn, place.case_id)
            return self._told(self._why(tx, case, who, error), verb, case.id) if case is not None else None

    # ── forms ──────────────────────────────────────────────────────────────────────────────────────────────────────
    async def _submitted(self, body: Mapping[str, Any]) -> Reply | None:
        view = mapping(body.get("view"))
        callback = str(view.get("callback_id") or "")
        if callback.startswith(HOME):
            return await self._home.submitted(body)
        verb = VERBS.get(callback.removeprefix(ACTION)) if callback.startswith(ACTION) else None
        if verb is None or verb.submit is None:
            return Reply() if callback == f"{ACTION}{more.NAME}" else None
        if body.get("type") != "view_submission":
            return Reply()
        case_id = forms.kept(view)[0]
        place = await self._place(body, case_id)
        who = await self._who(body, place.channel) if place is not None else None
        if place is None or who is None:
            user = f"{mapping(body.get('user')).get('team_id')}:{mapping(body.get('user')).get('id')}"
            await self._storage.write(lambda tx: self._audit(tx, case_id, user, callback))
            return Reply(self._beside(verb, self._wording("refused_not_agent"), case_id))
        answer = await self._storage.write(lambda tx: self._submit(tx, place, who, verb, view))
        if answer is None and view.get("root_view_id") not in {None, view.get("id")}:
            return Reply({"response_action": "clear"})  # what was below it is out of date
        return Reply(answer)

    def _submit(self, tx: Tx, place: Place, who: Who, verb: Verb, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
        remember(tx, who, self._desk(), place.channel)
        try:
            with tx.savepoint():
                scene = self._scene(tx, place, who)
                return verb.submit(scene, view) if verb.submit is not None else None
        except REFUSALS as error:
            case = rows.case(tx.conn, place.case_id)
            why = self._why(tx, case, who, error) if case is not None else self._wording("slack_no_case")
            return self._beside(verb, why, place.case_id)

    def _beside(self, verb: Verb, why: str, case_id: str) -> Mapping[str, Any]:
        if verb.field:
            return forms.errors(**{verb.field: why})
        return {"response_action": "update", "view": self._told(why, verb, case_id)}

    def _told(self, why: str, verb: Verb, case_id: str) -> View:
        """A form that only says something."""
        title = self._wording(verb.label).rstrip("…")
        return forms.view(f"{ACTION}{more.NAME}", title, [line(why)], self._wording, None, case_id)

    # ── a message's menu ───────────────────────────────────────────────────────────────────────────────────────────
    async def _picked(self, body: Mapping[str, Any]) -> Reply | None:
        callback, message = str(body.get("callback_id") or ""), mapping(body.get("message"))
        known = callback in ON_A_POST or callback in VERBS or callback == more.NAME
        if not known or body.get("type") != "message_action":
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
        place = Place(case_id, channel, root, message)
        if callback not in ON_A_POST:
            await self._act(body, place, callback)
            return Reply()
        who = await self._who(body, channel)
        if who is None:
            await self._storage.write(lambda tx: self._refuse(tx, body, place, callback))
            return Reply()
        agent, ref, as_note = who, f"{channel}:{ts}", callback == "note"
        await self._storage.write(lambda tx: self.take_back(tx, agent, ref, root, as_note=as_note))
        return Reply()

    async def _undo(self, body: Mapping[str, Any], ref: str, *, as_note: bool) -> None:
        """The line that tells of the undo window was pressed. `ref` is the post's."""
        channel, root = ref.partition(":")[0], mapping(body.get("container")).get("thread_ts")
        who = await self._who(body, channel) if channel in await self._channels() else None
        if who is not None:
            agent, thread = who, root if isinstance(root, str) else None
            await self._storage.write(lambda tx: self.take_back(tx, agent, ref, thread, as_note=as_note))

    async def _look_again(self, body: Mapping[str, Any], ref: str, *, edit: bool) -> None:
        """Words that wait for a second look: they leave, or stand in the form Reply… again."""
        relay = await self._storage.read(lambda conn: rows.relay(conn, store.DESK, ref))
        place = await self._place(body, relay.case_id) if relay is not None else None
        who = await self._who(body, place.channel) if place is not None else None
        if relay is None or place is None or who is None or relay.agent_id != who.agent_id:
            return
        agent, here = who, place
        view = await self._storage.write(lambda tx: self._looked(tx, here, agent, ref, edit=edit))
        if view is not None:
            await self._open(body, view, agent, here, "views.open")

    def _looked(self, tx: Tx, place: Place, who: Who, ref: str, *, edit: bool) -> View | None:
        relay = rows.relay(tx.conn, store.DESK, ref)
        try:
            with tx.savepoint():
                if relay is None or relay.state != "waiting" or not relay.held:
                    raise Refusal(self._wording("held_gone"))
                if not edit:
                    relays.let_go(tx, store.DESK, ref, who.agent_id)
                    return None
                relays.take_back(tx, store.DESK, ref)
                return reply_form(self._scene(tx, place, who), to_plain(relay.text))
        except REFUSALS as error:
            case = rows.case(tx.conn, place.case_id)
            if case is not None:
                self._explain(tx, case, who, place, self._why(tx, case, who, error))
            return None

    def take_back(self, tx: Tx, who: Who, ref: str, root: str | None, *, as_note: bool) -> None:
        """Take one's own answer back; `as_note`: it stays in the house instead. Its author is told what came of it."""
        relay = rows.relay(tx.conn, store.DESK, ref)
        if relay is None or relay.agent_id != who.agent_id:
            return
        case = rows.held(tx, relay.case_id)
        before = (rows.relay(tx.conn, store.DESK, ref) or relay).state  # another press may have been first
        gone = relays.take_back(tx, store.DESK, ref, as_note=as_note)
        key = "too_late_to_undo"
        if gone:
            key = "kept_as_note" if as_note or before in {"note", "refused"} else "taken_back"
        if not gone or before == "waiting":
            outgoing.tell(tx, ref.partition(":")[0], who.user, self._wording(key), root, case)

    async def react(self, name: str, case_id: str, channel: str, root: str, user: str) -> None:
        """A reaction on a card does what a button does, as far as no form is needed."""
        verb, place = VERBS.get(name), Place(case_id, channel, root)
        who = await self._agents.who(self._slack.team_id, user, channel)
        if verb is None:
            return
        if who is None:
            body = {"user": {"id": user, "team_id": self._slack.team_id}}
            await self._storage.write(lambda tx: self._refuse(tx, body, place, name))
            return
        agent, does = who, verb
        await self._storage.write(lambda tx: self._react(tx, place, agent, does))

    def _react(self, tx: Tx, place: Place, who: Who, verb: Verb) -> None:
        remember(tx, who, self._desk(), place.channel)
        does = verb.react or verb.act
        try:
            with tx.savepoint():
                if does is None:
                    raise Refusal(self._wording("reaction_no_form"))
                does(self._scene(tx, place, who))
        except REFUSALS as error:
            case = rows.case(tx.conn, place.case_id)
            if case is not None:
                self._explain(tx, case, who, place, self._why(tx, case, who, error))

    async def _commanded(self, body: Mapping[str, Any]) -> Reply | None:
        if body.get("command") != COMMAND:
            return None
        channels = sorted(await self._channels())
        here = str(body.get("channel_id") or "")
        team, user = str(body.get("team_id") or self._slack.team_id), str(body.get("user_id") or "")
        who = await self._agents.anywhere(team, user, [here] if here in channels else channels)
        if who is None:
            return Reply({"response_type": "ephemeral", "text": self._wording("refused_not_agent")})
        agent, words = who, str(body.get("text") or "")
        sought, now = commands.sought(words), self._storage.clock()
        found = await self._storage.read_apart(lambda conn: search(conn, sought, now), soon=True) if sought else ()

        def unit(tx: Tx) -> Mapping[str, Any]:
            remember(tx, agent, self._desk(), here)
            return commands.run(tx, words, agent, self._desk(), self._slack.site, self._slack.settings.url, found)

        return Reply({"response_type": "ephemeral", **await self._storage.write(unit)})

    # ── who, and where ─────────────────────────────────────────────────────────────────────────────────────────────
    def _scene(self, tx: Tx, place: Place, who: Who) -> Scene:
        """Raises NotFound, and NotAllowed for whoever is no agent of this desk any more."""
        case = rows.case(tx.conn, place.case_id)
        if case is None:
            raise NotFound(f"there is no case {place.case_id}")
        desk = self._desk()
        agent = rows.agent(tx.conn, desk, who.agent_id)
        return Scene(tx, case, agent, who, place.channel, place.root, desk, Wording(desk), place.message, place.extra)

    async def _who(self, body: Mapping[str, Any], channel: str) -> Who | None:
        user = mapping(body.get("user"))
        team = user.get("team_id") or self._slack.team_id
        return await self._agents.who(str(team), str(user.get("id") or ""), channel)

    async def _place(self, body: Mapping[str, Any], case_id: str) -> Place | None:
        """Where a case is shown in Slack; what was pressed elsewhere is nobody's."""
        known = await self._storage.read(lambda conn: store.thread(conn, case_id))
        if known is None:
            return None
        pressed_in = mapping(body.get("channel")).get("id")
        channels = await self._channels()
        here = isinstance(pressed_in, str) and pressed_in in channels
        channel = str(pressed_in) if here else known.channel
        root = known.root if channel == known.channel else None
        return Place(case_id, channel, root) if channel in channels else None

    def _refuse(self, tx: Tx, body: Mapping[str, Any], place: Place, what: str) -> None:
        user = mapping(body.get("user"))
        self._audit(tx, place.case_id, f"{user.get('team_id')}:{user.get('id')}", what)
        outgoing.tell(tx, place.channel, str(user.get("id")), self._wording("refused_not_agent"), place.root)

    def _audit(self, tx: Tx, case_id: str, who: str, what: str) -> None:
        case = rows.case(tx.conn, case_id)
        if case is not None:
            rows.log(tx, case, "refused", None, who=who, what=what)

    @property
    def _wording(self) -> Wording:
        return Wording(self._desk())
