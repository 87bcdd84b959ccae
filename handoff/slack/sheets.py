"""Forms of other rooms in Slack (`bot/sheets.py`): `/stafett pulse | review | label`, the button under what the team is told.

Who presses is asked anew each time; nobody but an agent gets a form. What is told goes to the channel of the desk's first team.
Limits (docs.slack.dev, views): 24 characters of a title, 100 blocks, 3,000 characters a section, 75 an option.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from bot import outbox
from bot.errors import Refused, SendFault
from bot.events import TeamTold
from bot.sheets import Question, Sheet, Sheets
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.port import Delivery, Sent, Verdict
from channels.slack.connection import SlackConnection
from channels.slack.payloads import Reply, SlackPayload, mapping, metadata_for
from channels.text import one_line, plain_to_mrkdwn, shorten, visible
from handoff.slack import forms
from handoff.slack.agents import Agents, Who
from handoff.slack.blocks import LABEL, Block, button, line, plain, section
from handoff.slack.wording import Wording

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

log = structlog.get_logger()
VIA: Final = "slack_team"
POST: Final = "post"
FILL, FORM, COMMAND = "sheet:fill", "sheet:form", "/stafett"
MOST_SHOWN = 40  # lines of a conversation
LINE = 1000  # characters of one of them
TITLE = 24


class SlackSheets:
    """A listener, a subscriber of `TeamTold`, and a `channels.port.Sender` for its posts.

    `channels` are where agents work; `channel_of` the one of a team, None for the desk's first.
    """

    via = VIA

    def __init__(
        self,
        connection: SlackConnection,
        storage: Storage,
        desk: Callable[[], Desk],
        sheets: Sheets,
        channels: Callable[[], Collection[str]],
        channel_of: Callable[[str | None], str | None],
    ) -> None:
        self._slack = connection
        self._storage = storage
        self._desk = desk
        self._sheets = sheets
        self._channels = channels
        self._channel_of = channel_of
        self._agents = Agents(connection, desk)

    # ── what the team is told ──────────────────────────────────────────────────────────────────────────────────────
    def on_team_told(self, tx: Tx, event: TeamTold) -> None:
        channel = self._channel_of(None)
        if channel is None:
            return
        wording = self._wording
        text = wording(event.key, **event.values)
        payload = {
            "channel": channel,
            "text": plain_to_mrkdwn(one_line(text, 300)),
            "blocks": told(text, event, tx, wording),
        }
        lane = f"{VIA}:{channel}"
        outbox.enqueue(tx, via=VIA, lane=lane, kind=POST, payload=payload, bucket=f"slack:{channel}")

    async def send(self, delivery: Delivery) -> Sent:
        payload = delivery.payload
        if delivery.kind != POST:
            raise Refused(f"the team's posts have no kind {delivery.kind}")
        answer = await self._slack.call(
            "chat.postMessage",
            channel=payload["channel"],
            text=payload["text"],
            blocks=payload["blocks"],
            unfurl_links=False,
            unfurl_media=False,
            metadata=metadata_for(delivery.id),
        )
        return Sent(f"{answer.get('channel') or payload['channel']}:{answer.get('ts')}")

    async def resolve(self, delivery: Delivery) -> Sent | Verdict:  # noqa: ARG002 - twice would be worse than not at all
        return Verdict.GIVE_UP

    # ── what agents do ─────────────────────────────────────────────────────────────────────────────────────────────
    async def listen(self, payload: SlackPayload) -> Reply | None:
        body = payload.body
        match payload.kind:
            case "command" if body.get("command") == COMMAND:
                kind = str(body.get("text") or "").strip().lower()
                return await self._asked(body, kind) if kind in self._sheets.kinds else None
            case "action":
                given = body.get("actions")
                action = mapping(given[0]) if isinstance(given, list) and given else {}
                kind = str(action.get("value") or "")
                if action.get("action_id") != FILL or kind not in self._sheets.kinds:
                    return None
                return await self._asked(body, kind)
            case "view" if mapping(body.get("view")).get("callback_id") == FORM:
                return await self._filled(body) if body.get("type") == "view_submission" else Reply()
            case _:
                return None

    async def _asked(self, body: Mapping[str, Any], kind: str) -> Reply:
        who = await self._who(body)
        if who is None:
            return self._said(body, self._wording("refused_not_agent"))
        locale = self._wording.locale
        found = await self._storage.read(lambda conn: self._sheets.open(conn, kind, who.agent_id, locale))
        if isinstance(found, str):
            return await self._answered(body, who, found)
        try:
            view = form(found, self._wording)
            await self._slack.call("views.open", trigger_id=str(body.get("trigger_id") or ""), view=view)
        except SendFault as error:
            log.warning("slack sheets: form not opened", error=str(error))
            return await self._answered(body, who, self._wording("slack_try_again"))
        return Reply()

    async def _filled(self, body: Mapping[str, Any]) -> Reply:
        view, who = mapping(body.get("view")), await self._who(body)
        blocks = mapping(mapping(view.get("state")).get("values"))
        if who is None:
            return Reply(forms.errors(**dict.fromkeys(list(blocks)[:1], self._wording("refused_not_agent"))))
        given = {str(name): forms.filled(view, name) for name in blocks}
        sheet_id, agent = str(view.get("private_metadata") or ""), who
        found = await self._storage.write(
            lambda tx: self._sheets.fill(tx, sheet_id, agent.agent_id, given, self._wording.locale)
        )
        if isinstance(found, Sheet):
            return Reply({"response_action": "update", "view": form(found, self._wording)})
        if found:
            first = next(iter(given), "")
            return Reply(forms.errors(**{name or first: text for name, text in found.items()}))
        return Reply()

    async def _answered(self, body: Mapping[str, Any], who: Who, text: str) -> Reply:
        """A command's own answer; under a button, words that only this person sees."""
        channel = mapping(body.get("channel")).get("id")
        if body.get("command") is None and isinstance(channel, str):
            await self._slack.call("chat.postEphemeral", channel=channel, user=who.user, text=plain_to_mrkdwn(text))
            return Reply()
        return self._said(body, text)

    def _said(self, body: Mapping[str, Any], text: str) -> Reply:
        return Reply({"response_type": "ephemeral", "text": plain_to_mrkdwn(text)}) if body.get("command") else Reply()

    async def _who(self, body: Mapping[str, Any]) -> Who | None:
        """The agent who acts: looked for in the channel where it was done, else in all of the agents'."""
        user = mapping(body.get("user"))
        user_id = str(user.get("id") or body.get("user_id") or "")
        team = str(user.get("team_id") or body.get("team_id") or self._slack.team_id)
        here = mapping(body.get("channel")).get("id") or body.get("channel_id")
        channels = sorted(self._channels(), key=lambda one: (one != here, one))
        for channel in channels:
            who = await self._agents.who(team, user_id, channel)
            if who is not None:
                return who
        return None

    @property
    def _wording(self) -> Wording:
        return Wording(self._desk())


def told(text: str, event: TeamTold, tx: Tx, wording: Wording) -> list[Block]:
    """A line for the team, with a button to the form that belongs to it, and one to its page."""
    blocks = [section(text)]
    acts = []
    if event.form:
        acts.append({**button(FILL, wording("team_fill_in"), event.form), "style": "primary"})
    if event.path and tx.wiring.public_url.startswith("https://"):
        label = plain(wording("team_look"), LABEL)
        acts.append(
            {"type": "button", "action_id": "sheet:look", "text": label, "url": tx.wiring.public_url + event.path}
        )
    return [*blocks, {"type": "actions", "elements": acts}] if acts else blocks


def form(sheet: Sheet, wording: Wording) -> dict[str, Any]:
    """The sheet as a modal."""
    material = [section(f"{who}: {shorten(said, LINE)}") for who, said in sheet.material[:MOST_SHOWN]]
    left = len(sheet.material) - len(material)
    if left > 0:
        material.append(line(f"… +{left}"))
    divider: list[Block] = [{"type": "divider"}] if material else []
    return {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": sheet.id,
        "title": plain(shorten(visible(sheet.title), TITLE), TITLE),
        "submit": plain(shorten(sheet.submit, TITLE), TITLE),
        "close": plain(shorten(wording("button_cancel"), TITLE), TITLE),
        "blocks": [section(sheet.lead), *material, *divider, *(_input(one) for one in sheet.questions)],
    }


def _input(one: Question) -> Block:
    if one.options:
        options = [{"text": plain(label, LABEL), "value": value} for value, label in one.options]
        element: Block = {"type": "radio_buttons", "action_id": one.id, "options": options}
    else:
        element = {"type": "plain_text_input", "action_id": one.id, "multiline": True, "max_length": one.longest}
    return {
        "type": "input",
        "block_id": one.id,
        "optional": one.optional,
        "label": plain(one.label, 2000),
        "element": element,
    }
