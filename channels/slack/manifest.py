"""What our Slack app must be allowed: the manifest that an admin pastes at api.slack.com/apps. Pure."""

from __future__ import annotations

from typing import Any

BOT_SCOPES = (
    "app_mentions:read",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "reactions:read",
    "reactions:write",
    "usergroups:read",
    "users:read",
    "users:read.email",
)
BOT_EVENTS = (
    "app_home_opened",
    "app_mention",
    "channel_archive",
    "channel_unarchive",
    "member_joined_channel",
    "member_left_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "reaction_added",
    "reaction_removed",
)
SHORTCUTS = (  # of a message; Slack takes at most ten in all, and 24 characters of a name
    ("note", "Keep as a note", "The customer does not get this message"),
    ("take_back", "Take back", "Takes this answer back from the customer"),
    ("claim", "Claim the case", "You answer this customer from now on"),
    ("reply", "Reply to the customer", "By a form, whatever stands in the thread"),
    ("resolve", "Resolve the case", "Ends the case and asks the customer how it was"),
    ("transfer", "Pass the case on", "To another team, or a colleague"),
    ("snooze", "Put the case aside", "Until a time, or until the customer writes"),
    ("more", "More on the case", "Notes, the customer's timeline, and all the rest"),
)


def manifest(public_url: str, *, socket_mode: bool) -> dict[str, Any]:
    """The app manifest (schema of docs.slack.dev/reference/app-manifest). HTTP mode needs `public_url`, https."""
    url = f"{public_url.rstrip('/')}/slack/events"
    request_url = {} if socket_mode else {"request_url": url}
    return {
        "display_information": {
            "name": "Stafett",
            "description": "Customers ask, a bot answers first, people take over here",
            "background_color": "#1f4e5f",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "Stafett", "always_online": True},
            "shortcuts": [
                {"name": name, "type": "message", "callback_id": callback, "description": about}
                for callback, name, about in SHORTCUTS
            ],
            "slash_commands": [
                {
                    "command": "/stafett",
                    "description": "The queue, a search among the cases, and whether you are available",
                    "usage_hint": "queue | status | search WORDS | desk | available | busy | away 14:30",
                    "should_escape": True,
                    **({} if socket_mode else {"url": url}),
                }
            ],
        },
        "oauth_config": {"scopes": {"bot": list(BOT_SCOPES)}},
        "settings": {
            "event_subscriptions": {**request_url, "bot_events": list(BOT_EVENTS)},
            "interactivity": {"is_enabled": True, **request_url},
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket_mode,
            "token_rotation_enabled": False,
        },
    }
