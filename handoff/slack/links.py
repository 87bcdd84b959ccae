"""Where a case is read: its thread in Slack, else its page at the web desk."""

from __future__ import annotations

from collections.abc import Sequence

from handoff.slack import store


def links_to(conn: store.Reader, case_ids: Sequence[str], site: str, public_url: str) -> dict[str, str]:
    """Case id → address. `site` is the workspace's, empty while Slack has not told it."""
    roots = store.roots(conn, case_ids) if site else {}
    return {one: permalink(site, *roots[one]) if one in roots else f"{public_url}/desk#{one}" for one in case_ids}


def permalink(site: str, channel: str, ts: str) -> str:
    """A post's permanent link, as chat.getPermalink makes them."""
    return f"{site.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"
