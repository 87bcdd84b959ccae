"""What goes with the score: how much of it each driver can account for. Pure.

Johnson's relative weights (Johnson, J. W. 2000, "A heuristic method for estimating the relative weight of predictor
variables in multiple regression", Multivariate Behavioral Research 35, 1–19). Drivers hang together (who waits long is
handed over more often), so a regression's own coefficients can't be shared out. With R the drivers' correlations, r those with
the score, R = V·D·V′ and Λ = V·D^½·V′, the orthogonal drivers nearest to the given ones go with the score by β = Λ⁻¹·r, and
driver j accounts for ε_j = Σ_k Λ²_jk·β²_k. The ε sum to R², whatever hangs together.

Nothing is told under LEAST answers, nor with fewer than LEAST_EACH answers a driver: then the drivers with most spread to
them are kept. "Goes with" is all that this says: an answer is no experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.intervals import CONFIDENCE, Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEAST = 100
LEAST_EACH = 10
DRAWS = 1000
SEED = 1
BUNCHES = 2000
"""At most so many are drawn from."""


@dataclass(frozen=True, slots=True)
class Driver:
    """`share` of what all drivers together account for, 0…1, with its interval; `direction` −1, 0, 1: with more of it the
    score is lower, neither, higher. A kind (channel, topic) has no direction.
    """

    name: str
    share: float
    interval: Interval
    direction: int


@dataclass(frozen=True, slots=True)
class Drivers:
    """`r_squared` is how much of the score's spread the drivers account for, 0…1. Empty `drivers` where `n` < `needed`;
    `left_out` are those that do not vary, or for which there are too few answers.
    """

    n: int
    needed: int
    r_squared: float | None = None
    drivers: tuple[Driver, ...] = ()
    left_out: tuple[str, ...] = ()


def drivers(
    scores: Sequence[float],
    numbers: Mapping[str, Sequence[float]],
    kinds: Mapping[str, Sequence[str]] | None = None,
    *,
    seed: int = SEED,
    draws: int = DRAWS,
) -> Drivers:
    """The drivers, the weightiest first. `numbers` are amounts, `kinds` names (one column each name but the commonest)."""
    import numpy as np

    n = len(scores)
    if n < LEAST or len(set(scores)) < 2:
        return Drivers(n, LEAST if n < LEAST else n + 1)
    columns, left_out = _columns(n, numbers, kinds or {})
    if not columns:
        return Drivers(n, n + 1, left_out=tuple(left_out))
    owners = [name for name, _ in columns]
    data = np.column_stack([np.asarray(values, float) for _, values in columns])
    target = np.asarray(scores, float)
    weights = relative_weights(data, target)
    names = list(dict.fromkeys(owners))
    shares = _by_owner(weights, owners, names)
    drawn = _bootstrap(data, target, owners, names, seed, draws)
    low, high = (np.atleast_1d(np.quantile(drawn, (1 + side * CONFIDENCE) / 2, axis=0)).tolist() for side in (-1, 1))
    found = [
        Driver(
            name,
            float(shares[at]),
            Interval(low[at], high[at]),
            _direction(data[:, owners.index(name)], target) if name in numbers else 0,
        )
        for at, name in enumerate(names)
    ]
    found.sort(key=lambda one: (-one.share, one.name))
    return Drivers(n, LEAST, float(weights.sum()), tuple(found), tuple(left_out))


def relative_weights(data: Floats, target: Floats) -> Floats:
    """ε of each column of `data`, shape `(columns,)`; they sum to R². Each column must vary."""
    import numpy as np

    return _weights(np.corrcoef(np.column_stack([data, target]), rowvar=False))


def _weights(together: Floats) -> Floats:
    """ε of each column, of correlations with the target last: shape `(…, columns + 1, columns + 1)`, also of many at once."""
    import numpy as np

    inner, outer = together[..., :-1, :-1], together[..., :-1, -1:]
    values, vectors = np.linalg.eigh(inner)
    roots = np.sqrt(np.clip(values, 0, None))[..., None, :]
    turned = np.swapaxes(vectors, -1, -2)
    near = (vectors * roots) @ turned
    inverse = np.where(roots > 1e-6, 1 / np.maximum(roots, 1e-6), 0.0)  # a driver that repeats others adds nothing
    beta = (vectors * inverse) @ turned @ outer
    weights: Floats = ((near**2) @ (beta**2))[..., 0]
    return weights


def _columns(
    n: int, numbers: Mapping[str, Sequence[float]], kinds: Mapping[str, Sequence[str]]
) -> tuple[list[tuple[str, Sequence[float]]], list[str]]:
    """(driver, its values) for as many as the answers bear, amounts before kinds; and those left out."""
    bears = n // LEAST_EACH
    columns: list[tuple[str, Sequence[float]]] = []
    left_out: list[str] = []
    groups: list[tuple[str, list[Sequence[float]]]] = [(name, [values]) for name, values in numbers.items()]
    groups += [(name, _indicators(values)) for name, values in kinds.items()]
    for name, own in groups:
        varying = [one for one in own if len(set(one)) > 1]
        if varying and len(columns) + len(varying) <= bears:
            columns += [(name, one) for one in varying]
        else:
            left_out.append(name)
    return columns, left_out


def _indicators(values: Sequence[str]) -> list[Sequence[float]]:
    """A column of 0 and 1 for each name but the commonest; names of fewer than LEAST_EACH cases count as it."""
    counts = {name: values.count(name) for name in sorted(set(values))}
    common = max(counts, key=lambda name: counts[name]) if counts else ""
    told = [name for name, count in counts.items() if name != common and count >= LEAST_EACH]
    return [[float(value == name) for value in values] for name in told]


def _by_owner(weights: Floats, owners: Sequence[str], names: Sequence[str]) -> Floats:
    import numpy as np

    total = float(weights.sum())
    sums = np.array([sum(w for w, owner in zip(weights, owners, strict=True) if owner == name) for name in names])
    shares: Floats = sums / total if total > 0 else sums
    return shares


def _bootstrap(
    data: Floats, target: Floats, owners: Sequence[str], names: Sequence[str], seed: int, draws: int
) -> Floats:
    """Shares of `draws` samples of the answers, with replacement, shape `(draws, names)`.

    A sample's correlations are sums over its answers, so it is enough to know how often each was drawn. Of more than BUNCHES
    answers bunches are drawn, of answers that chance brought together: their sums scatter as those of single ones do.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    whole = np.column_stack([data, target])
    whole = (whole - whole.mean(axis=0)) / whole.std(axis=0)
    whole = np.column_stack([np.ones(len(whole)), whole])
    bunches = min(len(whole), BUNCHES)
    order = np.arange(len(whole)) if bunches == len(whole) else random.permutation(len(whole))
    products = np.array([part.T @ part for part in np.array_split(whole[order], bunches)])
    drawn = np.array([np.bincount(random.integers(0, bunches, bunches), minlength=bunches) for _ in range(draws)])
    sums = (drawn.astype(float) @ products.reshape(bunches, -1)).reshape(draws, *products.shape[1:])
    weights = _weights(_correlations(sums))
    owned = np.array([[float(owner == name) for name in names] for owner in owners])
    shares = weights @ owned
    total = weights.sum(axis=1, keepdims=True)
    made: Floats = np.divide(shares, total, out=shares, where=total > 0)
    return made


def _correlations(sums: Floats) -> Floats:
    """Of sums of products, a column of ones first: what does not vary goes with nothing."""
    import numpy as np

    count = sums[:, :1, :1]
    means = sums[:, 0, 1:] / count[:, 0]
    spread = sums[:, 1:, 1:] / count - means[:, :, None] * means[:, None, :]
    size = np.sqrt(np.clip(np.diagonal(spread, axis1=1, axis2=2), 0, None))
    varies = size > 1e-9
    size = np.where(varies, size, 1.0)
    found: Floats = spread / (size[:, :, None] * size[:, None, :])
    found *= varies[:, :, None] & varies[:, None, :]
    found[:, np.arange(found.shape[1]), np.arange(found.shape[1])] = 1.0
    return found


def _direction(column: Floats, target: Floats) -> int:
    import numpy as np

    along = float(np.corrcoef(column, target)[0, 1])
    return 0 if abs(along) < 0.05 else 1 if along > 0 else -1
