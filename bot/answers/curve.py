"""How `knowledge.Weights` were chosen and `knowledge.CURVE` was fitted, so that both can be done again after the search has
changed: `fitted(folder)` after `chosen(folder)`, on the halves of the public sets that `bench` does not report on.

Desks of many sizes, because a lead of 0.1 means much among 150 articles and little among 8: CLINC150 with 10 and
100 questions a topic, BANKING77 with 5 and 10, and small desks of 8, 20 and 40 topics of CLINC150. Each counts
the same; off-topic questions make a quarter to a half where there are any.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import fmean

from bot.answers import bench
from bot.answers.decide import Labelled
from bot.answers.knowledge import Weights

SMALL_DESKS = ((8, 5), (20, 5), (40, 8))
"""(topics, example questions a topic)."""

Curve = tuple[float, float, float]


def chosen(folder: Path) -> list[tuple[float, float, Weights]]:
    """The weights of a small grid, best first, with the share of first hits that are right on BANKING77 with 5 questions an
    article, and that of CLINC150's off-topic questions that are answered with 10. The first decides to the hundredth, which
    is its noise over four draws; then the second. Minutes.
    """
    judged = []
    for words, nearest in product((0.3, 0.4, 0.5, 0.6), (0.15, 0.3, 0.4, 0.5)):
        weights = Weights(words, nearest)
        right = [bench.banking(folder / bench.BANKING, 5, s, bench.CHOOSING, weights)[0].first for s in (4, 5, 6, 7)]
        off = [bench.clinc(folder / bench.CLINC, 10, s, bench.CHOOSING, weights)[0].off_topic or 0.0 for s in (4, 5, 6)]
        judged.append((fmean(right), fmean(off), weights))
    return sorted(judged, key=lambda one: (-round(one[0], 2), one[1]))


def fitted(folder: Path) -> Curve:
    """The constants a, b, c of confidence = logistic(a + b·score + c·margin), from both sets in `folder`."""
    asked = [bench.clinc(folder / bench.CLINC, shots, half=bench.CHOOSING)[1] for shots in (10, 100)]
    asked += [bench.banking(folder / bench.BANKING, shots, 1, bench.CHOOSING)[1] for shots in (5, 10)]
    asked += [_small(folder / bench.CLINC, topics, shots) for topics, shots in SMALL_DESKS]
    return fit(asked)


def fit(groups: Sequence[Sequence[Labelled]], rounds: int = 60) -> Curve:
    """Logistic regression (Newton's method, ridge 0.001) of "the first hit is right"; each group weighs the same."""
    import numpy as np

    x = np.array([_features(entry) for group in groups for entry in group], dtype=float)
    y = np.array([entry.right for group in groups for entry in group], dtype=float)
    w = np.concatenate([_weights(group) for group in groups])
    beta = np.zeros(3)
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        slope = x.T @ (w * (y - p)) - 1e-3 * beta
        beta += np.linalg.solve((x * (w * p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(3), slope)
    return float(beta[0]), float(beta[1]), float(beta[2])


def _features(entry: Labelled) -> tuple[float, float, float]:
    first, second = ([hit.score for hit in entry.hits] + [0.0, 0.0])[:2]
    return 1.0, first, first - second


def _weights(group: Sequence[Labelled]) -> list[float]:
    """1,000 a group; off-topic questions at least a fifth of it where there are any."""
    outside = sum(entry.article_id is None for entry in group)
    inside = len(group) - outside
    raise_to = max(1.0, inside / (4 * outside)) if outside else 1.0
    total = inside + outside * raise_to
    return [1_000 / total * (raise_to if entry.article_id is None else 1.0) for entry in group]


def _small(path: Path, topics: int, shots: int) -> list[Labelled]:
    sets = json.loads(path.read_text(encoding="utf-8"))
    names = sorted({topic for _, topic in sets["train"]})
    labelled: list[Labelled] = []
    for seed in range(4):
        rng = random.Random(seed)  # noqa: S311 - a repeatable sample
        chosen = set(rng.sample(names, topics))
        known, rest = bench.split([(q, t) for q, t in sets["train"] if t in chosen], shots, rng)
        inside = rng.sample(rest, min(len(rest), 20 * topics))
        others = [(q, "") for q, t in sets["train"] if t not in chosen]
        outside = rng.sample(others, len(inside) // 2) + [(q, "") for q, _ in sets["oos_train"]][: len(inside) // 4]
        labelled += bench.measure(bench.articles(known), [*inside, *outside])[1]
    return labelled
