"""Who the customer is: their whole timeline, keeping them out, two who are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.errors import Conflict, NotFound
from bot.model import Message
from bot.storage import customers, history
from channels.text import one_line
from handoff import persons
from handoff.case import AgentView, Case
from handoff.slack import forms, transcript
from handoff.slack.answering import anybody
from handoff.slack.blocks import Block, button, line, section
from handoff.slack.store import DESK
from handoff.slack.verb import ACTION, Refusal, Scene, Verb, View
from handoff.slack.wording import Wording
from handoff.steps import may_act

NUMBER = "number"
PAGE = 20  # messages of the timeline that are shown at once
DEEP = 2000  # … and how far back one can leaf
SHOWN = 280  # characters of each
OLDER, NEWER = f"{ACTION}timeline:older", f"{ACTION}timeline:newer"


# ── the timeline ───────────────────────────────────────────────────────────────────────────────────────────────────
def timeline(scene: Scene) -> View:
    return _page(scene, 0)


def leaf(scene: Scene, _view: Mapping[str, Any], action: Mapping[str, Any]) -> View | None:
    """`value` of the pressed button is "{case} {messages to leave out}"."""
    _, _, skip = str(action.get("value") or "").partition(" ")
    return _page(scene, int(skip)) if skip.isascii() and skip.isdigit() and int(skip) < DEEP else None


def _page(scene: Scene, skip: int) -> View:
    found = history.latest(scene.tx.conn, scene.case.customer_id, skip + PAGE + 1, notes=True)
    older = len(found) > skip + PAGE
    shown = found[-(skip + PAGE) : len(found) - skip]
    blocks = timeline_blocks(shown, scene.wording)
    ways = [button(OLDER, scene.wording("button_older"), f"{scene.case.id} {skip + PAGE}")] if older else []
    if skip:
        ways.append(button(NEWER, scene.wording("button_newer"), f"{scene.case.id} {max(0, skip - PAGE)}"))
    blocks += [{"type": "actions", "elements": ways}] if ways else []
    return forms.form(scene, "timeline", scene.wording("timeline_title"), blocks)


def timeline_blocks(shown: Sequence[Message], wording: Wording) -> list[Block]:
    if not shown:
        return [line(wording("timeline_empty"))]
    found: list[Block] = []
    for message in shown:
        words = one_line(transcript.words_of(message, wording), SHOWN)
        found += [transcript.byline(message, wording), section(words or "–")]
    return found


# ── keeping out ────────────────────────────────────────────────────────────────────────────────────────────────────
def block_form(scene: Scene) -> View:
    may_act(scene.tx, scene.case, scene.agent.id)
    say = scene.wording
    name = one_line(scene.customer_name, 60) or say("author_customer")
    return forms.form(
        scene, "block", say("block_title"), [section(say("block_sure", name=name))], say("button_block_now")
    )


def block(scene: Scene, _view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    persons.block(scene.tx, scene.case.id, scene.agent.id, desk=DESK)
    return None


def unblock(scene: Scene) -> None:
    persons.unblock(scene.tx, scene.case.id, scene.agent.id, desk=DESK)


def is_in(scene: Scene) -> bool:
    return not is_out(scene)


def is_out(scene: Scene) -> bool:
    return persons.is_blocked(customers.customer(scene.tx.conn, scene.case.customer_id))


# ── two are one ────────────────────────────────────────────────────────────────────────────────────────────────────
def merge_form(scene: Scene) -> View:
    may_act(scene.tx, scene.case, scene.agent.id)
    say = scene.wording
    number = forms.field(NUMBER, say("merge_number"), {"type": "plain_text_input", "max_length": 12})
    return forms.form(scene, "merge", say("merge_title"), [section(say("merge_sure")), number], say("button_merge_now"))


def merge(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    given = forms.filled(view, NUMBER).lstrip("#").strip()
    if not (given.isascii() and given.isdigit()) or int(given) > 2**31 - 1:
        return forms.errors(**{NUMBER: scene.wording("refused_no_case")})
    try:
        persons.merge(scene.tx, scene.case.id, scene.agent.id, int(given), desk=DESK)
    except NotFound:
        return forms.errors(**{NUMBER: scene.wording("refused_no_case")})
    except Conflict:
        return forms.errors(**{NUMBER: scene.wording("refused_same")})
    return None


def part(scene: Scene) -> None:
    try:
        persons.part(scene.tx, scene.case.id, scene.agent.id, desk=DESK)
    except NotFound as error:
        raise Refusal(scene.wording("too_late_to_part")) from error


def was_merged(scene: Scene) -> bool:
    return persons.was_merged(scene.tx, scene.case)


def may_touch(case: Case, agent: AgentView) -> bool:
    return not case.with_people or case.agent_id in {None, agent.id} or agent.leads


TIMELINE = Verb("timeline", "button_timeline", anybody, about="about_timeline", form=timeline, pick=leaf)
BLOCK = Verb("block", "button_block", may_touch, about="about_block", form=block_form, submit=block, fits=is_in)
UNBLOCK = Verb("unblock", "button_unblock", may_touch, about="about_unblock", act=unblock, fits=is_out)
MERGE = Verb("merge", "button_merge", may_touch, about="about_merge", form=merge_form, submit=merge, field=NUMBER)
PART = Verb("part", "button_part", may_touch, about="about_part", act=part, fits=was_merged)
