"""A layered drawing of a directed graph (Sugiyama, Tagawa, Toda 1981). Pure.

What lives here: ranks by longest path, order within a rank by medians, places by isotonic regression. What it must not
know: what a box means, SVG. An arrow that spans several ranks gets a bend in each of them, so it runs around the boxes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 12
GAP = 18.0  # between neighbours of one rank
BEND = 14.0  # the room that an arrow takes in a rank which it crosses


@dataclass(frozen=True, slots=True)
class Box:
    """A node to be placed: its width and height."""

    key: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge to be drawn; `label_width` is room that its words want near its beginning."""

    source: str
    target: str
    label_width: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """`at`: the middle of each box. `bends`: the points of each arrow between its boxes, from its source to its target."""

    width: float
    height: float
    at: Mapping[str, tuple[float, float]]
    bends: Sequence[Sequence[tuple[float, float]]]


@dataclass(slots=True)
class _Net:
    """Boxes and bends as numbers, arrows as steps of one rank."""

    rank: list[int] = field(default_factory=list)
    width: list[float] = field(default_factory=list)
    down: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    up: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, rank: int, width: float) -> int:
        self.rank.append(rank)
        self.width.append(width)
        return len(self.rank) - 1

    def join(self, above: int, below: int) -> None:
        self.down[above].append(below)
        self.up[below].append(above)


def layout(boxes: Sequence[Box], arrows: Sequence[Arrow], between: float = 58.0) -> Layout:
    """Place the boxes, the first one on top; `between` is the room between two ranks."""
    if not boxes:
        return Layout(0, 0, {}, [() for _ in arrows])
    number = {box.key: at for at, box in enumerate(boxes)}
    links = [(number[one.source], number[one.target]) for one in arrows]
    ranks = _ranks(len(boxes), links)
    net = _Net()
    for at, box in enumerate(boxes):
        net.add(ranks[at], box.width)
    chains = [_chain(net, source, target, arrow) for arrow, (source, target) in zip(arrows, links, strict=True)]
    rows = _ordered(net)
    x = _placed(net, rows)
    left = min(x[at] - net.width[at] / 2 for at in range(len(x)))
    height = max(box.height for box in boxes)
    y = [rank * (height + between) + height / 2 for rank in net.rank]
    spots = [(round(x[at] - left, 1), round(y[at], 1)) for at in range(len(x))]
    right = max(spots[at][0] + net.width[at] / 2 for at in range(len(x)))
    at_box = {box.key: spots[at] for at, box in enumerate(boxes)}
    return Layout(right, max(y) + height / 2, at_box, [[spots[one] for one in chain] for chain in chains])


def _ranks(count: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way down to each node, arrows that close a circle turned around."""
    after: dict[int, list[int]] = defaultdict(list)
    for source, target in links:
        if source != target:
            after[source].append(target)
    order, state = list[int](), [0] * count  # 0 new, 1 on the way down, 2 done
    forward: dict[int, list[int]] = defaultdict(list)
    for start in range(count):
        if state[start]:
            continue
        way = [(start, iter(after[start]))]
        state[start] = 1
        while way:
            node, targets = way[-1]
            target = next(targets, -1)
            if target < 0:
                state[node] = 2
                order.append(node)
                way.pop()
            elif state[target] == 1:
                forward[target].append(node)  # back up: as if it led down
            else:
                forward[node].append(target)
                if not state[target]:
                    state[target] = 1
                    way.append((target, iter(after[target])))
    ranks = [0] * count
    for node in reversed(order):
        for target in forward[node]:
            ranks[target] = max(ranks[target], ranks[node] + 1)
    return ranks


def _chain(net: _Net, source: int, target: int, arrow: Arrow) -> list[int]:
    """The bends of one arrow, from source to target; the ranks that it passes are joined through them."""
    first, last = (source, target) if net.rank[source] < net.rank[target] else (target, source)
    inner = [net.add(rank, BEND) for rank in range(net.rank[first] + 1, net.rank[last])]
    chain = [first, *inner, last]
    if net.rank[first] < net.rank[last]:
        for above, below in pairwise(chain):
            net.join(above, below)
    bends = inner if first == source else inner[::-1]
    if bends and arrow.label_width:
        net.width[bends[0]] = max(BEND, arrow.label_width)
    return bends


def _ordered(net: _Net) -> list[list[int]]:
    """Each rank from left to right, with few crossings."""
    rows: list[list[int]] = [[] for _ in range(max(net.rank) + 1)]
    for node in range(len(net.rank)):
        rows[net.rank[node]].append(node)
    best, fewest = [list(row) for row in rows], _crossings(net, rows)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows[1:] if down else reversed(rows[:-1]):
            near = net.up if down else net.down
            place = {node: at for other in rows for at, node in enumerate(other)}
            row.sort(key=lambda node: (_median([place[one] for one in near[node]], place[node]), place[node]))
        found = _crossings(net, rows)
        if found < fewest:
            best, fewest = [list(row) for row in rows], found
        if not fewest:
            break
    return best


def _median(places: list[int], otherwise: int) -> float:
    if not places:
        return float(otherwise)
    places.sort()
    half = len(places) // 2
    return places[half] if len(places) % 2 else (places[half - 1] + places[half]) / 2


def _crossings(net: _Net, rows: Sequence[Sequence[int]]) -> int:
    count = 0
    for row, below in pairwise(rows):
        place = {node: at for at, node in enumerate(below)}
        seen: list[int] = []
        for node in row:
            targets = sorted(place[one] for one in net.down[node])
            count += sum(sum(1 for other in seen if other > one) for one in targets)
            seen += targets
    return count


def _placed(net: _Net, rows: Sequence[Sequence[int]]) -> list[float]:
    """Where each node lies: near its neighbours, no two over each other."""
    x = [0.0] * len(net.rank)
    for row in rows:
        edge = 0.0
        for node in row:
            x[node] = edge + net.width[node] / 2
            edge += net.width[node] + GAP
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            near = [net.up[node] if down else net.down[node] for node in row]
            wanted = [
                sum(x[one] for one in ones) / len(ones) if ones else x[node]
                for node, ones in zip(row, near, strict=True)
            ]
            for node, place in zip(row, _apart(wanted, [net.width[one] for one in row]), strict=True):
                x[node] = place
    return x


def _apart(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones (least squares) that keep the order and the gaps: pool adjacent violators."""
    offsets = [0.0]
    for left, right in pairwise(widths):
        offsets.append(offsets[-1] + (left + right) / 2 + GAP)
    pools: list[tuple[float, int]] = []  # mean, how many
    for want, offset in zip(wanted, offsets, strict=True):
        mean, size = want - offset, 1
        while pools and pools[-1][0] > mean:
            other, many = pools.pop()
            mean, size = (mean * size + other * many) / (size + many), size + many
        pools.append((mean, size))
    flat = [mean for mean, size in pools for _ in range(size)]
    return [place + offset for place, offset in zip(flat, offsets, strict=True)]
