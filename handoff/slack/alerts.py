"""Low scores in Slack: a card of its own for each, in the channel of the case's team, to be claimed and closed there.

What lives here: the card (pure), the row that sends it, and what is pressed on it. The verbs are `bot/alerts.py`'s. A row
names the alert and nothing else: the card is drawn as it then is, posted the first time and updated from then on; while
nobody has looked after it in time, a line below it calls the channel again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bot import alerts, outbox
from bot.errors import Conflict, NotFound
from bot.events import AlertChanged, SendSettled
from bot.storage import alert_rows, audit
from bot.storage.alert_rows import Alert
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from channels.port import Delivery, Sent, Verdict
from channels.slack.connection import SlackConnection
from channels.slack.payloads import Reply, SlackPayload, mapping
from channels.text import one_line, plain_to_mrkdwn
from handoff import store as cases
from handoff.slack import outgoing, store
from handoff.slack.agents import Agents, Who, remember
from handoff.slack.blocks import FIELD, HEADER, Block, button, heading, ours, plain, section, small, table
from handoff.slack.verb import Kind
from handoff.slack.wording import Wording

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

ACTION = "alert:"
CLAIM = f"{ACTION}claim"
NAME = "alert"
SCALES = {"ces7": 7, "ces7_statement": 7, "csat5": 5, "csat2": 1, "nps": 10}


# ── the card ───────────────────────────────────────────────────────────────────────────────────────────────────────
def card(alert: Alert, holder: str, wording: Wording, link: str) -> dict[str, Any]:
    """`{"text", "blocks"}`. `link` is where the case is shown; the agent whose case it was is not named (their lead knows)."""
    title = wording("desk_alert_title", score=told(alert))
    blocks: list[Block] = [
        {"type": "header", "text": plain(f"{'✅' if alert.state == 'closed' else '🔻'} {title}", HEADER)},
        *table(list(_facts(alert, wording, link))),
        *([heading(wording("desk_alert_reason")), section(f"“{alert.comment}”", 2000)] if alert.comment else []),
        *_end(alert, holder, wording),
    ]
    return {"text": plain_to_mrkdwn(f"{title} · {_who(alert, wording)}"), "blocks": blocks}


def told(alert: Alert) -> str:
    """CES7 2/7."""
    return f"{alert.instrument.upper()} {alert.score:g}/{SCALES.get(alert.instrument, '?')}"


def _who(alert: Alert, wording: Wording) -> str:
    """The customer's name; nobody knows that of a visitor of the website."""
    return one_line(alert.customer, 80) or wording("author_customer")


def _facts(alert: Alert, wording: Wording, link: str) -> Iterator[tuple[str, Block]]:
    yield wording("card_who"), plain(_who(alert, wording), FIELD)
    if alert.channel:
        yield wording("card_channel"), plain(wording.channel(alert.channel), FIELD)
    if alert.case_number is not None:
        yield wording("desk_alert_case"), ours(f"<{link}|#{alert.case_number}>" if link else f"#{alert.case_number}")
    if alert.topic:
        yield wording("card_topic"), plain(one_line(alert.topic, 200), FIELD)
    if alert.reason:
        yield wording("desk_alert_reason"), plain(wording.either(f"survey_reason_{alert.reason}", alert.reason), FIELD)
    if alert.state != "closed":
        yield wording("desk_alert_due"), ours(wording.date(alert.due_at))
    contact = {True: "yes", False: "no", None: "unknown"}[alert.contact]
    yield wording("desk_alert_contact"), plain(wording(f"desk_alert_contact_{contact}"), FIELD)


def _end(alert: Alert, holder: str, wording: Wording) -> list[Block]:
    if alert.state == "closed":
        outcome = wording(f"desk_alert_{alert.outcome}")
        told_end = (
            outcome if alert.outcome == "withdrawn" else wording("desk_alert_closed", agent=holder, outcome=outcome)
        )
        return [small(plain(told_end))]
    taken = [small(plain(wording("desk_alert_claimed", agent=holder)))] if alert.state == "claimed" else []
    first = [] if alert.state == "claimed" else [button(CLAIM, wording("desk_alert_claim"), alert.id, "primary")]
    ends = [button(f"{ACTION}{one}", wording(f"desk_alert_{one}"), alert.id) for one in alerts.OUTCOMES]
    return [*taken, small(plain(wording("desk_alert_how"))), {"type": "actions", "elements": [*first, *ends]}]


# ── out ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def on_alert(tx: Tx, event: AlertChanged, channel_of: Callable[[str | None], str | None]) -> None:
    """Put the card, drawn anew, into its lane; and the call for somebody where it is overdue."""
    alert = alert_rows.one(tx.conn, event.alert_id)
    channel = channel_of(alert.team) if alert is not None else None
    if alert is None or channel is None:
        return
    for calls in (False, True) if event.what == "overdue" else (False,):
        outbox.enqueue(
            tx,
            via=store.VIA,
            lane=f"{store.VIA}:{NAME}:{alert.id}",
            kind=NAME,
            payload={"alert": alert.id, "channel": channel, "calls": calls},
            bucket=f"{outgoing.CHANNEL}:{channel}",
            customer_id=alert.customer_id,
        )


async def send(slack: SlackConnection, storage: Storage, delivery: Delivery) -> Sent:
    """Post the card, or update it; `calls` posts a line below it, shown in the channel as well."""
    desk, payload = storage.wiring.desk(), delivery.payload
    found = await storage.read(lambda conn: _read(conn, desk, str(payload["alert"]), storage.wiring.public_url))
    if found is None:
        return Sent()  # erased meanwhile
    alert, drawn = found
    channel, _, ts = (alert.ref or f"{payload['channel']}:").partition(":")
    quiet = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
    if payload.get("calls"):
        words = plain_to_mrkdwn(Wording(desk)("desk_alert_overdue"))
        below = {"thread_ts": ts, "reply_broadcast": True} if ts else {}
        await slack.call("chat.postMessage", channel=channel, text=words, **quiet, **below)
        return Sent()
    if ts:
        await slack.call("chat.update", channel=channel, ts=ts, **drawn)
        return Sent()
    answer = await slack.call("chat.postMessage", channel=channel, **drawn, **quiet)
    ref = f"{answer.get('channel') or channel}:{answer.get('ts')}"
    return Sent(ref, {"alert": alert.id, "ref": ref})


def settled(tx: Tx, event: SendSettled) -> None:
    """Slack has shown it: from now on that post is the card."""
    if event.outcome == "sent" and event.data.get("ref"):
        alert_rows.change(tx, str(event.data["alert"]), ref=str(event.data["ref"]))


KIND = Kind(NAME, send, in_doubt=Verdict.RESEND, settled=settled)


def _read(conn: store.Reader, desk: Desk | None, alert_id: str, url: str) -> tuple[Alert, dict[str, Any]] | None:
    alert = alert_rows.one(conn, alert_id)
    if alert is None:
        return None
    known = store.thread(conn, alert.case_id) if alert.case_id else None
    link = f"{url}/desk#{alert.case_id}" if alert.case_id else ""
    if known is not None and known.root is not None:
        link = f"https://slack.com/archives/{known.channel}/p{known.root.replace('.', '')}"
    return alert, card(alert, cases.agent_name(conn, desk, alert.agent_id), Wording(desk), link)


# ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
class AlertPresses:
    """A listener for what is pressed on these cards; None for everything else."""

    def __init__(
        self,
        connection: SlackConnection,
        storage: Storage,
        desk: Callable[[], Desk],
        channels: Callable[[], Collection[str]],
    ) -> None:
        self._slack = connection
        self._storage = storage
        self._desk = desk
        self._agents = Agents(connection, desk)
        self._channels = channels

    async def listen(self, payload: SlackPayload) -> Reply | None:
        given = payload.body.get("actions") if payload.kind == "action" else None
        action = mapping(given[0]) if isinstance(given, list) and given else {}
        verb = str(action.get("action_id") or "")
        if not verb.startswith(ACTION):
            return None
        await self._pressed(payload.body, verb.removeprefix(ACTION), str(action.get("value") or ""))
        return Reply()

    async def _pressed(self, body: Mapping[str, Any], verb: str, alert_id: str) -> None:
        user, channel = mapping(body.get("user")), str(mapping(body.get("channel")).get("id") or "")
        if channel not in self._channels():
            return
        person, team = str(user.get("id") or ""), str(user.get("team_id") or self._slack.team_id)
        who = await self._agents.who(team, person, channel)
        if who is None:
            await self._storage.write(lambda tx: self._refuse(tx, team, person, channel, f"alert_{verb}", alert_id))
            return
        agent = who
        await self._storage.write(lambda tx: self._act(tx, agent, channel, verb, alert_id))

    def _refuse(self, tx: Tx, team: str, person: str, channel: str, what: str, alert_id: str) -> None:
        audit.of_agent(tx, f"{team}:{person}", "refused", act=what[:40], alert=alert_id[:40])
        outgoing.tell(tx, channel, person, Wording(self._desk())("refused_not_agent"), None)

    def _act(self, tx: Tx, who: Who, channel: str, verb: str, alert_id: str) -> None:
        remember(tx, who, self._desk(), channel)
        leads = cases.agent(tx.conn, self._desk(), who.agent_id).leads
        try:
            with tx.savepoint():
                if verb == "claim":
                    alerts.claim(tx, alert_id, who.agent_id)
                else:
                    alerts.close(tx, alert_id, who.agent_id, verb, leads=leads)
        except (Conflict, NotFound):
            outgoing.tell(tx, channel, who.user, Wording(self._desk())("desk_alert_refused"), None)
