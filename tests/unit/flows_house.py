"""A small desk in two languages, and a customer who talks to its flows. The state goes through JSON after every step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot import flows
from bot.desk_folder import Desk, load

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

HUMAN = "{id: human, run: handoff, phrases: {en: [agent, human, talk to a person], he: [נציג, בן אדם]}}"
OTHERS = """
  - {id: restart, do: restart, phrases: {en: [start over], he: [התחל מחדש]}}
  - {id: cancel, do: cancel, phrases: {en: [cancel], he: [ביטול]}}
  - {id: back, do: back, phrases: {en: [back], he: [חזרה]}}
  - {id: language, do: language, phrases: {en: [english], he: [עברית]}}"""
DESK = f"""\
schema: 1
name: House
locales: [en, he]
teams: [{{id: support, name: Support}}, {{id: billing, name: Billing}}]
connectors:
  orders.get: {{table: orders.csv, key: order_no}}
  shop.get: {{url: "https://shop.example/{{{{ order_no }}}}"}}
interrupts:
  - {HUMAN}{OTHERS}
"""
ORDERS = "order_no,status,amount\nAB123456,shipped,59\nCD345678,late,129.5\n"
HANDOFF = """\
schema: 1
flow: handoff
version: 1
steps:
  - {id: fetch, escalate: {team: support}, text: {en: A colleague comes., he: נציג בדרך.}}
"""


def desk_of(folder: Path, *own: str, desk: str = DESK, **files: str) -> Desk:
    """A desk with the flow `handoff` and `own`: each a flow's text from `flow:` on, without its head."""
    (folder / "flows").mkdir(parents=True, exist_ok=True)
    (folder / "desk.yaml").write_text(desk, encoding="utf-8")
    (folder / "orders.csv").write_text(ORDERS, encoding="utf-8")
    (folder / "flows" / "handoff.yaml").write_text(HANDOFF, encoding="utf-8")
    for at, flow in enumerate(own):
        head = "" if flow.startswith("schema") else "schema: 1\nversion: 1\n"
        (folder / "flows" / f"own{at}.yaml").write_text(head + flow, encoding="utf-8")
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return load(folder)


class Customer:
    """Talks to the flows of a desk; `said` is what the bot answered to the last event, `effects` everything it did."""

    def __init__(self, desk: Desk, **context: Any) -> None:
        self.desk = desk
        self.context = flows.Context(**{"now": NOON, "locale": "en", "case": {"id": "c1", "channel": "web"}, **context})
        self.state = flows.FlowState()
        self.effects: Sequence[flows.Effect] = ()
        self.handled = False
        self.trace: Sequence[Any] = ()

    def take(self, event: flows.Event) -> list[str]:
        self.context = replace(self.context, now=self.context.now + timedelta(seconds=1))
        outcome = flows.step(self.desk, self.state, event, self.context)
        self.state = flows.FlowState.from_json(json.loads(json.dumps(outcome.state.to_json())))
        assert self.state == outcome.state, "a state survives JSON"
        self.effects, self.handled, self.trace = outcome.effects, outcome.handled, outcome.trace
        for effect in outcome.effects:
            if isinstance(effect, flows.SetCustomer):
                self.context = replace(self.context, customer={**self.context.customer, effect.slot: effect.value})
            if isinstance(effect, flows.SwitchLocale):
                self.context = replace(self.context, locale=effect.locale)
        return self.said

    def says(self, text: str) -> list[str]:
        return self.take(flows.Text(text))

    def picks(self, value: str, token: str | None = None) -> list[str]:
        return self.take(flows.Picked(value, self.token if token is None else token))

    @property
    def said(self) -> list[str]:
        return [effect.text for effect in self.effects if isinstance(effect, flows.Say)]

    @property
    def token(self) -> str:
        assert self.state.pending is not None
        return self.state.pending.token

    def only(self, kind: type) -> Any:
        found = [effect for effect in self.effects if isinstance(effect, kind)]
        assert len(found) == 1, f"{len(found)} {kind.__name__} in {self.effects}"
        return found[0]

    def none(self, kind: type) -> bool:
        return not any(isinstance(effect, kind) for effect in self.effects)
