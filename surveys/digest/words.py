"""The post's lines, made of figures: a score never without n and interval, and none of fewer than five. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from bot.texts import escape_markdown, known, say
from surveys.figures.catalogue import METRICS
from surveys.figures.shape import Figure, Figures, Shown
from surveys.figures.targets import KEYS, goal_of, judge
from surveys.pages import board, shown

TOLD = (*board.INTERACTION, "nps", "frt", "ttr", "fcr", "reopened", "contained_no_return", "promises_kept", "response")
MOST_TOPICS = 3
CASES = "escalated"  # rests on every case: its n counts them


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    now: int
    before: int


def lines(
    week: date,
    now: Figures,
    before: Figures,
    targets: Mapping[str, float],
    locale: str,
    by_channel: Sequence[Figure] = (),
) -> list[str]:
    """Markdown lines; what customers named is shown as they wrote it. `before` are the figures of the week before it;
    `by_channel` the score that most gave, of each channel.
    """
    cases, then = now.counts.get("cases", 0), before.counts.get("cases", 0)
    title = say("digest_title", locale, first=week.isoformat(), last=(week + timedelta(days=6)).isoformat())
    found = [f"**{title}**", say("digest_cases", locale, now=cases, before=then)]
    told = [*TOLD, *(one for one in KEYS if one not in TOLD and goal_of(one, targets) is not None)]
    found += [_line(now.of(one), before.of(one), targets, locale) for one in told if now.of(one).n]
    found += _touchpoints([one for one in by_channel if one.n], locale)
    topics = top_topics(now, before)
    if topics:
        found += ["", f"**{say('digest_topics', locale)}**"]
        found += [
            say("digest_topic", locale, name=escape_markdown(one.name), now=one.now, before=one.before)
            for one in topics
        ]
    return found


def _touchpoints(figures: Sequence[Figure], locale: str) -> list[str]:
    """The score of each channel, the most answers first; nothing where there is but one."""
    if len(figures) < 2:
        return []
    title = say("digest_channels", locale, name=shown.name(figures[0].metric, locale))
    return ["", f"**{title}**", *(_of_channel(one, locale) for one in sorted(figures, key=lambda one: -one.n))]


def _of_channel(figure: Figure, locale: str) -> str:
    channel = str(figure.by.get("channel") or "–")
    name = say(f"channel_{channel}", locale) if known(f"channel_{channel}") else escape_markdown(channel)
    if figure.shown is Shown.HIDDEN:
        return say("digest_hidden", locale, name=name, n=figure.n)
    return f"• {name}: **{shown.value(figure, locale)}** ({shown.interval(figure, locale)}; n = {figure.n})"


def _line(now: Figure, before: Figure, targets: Mapping[str, float], locale: str) -> str:
    name = shown.name(now.metric, locale)
    if now.shown is Shown.HIDDEN:
        return say("digest_hidden", locale, name=name, n=now.n)
    trend = {"better": "▲ ", "worse": "▼ "}.get(board.trend(now, before), "")
    interval = shown.interval(now, locale)
    parts = [
        f"{trend}{name}: **{shown.value(now, locale)}**",
        f"({interval}; n = {now.n})" if interval else f"(n = {now.n})",
    ]
    if before.value is not None:
        parts.append(say("figures_before", locale, value=shown.value(before, locale)))
    goal = goal_of(now.metric, targets)
    if goal is not None:
        wanted = say("figures_goal", locale, value=shown.amount(METRICS[now.metric], goal, locale))
        away = shown.gap(now, goal, locale)
        parts.append(f"{wanted}{away and f', {away}'} ({say(f'figures_target_{judge(now, goal)}', locale)})")
    return "• " + " · ".join((" ".join(parts[:2]), *parts[2:]))


def top_topics(now: Figures, before: Figures) -> list[Topic]:
    """The topics that most cases had; figures must have been asked by topic."""
    then = {one.by.get("topic"): one.n for one in before.groups(CASES)}
    found = [
        Topic(str(one.by["topic"]), one.n, then.get(one.by["topic"], 0)) for one in now.groups(CASES) if one.by["topic"]
    ]
    return sorted(found, key=lambda one: (-one.now, one.name))[:MOST_TOPICS]
