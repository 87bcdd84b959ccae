"""How much the platforms take, and how it is shared out: every limit that we keep stands in one table.

A row names its *bucket*: the platform and the place, "telegram:42", "slack:C1". From that, its kind and whether anybody waits
for it follow the *limits* that it spends, narrowest first: of the chat or channel, of the group, of one method of Slack's in
the workspace, of the whole bot. A platform that asks us to wait (429) is obeyed for the narrowest of them alone: one chat,
one channel, one method; others go on. Where nodes share a database they share these too (`bot/storage/pace_rows.py`).

Telegram: about one message a second in a chat, 20 a minute in a group, about 30 a second in all; exact limits are
unspecified (Bots FAQ, "How can I message all of my bot's subscribers at once?"). Of our 25 a second, 5 are kept for replies:
what nobody waits for (`bulk`: surveys, what programs send) takes 20.
Slack: one message a second in a channel, several hundred a minute in a workspace (chat.postMessage); tier 3 methods 50 a
minute in a workspace, tier 4 100 (docs.slack.dev/apis/web-api/rate-limits). Of tier 3 reads, asking what became of a send
may take 20 a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.nouns import noun

MANY = 10_000  # buckets that are remembered before those that are free again are forgotten
RESTED = 60.0  # seconds after which any of them is as good as new
ALMOST = 1e-6  # seconds: what sums of floats may be off by


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second in the long run, and so many at once after a rest."""

    per_second: float
    burst: int


RATES: Mapping[str, Rate] = {
    "telegram": Rate(1.0, 3),  # a chat
    "telegram.group": Rate(17 / 60, 3),  # 20 in any minute
    "telegram.all": Rate(25.0, 5),  # 30 in any second
    "telegram.bulk": Rate(20.0, 4),
    "slack": Rate(1.0, 3),  # a channel
    "slack.all": Rate(190 / 60, 10),  # 200 posts in any minute
    "slack.update": Rate(30 / 60, 20),  # 50 in any minute, many of them at once: marks and cards are looked at
    "slack.delete": Rate(30 / 60, 20),
    "slack.react": Rate(30 / 60, 20),
    "slack.tell": Rate(69 / 60, 30),  # 100
    "slack.ask": Rate(1 / 3, 20),
}
"""Empty it, and there are no limits: for tests and measurements against servers that have none."""

METHODS = {"edit": "update", "card": "update", "redraw": "update", "delete": "delete", "mark": "react", "tell": "tell"}
"""Kinds of rows that don't post into a Slack channel, and whose limit they spend: that of their method."""

WIDE = ("telegram.all", "telegram.bulk", "slack.all")
OF_A_METHOD = {f"slack.{method}" for method in METHODS.values()}


@noun(frozen=True, slots=True)
class Limit:
    """`name` is shared by all who spend from it."""

    name: str
    rate: Rate

    @property
    def is_wide(self) -> bool:
        """Whether it is the whole platform's: no other place is free while it is not."""
        return self.name in WIDE

    @property
    def is_common(self) -> bool:
        """Whether several lanes spend from it, in no order of their own."""
        return self.is_wide or self.name in OF_A_METHOD


def limits(bucket: str | None, kind: str = "", *, bulk: bool = False, asks: bool = False) -> tuple[Limit, ...]:
    """What a row spends, narrowest first. `asks`: it is not sent, its sender is asked what became of it."""
    platform, _, place = (bucket or "").partition(":")
    names: list[tuple[str, str]]  # of the limit, of its rate
    if asks:
        names = [(f"{platform}.ask",) * 2]
    elif platform == "slack" and kind in METHODS:
        names = [(f"slack.{METHODS[kind]}",) * 2]
    elif platform == "telegram" and place.startswith("-"):
        names = [(f"{bucket}.group", "telegram.group"), (str(bucket), "telegram")]
    else:
        names = [(str(bucket), platform)]
    if bulk and not asks:
        names.append((f"{platform}.bulk",) * 2)
    if not asks and not (platform == "slack" and kind in METHODS):
        names.append((f"{platform}.all",) * 2)
    return tuple(Limit(name, RATES[rate]) for name, rate in names if rate in RATES)


def shares_place(bucket: str | None, lane: str, kind: str) -> bool:
    """Whether it stands in line with other lanes: posts into one Slack channel show up in the order in which they came."""
    return bucket is not None and bucket != lane and kind not in METHODS


class Paces:
    """When each limit may be spent from next. Times are seconds, of any one clock. (GCRA: one number a limit.)"""

    def __init__(self, free: Mapping[str, float] | None = None) -> None:
        self.free = dict(free or {})

    def wait(self, spends: Sequence[Limit], now: float) -> tuple[float, Limit | None]:
        """Seconds until all of these may be spent from, and which is the slowest; (0, None) if they just were."""
        slowest = max(spends, key=lambda one: self._free(one, now), default=None)
        if slowest is not None and self._free(slowest, now) > now + ALMOST:
            return self._free(slowest, now) - now, slowest
        for one in spends:
            self.free[one.name] = self._free(one, now) + 1 / one.rate.per_second
        if len(self.free) > MANY:
            self.free = {name: at for name, at in self.free.items() if at > now - RESTED}
        return 0.0, None

    def spend_all(self, many: Sequence[Sequence[Limit]], now: float) -> bool:
        """Spends for all of these, or for none of them."""
        before = {one.name: self.free.get(one.name) for spends in many for one in spends}
        if all(self.wait(spends, now)[1] is None for spends in many):
            return True
        self.free.update({name: at for name, at in before.items() if at is not None})
        for name in [name for name, at in before.items() if at is None]:
            self.free.pop(name, None)
        return False

    def is_rested(self, limit: Limit, now: float) -> bool:
        """Whether nobody has spent from it lately: its whole burst is there."""
        return self.free.get(limit.name, 0.0) <= now - (limit.rate.burst - 1) / limit.rate.per_second

    def next(self, spends: Sequence[Limit], now: float) -> float:
        """Seconds until the next one may leave that spends the same, nothing else considered."""
        return max([0.0, *(self._free(one, now) - now for one in spends if not one.is_wide)])

    def _free(self, limit: Limit, now: float) -> float:
        return max(self.free.get(limit.name, 0.0), now - (limit.rate.burst - 1) / limit.rate.per_second)
