"""Is the Slack app set up as the desk needs it: is it in its agents' channels, and do its events come?

A bot's token can't ask Slack which events an app is subscribed to, so events are judged by those that ever came. As in
`doctor`, nothing is changed, and nothing is known of SDKs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from bot.doctor import FAULT, OK, WARNING, WITHIN_S, Finding, ask
from bot.errors import DatabaseFault
from bot.settings import Settings
from bot.storage.engine import Storage

SEEN_AS_ONE = {"message.channels": "message.groups", "message.groups": "message.channels"}
RARE = ("channel_archive", "channel_unarchive", "member_joined_channel", "member_left_channel", "reaction_removed")
CLICKS = (
    "at api.slack.com/apps choose the app, Event Subscriptions, Subscribe to bot events, add them, then reinstall it"
)
HOME_CLICKS = "at api.slack.com/apps choose the app, App Home, turn the Home Tab on"


async def slack_desk(
    settings: Settings, channels: Sequence[str], events: Sequence[str], heard: Callable[[Any], Mapping[str, str]]
) -> AsyncIterator[Finding]:
    """`channels` are those that agents work in, `heard` reads which kinds of events ever came."""
    if settings.slack_bot_token is None:
        return
    import httpx2

    token, base = settings.slack_bot_token.get_secret_value(), settings.slack_api_url.rstrip("/")
    async with httpx2.AsyncClient(timeout=WITHIN_S, trust_env=False, follow_redirects=False) as http:
        for channel in channels:
            told, _ = await ask(http, f"{base}/conversations.info?channel={quote(channel, safe='')}", token)
            yield membership(channel, told)
    found = await _heard(settings, heard)
    if found is not None:
        yield came(found, events)


def membership(channel: str, told: Mapping[str, Any]) -> Finding:
    """What conversations.info says of an agents' channel."""
    about = told.get("channel")
    if not told.get("ok") or not isinstance(about, Mapping):
        why = str(told.get("error") or "refused")
        if why in {"invalid_auth", "missing_scope", "not_authed"} or told.get("unreached"):
            return Finding(
                WARNING, "channel", f"{channel}: Slack does not tell ({why})", "mend what stands above first"
            )
        todo = "copy the id from the channel's details in Slack; in a private channel type /invite @stafett"
        return Finding(FAULT, "channel", f"{channel}: {why}", todo)
    name = f"{channel} (#{about.get('name')})"
    if about.get("is_archived"):
        return Finding(FAULT, "channel", f"{name} is archived", "unarchive it, or name another one in desk.yaml")
    if not about.get("is_member"):
        return Finding(FAULT, "channel", f"the app is not in {name}", "type there: /invite @stafett")
    if about.get("is_ext_shared"):
        todo = "people of the other workspace read what customers write; a channel of your own is safer"
        return Finding(WARNING, "channel", f"{name} is shared with another workspace", todo)
    return Finding(OK, "channel", f"the app is in {name}")


def came(heard: Mapping[str, str], events: Sequence[str]) -> Finding:
    """The kinds of events that never came, though most desks see them within a day."""
    if not heard:
        todo = f"fine before the first day; else {CLICKS}"
        return Finding(WARNING, "events", "Slack has not sent any yet", todo)
    missing = [one for one in events if one not in RARE and one not in heard and SEEN_AS_ONE.get(one, one) not in heard]
    if not missing:
        return Finding(OK, "events", f"{len(heard)} kinds have come")
    told = f"never came: {', '.join(missing)}"
    clicks = [CLICKS] if missing != ["app_home_opened"] else [HOME_CLICKS]
    return Finding(
        WARNING, "events", told, f"fine if nobody did that yet; else {clicks[0]} (stafett slack manifest has all)"
    )


async def _heard(settings: Settings, read: Callable[[Any], Mapping[str, str]]) -> Mapping[str, str] | None:
    """None where the database can't be asked; `doctor` has said why."""
    try:
        storage = Storage(settings.database_url, read_only=True)
    except DatabaseFault:
        return None
    try:
        if storage.is_sqlite and not storage.path.is_file():
            return None
        return await storage.read(read)
    except DatabaseFault:
        return None
    finally:
        await storage.close()
