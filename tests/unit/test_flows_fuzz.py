"""Whatever customers, buttons, connectors and timers do, in any order: no exception, a state of JSON, no endless turn."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bot import flows
from bot.desk_folder import DEMO_DESK, load
from bot.model import FileRef
from tests.unit.flows_house import NOON

DESK = load(DEMO_DESK)
PHRASES = [
    "where is my order",
    "refund",
    "agent",
    "cancel",
    "back",
    "start over",
    "AB123456",
    "CD345678",
    "ZZ000000",
    "yes",
    "no",
    "1",
    "9",
    "עברית",
    "איפה ההזמנה",
    "hvor er pakken",
    "ann@example.com",
    "/order",
    "/refund XX",
    "",
    "?",
    "hello there",
]
EVENTS = st.one_of(
    st.sampled_from(PHRASES).map(lambda text: ("text", text)),
    st.text(max_size=40).map(lambda text: ("text", text)),
    st.sampled_from(["yes", "no", "broken", "unwanted", "other", "x"]).map(lambda value: ("pick", value)),
    st.sampled_from(["yes", "broken"]).map(lambda value: ("stale", value)),
    st.just(("file", "")),
    st.sampled_from(["ok", "404", "timeout", "error", "500"]).map(lambda outcome: ("call", outcome)),
    st.just(("timer", "")),
    st.sampled_from(["handoff", "refund", "gone"]).map(lambda flow: ("start", flow)),
)


def event_of(kind: str, value: str, state: flows.FlowState) -> flows.Event:
    token = state.pending.token if state.pending else "none"
    match kind:
        case "pick":
            return flows.Picked(value, token)
        case "stale":
            return flows.Picked(value, "old")
        case "file":
            return flows.Files((FileRef("f", "a.png", "image/png", 1),))
        case "call":
            return flows.CallDone(token, value, {"status": "shipped", "amount": 3})
        case "timer":
            return flows.TimedOut(token)
        case "start":
            return flows.StartFlow(value)
        case _:
            return flows.Text(value)


@settings(max_examples=250, deadline=None)
@given(st.lists(EVENTS, max_size=14), st.booleans(), st.sampled_from(["en", "nl", "nb-NO", "he", "xx"]))
def test_nothing_that_happens_breaks_the_interpreter(
    happened: list[tuple[str, str]], agents: bool, locale: str
) -> None:
    state = flows.FlowState()
    context = flows.Context(NOON, locale, case={"id": "c1", "channel": "web"}, is_staffed=lambda *_: agents)
    for kind, value in happened:
        context = replace(context, now=context.now + timedelta(seconds=1))
        outcome = flows.step(DESK, state, event_of(kind, value, state), context)
        state = flows.FlowState.from_json(json.loads(json.dumps(outcome.state.to_json())))
        assert state == outcome.state
        assert len(outcome.trace) <= 120
        assert bool(state.frames) == (state.pending is not None), "a flow that runs waits for something"
        assert all(effect.text for effect in outcome.effects if isinstance(effect, flows.Say)), (
            "the bot never says nothing"
        )
        assert outcome.handled or not outcome.effects
