"""Nouns are what frozen dataclasses are, to whoever does not try to change them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pytest

from bot.nouns import but, noun
from bot.storage.json_text import dumps


@noun(frozen=True, slots=True)
class Cup:
    colour: str
    holds: int = 3
    more: Mapping[str, Any] = field(default_factory=dict)


@noun(frozen=True, slots=True)
class Mug:
    colour: str
    holds: int = 3


@dataclass(frozen=True, slots=True)
class Glass:
    colour: str
    holds: int = 3


def test_nouns_are_equal_by_their_fields_and_their_kind_and_hashed_so() -> None:
    assert Mug("red") == Mug("red", 3)
    assert Mug("red") != Mug("red", 4)
    glass: object = Glass("red")
    assert Mug("red") != glass
    assert len({Mug("red"), Mug("red"), Mug("blue")}) == 2
    assert hash(Mug("red")) == hash(Glass("red"))
    assert repr(Mug("red")) == "Mug(colour='red', holds=3)"
    with pytest.raises(AttributeError):
        Mug("red").handle = 1  # type: ignore[attr-defined]


def test_another_noun_is_the_same_but_for_what_is_named() -> None:
    cup = Cup("red", more={"spoon": True})
    assert but(cup, holds=5) == replace(cup, holds=5) == Cup("red", 5, {"spoon": True})
    assert but(cup) == cup == Cup("red", more={"spoon": True})
    assert but(Glass("red"), colour="blue") == Glass("blue")
    with pytest.raises(KeyError):
        but(cup, handle=1)  # type: ignore[call-arg]


def test_nouns_are_stored_and_copied_as_others_are() -> None:
    cup = Cup("red", more={"spoon": True})
    assert dumps({"cup": cup}) == '{"cup":{"colour":"red","holds":3,"more":{"spoon":true}}}'
    assert asdict(cup) == {"colour": "red", "holds": 3, "more": {"spoon": True}}
    assert copy.copy(cup) == copy.deepcopy(cup) == cup
    assert pickle.loads(pickle.dumps(Mug("red"))) == Mug("red")
