"""The figures at /metrics, in Prometheus' text format. Counted afresh at each look; no ids or texts in labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from bot.storage.counts import Counts

STATES = ("ready", "sending", "retry", "uncertain", "sent", "failed", "expired")
STATUSES = ("bot", "queued", "open", "pending", "snoozed", "resolved", "closed")


def render(
    counts: Counts,
    now: datetime,
    process: Mapping[str, float],
    measured: Mapping[str, tuple[float, int]] | None = None,
) -> bytes:
    """`process` are this process's own counters and gauges, by their full names; counters end in `_total`.

    `name@channel` is the figure of one channel. `measured` is what customers get, metric → (value, of how many).
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    class Once:
        def collect(self) -> Iterator[Any]:
            waiting = (now - counts.inbox_oldest).total_seconds() if counts.inbox_oldest else 0.0
            yield GaugeMetricFamily(
                "inbox_oldest_seconds", "Age of the oldest message not yet handled", max(0.0, waiting)
            )
            yield GaugeMetricFamily("inbox_dead", "Messages whose turn failed five times", counts.inbox_dead)
            yield GaugeMetricFamily("dead_letters", "What could not be read, kept for inspection", counts.dead_letters)
            yield GaugeMetricFamily("customers", "Customers", counts.customers)
            yield GaugeMetricFamily("survey_responses", "Survey answers", counts.responses)
            yield labelled("outbox", "Rows of the outbox by state", "state", STATES, counts.outbox)
            yield labelled("cases", "Cases by status", "status", STATUSES, counts.cases)
            oldest = (now - counts.outbox_oldest).total_seconds() if counts.outbox_oldest else 0.0
            yield GaugeMetricFamily("outbox_oldest_seconds", "Age of the oldest send not yet sent", max(0.0, oldest))
            yield GaugeMetricFamily("outbox_delayed", "Sends that wait for more than a minute", counts.outbox_delayed)
            value_of = GaugeMetricFamily("figure", "The last 30 days: score, share, median seconds", labels=["metric"])
            n_of = GaugeMetricFamily("figure_n", "How many cases or answers a figure rests on", labels=["metric"])
            for name, (value, n) in (measured or {}).items():
                value_of.add_metric([name], value)
                n_of.add_metric([name], n)
            yield from (value_of, n_of)
            channels: dict[str, CounterMetricFamily] = {}
            for name, value in process.items():
                plain, _, channel = name.partition("@")
                about = plain.removesuffix("_total").replace("_", " ")
                if channel:
                    family = channels.setdefault(plain, CounterMetricFamily(plain, about, labels=["channel"]))
                    family.add_metric([channel], value)
                    continue
                kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
                yield kind(name, about, value)
            yield from channels.values()

    def labelled(name: str, about: str, label: str, known: tuple[str, ...], found: Mapping[str, int]) -> Any:
        family = GaugeMetricFamily(name, about, labels=[label])
        for one in known:
            family.add_metric([one], found.get(one, 0))
        return family

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry)


def of_delivery(counters: Any) -> dict[str, float]:
    """Its plain counts, one name each."""
    plain = {name: value for name, value in asdict(counters).items() if isinstance(value, int)}
    return {f"outbox_{name}_total": float(value) for name, value in plain.items()}


def by_channel(name: str, counts: Mapping[str, int], channels: Iterable[str]) -> dict[str, float]:
    """As `render` takes a counter with a label: `name@channel`. All channels stand there from the start, at 0."""
    return {f"{name}@{one}": float(counts.get(one, 0)) for one in channels}
