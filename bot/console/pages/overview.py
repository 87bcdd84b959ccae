"""The first page: what does not work just now, how much there is, what the desk is."""

from __future__ import annotations

from starlette.responses import Response

from bot.console.page import Page, Visit


async def show(visit: Visit) -> Response:
    return await visit.page("overview.html", **await visit.rooms.overview())


PAGES = (Page("/", show, menu="console_overview"),)
