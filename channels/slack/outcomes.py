"""What became of a Web API call: Slack's answers as ours. Pure; the map stands here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.errors import NotSent, RateLimited, Refused, SendFault, Uncertain

UNCERTAIN = {"fatal_error", "internal_error", "request_timeout", "service_unavailable"}
"""Slack's error tables: "it's possible some aspect of the operation succeeded before the error was raised"."""

BROKEN_TOKEN = {
    "token_revoked": "was revoked",
    "invalid_auth": "is not valid",
    "account_inactive": "belongs to a workspace or a bot that is gone",
    "not_authed": "is empty",
    "token_expired": "has expired",
    "app_uninstalled": "belongs to an app that was uninstalled",
    "two_factor_setup_required": "needs two-factor authentication to be set up",
    "org_login_required": "waits for the workspace's move to its organisation",
    "team_added_to_org": "waits for the workspace's move to its organisation",
}
HELD_IN_CHANNEL = {
    "not_in_channel": "the app is not in the channel {channel}; invite it there",
    "is_archived": "the channel {channel} is archived; unarchive it, or name another one",
}
UNREACHABLE = {"channel_not_found", "user_disabled", "user_not_found"}
"""The place where the customer wrote is closed to us: the app was removed, the shared channel ended, the account is gone."""

HOLD = 60.0  # seconds; after a repair nobody should wait longer
LONGEST = 600.0  # seconds that we believe a Retry-After


def outcome(status: int, headers: Mapping[str, str], data: Any) -> SendFault:
    """The fault for an answer that is not `ok: true`. `data` is its JSON object; anything else was no JSON."""
    answer = data if isinstance(data, Mapping) else {}
    error = str(answer.get("error") or "")
    if status == 429 or error in {"ratelimited", "rate_limited"}:
        return RateLimited("Slack asks us to wait", retry_after(headers))
    if not error or answer.get("ok") is not False or status >= 500 or error in UNCERTAIN:
        return Uncertain(f"Slack answered with HTTP {status}{f' {error}' if error else ', without an outcome'}")
    if error in BROKEN_TOKEN or error in HELD_IN_CHANNEL or error == "missing_scope":
        return NotSent(f"Slack: {error}", HOLD)
    return Refused(f"Slack: {error}{details(answer)}", unreachable=error in UNREACHABLE)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, up to LONGEST; None where Slack did not say."""
    told = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return min(LONGEST, float(told)) if told.isascii() and told.isdigit() and len(told) < 10 else None


def details(answer: Mapping[str, Any]) -> str:
    """What Slack says beside the error (which block, which pointer), shortened; never our own text."""
    metadata = answer.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, Mapping) else None
    return f" ({'; '.join(map(str, messages))[:300]})" if isinstance(messages, list) and messages else ""


def fault_line(error: str, answer: Mapping[str, Any], channel: str = "") -> str | None:
    """What the operator has to mend, in one line; None where it is not theirs."""
    if error in BROKEN_TOKEN:
        return f"Slack: STAFETT_SLACK_BOT_TOKEN {BROKEN_TOKEN[error]} ({error}); install the app again and set the new token"
    if error == "missing_scope":
        needed = str(answer.get("needed") or "a scope")[:200]
        return f"Slack: the app lacks the scope {needed}; update it with `stafett slack manifest` and install it again"
    if error in HELD_IN_CHANNEL:
        return f"Slack: {HELD_IN_CHANNEL[error].format(channel=channel)}"
    return None
