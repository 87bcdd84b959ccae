"""A flow as SVG: a box a step, which leads to its line; arrows, those of failures dashed; numbers where people are. Pure.

No style and no script stand in it (the content security policy forbids both): classes of console.css colour it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from bot.console.drawing.layers import Arrow, Box, Layout, layout
from bot.flows.graph import HUMAN, Edge, Graph, Node
from bot.flows.schema import END
from bot.texts import isolate

WIDTH, HEIGHT = 196.0, 54.0
SMALL, PILL = 74.0, 30.0  # of an end, and of the way to a person
LETTER = 6.3  # width of one, about, at 11.5 px
MARGIN = 12.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one step: conversations that wait there now, cases that came to it, cases that came no further."""

    live: int = 0
    reached: int = 0
    left: int = 0


def draw(graph: Graph, t: Callable[..., str], counts: Mapping[str, Counts] | None = None) -> str:
    """The picture as an `<svg>` element. `t` says a text by its key; every word from the desk is escaped."""
    boxes, arrows = _parts(graph)
    label = {one: _label(one, t) for one in arrows}
    drawn = layout(
        [Box(key, *_size(key)) for key in boxes],
        [Arrow(one.source, one.target, len(_cut(label[one], 20)) * LETTER) for one in arrows],
    )
    nodes = {node.id: node for node in graph.nodes}
    width, height = drawn.width + 2 * MARGIN, drawn.height + 2 * MARGIN
    lines = [_arrow(one, label[one], drawn, bends) for one, bends in zip(arrows, drawn.bends, strict=True)]
    leads = {edge.source: edge.target for edge in graph.edges}
    shown = [
        _step(nodes[key], drawn.at[key], t, (counts or {}).get(key), leads.get(key, ""))
        if key in nodes
        else _pill(key, drawn.at[key], t)
        for key in boxes
    ]
    title = escape(t("console_graph_of", flow=graph.flow))
    return (
        f'<svg class="graph" role="group" aria-label="{title}" viewBox="{-MARGIN:g} {-MARGIN:g} {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" direction="ltr">{_HEADS}<g class="arrows">{"".join(lines)}</g>'
        f"{''.join(shown)}</svg>"
    )


_HEADS = (
    "<defs>"
    + "".join(
        f'<marker id="head-{kind}" class="head {kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0.6 7.4 4 0 7.4z"/></marker>'
        for kind in ("next", "failure")
    )
    + "</defs>"
)


def _parts(graph: Graph) -> tuple[list[str], list[Edge]]:
    """The boxes and the arrows between them: ends are one each, so that no arrow crosses the picture to get to one."""
    boxes = [node.id for node in graph.nodes]
    joined: dict[tuple[str, str, bool], list[str]] = {}
    kinds: dict[tuple[str, str, bool], str] = {}
    for edge in graph.edges:
        if edge.kind == "run":
            continue  # the box itself says which flow it runs
        target = f"{edge.target}\0{edge.source}" if edge.target in {END, HUMAN} else edge.target
        if target not in boxes:
            if edge.target not in {END, HUMAN}:
                continue
            boxes.append(target)
        key = (edge.source, target, edge.kind == "failure")
        joined.setdefault(key, []).append(edge.label)
        kinds.setdefault(key, edge.kind)
    arrows = [Edge(key[0], key[1], kinds[key], "\n".join(filter(None, labels))) for key, labels in joined.items()]
    return boxes, arrows


def _size(key: str) -> tuple[float, float]:
    return (SMALL, HEIGHT) if "\0" in key else (WIDTH, HEIGHT)


def _label(edge: Edge, t: Callable[..., str]) -> str:
    words = edge.label.split("\n") if edge.label else []
    named = {"retry", "timeout", "error", "no_agent", "unsure", "none", "off", "refused"}
    if edge.kind == "failure":
        words = [t(f"console_edge_{one}") if one in named else one for one in words]
    return ", ".join(t("console_edge_else") if one == "else" else one for one in words)


# ── boxes ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _step(node: Node, at: tuple[float, float], t: Callable[..., str], counts: Counts | None, leads_to: str) -> str:
    x, y = at[0] - WIDTH / 2, at[1] - HEIGHT / 2
    verb = t(f"console_verb_{node.verb}")
    told = ": ".join(filter(None, (f"{verb} {node.name}".strip(), node.text)))
    extra = "; ".join(filter(None, (node.condition and f"{t('console_edge_if')} {node.condition}", node.note)))
    badge, said = _badges(counts, x, y, t) if counts is not None else ("", "")
    title = escape(". ".join(filter(None, (told, extra, said, t("console_line_n", number=str(node.line))))))
    classes = " ".join(filter(None, ("step", node.verb, "rests" if node.rests else "", "if" if node.condition else "")))
    head = f'<tspan class="verb">{escape(verb)}</tspan>'
    if node.name:
        head += f'<tspan class="name" dx="6">{escape(_cut(node.name, 26 - len(verb)))}</tspan>'
    return (
        f'<a href="#L{node.line}" data-line="{node.line}" data-column="{node.column}" class="{classes}" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH:g}" height="{HEIGHT:g}" rx="10"/>'
        f'<text x="{x + 12:g}" y="{y + 22:g}">{head}</text>'
        f'<text class="about" x="{x + 12:g}" y="{y + 41:g}">{_line(_about(node, leads_to), 29)}</text>'
        f"{badge}</a>"
    )


def _badges(counts: Counts, x: float, y: float, t: Callable[..., str]) -> tuple[str, str]:
    """Numbers on the upper edge of a box, and what they say."""
    made, said = [], []
    right = x + WIDTH - 8
    for kind, number in (("live", counts.live), ("left", counts.left), ("reached", counts.reached)):
        if number:
            text = f"−{number}" if kind == "left" else str(number)
            wide = 14 + 7 * len(text)
            right -= wide
            made.append(
                f'<g class="badge {kind}"><rect x="{right:g}" y="{y - 9:g}" width="{wide:g}" height="18" rx="9"/>'
                f'<text x="{right + wide / 2:g}" y="{y + 4:g}">{text}</text></g>'
            )
            right -= 4
            said.append(t(f"console_count_{kind}", number=str(number)))
    return "".join(made), ", ".join(said)


def _pill(key: str, at: tuple[float, float], t: Callable[..., str]) -> str:
    kind = "end" if key.startswith(f"{END}\0") else "human"
    x, y = at[0] - SMALL / 2, at[1] - HEIGHT / 2
    return (
        f'<g class="pill {kind}"><rect x="{x:g}" y="{y:g}" width="{SMALL:g}" height="{PILL:g}" rx="{PILL / 2:g}"/>'
        f'<text x="{at[0]:g}" y="{y + 19.5:g}">{escape(t(f"console_graph_{kind}"))}</text></g>'
    )


# ── arrows ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _arrow(edge: Edge, label: str, drawn: Layout, bends: Sequence[tuple[float, float]]) -> str:
    kind = "failure" if edge.kind == "failure" else "next"
    (x1, y1), (x2, y2) = drawn.at[edge.source], drawn.at[edge.target]
    path, spot = _path(x1, y1, x2, y2, bends)
    words = ""
    if label:
        shown = f"<title>{escape(label)}</title>{_line(label, 24)}"
        words = f'<text class="label {kind}" x="{spot[0]:g}" y="{spot[1]:g}">{shown}</text>'
    return f'<path class="{kind}" d="{path}" marker-end="url(#head-{kind})"/>{words}'


def _path(
    x1: float, y1: float, x2: float, y2: float, bends: Sequence[tuple[float, float]]
) -> tuple[str, tuple[float, float]]:
    """The curve from one box to another, and where its words go."""
    half = HEIGHT / 2
    if y2 > y1:
        points = [(x1, y1 + half), *bends, (x2, y2 - half - 2)]
    else:  # back up: out of the side, along the bends, into the side
        first, last = (bends[0][0], bends[-1][0]) if bends else (x2, x1)
        out, into = (1 if first >= x1 else -1), (1 if last > x2 else -1)
        points = [(x1 + out * WIDTH / 2, y1), *bends, (x2 + into * (WIDTH / 2 + 2), y2)]
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for (ax, ay), (bx, by) in pairwise(points):
        middle = (ay + by) / 2
        path += f"C{ax:g} {middle:g} {bx:g} {middle:g} {bx:g} {by:g}"
    (ax, ay), (bx, by) = points[0], points[1]
    down = 0.72 if y2 > y1 else 0.3
    top = min(by, ay + 58) if by > ay else max(by, ay - 58)
    return path, (ax + (bx - ax) * down, ay + (top - ay) * down + 3)


def _about(node: Node, leads_to: str) -> str:
    if node.verb == "goto":
        return f"→ {leads_to}"
    return plain(node.text or node.condition)


def plain(text: str) -> str:
    """A wording without its marks, for a line in a box."""
    return text.replace("**", "").replace("{{ ", "‹").replace(" }}", "›")


def _line(text: str, longest: int) -> str:
    """Words for the picture, in a direction of their own, whatever stands beside them."""
    return escape(isolate(_cut(text, longest)))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
