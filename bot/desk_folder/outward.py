"""What desk.yaml's `webhooks:` says: whom to tell of what happens."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bot.desk_folder.desk import Webhook
from bot.flows.source import Node, Reader

EVENTS = ("message", "case", "answer", "wish")
WEBHOOK_KEYS = ("id", "url", "secret", "events")
MOST = 5  # each may have a few sends under way
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}\Z")
_SECRET = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}\Z")


def webhooks(node: Node, reader: Reader) -> tuple[Webhook, ...]:
    found: dict[str, Webhook] = {}
    items = reader.items(node, "webhooks")
    for one in items[:MOST]:
        hook = _webhook(one, reader)
        if hook is not None and hook.id in found:
            reader.fault(one, f'the webhook "{hook.id}" stands here twice', "duplicate")
        elif hook is not None:
            found[hook.id] = hook
    for one in items[MOST:]:
        reader.fault(one, f"at most {MOST} webhooks; let one of them pass things on", "value")
    return tuple(found.values())


def _webhook(node: Node, reader: Reader) -> Webhook | None:
    found = reader.entries(node, WEBHOOK_KEYS, "webhook", ("id", "url", "secret"))
    name = reader.text(found["id"], "id") if "id" in found else None
    if name is not None and not _ID.match(name):
        reader.fault(found["id"], f'"{name}" is no id: a letter, then letters, digits, _ or -', "value")
        name = None
    url = reader.text(found["url"], "webhook: url") if "url" in found else None
    if url is not None and not _is_address(url):
        reader.wrong(found["url"], "a webhook's url must begin with https:// (or http://) and a host, written out")
        url = None
    secret = reader.text(found["secret"], "webhook: secret") if "secret" in found else None
    variable = _SECRET.match(secret) if secret is not None else None
    if secret is not None and variable is None:
        reader.wrong(found["secret"], "a webhook's secret stands in the environment; write ${CRM_SECRET}")
    events = reader.texts(found["events"], "webhook: events") if "events" in found else EVENTS
    for one in events:
        if one not in EVENTS:
            reader.fault(found["events"], f'webhook: events: unknown "{one}"; known are {", ".join(EVENTS)}', "value")
    return Webhook(name, url, variable[1], tuple(events)) if name and url and variable else None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        return False
    plain = not any(mark in parts.netloc for mark in "{}$@")
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and has_port and plain
