"""The flow language: what admins write, checked at load and run by a pure interpreter.

    step(desk, state, event, context) -> Outcome(state, effects, handled, trace)
    FlowState() is the beginning; FlowState.to_json() and FlowState.from_json() store it
    events    Text, Picked, Files, CallDone, StartFlow, TimedOut, Happened, FetchHuman
    effects   Say, Call, Fetch, AskModel, Escalate, Close, Survey, SetCustomer, SwitchLocale, Record, Notify, SetTimer

`schema` the nouns · `source` YAML with places and the reader that collects faults · `expressions` conditions ·
`templates` texts with `{{ values }}` · `load` one flow's file · `lint` what only a whole flow shows · `words` phrases ·
`answers` a customer's words as a slot's value · `run` in which order an event is understood · `machine` the working copy
of a state and its loop · `doing` what each verb does · `card` what agents see · `graph` boxes and arrows ·
`transcripts` conversations as tests. `names` and `verbs` read what a flow refers to and its steps.

Pure: no I/O, no clock, no randomness. A flow rests at a question, at a connector's answer, at a wait, or at a human; then
its state is a few names in JSON. Connectors that are tables are answered in the same step.

Decisions
- Nobody resumes in a flow that has changed (2026-11): a frame names the content hash of its flow. `Desk.keeping` hands old
  versions on, so a running conversation finishes in its own; if that version is gone, the step with the same id and verb
  goes on, else a human is fetched and the customer is told.
- A token of a question comes from the case, the time and a counter, so that a button of an old question never fits a new one.
"""

from __future__ import annotations

from bot.flows.run import asks_for_human, is_request, step
from bot.flows.talk import (
    AskModel,
    Call,
    CallDone,
    Close,
    Context,
    Effect,
    Escalate,
    Event,
    Fetch,
    FetchHuman,
    Files,
    FlowState,
    Found,
    Frame,
    Happened,
    Notify,
    Outcome,
    Pending,
    Picked,
    Record,
    Say,
    SetCustomer,
    SetTimer,
    StartFlow,
    Survey,
    SwitchLocale,
    Text,
    TimedOut,
    Told,
)

__all__ = [
    "AskModel",
    "Call",
    "CallDone",
    "Close",
    "Context",
    "Effect",
    "Escalate",
    "Event",
    "Fetch",
    "FetchHuman",
    "Files",
    "FlowState",
    "Found",
    "Frame",
    "Happened",
    "Notify",
    "Outcome",
    "Pending",
    "Picked",
    "Record",
    "Say",
    "SetCustomer",
    "SetTimer",
    "StartFlow",
    "Survey",
    "SwitchLocale",
    "Text",
    "TimedOut",
    "Told",
    "asks_for_human",
    "is_request",
    "step",
]
