"""A customer is answered in the language that they write, and has the last word on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.answers import language
from tests.support.house import House


async def test_the_bot_follows_a_language_says_so_once_and_goes_back_when_asked(tmp_path: Path) -> None:
    language.warm()
    async with House(tmp_path) as house:
        visitor = await house.visitor("en")
        await visitor.says("kan ik dit ook in een andere kleur krijgen")
        told = await visitor.hears("Ik ga verder in het Nederlands.")
        assert [(one["value"], one["label"]) for one in told["choices"]] == [("language:en", "English")]
        await visitor.presses(told, "language:en")
        await visitor.hears("From now on I'll write in English.")
        await visitor.says("jeg vil gjerne vite hva dere selger for noe")
        await visitor.says("/help")
        await visitor.hears("human")
        assert not any("norsk" in text for text in visitor.said()), "they chose: nobody follows any more"


async def test_a_command_that_was_copied_out_of_a_hebrew_sentence_is_one(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        visitor = await house.visitor("he")
        await visitor.says("/link ABCDEFGH")
        told = (await visitor.hears("/link"))["text"]
        copied = told[told.index("/link") - 1 :]
        assert copied == "\u2066/link\u2069"
        await visitor.says(copied)
        await visitor.hears("לשלוח שם")
        await visitor.says("\u2066/complaint\u2069")
        await visitor.hears("מה קרה?")


async def test_nobody_is_followed_into_the_language_of_a_name_or_of_an_answer(tmp_path: Path) -> None:
    language.warm()
    async with House(tmp_path) as house:
        visitor = await house.visitor("en")
        await visitor.says("hello there")
        await visitor.says("where is my order")
        await visitor.hears("What is your order number?")
        await visitor.says("het staat op de rekening geloof ik")
        await house.settle()
        assert not any("Nederlands" in text for text in visitor.said())


async def test_what_tells_languages_apart_is_loaded_when_somebody_writes_and_not_before(tmp_path: Path) -> None:
    language._loaded.cache_clear()
    async with House(tmp_path) as house:
        await house.settle()
        visitor = await house.visitor("en")
        await visitor.says("hi")
        await house.settle()
        assert not language.is_ready(), "too short to tell anything"
        await visitor.says("kan ik dit ook in een andere kleur krijgen")
        await visitor.hears(
            "Ik ga verder in het Nederlands."
        )  # it was loaded along with the words that this waited for


async def test_a_first_message_is_answered_in_its_own_language_by_a_house_that_has_just_started(tmp_path: Path) -> None:
    """It waits for what tells languages apart, and the line behind it keeps its place."""
    language._loaded.cache_clear()
    async with House(tmp_path) as house:
        visitor = await house.visitor("en")
        await visitor.says("dit is belachelijk, een schande, ik wil nu mijn geld terug!!")
        await visitor.says("AB123456")
        await visitor.hears("Wat is er gebeurd?")
        await house.settle()
        assert visitor.said()[0].startswith("Ik ga verder in het Nederlands."), visitor.said()
        assert not any("order number" in text for text in visitor.said()), visitor.said()


async def test_where_languages_cannot_be_told_apart_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import py3langid.langid

    monkeypatch.setattr(py3langid.langid, "MODEL_FILE", str(tmp_path / "gone"))
    language._loaded.cache_clear()
    try:
        async with House(tmp_path) as house:
            visitor = await house.visitor("en")
            await visitor.says("kan ik dit ook in een andere kleur krijgen")
            await visitor.hears("", "bot")
            assert not any("Nederlands" in text for text in visitor.said())
    finally:
        language._loaded.cache_clear()


@pytest.mark.parametrize(
    ("locale", "asks", "no", "reason"),
    [
        ("en", "I made a design", "no", "We only sell what the sender has made."),
        ("nl", "ik heb een ontwerp", "nee", "We verkopen alleen wat de inzender zelf heeft gemaakt."),
        ("nb", "jeg har et design", "nei", "Vi selger bare det avsenderen selv har laget."),
        ("he", "הכנתי עיצוב", "לא", "אנחנו מוכרים רק מה שהשולח יצר בעצמו."),
    ],
)
async def test_why_there_is_no_solution_is_told_in_the_customers_language(
    tmp_path: Path, locale: str, asks: str, no: str, reason: str
) -> None:
    """The demo desk's flow names its reason as it names all its texts, by `$key`."""
    async with House(tmp_path, api_token="a token for the test") as house, house.http() as http:
        kari = await house.visitor(locale)
        await kari.says(asks)
        await kari.says(no)
        assert reason in (await kari.hears("\n", "system"))["text"]
        assert not [said for said in kari.said() if "$" in said]
        cases = await http.get("/api/v1/cases", headers={"Authorization": "Bearer a token for the test"})
        assert cases.json()["items"][0]["reason"] == reason
