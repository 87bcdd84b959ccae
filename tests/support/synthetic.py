"""A house's past, made up from a seed: cases with their audit, messages, promises, questions and answers, as rows.

For the tests of figures (what SQL counts in these rows is the truth) and for `stafett bench reports`. The rows are written past
the product, in bulk (tests/support/past.py): nothing here marks anything or makes a figure.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Row = tuple[Any, ...]
Batch = dict[str, list[Row]]

START = datetime(2026, 1, 5, tzinfo=UTC)
TOPICS = (
    "delivery",
    "invoice",
    "refund",
    "login",
    "product",
    "returns",
    "opening hours",
    "complaint",
    "warranty",
    "size",
    "stock",
    "",
)
TEAMS = ("support", "billing", "technical")
REASONS = ("asked", "no_answer", "angry", "flow", "detractor")
CHANNELS, LOCALES = ("web", "telegram", "slack"), ("en", "nl", "nb", "he")
AGENTS = tuple(f"agent{n:02}" for n in range(30))
SKIPS = ("throttled", "not_sampled", "opted_out", "unreachable")

COLUMNS: Mapping[str, str] = {
    "customers": "id name locale created_at attributes opted_out",
    "cases": "id number customer_id status channel locale team agent_id last_agent_id topic outcome priority escalation flow"
    " flow_version opened_at escalated_at claimed_at first_reply_at last_customer_at last_agent_at resolved_at first_resolved_at"
    " resolved_by confirmed reopened handoffs questions agents updated_at",
    "case_events": "case_id customer_id kind agent_id data at",
    "messages": "customer_id id seq case_id author_kind author_id author_name channel text markdown choices files meta at",
    "promises": "id customer_id case_id kind told_at due_at wait_s outcome ended_at",
    "survey_invitations": "id case_id customer_id instrument state skip_reason channel locale snapshot decided_at asked_at"
    " delivered_at",
    "survey_responses": "id invitation_id case_id customer_id instrument score channel agent_id team topic locale extra at",
}


@dataclass(slots=True)
class _Life:
    """One case as it is lived: its rows so far."""

    dice: random.Random
    id: str
    customer: str
    channel: str
    now: datetime
    batch: Batch
    seq: int = 0

    def passes(self, mean_s: float) -> datetime:
        """Some time: skewed, as waiting is; in whole milliseconds, which both engines keep."""
        self.now += timedelta(milliseconds=round(1000 * self.dice.expovariate(1 / mean_s)) + 1)
        return self.now

    def says(self, by: str, text: str, step: str | None = None, agent: str | None = None) -> datetime:
        self.seq += 1
        meta = json.dumps({"source": f"step:{step}"}) if step else "{}"
        name = f"{self.id}-{self.seq:03}"
        row = (
            self.customer,
            name,
            self.seq,
            self.id,
            by,
            agent,
            "",
            self.channel,
            text,
            False,
            "[]",
            "[]",
            meta,
            self.now,
        )
        self.batch["messages"].append(row)
        return self.now

    def logs(self, kind: str, agent: str | None = None, **data: Any) -> None:
        row = (self.id, self.customer, kind, agent, json.dumps(data) if data else "{}", self.now)
        self.batch["case_events"].append(row)


@dataclass(frozen=True, slots=True)
class Span:
    """`cases` of `days` from `start` on, by `people` customers who come more than once. The world ends at `end`: who is not
    served by then is still waiting.
    """

    cases: int
    days: float
    start: datetime
    end: datetime
    people: int
    seed: int = 1


def batches(cases: int, seed: int = 1, days: float = 365) -> Iterator[Batch]:
    """`cases` of `days` from START on, in the order of their opening; some 10 messages a case, a customer for every two."""
    return stretch(Span(cases, days, START, START + timedelta(days=days), max(1, cases // 2), seed))


def stretch(span: Span, each: int = 2000) -> Iterator[Batch]:
    """The cases of a span, in the order of their opening."""
    dice = random.Random(span.seed)
    gap = span.days * 86400 / max(1, span.cases)
    for first in range(0, span.cases, each):
        batch: Batch = {name: [] for name in COLUMNS}
        for n in range(first, min(first + each, span.cases)):
            opened = span.start + timedelta(milliseconds=round(1000 * gap * (n + dice.random())))
            _case(dice, n, span, opened, batch)
        yield batch


def _case(dice: random.Random, n: int, span: Span, opened: datetime, batch: Batch) -> None:
    end = span.end
    customer = f"customer{dice.randrange(span.people):09}" if n % 3 else f"own{n:09}"
    locale = dice.choices(LOCALES, (50, 25, 20, 5))[0]
    if customer.startswith("own"):
        batch["customers"].append((customer, "", locale, opened, "{}", False))
    topic_n = min(int(dice.expovariate(0.35)), len(TOPICS) - 1)
    life = _Life(dice, f"case{n:010}", customer, dice.choices(CHANNELS, (60, 30, 10))[0], opened, batch)
    topic, team, flow = TOPICS[topic_n] or None, TEAMS[topic_n % 3], f"flow{topic_n % 6}"
    told: dict[str, Any] = {"questions": 0, "handoffs": 0, "reopened": 0, "agents": []}
    life.logs("open", channel=life.channel)
    _with_bot(life, flow, told)
    if dice.random() < 0.45:
        _with_people(life, team, told)
    _ends(life, end, told)
    while told["resolved_at"] is not None and dice.random() < 0.06 and life.passes(90_000) < end - timedelta(days=1):
        told |= {
            "reopened": told["reopened"] + 1,
            "resolved_at": None,
            "status": "bot",
            "outcome": None,
            "confirmed": None,
        }
        told |= {"resolved_by": None, "escalated_at": None, "claimed_at": None}
        life.says("customer", "It came back.")
        life.logs("reopen")
        _ends(life, end, told)
    agent = told["agents"][-1] if told["agents"] else None
    escalation = json.dumps({"reason_code": told["reason"], "show": [], "tried": []}) if "reason" in told else None
    batch["cases"].append(
        (life.id, n + 1, customer, told["status"], life.channel, locale, team if agent else None, agent, agent, topic,
         told["outcome"], "normal", escalation, flow, "v1", opened, told.get("escalated_at"), told.get("claimed_at"),
         told.get("first_reply_at"), life.now, told.get("first_reply_at"), told["resolved_at"], told.get("first_resolved_at"),
         told.get("resolved_by"), told.get("confirmed"), told["reopened"], told["handoffs"], told["questions"],
         json.dumps(told["agents"]), life.now)
    )  # fmt: skip
    if told["resolved_at"] is not None:
        _asked(life, n, told, {"team": team if agent else None, "agent": agent, "flow": flow, "topic": topic}, locale)


def _with_bot(life: _Life, flow: str, told: dict[str, Any]) -> None:
    life.says("customer", "Where is my order? It should have been here on Monday.")
    for step in range(life.dice.choice((3, 3, 4, 4))):
        life.passes(2)
        life.says("bot", "What is your order number?", step=f"{flow}/step{step}")
        told["questions"] += 1
        life.passes(40)
        life.says("customer", "It is 1234567, I think; it was ordered last week.")


def _with_people(life: _Life, team: str, told: dict[str, Any]) -> None:
    dice = life.dice
    agent = dice.choices(AGENTS, range(1, len(AGENTS) + 1))[0]
    told |= {"reason": dice.choices(REASONS, (50, 20, 10, 15, 5))[0], "escalated_at": life.passes(5)}
    life.logs("escalate", reason_code=told["reason"])
    estimate = dice.choice((60, 180, 300))
    promised = life.now
    told |= {"claimed_at": life.passes(200), "agents": [agent], "handoffs": 1}
    life.logs("claim", agent)
    kept = life.now <= promised + timedelta(seconds=estimate)
    outcome = "kept" if kept else "broken"
    due = promised + timedelta(seconds=estimate)
    life.batch["promises"].append(
        (f"p-{life.id}", life.customer, life.id, "wait", promised, due, estimate, outcome, life.now)
    )
    if dice.random() < 0.05:
        life.channel = "web" if life.channel != "web" else "telegram"
        life.logs("moved")
    for turn in range(dice.choice((1, 2, 2, 3))):
        waited = life.now
        told.setdefault("first_reply_at", life.passes(400))
        life.says("agent", "I have looked it up: it arrives tomorrow.", agent=agent)
        life.logs("reply", agent)
        target = "next_response" if turn else "first_response"
        took = (life.now - waited).total_seconds()
        life.logs("sla", agent, target=target, took_s=took, target_s=600, met=took <= 600)
        life.passes(900)
        life.says("customer", "Thank you, and the other one?")
        life.logs("customer_wrote")
    if dice.random() < 0.3:
        life.logs("verdict", agent, needed=dice.random() < 0.7)


def _ends(life: _Life, end: datetime, told: dict[str, Any]) -> None:
    """Solved, unless the world ends before."""
    dice, people = life.dice, bool(told["agents"])
    at = life.passes(7200 if people else 60)
    told |= {"status": "open" if people else "bot", "resolved_at": None, "outcome": None, "confirmed": None}
    if at >= end:
        return
    by = "agent" if people else dice.choices(("customer", "flow", "silence"), (50, 30, 20))[0]
    outcome = "abandoned" if by == "silence" else dice.choices(("resolved", "no_solution"), (95, 5))[0]
    confirmed = True if by == "customer" else None
    life.logs("resolve", told["agents"][-1] if people else None, outcome=outcome, by=by)
    told |= {"status": "closed", "resolved_at": at, "outcome": outcome, "resolved_by": by, "confirmed": confirmed}
    told.setdefault("first_resolved_at", at)


def _asked(life: _Life, n: int, told: Mapping[str, Any], snapshot: dict[str, Any], locale: str) -> None:
    dice, at = life.dice, life.now
    instrument = "csat5" if n % 5 == 0 else "ces7"
    skipped = dice.choice(SKIPS) if dice.random() < 0.4 else None
    state = "skipped" if skipped else "answered" if dice.random() < 0.35 else "expired"
    there = None if skipped else at + timedelta(minutes=1)
    name = f"ask{n:010}"
    life.batch["survey_invitations"].append(
        (
            name,
            life.id,
            life.customer,
            instrument,
            state,
            skipped,
            life.channel,
            locale,
            json.dumps(snapshot),
            at,
            there,
            there,
        )
    )
    if state == "answered":
        quick = told["resolved_at"] - told["first_resolved_at"] < timedelta(hours=1)
        most = 5 if instrument == "csat5" else 7
        score = float(min(most, max(1, round(dice.gauss(most - 1 if quick else 2, 1.2)))))
        life.batch["survey_responses"].append(
            (f"r{n:010}", name, life.id, life.customer, instrument, score, life.channel, snapshot["agent"], snapshot["team"],
             snapshot["topic"], locale, "{}", at + timedelta(minutes=9))
        )  # fmt: skip
