"""A Bot API server on this machine: the HTTP side of it. What its methods do is in `telegram_methods`.

async with TelegramServer() as tg: …          # tg.api_url, tg.token
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from aiohttp import web

from bot.model import Clock, system_clock
from tests.fakes.faults import Fault, Params
from tests.fakes.server import LocalServer, read_params
from tests.fakes.telegram_chat import Chat
from tests.fakes.telegram_methods import BotApi
from tests.fakes.telegram_person import Person
from tests.fakes.telegram_text import Refused
from tests.fakes.telegram_updates import Post, Updates

NESTED = frozenset(
    [
        "reply_markup",
        "entities",
        "caption_entities",
        "media",
        "allowed_updates",
        "commands",
        "scope",
        "link_preview_options",
        "reply_parameters",
        "reaction",
        "message_ids",
    ]
)
REASONS = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error",
           502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}  # fmt: skip


class TelegramServer(LocalServer):
    """One bot and the people who write to it."""

    def __init__(
        self, *, token: str = "7000000001:AAfakeTokenOfTheLocalBotApiServer000", username: str = "stafett_bot",
        port: int = 0, clock: Clock = system_clock,
    ) -> None:  # fmt: skip
        super().__init__(port=port, clock=clock)
        self.token = token
        self.updates = Updates(self.changes, self.now, self.spawn, lambda: self.http)
        me = {
            "id": int(token.partition(":")[0]), "is_bot": True, "first_name": "Stafett", "username": username,
            "can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False,
        }  # fmt: skip
        self.api = BotApi(me, self.now, self.updates)
        self._table: dict[str, Callable[[Params], Any]] = self.api.table()

    @property
    def api_url(self) -> str:
        """What the product is given instead of https://api.telegram.org."""
        return self.url

    @property
    def webhook(self) -> str:
        return self.updates.webhook

    @webhook.setter
    def webhook(self, url: str) -> None:
        self.updates.set_webhook(url, self.updates.secret)

    @property
    def posts(self) -> list[Post]:
        """Every attempt to deliver to the webhook."""
        return self.updates.posts

    def person(
        self,
        id: int,  # noqa: A002 - as in the API
        name: str = "Kari",
        *,
        language_code: str | None = "en",
        username: str | None = None,
    ) -> Person:
        """Somebody with a private chat with the bot; the same id is the same chat."""
        first, _, last = name.partition(" ")
        about = {"id": id, "first_name": first, "last_name": last, "username": username}
        about = {key: value for key, value in about.items() if value}
        self.api.chats.setdefault(id, Chat({**about, "type": "private"}))
        language = {"language_code": language_code} if language_code else {}
        return Person(self.api, self.changes, {**about, "is_bot": False, **language})

    def push(self, kind: str, payload: Any, *, queue: str = "raw") -> dict[str, Any] | None:
        """Any update, also one that no library can read."""
        return self.updates.add(kind, payload, queue)

    def hold(self) -> None:
        """Keeps what people do from now on, until `release`."""
        self.updates.held = self.updates.held or []

    def release(self, *, shuffle: Random | None = None, copies: int = 1) -> None:
        """Delivers what was held: in order or shuffled, once or more often."""
        self.updates.release(shuffle, copies)

    def repeat(self, count: int = 1) -> None:
        """Delivers the last updates again."""
        self.updates.repeat(count)

    async def settled(self, timeout: float = 20) -> None:
        """Waits until every update was taken: confirmed by a poll, or by the webhook's 2xx."""
        await self.changes.until(
            lambda: not self.updates.pending, timeout=timeout,
            failure=lambda: f"not taken: {[item.update for item in self.updates.pending]}",
        )  # fmt: skip

    # --- HTTP --------------------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.removeprefix("/").split("/")
        is_file = parts[0] == "file"
        token, rest = parts[is_file].removeprefix("bot") if len(parts) > is_file else "", parts[is_file + 1 :]
        if not rest or token != self.token:
            return _no(401 if rest else 404, REASONS[401 if rest else 404])
        if is_file:
            return await self.answer(request, "file", {"path": "/".join(rest)}, lambda: self._download("/".join(rest)))
        try:
            params = await read_params(request, NESTED)
        except (ValueError, UnicodeDecodeError):
            return _no(400, "Bad Request: can't parse request parameters")
        return await self.answer(request, rest[0], params, lambda: self._act(rest[0], params))

    async def _act(self, method: str, params: Params) -> web.Response:
        try:
            if method.lower() == "getupdates":
                result = await self._get_updates(params)
            elif (act := self._table.get(method.lower())) is not None:
                result = act(params)
            else:
                return _no(404, "Not Found: method not found")
        except Refused as refused:
            known = refused.code in (403, 409, 413)
            return _no(
                refused.code,
                refused.description if known else f"Bad Request: {refused.description}",
                refused.parameters,
            )
        self.changes.tell()
        return web.json_response({"ok": True, "result": result})

    async def _get_updates(self, params: Params) -> Any:
        number = {
            key: int(params.get(key) or default) for key, default in (("offset", 0), ("limit", 100), ("timeout", 0))
        }
        return await self.updates.poll(
            number["offset"], number["limit"], number["timeout"], params.get("allowed_updates")
        )

    async def _download(self, path: str) -> web.Response:
        file = self.api.files.at(path)
        if file is None:
            return _no(404, REASONS[404])
        return web.Response(body=file.content, content_type="application/octet-stream")

    def refuse(self, fault: Fault) -> web.Response:
        if fault.reason:
            return _no(fault.code, fault.reason, dict(fault.extra))
        reason = REASONS.get(fault.code, "Error")
        if fault.retry_after is None:
            return _no(fault.code, reason)
        return _no(fault.code, f"{reason}: retry after {fault.retry_after}", {"retry_after": fault.retry_after})


def _no(code: int, description: str, parameters: dict[str, Any] | None = None) -> web.Response:
    more = {"parameters": parameters} if parameters else {}
    body = {"ok": False, "error_code": code, "description": description, **more}
    return web.Response(status=code, text=json.dumps(body), content_type="application/json")
