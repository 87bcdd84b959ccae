"""A flow shows a picture: it comes as a picture, in its place between the words; else its address is told."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.journeys.test_flows_in_the_house import DESK, HANDOFF
from tests.support.house import House

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50
SHOW = """\
schema: 1
flow: show
version: 1
triggers: {phrases: {en: [show me]}}
slots: {size: {type: choice}}
steps:
  - {say: "Here is our tent.", media: "https://shop.example/tent.png"}
  - {id: q_size, ask: size, text: "Which size?", options: [{value: s, label: Small}, {value: l, label: Large}]}
  - {say: "Good choice."}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"desk.yaml": DESK, "flows/handoff.yaml": HANDOFF, "flows/show.yaml": SHOW}.items():
        path = tmp_path / "desk" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "desk"


def serve_from(house: House, answer: httpx2.Response) -> None:
    def serve(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(answer.status_code, content=answer.content)

    house.app.media._client = httpx2.AsyncClient(transport=httpx2.MockTransport(serve))


async def test_on_the_web_the_picture_comes_with_its_words_and_before_the_question(
    tmp_path: Path, folder: Path, database_url: str
) -> None:
    async with House(tmp_path, desk=folder, database_url=database_url) as house:
        serve_from(house, httpx2.Response(200, content=PNG))
        visitor = await house.visitor()
        await visitor.says("show me")
        shown = await visitor.hears("Here is our tent.")
        asked = await visitor.hears("Which size?")
        assert shown["seq"] < asked["seq"]
        (file,) = shown["files"]
        assert (file["name"], file["type"]) == ("tent.png", "image/png")
        async with house.http(Authorization=f"Bearer {visitor.token}", Origin=house.url) as http:
            got = await http.get(file["url"])
        assert (got.status_code, got.content) == (200, PNG)
        stranger = await house.visitor()
        async with house.http(Authorization=f"Bearer {stranger.token}", Origin=house.url) as http:
            assert (await http.get(file["url"])).status_code == 404
        await visitor.presses(asked, "s")
        await visitor.hears("Good choice.")


async def test_a_picture_that_can_not_be_had_is_told_by_its_address_and_the_talk_goes_on(
    tmp_path: Path, folder: Path
) -> None:
    async with House(tmp_path, desk=folder) as house:
        serve_from(house, httpx2.Response(500))
        visitor = await house.visitor()
        await visitor.says("show me")
        told = await visitor.hears("Here is our tent.")
        assert "https://shop.example/tent.png" in told["text"]
        assert told["files"] == []
        await visitor.hears("Which size?")
