"""Pictures that a flow shows: fetched from where the admin says they lie, kept as a file of the customer, then said.

A flow's `say` with `media` rests until the picture is here, so that text, picture and what follows stay in order; when it can't
be had, the flow says its address instead. Only addresses that stand in a flow are fetched, as they stand there: https, no
redirects, a picture, film, sound or PDF by its content, at most MAX_BYTES.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import unquote, urlsplit

from bot.errors import Refused
from bot.model import Answered, FileRef
from bot.storage import files
from bot.storage.engine import Storage
from channels.connectors import read_up_to
from channels.port import Delivery, Sent
from channels.web.files import safe_name, sniff

MAX_BYTES = 10 * 1024 * 1024  # Telegram takes photos of 10 MB
TIMEOUT = 10.0  # seconds
KEPT = 8  # pictures in memory: a flow shows the same one to everybody
SHOWN = ("image/", "video/", "audio/", "application/pdf")

Answer = Callable[[str, str, Answered], Awaitable[None]]
"""(customer id, key, answer): `Inbox.receive_answer`."""


class Media:
    """The sender of `via` "media". `verify` is an SSL context, for tests."""

    via = "media"

    def __init__(self, storage: Storage, answer: Answer, *, verify: Any = True) -> None:
        self._storage = storage
        self._answer = answer
        self._verify = verify
        self._client: Any = None
        self._kept: OrderedDict[str, tuple[str, bytes]] = OrderedDict()

    async def send(self, delivery: Delivery) -> Sent:
        """Fetch, keep, hand in. What can't be had is an answer too."""
        payload, customer_id = delivery.payload, delivery.customer_id or ""
        outcome, value = "error", None
        try:
            kind, data = await self._fetch(str(payload["url"]))
        except (OSError, ValueError, Refused, TimeoutError):
            pass
        else:
            ref = FileRef(str(payload["file_id"]), _name(str(payload["url"]), kind), kind, len(data))
            await self._storage.write(lambda tx: files.keep(tx, ref, customer_id, data))
            outcome, value = "ok", {"id": ref.id, "name": ref.name, "type": ref.type, "size": ref.size}
        await self._answer(customer_id, delivery.id, Answered(payload["token"], outcome, value))
        return Sent(data={"outcome": outcome})

    async def resolve(self, delivery: Delivery) -> Sent:
        """After a crash: fetched again, into the same place."""
        return await self.send(delivery)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _fetch(self, url: str) -> tuple[str, bytes]:
        import httpx2

        if url in self._kept:
            self._kept.move_to_end(url)
            return self._kept[url]
        if self._client is None:
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
            self._client = httpx2.AsyncClient(
                follow_redirects=False, trust_env=False, cookies=no_cookies, verify=self._verify
            )
        try:
            async with asyncio.timeout(TIMEOUT), self._client.stream("GET", url, timeout=TIMEOUT) as response:
                if response.status_code != 200:
                    raise Refused(f"the picture's server answers {response.status_code}")
                data = await read_up_to(response, MAX_BYTES)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Refused("the picture can't be had") from error
        kind = sniff(data)
        if not kind.startswith(SHOWN):
            raise Refused(f"{kind} is no picture")
        self._kept[url] = kind, data
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kind, data


def _name(url: str, kind: str) -> str:
    """The last piece of the address, with an ending that tells the kind."""
    name = safe_name(unquote(urlsplit(url).path))
    return name if "." in name else f"{name}.{kind.rpartition('/')[2]}"
