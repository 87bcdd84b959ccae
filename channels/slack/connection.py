"""The one connection to Slack: the customers' channel and the agents' desk share it.

Inwards: every payload goes through the listeners, in order, before it is acknowledged; payloads of one channel one
after the other, in the order of their arrival. Outwards: `call` is the only place that speaks to the Web API, and the
only one that knows its errors.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from bot.errors import NotSent, Refused, SendFault, SettingsFault, Uncertain
from bot.settings import Settings
from bot.storage import letters
from bot.storage.engine import Storage
from channels.slack import outcomes
from channels.slack.heard import Heard
from channels.slack.inbound import is_id
from channels.slack.manifest import BOT_SCOPES
from channels.slack.payloads import (
    Echo,
    EchoHook,
    Listener,
    Reply,
    SlackPayload,
    SlackUser,
    echo_of,
    is_for,
    is_own,
    kind_of,
    mapping,
    raw_of,
    user_of,
)

if TYPE_CHECKING:
    import aiohttp
    from slack_bolt.async_app import AsyncApp
    from slack_sdk.web.async_client import AsyncWebClient

    from channels.slack.sockets import Sockets

log = structlog.get_logger()
READS = {
    "bots.info", "chat.getPermalink", "conversations.history", "conversations.info",
    "conversations.list", "conversations.members", "conversations.replies", "files.getUploadURLExternal", "files.info",
    "reactions.get", "usergroups.users.list", "users.conversations", "users.info", "users.list",
}  # fmt: skip
"""Methods that take their arguments in the query: they don't read JSON."""

TIMEOUT = 30.0  # seconds of one call
CONNECT_TIMEOUT = 10.0
MISSHAPEN = (TypeError, ValueError, LookupError, AttributeError, RecursionError, OverflowError)
NOBODY = ("user_not_found", "user_not_visible")
USER_TTL = 60.0  # seconds that a user's standing is believed: SECURITY S37
PATIENCE = 2.0  # seconds that a payload may wait for what we have to know first; Slack waits 3
LAST_BACKOFF = 60.0
DROPPED_FOR = 90.0  # seconds: Slack drops the events of a minute, then sends again
TOLD_FOR = 300.0  # seconds that it is told; then the agents' threads are read too
HEALED = 5.0  # seconds that it works again before what nobody told us is read
KEPT_ECHOES = 10_000
MAX_FILE = 20 * 1024 * 1024  # bytes
FILE_HOST = "files.slack.com"


@dataclass(slots=True)
class Counters:
    received: int = 0
    forged: int = 0  # a signature that is missing, wrong or old
    foreign: int = 0  # for another workspace or app, or of an unknown type
    unclaimed: int = 0  # ours, but nobody's business
    failed: int = 0  # a listener raised: Slack was told, and delivers again
    rate_limited: int = 0  # Slack told us that events were lost


class SlackConnection:
    """One per process. Build it, `add_listener`, `start`; `stop` ends it.

    `team_id`, `bot_user_id`, `bot_id`, `app_id` and `site` are empty until auth.test has answered; `call` works before.
    """

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self.settings = settings
        self.storage = storage
        self.team_id = ""
        self.bot_user_id = ""
        self.bot_id = ""
        self.app_id = ""
        self.site = ""  # where the workspace is read in a browser, with a slash at its end
        self.counters = Counters()
        self._listeners: list[Listener] = []
        self._echo_hooks: list[EchoHook] = []
        self._connect_hooks: list[Callable[[], Awaitable[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._echoes: OrderedDict[str, Echo] = OrderedDict()
        self._astray: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._users: dict[tuple[str, str], tuple[float, SlackUser]] = {}
        self._lines: dict[str, str] = {}
        self._reading: asyncio.TimerHandle | None = None  # when what we may have missed is read
        self._heard = Heard(storage)
        self._known = asyncio.Event()
        self._settled = asyncio.Event()
        self._refusal: str | None = None
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        self._http: aiohttp.ClientSession | None = None
        self._web: AsyncWebClient | None = None
        self._bolt: AsyncApp | None = None
        self._sockets: Sockets | None = None
        self._task: asyncio.Task[None] | None = None
        url = settings.slack_api_url
        self._api_url = url if url.endswith("/") else f"{url}/"

    # ── what the rooms use ─────────────────────────────────────────────────────────────────────────────────────────
    @property
    def socket_mode(self) -> bool:
        return self.settings.slack_app_token is not None

    def add_listener(self, listener: Listener) -> None:
        """Listeners are asked in the order in which they were added; the first that returns a Reply has it."""
        self._listeners.append(listener)

    def add_echo_hook(self, hook: EchoHook) -> None:
        """Hears of each of our own posts that Slack tells back, with its outbox id."""
        self._echo_hooks.append(hook)

    def add_connect_hook(self, hook: Callable[[], Awaitable[None]]) -> None:
        """Called when events may have been missed: at the start, when all sockets were gone, when Slack dropped some, and when
        it works again after it refused us: its token, a channel, everything.
        """
        self._connect_hooks.append(hook)

    def connected(self) -> None:
        self._read_nothing_later()
        for hook in self._connect_hooks:
            self._spawn(hook, "stafett-slack-connected")

    def _read_later(self, seconds: float) -> None:
        """However much heals meanwhile, it is read once."""
        if self._reading is None:
            self._reading = asyncio.get_running_loop().call_later(seconds, self.connected)

    def _read_nothing_later(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _spawn(self, errand: Callable[[], Awaitable[None]], name: str) -> None:
        task = asyncio.create_task(self._guarded(errand), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, hook: Callable[[], Awaitable[None]]) -> None:
        try:
            await hook()
        except Exception as error:  # noqa: BLE001 - what could not be caught up must not stop what comes
            log.warning("slack errand failed", error=f"{type(error).__name__}: {error}"[:300])

    def echo(self, outbox_id: str) -> Echo | None:
        """The post that this row of the outbox became, if Slack has told it back to this process."""
        found = self._echoes.get(outbox_id)
        return None if found is None or (found.channel, found.ts) in self._astray else found

    def went_astray(self, channel: str, ts: str) -> None:
        """That post of ours was deleted at once, and its row becomes another one: no proof of that, whenever its echo comes."""
        self._astray[channel, ts] = None
        while len(self._astray) > KEPT_ECHOES:
            self._astray.popitem(last=False)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One call of the Web API; parameters that are None are left out. The answer's JSON.

        Raises NotSent (not there; may be tried again), Refused (never), Uncertain (may have happened).
        """
        client = await self._client()
        wanted = {name: value for name, value in params.items() if value is not None}
        try:
            if method in READS:
                response = await client.api_call(method, http_verb="GET", params=wanted)
            else:
                response = await client.api_call(method, json=wanted)
        except Exception as error:
            raise self._fault_of(error, str(params.get("channel") or "")) from error
        self._works(str(params.get("channel") or ""))
        return dict(mapping(response.data))

    async def user(self, team: str, user: str) -> SlackUser:
        """Who this is, at most 60 s old; `is_known` is False of whom Slack does not know, and of what is no id.

        Raises what `call` raises: who must be sure fails closed.
        """
        if not is_id(user):
            return SlackUser(user, team, is_known=False)
        found = self._users.get((team, user))
        if found is not None and time.monotonic() - found[0] < USER_TTL:
            return found[1]
        try:
            known = user_of(await self.call("users.info", user=user, include_locale=True), self.team_id or team)
        except Refused as error:
            if not any(reason in str(error) for reason in NOBODY):
                raise
            known = SlackUser(user, team, is_known=False)
        if len(self._users) > 10_000:
            self._users.clear()
        self._users[team, user] = (time.monotonic(), known)
        return known

    async def user_soon(self, team: str, user: str) -> SlackUser:
        """As `user`, but within 2 s and without a fault: `is_known` is False where Slack could not say."""
        with suppress(TimeoutError, SendFault):
            async with asyncio.timeout(PATIENCE):
                return await self.user(team, user)
        return SlackUser(user, team, is_known=False)

    async def upload(
        self, *, channel: str, name: str, content: bytes, thread_ts: str | None = None, words: str | None = None
    ) -> str:
        """Put a file into a channel, direct message or thread, below `words`; Slack's id of it. Raises what `call` raises.

        Nobody sees anything of it before the last of the three steps, so only that one can be Uncertain.
        """
        try:
            place = await self.call("files.getUploadURLExternal", filename=name, length=len(content))
            await self._put(str(place.get("upload_url")), content)
        except Uncertain as error:
            raise NotSent(str(error)) from error
        file_id = str(place.get("file_id"))
        files = [{"id": file_id, "title": name}]
        where = {"channel_id": channel, "thread_ts": thread_ts, "initial_comment": words}
        await self.call("files.completeUploadExternal", files=files, **where)
        return file_id

    async def download(self, url: str, limit: int = MAX_FILE) -> bytes:
        """A file that lies with Slack, up to `limit` bytes. Raises NotSent, or Refused for any other host (S28, S29)."""
        if not self.is_slack_url(url):
            raise Refused("the file does not lie with Slack")
        import aiohttp

        await self._client()
        assert self._http is not None
        try:
            async with self._http.get(url, headers=self._bearer(), allow_redirects=False) as response:
                if response.status == 429 or response.status >= 500:
                    raise NotSent(
                        f"Slack's file server answered with {response.status}", outcomes.retry_after(response.headers)
                    )
                if response.status != 200 or response.content_type == "text/html":
                    raise Refused("Slack does not give the file; the app needs the scope files:read")
                content = await response.content.read(limit + 1) if (response.content_length or 0) <= limit else b""
                while content and len(content) <= limit and (more := await response.content.read(limit + 1)):
                    content += more
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotSent(f"Slack's file server: {type(error).__name__}") from error
        if len(content) > limit or (response.content_length or 0) > limit:
            raise Refused("the file is larger than 20 MB")
        return content

    def is_slack_url(self, url: str) -> bool:
        """Whether our token may go there: https to files.slack.com, or the very origin of STAFETT_SLACK_API_URL."""
        try:
            parts, own = urlsplit(url), urlsplit(self._api_url)
            place, ours = (parts.scheme, parts.hostname, parts.port), (own.scheme, own.hostname, own.port)
        except ValueError:
            return False
        slack = {("https", FILE_HOST, None), ("https", FILE_HOST, 443)}
        return (place in slack or place == ours) and parts.username is None and parts.password is None

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────────────
    async def start(self) -> None:
        """Returns at once; Slack may be down, it is tried again in the background. A second call changes nothing."""
        if self._task is not None:
            return
        self._task = asyncio.create_task(self._connect(), name="stafett-slack")

    async def stop(self) -> None:
        self._read_nothing_later()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._sockets is not None:
            await self._sockets.close()
            self._sockets = None
        if self._http is not None:
            await self._http.close()
            self._http = self._web = None

    async def known(self) -> None:
        """Wait until Slack has told who we are (auth.test)."""
        await self._known.wait()

    async def ready(self) -> None:
        """Return when Slack has accepted our tokens, however long it was down. Raises SettingsFault when it refuses one."""
        await self._settled.wait()
        if self._refusal is not None:
            raise SettingsFault(self._refusal)

    def settle(self, refusal: str | None = None) -> None:
        """Slack has accepted our tokens, or refuses one (in a line that says which); its first word counts."""
        if not self._settled.is_set():
            self._refusal = refusal
            self._settled.set()

    def faults(self) -> Sequence[str]:
        """What keeps Slack from working, one line each with what to do; empty: all is well."""
        lines = list(self._lines.values())
        if not lines and self._sockets is not None:
            lines += self._sockets.faults()
        return lines

    def routes(self) -> Sequence[Any]:
        """The Starlette route of HTTP mode; none in Socket Mode."""
        if self.socket_mode:
            return ()
        from channels.slack.webhook import routes

        return routes(self)

    # ── inwards ────────────────────────────────────────────────────────────────────────────────────────────────────
    async def dispatch(
        self, body: str | Mapping[str, Any], headers: Mapping[str, Any] | None = None, *, mode: str = "http"
    ) -> tuple[int, Any]:
        """Give one delivery to the listeners, through Bolt; (HTTP status, the answer's JSON or None).

        Anything but 200 means: not taken, to be delivered again. `mode` is http (`body` is the text that was signed)
        or socket_mode (`body` is the envelope's payload).
        """
        from slack_bolt.request.async_request import AsyncBoltRequest

        app = await self._app()
        try:
            request = AsyncBoltRequest(body=body, headers=dict(headers or {}), mode=mode)  # type: ignore[arg-type]
            looked_at(request.body)
        except Exception as error:  # noqa: BLE001 - Bolt can't read it, and it would be the same the next time
            self.counters.foreign += 1
            log.warning("slack payload not readable", error=type(error).__name__)
            return 200, None
        response = await app.async_dispatch(request)
        return response.status, json.loads(response.body) if response.body else None

    async def take(self, payload: SlackPayload) -> Reply:
        """Through the listeners, in turn. Raises what a listener raised."""
        self.counters.received += 1
        if payload.body.get("type") == "app_rate_limited":
            self._rate_limited()
            return Reply()
        if payload.kind == "other":
            self.counters.foreign += 1
            return Reply()
        if not self._known.is_set():
            async with asyncio.timeout(PATIENCE):
                await self._known.wait()
        if not is_for(payload.body, self.team_id, self.app_id):
            self.counters.foreign += 1
            return Reply()
        if payload.kind == "event" and self._heard.is_news(payload.event):
            self._spawn(lambda: self._heard.keep(payload.event), "stafett-slack-heard")
        if payload.kind == "event" and self._is_own(payload.body):
            return Reply()
        async with self._turn(channel_of(payload.body)):
            for listener in self._listeners:
                reply = await listener(payload)
                if reply is not None:
                    return reply
        self.counters.unclaimed += 1
        return Reply()

    def _is_own(self, body: Mapping[str, Any]) -> bool:
        echo = echo_of(body, self.bot_user_id)
        if echo is not None:
            self._echoes[echo.outbox_id] = echo
            while len(self._echoes) > KEPT_ECHOES:
                self._echoes.popitem(last=False)
            for hook in self._echo_hooks:
                hook(echo)
        return echo is not None or is_own(body, self.bot_user_id, self.bot_id)

    def _turn(self, key: str) -> _Turn:
        return _Turn(self._turns, key)

    def _rate_limited(self) -> None:
        self.counters.rate_limited += 1
        self._lines["events"] = (
            "Slack: events were dropped, more than 30,000 in an hour; reduce what the app subscribes to"
        )
        asyncio.get_running_loop().call_later(TOLD_FOR, self._lines.pop, "events", None)
        self._read_later(DROPPED_FOR)

    # ── the SDKs: imported at first need, they cost half a second ──────────────────────────────────────────────────
    async def _client(self) -> AsyncWebClient:
        if self._web is None:
            import aiohttp
            from slack_sdk.web.async_client import AsyncWebClient

            timeout = aiohttp.ClientTimeout(total=TIMEOUT, connect=CONNECT_TIMEOUT)
            self._http = aiohttp.ClientSession(timeout=timeout, trust_env=True)
            self._web = AsyncWebClient(
                token=self._token, base_url=self._api_url, session=self._http, retry_handlers=[], timeout=int(TIMEOUT)
            )
        return self._web

    async def _app(self) -> AsyncApp:
        if self._bolt is None:
            from slack_bolt.async_app import AsyncApp

            self._bolt = AsyncApp(
                client=await self._client(),
                before_authorize=self._middleware,
                request_verification_enabled=False,  # webhook.py has verified it, byte by byte
                ignoring_self_events_enabled=False,  # our own posts are the proof that they arrived
                ssl_check_enabled=False,
                url_verification_enabled=False,
                attaching_function_token_enabled=False,
            )
        return self._bolt

    async def _middleware(self, req: Any, resp: Any, next: Any) -> Any:  # noqa: A002, ARG002 - Bolt gives by these names
        """Stands before all of Bolt's own: it answers every request, and only when our listeners have committed."""
        from slack_bolt.response import BoltResponse

        payload = SlackPayload(kind_of(req.body), req.body, retry_number(req.headers), first(req.headers, "reason"))
        try:
            reply = await self._take_or_bury(payload)
        except Exception as error:  # noqa: BLE001 - whatever it was: not taken, so not acknowledged
            self.counters.failed += 1
            log.warning("slack payload not taken", kind=payload.kind, error=f"{type(error).__name__}: {error}"[:300])
            return BoltResponse(status=500, body="")
        return BoltResponse(status=200, body=dict(reply.body) if reply.body is not None else "")

    async def _take_or_bury(self, payload: SlackPayload) -> Reply:
        """What has not the form that it should have will not have it the next time either: a dead letter, and acknowledged."""
        try:
            return await self.take(payload)
        except MISSHAPEN as error:
            self.counters.foreign += 1
            why = f"{type(error).__name__}: {error}"[:300]
            log.warning("slack payload not readable", kind=payload.kind, error=why)
            key = str(payload.body.get("event_id") or "")[:200] or None
            await self.storage.write(lambda tx: letters.bury(tx, "slack", key, raw_of(payload), why))
            return Reply()

    @property
    def http(self) -> aiohttp.ClientSession:
        assert self._http is not None, "call `start` first"
        return self._http

    async def open_socket(self) -> str:
        """The address of a new Socket Mode WebSocket. Raises what `call` raises."""
        client = await self._client()
        token = self.settings.slack_app_token
        try:
            response = await client.apps_connections_open(app_token=token.get_secret_value() if token else "")
        except Exception as error:
            raise self._fault_of(error, "", of_the_app=True) from error
        return str(mapping(response.data).get("url"))

    @property
    def _token(self) -> str:
        token = self.settings.slack_bot_token
        return token.get_secret_value() if token else ""

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    async def _connect(self) -> None:
        """Ask who we are until Slack answers; then open the sockets."""
        wait = 1.0
        while not self._known.is_set():
            try:
                await self._introduce()
            except SendFault as error:
                if "token" in self._lines:
                    self.settle(self._lines["token"])
                log.warning("slack not connected", error=str(error), again_in=wait)
                await asyncio.sleep(wait)
                wait = min(LAST_BACKOFF, wait * 2)
        if self.socket_mode:
            from channels.slack.sockets import Sockets

            self._sockets = Sockets(self)
            self._sockets.open()
        else:
            self.settle()
            self.connected()

    async def _introduce(self) -> None:
        client = await self._client()
        try:
            response = await client.api_call("auth.test")
        except Exception as error:
            raise self._fault_of(error, "") from error
        self._works("")
        me = mapping(response.data)
        self._missing(response.headers)
        self.bot_id = str(me.get("bot_id") or "")
        app_id = str(me.get("app_id") or "") or await self._app_of(self.bot_id)
        self.team_id, self.bot_user_id, self.app_id = str(me.get("team_id")), str(me.get("user_id")), app_id
        self.site = str(me.get("url") or "")
        self._known.set()
        log.info(
            "slack knows us",
            team=self.team_id,
            bot_user=self.bot_user_id,
            mode="socket" if self.socket_mode else "http",
        )

    async def _app_of(self, bot_id: str) -> str:
        """auth.test does not name the app; without it, the workspace alone tells ours from others'."""
        with suppress(SendFault):
            return str(mapping((await self.call("bots.info", bot=bot_id)).get("bot")).get("app_id") or "")
        return ""

    def _missing(self, headers: Mapping[str, Any]) -> None:
        granted = {scope.strip() for scope in first(headers, "x-oauth-scopes").split(",") if scope.strip()}
        missing = sorted(set(BOT_SCOPES) - granted) if granted else []
        if missing:
            log.warning("slack scopes missing", missing=missing)
            self._lines["scopes"] = outcomes.fault_line("missing_scope", {"needed": ", ".join(missing)}) or ""

    async def _put(self, url: str, content: bytes) -> None:
        import aiohttp

        assert self._http is not None
        try:
            async with self._http.post(url, data=content, allow_redirects=False) as response:
                if response.status != 200:
                    raise NotSent(
                        f"Slack's file server answered with {response.status}", outcomes.retry_after(response.headers)
                    )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotSent(f"Slack's file server: {type(error).__name__}") from error

    def _works(self, channel: str) -> None:
        if [line for line in ("token", "reach", f"channel:{channel}") if self._lines.pop(line, None)]:
            self._read_later(HEALED)

    def _fault_of(self, error: Exception, channel: str, *, of_the_app: bool = False) -> SendFault:
        """The SDK's and aiohttp's errors as ours. What is not certainly unsent is Uncertain."""
        import aiohttp
        from slack_sdk.errors import SlackApiError

        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            self._lines["reach"] = (
                f"Slack can't be reached at {self._api_url} ({type(error).__name__}); it is tried again"
            )
            return NotSent(f"Slack can't be reached: {type(error).__name__}")
        if not isinstance(error, SlackApiError):
            return Uncertain(f"Slack gave no answer: {type(error).__name__}")
        response: Any = error.response
        status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
        answer = getattr(response, "data", None)
        code = str(mapping(answer).get("error") or "")
        line = None if of_the_app else outcomes.fault_line(code, mapping(answer), channel)
        if line is not None:
            key = (
                "token"
                if code in outcomes.BROKEN_TOKEN
                else "scopes"
                if code == "missing_scope"
                else f"channel:{channel}"
            )
            self._lines[key] = line
        return outcomes.outcome(status, getattr(response, "headers", {}), answer)


class _Turn:
    """Payloads of one channel, one after the other, in the order in which they came."""

    def __init__(self, turns: dict[str, tuple[asyncio.Lock, int]], key: str) -> None:
        self._turns, self._key = turns, key

    async def __aenter__(self) -> None:
        lock, waiting = self._turns.get(self._key, (asyncio.Lock(), 0))
        self._turns[self._key] = (lock, waiting + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._turns[self._key][0].release()
        self._leave()

    def _leave(self) -> None:
        lock, waiting = self._turns[self._key]
        if waiting == 1:
            del self._turns[self._key]
        else:
            self._turns[self._key] = (lock, waiting - 1)


def channel_of(body: Mapping[str, Any]) -> str:
    """The channel (or, where there is none, the user) whose order counts."""
    event = mapping(body.get("event"))
    item = mapping(event.get("item"))
    found = (
        event.get("channel") or item.get("channel") or mapping(body.get("channel")).get("id") or body.get("channel_id")
    )
    return found if isinstance(found, str) else str(mapping(body.get("user")).get("id") or body.get("user_id") or "")


def retry_number(headers: Mapping[str, Any]) -> int:
    told = first(headers, "x-slack-retry-num")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 4 else 0


def first(headers: Mapping[str, Any], name: str) -> str:
    """The first value of a header, whatever its case; Bolt gives lists."""
    if name == "reason":
        name = "x-slack-retry-reason"
    found = next((value for key, value in headers.items() if key.lower() == name), "")
    return str(found[0] if isinstance(found, list) and found else found or "")


def looked_at(body: dict[str, Any]) -> None:
    """What Bolt will look for in a payload, for each of its listeners. Raises where that can't be read: Bolt answers 500 then."""
    from slack_bolt.request import payload_utils as bolt

    for find in (
        bolt.to_options,
        bolt.to_shortcut,
        bolt.to_action,
        bolt.to_view,
        bolt.to_command,
        bolt.to_event,
        bolt.to_message,
        bolt.to_step,
    ):
        find(body)
