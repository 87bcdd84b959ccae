"""Which language a customer writes, and how sure that is: only among the languages of the desk.

py3langid's model (97 languages, 4.6 MB, inside its wheel) restricted to the desk's: a comparison of four languages is right
where one of 97 takes Norwegian for Danish. It takes 0.7 s to load, in a thread (`warm`), once somebody writes, and 0.1 ms a
text afterwards; the first message waits for it. Its figures are calibrated: 0.97 is wrong once in some thirty texts.

What lives here: text in, language and confidence out. What it must not know: what is done about it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog

from bot.texts import canonical

log = structlog.get_logger()
FEWEST_WORDS = 3
FEWEST_LETTERS = 10
"""Shorter texts are names, greetings and codes: 21 of 24 single words were told rightly, which is too few."""
SURE = 0.97
"""From here on the bot goes on in that language, and says how to go back."""
LIKELY = 0.85
"""From here on it asks."""

_NO_WORDS = re.compile(r"https?://\S+|\S+@\S+|\S*\d\S*|[^\w\s'’]", re.UNICODE)
_LABELS = {"nb": "no"}  # the model's own names
_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class Detected:
    """`locale` is one of those that were offered."""

    locale: str
    confidence: float


@lru_cache(maxsize=1)
def _loaded() -> Any:
    """The model; None where it cannot be read: then nobody is detected, and nobody waits for it again."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    except (ImportError, OSError, ValueError) as error:
        log.error("languages cannot be told apart", error=repr(error)[:300])  # noqa: TRY400 - one line
        return None


@lru_cache(maxsize=8)
def _among(labels: tuple[str, ...]) -> Any:
    """The model, with eyes for these languages alone."""
    from py3langid.langid import LanguageIdentifier

    whole = _loaded()
    one = LanguageIdentifier(
        whole.nb_ptc,
        whole.nb_pc,
        whole.nb_classes,
        whole.tk_nextmove,
        whole.tk_output,
        norm_probs=True,
        tk_row=whole.tk_row,
    )
    one.set_languages(labels)
    return one


def warm() -> None:
    """Load the model: 0.7 s of CPU, once a process. For a thread."""
    with _loading:
        _loaded()


def is_ready() -> bool:
    return _loaded.cache_info().currsize > 0


def is_long_enough(text: str) -> bool:
    """Whether a text has enough words to tell its language."""
    words = _words(text)
    return len(words) >= FEWEST_WORDS and sum(len(word) for word in words) >= FEWEST_LETTERS


def _words(text: str) -> list[str]:
    return _NO_WORDS.sub(" ", text[:2000]).split()


def detect(text: str, locales: Sequence[str]) -> Detected | None:
    """The language of the text; None where it is too short to tell, or the desk speaks only one. Loads the model."""
    model = _loaded() if is_long_enough(text) else None
    if model is None:
        return None
    known = model.labels
    by_label: dict[str, str] = {}
    for locale in locales:
        language = canonical(locale).split("-")[0]
        by_label.setdefault(_LABELS.get(language, language), locale)
    labels = tuple(sorted(label for label in by_label if label in known))
    if len(labels) < 2:
        return None
    label, confidence = _among(labels).classify(" ".join(_words(text)))
    return Detected(by_label[label], float(confidence))
