"""The search over the desk's articles: language first, one score an article, one confidence for the decision.

An article's score joins its centroid (the sum of its question variants and title) and its nearest variant, each as
a cosine over lemmas and pieces of words; its body's best paragraph can lift it, over lemmas only. `index` has the
arithmetic.
"""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from bot.answers.embedding import SHARE, FindEmbedder, Questions, Vectors
from bot.answers.index import Index
from bot.answers.words import Features, base_locale, lemma_features, piece_features, word_features

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bot.answers.article import Article

CURVE = (-3.03, 5.93, 14.1)
"""Confidence = logistic(a + b·score + c·margin), fitted by `curve.fitted`."""
ELSEWHERE_BELOW = 0.5
"""Below this confidence in the customer's own language the other languages' articles are asked too."""
LONGEST_QUERY = 1_000
"""Characters of a question that are searched: 30 ms among 10,000 articles; what is pasted below counts no more."""
LIMIT = 5  # articles that a search brings
PREPARED = 500
"""Questions, with their language, that are remembered as prepared."""
LONGEST_BODY = 20_000
"""Characters of a body that are searched: some 3,000 words."""

_PARAGRAPHS = re.compile(r"\n\s*\n|\n(?=#|[-*] |\d+\. )")
_MARKUP = re.compile(r"\]\([^)]*\)|[#*_`>|\[\]]")


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much, 0..1: lemmas against pieces of words; the nearest variant against the centroid; a paragraph of
    the body against a title or question. The first two are `curve.chosen`, which never sees what `bench` reports on.
    """

    words: float = 0.3
    nearest: float = 0.4
    body: float = 1 / 3


@dataclass(frozen=True, slots=True)
class Hit:
    """One article that was found.

    `score` 0..1 orders; `confidence` 0..1 is how likely it is the right one, by score and lead over the next.
    `passage` is the best paragraph's Markdown, empty without one. `other_language`: not in the language asked for.
    """

    article: Article
    score: float
    confidence: float
    passage: str = ""
    other_language: bool = False


class Knowledge:
    """All articles of a desk. Nothing is computed before the first search, or `warm`, of a language."""

    def __init__(
        self,
        articles: Sequence[Article],
        weights: Weights | None = None,
        embedder: FindEmbedder | None = None,
        *,
        ahead: bool = False,
    ) -> None:
        self._weights = weights or Weights()
        self._questions = Questions(embedder, ahead=ahead) if embedder is not None else None
        self._articles: dict[str, list[Article]] = {}
        for article in articles:
            self._articles.setdefault(base_locale(article.locale), []).append(article)
        self._by_id = {(language, a.id): a for language, group in self._articles.items() for a in group}
        self._shelves: dict[str, _Shelf] = {}
        self._building, self._preparing = threading.Lock(), threading.Lock()
        self._prepared: OrderedDict[tuple[str, str], None] = OrderedDict()

    @classmethod
    def build(
        cls,
        articles: Sequence[Article],
        weights: Weights | None = None,
        embedder: FindEmbedder | None = None,
        *,
        ahead: bool = False,
    ) -> Knowledge:
        """With `ahead`, an embedder counts only for questions that were prepared: searching never waits for it."""
        return cls(articles, weights, embedder, ahead=ahead)

    def __len__(self) -> int:
        return sum(map(len, self._articles.values()))

    def article(self, article_id: str, locale: str) -> Article | None:
        """The article in the language of `locale`, else in English, else in any."""
        languages = (base_locale(locale), "en", *sorted(self._articles))
        return next((a for language in languages if (a := self._by_id.get((language, article_id)))), None)

    def warm(self, locales: Iterable[str] | None = None) -> None:
        """Load what searches in these languages need (seconds of CPU): call it in a thread."""
        wanted = self._articles if locales is None else {base_locale(locale) for locale in locales}
        for language in sorted(set(wanted) & set(self._articles)):
            self._shelf(language)
        self._forget_embedder()

    def _forget_embedder(self) -> None:
        """Where none is installed: nothing need be prepared for it."""
        if self._questions is not None and self._questions.embedder is None:
            self._questions = None

    def is_prepared(self, question: str, locale: str) -> bool:
        """Whether a search for this waits for nobody: it was prepared; or there is no embedder, and every language is loaded
        that it is looked for in.
        """
        language, query = base_locale(locale), question[:LONGEST_QUERY]
        with self._preparing:
            if (query, language) in self._prepared:
                return True
        if self._questions is not None:
            return False
        if len(self._shelves) == len(self._articles):
            return True
        own = self._shelves[language].search(query, LIMIT) if language in self._shelves else []
        return bool(own) and own[0].confidence >= ELSEWHERE_BELOW

    def prepare(self, question: str, locale: str) -> None:
        """Have an embedder see the question, and load every language that it is searched in. For a thread."""
        if self._questions is not None:
            self._questions.ask(question[:LONGEST_QUERY])
            self._forget_embedder()
        self.search(question, locale)
        with self._preparing:
            self._prepared[question[:LONGEST_QUERY], base_locale(locale)] = None
            while len(self._prepared) > PREPARED:
                self._prepared.popitem(last=False)

    def search(self, query: str, locale: str, limit: int = LIMIT) -> list[Hit]:
        """The best articles, best first; none where nothing of the query is known. Blocks: run it in a thread."""
        language, query = base_locale(locale), query[:LONGEST_QUERY]
        own = self._shelf(language).search(query, limit) if language in self._articles else []
        best = own[0].confidence if own else 0.0
        if best >= ELSEWHERE_BELOW:
            return own
        others = [hit for other in sorted(self._articles) if other != language for hit in self._elsewhere(query, other)]
        better = [self._at_home(hit, language) for hit in others if hit.confidence > best]
        return _unique([*own, *better])[:limit]

    def _elsewhere(self, query: str, language: str) -> list[Hit]:
        return self._shelf(language).search(query, 1)

    def _at_home(self, hit: Hit, language: str) -> Hit:
        """Found through its translation: the customer's own language is shown where it exists."""
        own = self._by_id.get((language, hit.article.id))
        return replace(hit, article=own, passage="") if own else replace(hit, other_language=True)

    def _shelf(self, language: str) -> _Shelf:
        if language not in self._shelves:
            with self._building:
                if language not in self._shelves:
                    self._shelves[language] = _Shelf(self._articles[language], language, self._weights, self._questions)
        return self._shelves[language]


class _Shelf:
    """The articles of one language and their three indexes; and their vectors, where an embedder is installed."""

    def __init__(
        self, articles: Sequence[Article], language: str, weights: Weights, questions: Questions | None = None
    ) -> None:
        import numpy as np

        self._articles, self._language, self._weights = articles, language, weights
        asked = [(i, text) for i, a in enumerate(articles) for text in (a.title, *a.questions) if text.strip()]
        told = [(i, text) for i, a in enumerate(articles) for text in paragraphs(a)]
        self._owners = np.array([i for i, _ in asked], dtype=np.int32)
        self._told_owners = np.array([i for i, _ in told], dtype=np.int32)
        self._passages = [text for _, text in told]
        count = len(articles)
        self._words = Index((word_features(text, language) for _, text in asked), self._owners, count)
        self._pieces = Index((piece_features(text, language) for _, text in asked), self._owners, count)
        self._body = Index((lemma_features(_plain(text), language) for _, text in told), self._told_owners, count)
        share = weights.words
        squared = share * self._words.owner_norms_squared + (1 - share) * self._pieces.owner_norms_squared
        self._norms = np.sqrt(np.maximum(squared, 1e-9))
        self._last: tuple[tuple[str, int], list[Hit]] | None = None  # what was asked last, and the answer
        self._vectors = None if questions is None else Vectors.of(questions, [text for _, text in asked])

    def search(self, query: str, limit: int) -> list[Hit]:
        """Asked twice for one message: whether it waits for anybody, and what there is. What vectors tell may come in between."""
        if self._vectors is not None:
            return self._search(query, limit)
        asked, found = (query, limit), self._last
        if found is None or found[0] != asked:
            found = self._last = asked, self._search(query, limit)
        return list(found[1])

    def _search(self, query: str, limit: int) -> list[Hit]:
        import numpy as np

        features = word_features(query, self._language)
        scores, passages = self._scores(query, features)
        found = np.flatnonzero(scores > 0)
        if not len(found):
            return []
        if len(found) > limit + 1:  # one more than wanted: its lead over the next tells how sure the last is
            found = found[scores[found] >= np.partition(scores[found], -limit - 1)[-limit - 1]]
        order = sorted(found.tolist(), key=lambda i: (-scores[i], self._articles[i].id))
        top = [float(scores[i]) for i in order]
        rivals = [top[1] if len(top) > 1 else 0.0] + [top[0]] * (len(top) - 1)
        return [
            Hit(self._articles[i], score, confidence(score, score - rival), self._passage(passages[i]))
            for i, score, rival in list(zip(order, top, rivals, strict=True))[:limit]
        ]

    def _scores(self, query: str, features: Features) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Per article: its score, and the row of its best paragraph or -1."""
        import numpy as np

        count, weights = len(self._articles), self._weights
        rows = weights.words * self._words.similarities(features)
        rows += (1 - weights.words) * self._pieces.similarities(piece_features(query, self._language))
        centroid = np.bincount(self._owners, rows, minlength=count) / self._norms
        nearest = np.zeros(count, np.float32)
        np.maximum.at(nearest, self._owners, rows)
        asked = np.minimum((1 - weights.nearest) * centroid + weights.nearest * nearest, 1.0)
        told, best = self._best_paragraphs(features, count)
        scores = 1 - (1 - asked) * (1 - weights.body * told)
        return self._with_vectors(query, scores).astype(np.float32), best

    def _with_vectors(self, query: str, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The joint score: each article's nearest title or question in the embedder's space counts along."""
        import numpy as np

        near = None if self._vectors is None else self._vectors.near(query)
        if near is None:
            return scores
        nearest = np.zeros(len(self._articles), np.float32)
        np.maximum.at(nearest, self._owners, near)
        return (1 - SHARE) * scores + SHARE * nearest

    def _best_paragraphs(self, features: Features, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        import numpy as np

        told, best = np.zeros(count, np.float32), np.full(count, -1, np.int64)
        if not self._passages:
            return told, best
        rows = self._body.similarities({name: weight for name, weight in features.items() if name[0] == "w"})
        np.maximum.at(told, self._told_owners, rows)
        winners = np.flatnonzero((rows > 0) & (rows >= told[self._told_owners]))[::-1]
        best[self._told_owners[winners]] = winners
        return told, best

    def _passage(self, row: int) -> str:
        return self._passages[row] if row >= 0 else ""


def confidence(score: float, margin: float) -> float:
    """How likely an article is right, 0..1, from its score and its lead over the best other one."""
    base, by_score, by_margin = CURVE
    return 1 / (1 + math.exp(-(base + by_score * score + by_margin * margin)))


def paragraphs(article: Article) -> list[str]:
    """The body's paragraphs and list items as Markdown; a heading goes with what follows it."""
    parts = [part.strip() for part in _PARAGRAPHS.split(article.body[:LONGEST_BODY]) if part.strip()]
    joined = {i + 1: f"{a}\n{b}" for i, (a, b) in enumerate(pairwise(parts)) if a.startswith("#")}
    return [joined.get(i, part) for i, part in enumerate(parts) if not part.startswith("#") or i == len(parts) - 1]


def _plain(markdown: str) -> str:
    return _MARKUP.sub(" ", markdown)


def _unique(hits: Iterable[Hit]) -> list[Hit]:
    """Best first, each article once."""
    seen: dict[str, Hit] = {}
    for hit in sorted(hits, key=lambda h: (-h.confidence, -h.score, h.article.id)):
        seen.setdefault(hit.article.id, hit)
    return list(seen.values())
