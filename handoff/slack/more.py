"""The form More…: whatever else can be done with a case, one line and one button each. Pure."""

from __future__ import annotations

from handoff.slack import forms
from handoff.slack.blocks import Block, button, line, plain
from handoff.slack.verb import Scene, Verb, View
from handoff.slack.verbs import MORE

NAME = "more"


def form(scene: Scene, told: str = "") -> View:
    """`told`: what became of the button that was just pressed here."""
    blocks: list[Block] = [line(told)] if told else []
    blocks += [row(verb, scene) for verb in MORE if is_offered(verb, scene)]
    return forms.form(scene, NAME, scene.wording("more_title"), blocks)


def is_offered(verb: Verb, scene: Scene) -> bool:
    return verb.offered(scene.case, scene.agent) and (verb.fits is None or verb.fits(scene))


def row(verb: Verb, scene: Scene) -> Block:
    say = scene.wording
    about = say(verb.about) if verb.about else say(verb.label)
    return {
        "type": "section",
        "text": plain(about, 200),
        "accessory": button(verb.action, say(verb.label), scene.case.id),
    }
