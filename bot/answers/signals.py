"""What a customer's words give away: danger, anger, the same said again. Pure.

Decisions
- Anger is counted in points over the last turns, and one weak sign alone does nothing: "!!" or "again" is how people write.
  Five cheap signs together tell as much as a trained classifier (AUROC .77-.87 on four public sets), each alone far less.
- The lexicons are our own and short (`bot/texts/words.yaml`): what is listed must be rude or desperate in any sentence. They
  are heard in every language at once, for people swear in their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache

from bot.flows.heard import Heard
from bot.texts import Texts
from bot.texts.spoken import Lists, in_all

ALIKE = 0.8  # of the trigrams of two texts: the same said again

_MARKS = re.compile(r"[!?]{2,}")
_WORD = re.compile(r"[^\W\d_]{2,}")


def is_danger(
    said: tuple[str, ...], words: Mapping[str, tuple[str, ...]] | None = None, own: Texts | None = None
) -> bool:
    """Whether safety, law, privacy or fraud is spoken of, in any language; or the rule's own words are."""
    return _stands("words_safety", said, own, words)


def anger(
    text: str, said: tuple[str, ...], words: Mapping[str, tuple[str, ...]] | None = None, own: Texts | None = None
) -> int:
    """0 none, 1 a weak sign, 2 a strong one: an insult, or three signs in one text."""
    if _stands("words_insults", said, own, words):
        return 2
    signs = [
        _stands("words_upset", said, own),
        _is_shouted(text),
        _MARKS.search(text) is not None,
        _stands("words_again", said, own) and _stands("words_not", said, own),
    ]
    return 2 if sum(signs) >= 3 else min(sum(signs), 1)


def _stands(
    key: str, said: tuple[str, ...], own: Texts | None, words: Mapping[str, tuple[str, ...]] | None = None
) -> bool:
    if words:
        heard = _heard(tuple((locale, tuple(listed)) for locale, listed in words.items()))
    else:
        heard = _heard(in_all(key, own)) if own and key in own else _of_product(key)
    return bool(heard.find(said, ""))


@cache
def _of_product(key: str) -> Heard:
    """To hash the words themselves takes longer than to look for them."""
    return _heard(in_all(key))


def _is_shouted(text: str) -> bool:
    """Three words and more, nearly all in capitals: neither an order number nor "OK"."""
    words = [word for word in _WORD.findall(text) if word.lower() != word.upper()]
    return len(words) >= 3 and sum(word.isupper() for word in words) >= 0.7 * len(words)


def alike(one: str, other: str) -> bool:
    """Jaccard of the two folded texts' trigrams."""
    left, right = _trigrams(one), _trigrams(other)
    fewer, more = sorted((len(left), len(right)))
    if not fewer or fewer < ALIKE * more:  # were all of the shorter one in the other, they would not be alike
        return False
    return one == other or len(left & right) >= ALIKE * len(left | right)


@lru_cache(maxsize=1000)
def _trigrams(text: str) -> frozenset[str]:
    padded = f"  {text[:500]} "
    return frozenset(padded[at : at + 3] for at in range(len(padded) - 2)) if text else frozenset()


@lru_cache(maxsize=50)
def _heard(lists: Lists) -> Heard:
    return Heard([("words", dict(lists))])
