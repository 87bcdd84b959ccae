"""The optional language model in the whole house: stored before it is told, within its costs, and never missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.storage import tables as t
from tests.journeys.test_flows_in_the_house import ARTICLE, DESK, HANDOFF
from tests.support.house import House
from tests.unit.test_connectors import MAX_ANSWER, Shop, reply, shop  # noqa: F401 - a fixture

TELL = """\
schema: 1
flow: tell
version: 1
triggers: {phrases: {en: [tell me]}}
slots: {q: {type: text, ask_again: true}}
steps:
  - {id: q_what, ask: q, text: "What about?"}
  - {id: look, kb: "{{ q }}", on: {unsure: nothing, none: nothing}}
  - {id: reword, llm: "Be short.", grounded_in: look, on: {refused: nothing}}
  - {id: end_of_it, say: "That was it.", next: end}
  - {id: nothing, say: "I know nothing of that."}
"""


def says(text: str, tokens: int = 100) -> bytes:
    answer: dict[str, Any] = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    return reply(json.dumps({**answer, "usage": {"total_tokens": tokens}}).encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "desk.yaml": DESK + "model: {tokens_per_customer: 150, timeout: 10s}\n",
        "flows/handoff.yaml": HANDOFF,
        "flows/tell.yaml": TELL,
        "knowledge/costs.en.md": ARTICLE,
    }
    for name, text in files.items():
        path = tmp_path / "desk" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "desk"


async def ask(house: House, visitor: Any) -> None:
    await visitor.says("tell me")
    await visitor.hears("What about?")
    await visitor.says("how much does delivery cost?")
    await house.settle()


async def test_an_article_is_told_in_the_models_words_until_the_customer_has_cost_enough(
    tmp_path: Path,
    folder: Path,
    shop: Shop,  # noqa: F811
    database_url: str,
) -> None:
    shop.answers = [says("It is € 4.90 <!channel> *now* [1]."), says("It is € 4.90 [1].")]
    model: Any = {"llm_url": shop.url, "llm_model": "tiny", "database_url": database_url}
    async with House(tmp_path, desk=folder, **model) as house:
        visitor = await house.visitor()
        await ask(house, visitor)
        said = await visitor.hears("That was it.")
        texts = " ".join(visitor.said())
        assert "It costs" in texts, "what looks like markup is not told: the article is"
        assert "channel" not in texts

        await ask(house, visitor)
        told = await visitor.hears("It is € 4.90")
        assert "What delivery costs" in told["text"]
        assert len(shop.asked) == 2

        await ask(house, visitor)  # 200 tokens of 150 are spent: nobody is asked any more
        await visitor.hears("It costs")
        assert len(shop.asked) == 2
        assert said["seq"] < told["seq"]

        def recorded(conn: Any) -> list[Any]:
            r = t.recordings.c
            return list(conn.execute(select(r.kind, r.outcome, r.answer, r.asked).where(r.kind == "model")))

        rows = await house.app.storage.read(recorded)
        assert [row.outcome for row in rows] == ["ok", "ok"]
        assert rows[0].asked["passages"] == ["costs"]

        await house.passes(hours=25)
        shop.answers = [says("Delivery is € 4.90 [1].")]
        await ask(house, visitor)
        await visitor.hears("Delivery is € 4.90")


async def test_a_stored_answer_is_told_after_a_restart_and_nobody_is_asked_twice(
    tmp_path: Path,
    folder: Path,
    shop: Shop,  # noqa: F811
) -> None:
    shop.answers = [says("It is € 4.90 [1].")]
    model: Any = {"llm_url": shop.url, "llm_model": "tiny"}
    async with House(tmp_path, desk=folder, **model) as house:
        failed: list[Any] = []
        take = house.app.dialogue.take

        def once(turn: Any) -> bool:
            if turn.answered is not None and not failed:
                failed.append(turn)
                msg = "the turn fails when the answer comes"
                raise RuntimeError(msg)
            return take(turn)

        house.app.inbox.takers = [*house.app.inbox.takers[:-1], once]
        visitor = await house.visitor()
        await ask(house, visitor)
        assert failed
        token = visitor.token
    async with House(tmp_path, desk=folder, now=house.now, **model) as house:
        visitor = await house.visitor(token=token)
        await house.passes(minutes=5)
        await visitor.hears("It is € 4.90")
        assert len(shop.asked) == 1


@pytest.mark.parametrize("llm", [{}, {"llm_url": "http://127.0.0.1:9", "llm_model": "tiny"}], ids=["off", "not there"])
async def test_without_the_model_the_article_speaks(tmp_path: Path, folder: Path, llm: Any) -> None:
    async with House(tmp_path, desk=folder, **llm) as house:
        visitor = await house.visitor()
        await ask(house, visitor)
        await visitor.hears("It costs")
        await visitor.hears("That was it.")


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"", "500 Internal Server Error"),
        b"garbage\r\n\r\n",
        reply(b"x" * (MAX_ANSWER + 1)),
        reply(b'{"choices": [{}'),
    ],
    ids=["500", "garbage", "endless", "half"],
)
async def test_f41_a_model_that_answers_rubbish_is_not_missed(
    tmp_path: Path,
    folder: Path,
    shop: Shop,  # noqa: F811
    answer: bytes,
) -> None:
    shop.answers = [answer]
    async with House(tmp_path, desk=folder, llm_url=shop.url, llm_model="tiny") as house:
        visitor = await house.visitor()
        await ask(house, visitor)
        await visitor.hears("It costs")
        await visitor.hears("That was it.")
