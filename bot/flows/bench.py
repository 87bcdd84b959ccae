"""How fast flows and their tests are, for `stafett bench flows`: tests a second of one core, a turn in a large desk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bot.flows.play import START
from bot.flows.run import step
from bot.flows.talk import Context, FlowState, Text
from bot.flows.transcripts import run_test

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk
    from bot.flows.transcripts import ConversationTest

SECONDS = 2.0
MANY = 200
"""Flows of a large desk, beside its own."""


def run_bench(desk: Desk) -> str:
    """The figures as a table of Markdown. Takes some seconds."""
    results = [(test, run_test(desk, test)) for test in desk.tests]  # also loads what is loaded once
    plain = [test for test, result in results if not result.searched]
    asking = [test for test, result in results if result.searched]
    lines = ["| what | tests | a second of one core |", "| --- | ---: | ---: |"]
    for name, tests in (("scripts without articles", plain), ("scripts with articles", asking)):
        if tests:
            lines.append(f"| {name} | {len(tests)} | {rate(partial(_all, desk, tests)) * len(tests):,.0f} |")
    failed = [result.message for _, result in results if not result.ok]
    large = _many(desk)
    said = Text("good afternoon, I should like to know where my order is and when it comes")
    took = 1 / rate(lambda: step(large, FlowState(), said, Context(START, desk.locales[0])))
    lines.append(f"\nOne message among {len(large.flows)} flows: {took * 1000:.2f} ms")
    return "\n".join([*lines, *failed])


def _all(desk: Desk, tests: list[ConversationTest]) -> None:
    for test in tests:
        run_test(desk, test)


def rate(work: Callable[[], object]) -> float:
    """How often a second of one core: what else this machine does is left out."""
    work()
    count, began = 0, time.process_time()
    while (passed := time.process_time() - began) < SECONDS:
        work()
        count += 1
    return count / passed


def _many(desk: Desk) -> Desk:
    """The desk with copies of its flows, each with phrases of its own."""
    flows = dict(desk.flows)
    own = [flow for flow in desk.flows.values() if flow.triggers.phrases]
    for at in range(MANY if own else 0):
        flow = own[at % len(own)]
        phrases = {locale: tuple(f"{one} {at}" for one in listed) for locale, listed in flow.triggers.phrases.items()}
        name = f"{flow.id}_{at}"
        flows[name] = replace(flow, id=name, triggers=replace(flow.triggers, phrases=phrases, commands=()))
    return replace(desk, flows=flows)
