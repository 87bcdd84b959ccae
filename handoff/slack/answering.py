"""What agents say by a form, and how a case ends: Reply…, Note…, Resolve…"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from channels.text import clean
from handoff import cases, second_look, store
from handoff.case import OUTCOMES, AgentView, Case
from handoff.second_look import Look
from handoff.slack import forms, second
from handoff.slack.blocks import Block, line
from handoff.slack.forms import TEXT
from handoff.slack.store import DESK
from handoff.slack.verb import Scene, Verb, View
from handoff.steps import WroteMeanwhile, is_over, last_said, may_act, must_hold

OUTCOME, TOPIC, REASON = "outcome", "topic", "reason"
MAX_TOPIC = 120


# ── the answer ─────────────────────────────────────────────────────────────────────────────────────────────────────
def reply_form(scene: Scene, initial: str = "", warned: Look | None = None) -> View:
    """`initial` words to begin with; `warned`: those were submitted, and should be looked at again."""
    must_hold(scene.tx, scene.case, scene.agent.id)
    say = scene.wording
    blocks = [forms.written(TEXT, say("reply_text"), initial=initial)]
    if warned is None:
        return forms.form(scene, "reply", say("reply_title"), blocks, say("button_send"))
    told = [line("✋ " + " ".join((say("held_waits"), *second.reasons(warned.warnings, say))))]
    more = _digest(warned.warnings)
    return forms.form(scene, "reply", say("reply_title"), [*told, *blocks], say("button_send_anyway"), more=more)


def _digest(warnings: Sequence[str]) -> str:
    """What was warned of: whoever submits again after that has seen it; other words may be other warnings."""
    return hashlib.sha256("\0".join(warnings).encode()).hexdigest()[:16]


def reply(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The form is the second look that the undo window gives elsewhere: its words leave at once."""
    ref = f"view:{view.get('id')}"
    if store.relay(scene.tx.conn, DESK, ref) is not None:
        return None
    text = forms.typed(view, TEXT)
    if not text:
        return forms.errors(**{TEXT: scene.wording("refused_empty")})
    found = second_look.look(scene.tx.conn, scene.desk, scene.case, text)
    if found.warnings and forms.kept(view)[1] != _digest(found.warnings):
        return {"response_action": "update", "view": reply_form(scene, forms.filled(view, TEXT), found)}
    cases.reply(scene.tx, scene.case.id, scene.agent.id, text, desk=DESK, ref=ref)
    return None


# ── a note ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def note_form(scene: Scene) -> View:
    say = scene.wording
    return forms.form(
        scene, "add_note", say("note_title"), [forms.written(TEXT, say("note_text"))], say("desk_add_note")
    )


def note(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    text = clean(forms.filled(view, TEXT)).strip()
    if not text:
        return forms.errors(**{TEXT: scene.wording("refused_empty")})
    cases.note(scene.tx, scene.case.id, scene.agent.id, text, desk=DESK, ref=f"view:{view.get('id')}")
    return None


# ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────────
def resolve_form(scene: Scene) -> View:
    return _resolve_form(scene)


def _resolve_form(scene: Scene, *warned: str) -> View:
    if not scene.case.live:
        raise is_over(scene.case)
    may_act(scene.tx, scene.case, scene.agent.id)
    say = scene.wording
    topic: Block = {"type": "plain_text_input", "max_length": MAX_TOPIC}
    if scene.case.topic:
        topic["initial_value"] = scene.case.topic[:MAX_TOPIC]
    outcomes = [(one, say(f"outcome_{one}")) for one in OUTCOMES]
    blocks = [
        *(line(one) for one in warned),
        forms.one_of(OUTCOME, say("resolve_outcome"), outcomes, first=True),
        forms.field(TOPIC, say("resolve_topic"), topic, optional=True),
        forms.written(REASON, say("resolve_reason"), optional=True, most=2000),
    ]
    title, button = say("resolve_title"), say("button_resolve").rstrip("…")
    return forms.form(scene, "resolve", title, blocks, button, more=last_said(scene.tx, scene.case) or "")


def resolve(scene: Scene, view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    outcome, reason = forms.filled(view, OUTCOME), clean(forms.filled(view, REASON))
    if outcome == "no_solution" and not reason:
        return forms.errors(**{REASON: scene.wording("refused_reason_needed")})
    topic = clean(forms.filled(view, TOPIC)).strip()
    _, seen = forms.kept(view)
    try:
        cases.resolve(scene.tx, scene.case.id, scene.agent.id, outcome, topic or None, reason or None, seen=seen)
    except WroteMeanwhile:  # the form stays, with what was filled in, and knows now what was read
        warned = _resolve_form(scene, scene.wording("refused_wrote_meanwhile"))
        return {"response_action": "update", "view": warned}
    return None


def resolve_at_once(scene: Scene) -> None:
    """By a reaction, which can't ask: solved, under the topic that it has. Only its holder's, lest a nod ends a case."""
    must_hold(scene.tx, scene.case, scene.agent.id)
    cases.resolve(scene.tx, scene.case.id, scene.agent.id, "resolved")


# ── when they are offered ──────────────────────────────────────────────────────────────────────────────────────────
def is_mine(case: Case, agent: AgentView) -> bool:
    return case.with_people and case.agent_id == agent.id


def may_end(case: Case, agent: AgentView) -> bool:
    return case.live and (not case.with_people or case.agent_id in {None, agent.id} or agent.leads)


def anybody(_case: Case, _agent: AgentView) -> bool:
    return True


REPLY = Verb("reply", "button_reply", is_mine, form=reply_form, submit=reply, field=TEXT)
ADD_NOTE = Verb("add_note", "button_note", anybody, about="about_note", form=note_form, submit=note, field=TEXT)
RESOLVE = Verb(
    "resolve", "button_resolve", may_end, form=resolve_form, submit=resolve, field=OUTCOME, react=resolve_at_once
)
