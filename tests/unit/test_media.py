"""Pictures that a flow shows: fetched once for everybody, kept for each customer, and never in the way."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from bot.model import BOT, Answered, Body, FileRef, Message
from channels.media import MAX_BYTES, Media
from channels.port import Delivery
from channels.slack.outbound import SlackOutlet
from channels.telegram.outbound import TelegramOutlet
from tests.support.rooms import NOON

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50


class Shelf:
    """Stands for the storage: remembers that something was written."""

    def __init__(self) -> None:
        self.written = 0

    async def write(self, _: Any) -> None:
        self.written += 1


async def got(answer: Any, times: int = 1) -> tuple[list[Answered], int, int]:
    heard: list[Answered] = []
    asked: list[httpx2.Request] = []

    async def hear(customer_id: str, key: str, what: Answered) -> None:
        assert (customer_id, key) == ("c1", "o1")
        heard.append(what)

    def serve(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, httpx2.Response)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    shelf = Shelf()
    media = Media(shelf, hear)  # type: ignore[arg-type]
    media._client = httpx2.AsyncClient(transport=httpx2.MockTransport(serve))
    payload = {"token": "T1", "url": "https://shop.example/pictures/tent%20one.png?w=1", "file_id": "f1"}
    delivery = Delivery("o1", "media", "fetch", payload, "l", 1, "c1", None, None, NOON, NOON)
    for _ in range(times):
        await media.send(delivery)
    await media.close()
    return heard, len(asked), shelf.written


async def test_a_picture_is_kept_for_each_customer_and_fetched_once() -> None:
    heard, asked, written = await got(httpx2.Response(200, content=PNG), times=3)
    assert heard[0] == Answered("T1", "ok", {"id": "f1", "name": "tent one.png", "type": "image/png", "size": len(PNG)})
    assert (len(heard), asked, written) == (3, 1, 3)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(404, content=PNG),
        httpx2.Response(302, headers={"Location": "http://169.254.169.254/"}),
        httpx2.Response(200, content=b"<svg onload=alert(1)>"),
        httpx2.Response(200, content=b"<!doctype html><p>sign in"),
        httpx2.Response(200, content=b"just words"),
        httpx2.Response(200, content=b"MZ a program"),
        httpx2.Response(200, content=b"PK\x03\x04 an archive"),
        httpx2.Response(200, content=b""),
        httpx2.Response(200, content=PNG + b"\0" * MAX_BYTES),
        httpx2.ConnectError("nobody there"),
        httpx2.ReadTimeout("too slow"),
    ],
    ids=["404", "redirect", "svg", "html", "text", "program", "archive", "empty", "huge", "nobody", "slow"],
)
async def test_what_can_not_be_had_is_an_answer_too_and_nothing_is_kept(answer: Any) -> None:
    heard, _, written = await got(answer)
    assert heard == [Answered("T1", "error", None)]
    assert written == 0


def test_on_each_channel_it_leaves_as_a_picture_beside_its_words() -> None:
    message = Message("m1", "c1", 1, None, BOT, "web", Body("Our *tent*.", markdown=True, files=(TENT,)), NOON)
    (photo,) = TelegramOutlet().parts(message, "7")
    assert photo.kind == "photo"
    assert "tent" in photo.payload["caption"]
    words, file = SlackOutlet().parts(message, "T1:D1")
    assert (words.kind, file.kind) == ("text", "file")
    assert file.payload["file_id"] == TENT.id


TENT = FileRef("f1", "tent.png", "image/png", 60)
