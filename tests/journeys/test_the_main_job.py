"""The main job, in the customer's words, on the built-in desk: ask, be answered, get a human, be asked one question."""

from __future__ import annotations

from pathlib import Path

import pytest

from surveys import store as surveys
from tests.support.house import House

HUMAN = {"en": "talk to a human", "nl": "medewerker", "nb": "menneske", "he": "נציג"}


async def test_a_customer_asks_a_human_answers_one_question_closes_the_case(tmp_path: Path, database_url: str) -> None:
    async with House(tmp_path, database_url=database_url) as house:
        kari = await house.visitor()
        await kari.says("where is my order?")
        await kari.hears("order number", "bot")
        await kari.says("AB123456")
        answer = await kari.hears("AB123456", "bot")
        assert "**" not in answer["text"]
        await kari.hears("wanted to know", "bot")

        await kari.says("talk to a human")
        await kari.hears("fetching a colleague")
        place = await kari.hears("number 1 in the queue")
        assert "minutes" in place["text"]

        agent = await house.agent()
        (waiting,) = await agent.sees()
        case_id = waiting["id"]
        seen = str(await agent.opens(case_id))
        assert "AB123456" in seen
        assert "where is my order?" in seen

        said_before = len(kari.said())
        await kari.says("where is my order")
        assert len(kari.said()) == said_before, "the bot is silent while a human holds the case"

        assert (await agent.does(case_id, "claim")).status_code == 200
        joined = await kari.hears("is here and has read everything")
        await agent.replies(case_id, "It left **Oslo** this morning.")
        reply = await kari.hears("It left", "agent")
        assert reply["author"]["name"]
        assert reply["author"]["name"] in joined["text"]
        assert "<strong>Oslo</strong>" in reply["html"]

        assert (await agent.does(case_id, "resolve", outcome="resolved", topic="delivery")).status_code == 200
        await house.settle()
        question = await kari.gets(lambda frame: frame["type"] == "message" and frame["survey"] is not None)
        assert [one["value"] for one in question["choices"]] == [str(score) for score in range(1, 8)]
        assert question["survey"]["instrument"] == "ces7"
        await kari.presses(question, "6")

        (response,) = await house.app.storage.read(surveys.responses)
        assert (response.score, response.instrument, response.channel) == (6, "ces7", "web")

        await kari.says("where is my order")
        await kari.hears("order number", "bot")
        assert kari.seqs == list(range(1, kari.last_seq + 1)), "the timeline has no gaps"


@pytest.mark.parametrize("locale", ["en", "nl", "nb", "he"])
async def test_whoever_asks_for_a_human_gets_one_in_the_middle_of_a_question(tmp_path: Path, locale: str) -> None:
    async with House(tmp_path) as house:
        visitor = await house.visitor(locale)
        await visitor.says({"en": "refund", "nl": "geld terug", "nb": "pengene tilbake", "he": "החזר כספי"}[locale])
        await visitor.says(HUMAN[locale])
        queued = await visitor.gets(lambda frame: frame["type"] == "case" and frame["status"] == "queued")
        assert queued["position"] == 1


async def test_twice_not_understood_a_human_is_offered_then_fetched(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        visitor = await house.visitor()
        await visitor.says("xyzzy plugh frobnicate")
        await visitor.says("quux zork wibble")
        offer = await visitor.hears("Shall I fetch a colleague", "bot")
        assert [one["value"] for one in offer["choices"]] == ["human"]
        await visitor.says("blorb gnusto rezrov")
        await visitor.gets(lambda frame: frame["type"] == "case" and frame["status"] == "queued")


async def test_an_article_answers_and_a_yes_ends_the_case(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        visitor = await house.visitor()
        await visitor.says("How long does delivery take?")
        answer = await visitor.hears("Did this help?", "bot")
        await visitor.presses(answer, "Yes, thanks")
        question = await visitor.gets(lambda frame: frame["type"] == "message" and frame["survey"] is not None)
        ended = {"type": "case", "status": "resolved"}  # told before the question, or after it when that is quick
        if not any(ended.items() <= frame.items() for frame in visitor.frames):
            await visitor.gets(lambda frame: ended.items() <= frame.items())
        await visitor.says("7")
        (response,) = await house.app.storage.read(surveys.responses)
        assert response.score == 7
        assert question["survey"]["max"] == 7


async def test_a_question_in_the_middle_of_a_flow_is_answered_and_the_flow_goes_on(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        visitor = await house.visitor()
        await visitor.says("How long does delivery take?")  # the words of the language are loaded from here on
        await visitor.hears("Did this help?", "bot")
        await visitor.says("where is my order?")
        await visitor.hears("What is your order number?", "bot")
        await visitor.says("how much does delivery cost?")
        await visitor.hears("€ 4.90", "bot")
        again = await visitor.hears("What is your order number?", "bot")
        assert "Did this help" not in again["text"]
        await visitor.says("AB123456")
        await visitor.hears("AB123456", "bot")
