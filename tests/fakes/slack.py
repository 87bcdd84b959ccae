"""A Slack on this machine: Web API, Socket Mode, uploads and downloads, response URLs; the HTTP side of it.

async with SlackServer() as slack: …      # slack.api_url, slack.bot_token, slack.app_token, slack.signing_secret
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from aiohttp import web

from bot.model import Clock, system_clock
from tests.fakes.faults import Fault, Params
from tests.fakes.server import LocalServer, Upload, read_params
from tests.fakes.slack_checks import SlackRefused
from tests.fakes.slack_delivery import Attempt, Delivery
from tests.fakes.slack_methods import SCOPES, WebApi
from tests.fakes.slack_person import Person
from tests.fakes.slack_shapes import Post
from tests.fakes.slack_views import Views
from tests.fakes.slack_workspace import Raw, Room, Workspace

NESTED = frozenset(["blocks", "attachments", "metadata", "view", "files", "unfurls"])
T = TypeVar("T")
Wanted = str | Callable[[Post], Any]


@dataclass(eq=False)
class Channel:
    """A channel as its members see it."""

    slack: SlackServer
    room: Room

    @property
    def id(self) -> str:
        return self.room.id

    @property
    def messages(self) -> list[Post]:
        """All posts, replies too, in order of time; deleted ones are gone."""
        return self.room.posts()

    @property
    def cards(self) -> list[Post]:
        """The posts that are no replies."""
        return [post for post in self.messages if post.thread_ts in (None, post.ts)]

    def thread(self, ts: str) -> list[Post]:
        """The root, where it still exists, and the replies."""
        return [self.room.post(raw["ts"]) for raw in self.room.thread(ts)]

    def post(self, ts: str) -> Post:
        """A message as it is now."""
        return self.room.post(ts)

    async def hears(self, wanted: Wanted, *, thread_ts: str | None = None, timeout: float = 20) -> Post:
        """The app's next post or edit that says this (or fits); each is heard once."""
        return await self.slack.hears(self.room, wanted, thread_ts=thread_ts, timeout=timeout)


class SlackServer(LocalServer):
    """One workspace with one app."""

    def __init__(
        self, *, bot_token: str = "xoxb-local-bot", app_token: str = "xapp-local-app",
        signing_secret: str = "local-signing-secret", port: int = 0, clock: Clock = system_clock,
    ) -> None:  # fmt: skip
        super().__init__(port=port, clock=clock)
        self.bot_token, self.app_token, self.signing_secret = bot_token, app_token, signing_secret
        self.scopes = SCOPES
        self.revoked = False
        self.delivery = Delivery(self.changes, self.now, self.spawn, lambda: self.http, signing_secret)
        self.space = Workspace(self.now, self.emit)
        self.views = Views(self.space, self.now)
        self.api = WebApi(self.space, self.views, lambda: self.url)
        self._table = self.api.table()
        self._responses: dict[str, tuple[Room, str, str | None, int]] = {}

    # --- for the test ------------------------------------------------------------------------------------

    @property
    def api_url(self) -> str:
        """What the product is given instead of https://slack.com/api/."""
        return f"{self.url}/api/"

    @property
    def bot_user(self) -> str:
        return self.space.bot_user

    @property
    def events_url(self) -> str:
        """Where events and interactions go; empty: over Socket Mode."""
        return self.delivery.events_url

    @events_url.setter
    def events_url(self, url: str) -> None:
        self.delivery.events_url = url

    @property
    def attempts(self) -> list[Attempt]:
        return self.delivery.attempts

    def person(
        self, id: str, name: str = "Ann", *, guest: bool = False, team: str | None = None, **about: Any,  # noqa: A002
    ) -> Person:  # fmt: skip
        """A member; `guest` a guest, `team` somebody of another workspace; `about` any field of Slack's user object."""
        if guest:
            about["is_restricted"] = True
        if team:
            about |= {"team_id": team, "is_stranger": True}
        self.space.add_user(id, name, **about)
        return Person(self, id)

    def group(self, id: str, *members: Person) -> None:  # noqa: A002
        """A user group, with just these members."""
        self.space.groups[id] = [person.id for person in members]

    def channel(
        self, id: str, name: str = "", *, members: Sequence[Person] = (), private: bool = False, shared: bool = False,  # noqa: A002
        bot: bool = True,
    ) -> Channel:  # fmt: skip
        """The channel, made when it is named first; the app is in it unless `bot` is False."""
        room = self.space.rooms.get(id)
        if room is None:
            start = [self.bot_user] if bot else []
            room = Room(id, name or id.lower(), "group" if private else "channel", start, shared=shared)
            self.space.rooms[id] = room
        room.members.extend(person.id for person in members if person.id not in room.members)
        return Channel(self, room)

    async def waits_for(self, look: Callable[[], T | None], timeout: float = 20) -> T:
        """The first thing that `look` finds (not None, not False), looked for after each change."""
        return await self.changes.until(
            look, timeout=timeout, failure=lambda: f"never came true; calls: {self._recent()}"
        )

    async def hears(self, room: Room, wanted: Wanted, *, thread_ts: str | None = None, timeout: float = 20) -> Post:
        def fits(post: Post) -> bool:
            if not post.by_app or (post.ts, post.version) in room.heard or thread_ts not in (None, post.thread_ts):
                return False
            return wanted in post.says if isinstance(wanted, str) else bool(wanted(post))

        def failure() -> str:
            return f"{room.id} did not hear {wanted!r} within {timeout} s; it has {[p.says for p in room.posts()]}"

        post = await self.changes.until(
            lambda: next((post for post in room.posts() if fits(post)), None), timeout=timeout, failure=failure
        )
        room.heard.add((post.ts, post.version))
        return post

    async def connected(self, count: int = 1, timeout: float = 20) -> None:
        """Waits until the app has this many Socket Mode connections."""
        sockets = self.delivery.sockets
        await self.changes.until(
            lambda: len(sockets) >= count, timeout=timeout, failure=lambda: f"{len(sockets)} of {count} connections"
        )

    async def settled(self, timeout: float = 20) -> None:
        """Waits until every event was acknowledged or given up."""
        await self.changes.until(
            lambda: self.delivery.idle, timeout=timeout, failure=lambda: f"still delivering; {self.attempts[-3:]}"
        )

    async def disconnects(self, reason: str = "refresh_requested", *, close: bool = True) -> None:
        """Tells every connection to go (`warning`, `refresh_requested`, `link_disabled`)."""
        await self.delivery.disconnect(reason, close=close)

    def drops_sockets(self) -> None:
        """Every connection ends without a word."""
        for socket in tuple(self.delivery.sockets):
            transport = socket.ws._req.transport if socket.ws._req else None
            if transport is not None:
                transport.abort()

    def freezes_sockets(self) -> None:
        """Every connection stays open and is dead: no answer, not even to pings."""
        for socket in self.delivery.sockets:
            socket.frozen = True

    def hold(self) -> None:
        """Keeps events from now on, until `release`."""
        self.delivery.held = self.delivery.held or []

    def release(self, *, shuffle: Random | None = None, copies: int = 1) -> None:
        """Delivers what was held: in order or shuffled, once or more often (same event_id)."""
        self.delivery.release(shuffle, copies)

    def repeat(self, count: int = 1) -> None:
        """Delivers the last events again, with the same event_id."""
        for envelope in self.delivery.delivered[-count:]:
            self.delivery.event(envelope)

    def emit(self, event: Raw) -> None:
        """Any event, in Slack's words; one of a channel that the app is not in does not reach it."""
        room = self.space.rooms.get(str(event.get("channel") or event.get("item", {}).get("channel") or ""))
        if room is not None and self.bot_user not in room.members:
            return
        bot = {"enterprise_id": None, "team_id": self.space.team, "user_id": self.bot_user, "is_bot": True}
        self.delivery.event(
            {
                "token": "verification",
                "team_id": self.space.team,
                "api_app_id": self.space.app_id,
                "type": "event_callback",
                "event": json.loads(json.dumps(event)),
                "event_id": f"Ev{self.space.number():010d}",
                "event_time": int(self.now().timestamp()),
                "authorizations": [{**bot, "is_enterprise_install": False}],
                "is_ext_shared_channel": bool(room and room.shared),
                "event_context": "local",
            }
        )

    def response_url(self, room: Room, user: str, ts: str | None) -> str:
        """Good for five uses."""
        key = f"{self.space.number():06d}"
        self._responses[key] = (room, user, ts, 5)
        return f"{self.url}/response/{key}"

    def _recent(self) -> list[str]:
        return [call.method for call in self.log[-20:]]

    # --- HTTP --------------------------------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        door, _, rest = request.path.removeprefix("/").partition("/")
        if door == "api":
            return await self._api_call(request, rest)
        if door == "link":
            return await self.delivery.serve_socket(request, self.space.app_id)
        if door == "upload":
            return await self.answer(request, "upload", {"file": rest}, lambda: self._upload(request, rest))
        if door == "files-pri":
            return await self.answer(request, "download", {"file": rest}, lambda: self._download(request, rest))
        if door == "response":
            params = await read_params(request, NESTED)
            return await self.answer(request, "response_url", params, lambda: self._respond(rest, params))
        return web.Response(text="<html>Sign in to Slack</html>", content_type="text/html")

    async def _api_call(self, request: web.Request, method: str) -> web.StreamResponse:
        try:
            params = await read_params(request, NESTED)
        except (ValueError, UnicodeDecodeError):
            return _reply({"ok": False, "error": "invalid_json"})
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        token = bearer if scheme.lower() == "bearer" else params.pop("token", "")
        params.pop("token", None)
        return await self.answer(request, method, params, lambda: self._act(method, token, params))

    async def _act(self, method: str, token: str, params: Params) -> web.Response:
        try:
            result = self._do(method, token, params)
        except SlackRefused as refused:
            return _reply({"ok": False, "error": refused.error, **refused.more})
        except (KeyError, TypeError, ValueError) as error:
            return _reply({"ok": False, "error": "invalid_arguments", "response_metadata": {"messages": [repr(error)]}})
        self.changes.tell()
        return _reply({"ok": True, **result}, {"X-OAuth-Scopes": self.scopes})

    def _do(self, method: str, token: str, params: Params) -> Raw:
        if not token:
            raise SlackRefused("not_authed")
        if token not in (self.bot_token, self.app_token):
            raise SlackRefused("invalid_auth")
        if self.revoked:
            raise SlackRefused("token_revoked")
        if method == "apps.connections.open":
            if token != self.app_token:
                raise SlackRefused("not_allowed_token_type")
            ticket = f"ws://127.0.0.1:{self.port}/link/?ticket={self.space.number()}&app_id={self.space.app_id}"
            return {"url": ticket}
        if token != self.bot_token:
            raise SlackRefused("not_allowed_token_type")
        if method not in self._table:
            raise SlackRefused("unknown_method", req_method=method)
        return self._table[method](params)

    async def _upload(self, request: web.Request, id_: str) -> web.Response:
        upload = self.api.uploads.get(id_)
        if upload is None:
            return web.Response(status=404)
        content, type_ = await request.read(), request.content_type
        if type_ == "multipart/form-data":
            part = next((value for value in (await request.post()).values() if isinstance(value, web.FileField)), None)
            sent = Upload(part.filename, part.file.read(), part.content_type) if part else Upload("", b"", "")
            content, type_ = sent.content, sent.type
        if len(content) != upload["length"]:
            return web.Response(status=400, text="length mismatch")
        upload |= {"content": content, "type": type_}
        return web.Response(text=f"OK - {len(content)}")

    async def _download(self, request: web.Request, path: str) -> web.Response:
        """With the bot's token the file; without it the sign-in page and 200, as Slack does it."""
        id_ = path.split("/", maxsplit=1)[0].partition("-")[2]
        if request.headers.get("Authorization") != f"Bearer {self.bot_token}":
            return web.Response(status=302, headers={"Location": f"{self.url}/signin"})
        if id_ not in self.space.files:
            return web.Response(status=404)
        file, content = self.space.files[id_]
        return web.Response(body=content, headers={"Content-Type": file["mimetype"]})

    async def _respond(self, key: str, params: Params) -> web.Response:
        room, user, ts, left = self._responses.get(key, (None, "", None, 0))
        if room is None or not left:
            return web.Response(status=404, text="used_url" if room else "expired_url")
        self._responses[key] = (room, user, ts, left - 1)
        try:
            self._apply_response(room, user, ts, params)
        except SlackRefused as refused:
            return web.json_response({"ok": False, "error": refused.error}, status=400)
        self.changes.tell()
        return web.Response(text="ok")

    def _apply_response(self, room: Room, user: str, ts: str | None, params: Params) -> None:
        whispers = [pair for pair in room.ephemerals if pair[1]["ts"] == ts]
        if params.get("delete_original") or params.get("replace_original"):
            if whispers:
                room.ephemerals.remove(whispers[0])
            elif ts in room.messages:
                self.api.delete({"channel": room.id, "ts": ts}) if params.get("delete_original") else self.api.update(
                    {**params, "channel": room.id, "ts": ts}
                )
                return
            if params.get("delete_original"):
                return
        if params.get("response_type") == "in_channel":
            self.api.post_message({**params, "channel": room.id})
        else:
            self.api.whisper(room, user, params)

    def refuse(self, fault: Fault) -> web.Response:
        if fault.reason:
            return _reply({"ok": False, "error": fault.reason, **fault.extra})
        error = {429: "ratelimited", 500: "internal_error", 503: "service_unavailable"}.get(fault.code, "fatal_error")
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
        return _reply({"ok": False, "error": error}, headers, fault.code)


def _reply(body: Raw, headers: dict[str, str] | None = None, status: int = 200) -> web.Response:
    return web.Response(status=status, text=json.dumps(body), content_type="application/json", headers=headers)
