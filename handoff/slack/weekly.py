"""The week's post in Slack: a picture with its words, once, in the channel of the first team or the one that desk.yaml names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot import outbox
from bot.errors import Refused
from bot.events import DigestMade
from bot.storage import files, wish_titles
from bot.storage.engine import Storage
from bot.storage.tx import Tx
from bot.texts import escape_markdown, say
from channels.port import Delivery, Sent, Verdict
from channels.slack.connection import SlackConnection
from channels.text import to_mrkdwn
from channels.web.files import safe_name
from handoff.slack import outgoing, store
from handoff.slack.verb import Kind

NAME = "digest"


def on_digest(tx: Tx, event: DigestMade, channel: str | None) -> None:
    """Put it into a lane of its own. `channel`: where it goes when desk.yaml names none; None: nowhere."""
    place = event.channel or channel
    if place is None:
        return
    outbox.enqueue(
        tx,
        via=store.VIA,
        lane=f"{store.VIA}:{NAME}",
        kind=NAME,
        payload={
            "channel": place,
            "text": to_mrkdwn(event.text),
            "file_id": event.file_id,
            "wishes": event.wishes,
            "locale": event.locale,
        },
        bucket=f"{outgoing.CHANNEL}:{place}",
        bulk=True,
    )


async def send(slack: SlackConnection, storage: Storage, delivery: Delivery) -> Sent:
    payload = delivery.payload
    channel, file_id, wishes = str(payload["channel"]), payload["file_id"], payload.get("wishes", ())
    called = await storage.read(lambda conn: wish_titles.titles(conn, [wish for wish, _ in wishes]))
    text = "\n".join((str(payload["text"]), *wished(wishes, called, str(payload.get("locale")))))
    if file_id:
        about, data = files.ready(await storage.read(lambda conn: files.one(conn, str(file_id))))
        try:
            return Sent(
                f"file:{await slack.upload(channel=channel, name=safe_name(about.name), content=data, words=text)}"
            )
        except Refused:
            pass  # without files:write the words go alone
    quiet = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
    answer = await slack.call("chat.postMessage", channel=channel, text=text, **quiet)
    return Sent(f"{answer.get('channel') or channel}:{answer.get('ts')}")


def wished(wishes: Sequence[tuple[str, int]], called: Mapping[str, str], locale: str) -> list[str]:
    """Slack's lines of the most wanted, as they are `called` by now; of one that is gone there is none."""
    named = [(called[wish], votes) for wish, votes in wishes if wish in called]
    lines = [say("digest_wish", locale, name=escape_markdown(name), votes=votes) for name, votes in named]
    return ["", *(to_mrkdwn(one) for one in (f"**{say('digest_wishes', locale)}**", *lines))] if lines else []


KIND = Kind(NAME, send, in_doubt=Verdict.GIVE_UP)
