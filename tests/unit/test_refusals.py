"""Why something was refused is said in the language of who reads the page: no room can raise a sentence that has no words there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from bot.texts import built_in, keys, say, speaks
from bot.texts.refused import PAGE, in_words, key_of

ROOT = Path(__file__).parents[2]
ROOMS = ("bot/outreach", "bot/console", "bot/alerts.py", "handoff", "surveys")
ELSEWHERE = ("slack/", "for_api.py", "web/asked.py", "web/aside.py", "web/sign_in.py", "web/persons.py", "rollups/")
"""Slack has words of its own; the others tell programs what they sent wrongly, or are met before there is a language."""
RAISED = {"Conflict", "NotFound", "NotAllowed", "DeskFault"}


def sample(node: ast.expr) -> Iterator[str]:
    """The sentence, with a 7 wherever a value stands; what is put together elsewhere is not looked into."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "7" for part in node.values)  # type: ignore[misc]
    elif isinstance(node, ast.IfExp):
        yield from (*sample(node.body), *sample(node.orelse))


@cache
def raised() -> list[tuple[str, str]]:
    """(file and line, sentence) of every refusal that a page may show."""
    return list(_raised())


def _raised() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        path = ROOT / room
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            name = file.relative_to(ROOT).as_posix()
            if any(part in name for part in ELSEWHERE):
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                made = node.exc if isinstance(node, ast.Raise) else None
                if isinstance(made, ast.Call) and getattr(made.func, "id", "") in RAISED and made.args:
                    yield from ((f"{name}:{node.lineno}", one) for one in sample(made.args[0]))


def test_every_refusal_that_a_page_may_show_has_words_in_each_language() -> None:
    found = raised()
    assert len(found) > 80
    assert [(place, one) for place, one in found if key_of(one) is None] == []


def test_no_words_stand_there_for_what_nobody_says() -> None:
    """A sentence that was reworded in the code and not here would be told in English for ever."""
    said = {key_of(one)[0] for _, one in raised() if key_of(one)}  # type: ignore[index]
    said |= {"why_held", "why_said_missing", "why_text_long", "why_topic_long"}  # by other errors, at the web desk
    said |= {"why_wrote_meanwhile"}  # by WroteMeanwhile, which says it itself
    assert sorted({key for key in keys() if key.startswith(PAGE)} - said) == []


@pytest.mark.parametrize("locale", ["nl", "nb", "he"])
def test_a_refusal_keeps_what_stood_in_its_places(locale: str) -> None:
    for key in (one for one in keys() if one.startswith(PAGE)):
        assert speaks(key, locale)
        names = {name: f"v{at}" for at, name in enumerate(sorted(_places(built_in(key)["en"])))}
        english = say(key, "en", **names)
        assert in_words(english, "en") == english
        assert in_words(english, locale) == say(key, locale, **names) != english
    assert in_words("nobody has words for this", locale) == "nobody has words for this"


def _places(text: str) -> set[str]:
    return {part.split("}}")[0].strip() for part in text.split("{{")[1:]}


def test_of_two_sentences_that_fit_the_more_definite_one_is_meant() -> None:
    assert in_words("at most 3,000 characters; write the rest in the case", "nl").endswith("schrijf de rest in de zaak")
    assert in_words("at most 4,000 characters", "nl") == "hoogstens 4,000 tekens"
