"""Pulse, review and label as sheets: what any desk can draw (`bot/sheets.py`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.errors import Conflict, NotFound
from bot.model import Clock
from bot.sheets import Question, Sheet
from bot.storage.tx import Tx
from bot.texts import Texts, known, say
from bot.texts.titles import LONGEST_TITLE
from surveys.insights.records import store as records
from surveys.insights.records.labelling import give_topic, label_case, newest_of, relabel, unlabel
from surveys.insights.records.nouns import Area, Label, LabelKind
from surveys.team import pulse, quality, store
from surveys.team.rounds import Pulse, review
from surveys.team.rubric import NOT_APPLICABLE, Criterion
from surveys.team.store import Drawn, Reader, Sample

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk

PULSE, REVIEW, LABEL = "pulse", "review", "label"
NUMBER, KIND, AREA, TOPIC, NEWEST = "number", "kind", "area", "topic", "newest"
DONE = CORRECT, REMOVE = "correct", "remove"
"""What may be done with the newest label of a case, a flow's or a colleague's, in place of adding one: once it was shown, for
a flow may have set another one meanwhile.
"""
LABELLED = "label"
"""Beside the answers of the form, in the id of the sheet that asks whether this label is meant: the label's id."""
COMMENT = "comment"
OF_LABEL = (KIND, AREA, COMMENT, TOPIC, NEWEST)
LONGEST_SAID = 1500


class TeamSheets:
    """A `bot.sheets.Sheets`."""

    kinds = (PULSE, REVIEW, LABEL)

    def __init__(self, desk: Callable[[], Desk], pulse_: Pulse, clock: Clock) -> None:
        self._desk = desk
        self._pulse = pulse_
        self._clock = clock

    def open(self, conn: Reader, kind: str, who: str, locale: str) -> Sheet | str:
        if kind == LABEL:
            return self._of_label(locale)
        if kind == PULSE:
            return self._of_pulse(conn, who, locale)
        return self._of_review(conn, who, locale)

    def fill(self, tx: Tx, sheet_id: str, who: str, given: Mapping[str, str], locale: str) -> Mapping[str, str] | Sheet:
        kind, _, meant = sheet_id.partition(":")
        if kind != LABEL:
            return self.answered(tx, sheet_id, who, given, locale)
        return self._amended(tx, who, meant, locale) if meant else self._labelled(tx, who, given, locale)

    def answered(self, tx: Tx, sheet_id: str, who: str, given: Mapping[str, str], locale: str) -> Mapping[str, str]:
        """`fill` of a pulse or a review."""
        kind, _, rest = sheet_id.partition(":")
        answers = {name: value for name, value in given.items() if name != COMMENT}
        empty = {name: say("team_choose", locale) for name, value in answers.items() if not value}
        if empty:
            return empty
        try:
            with tx.savepoint():
                if kind == PULSE:
                    scores = {name: int(value) for name, value in answers.items() if value.isdecimal()}
                    self._pulse.answer(tx, rest, who, scores, given.get(COMMENT, ""))
                else:
                    sample_id, _, case_id = rest.partition(":")
                    review(tx, sample_id, case_id, who, answers, given.get(COMMENT, ""))
        except (Conflict, NotFound):
            return {"": self._refused(tx, kind, rest, who, locale)}
        return {}

    def _refused(self, tx: Tx, kind: str, round_id: str, who: str, locale: str) -> str:
        """Why answers come too late, in the words of who gave them."""
        if kind == REVIEW:
            return say("team_review_none", locale, self._desk().texts)
        found = next((one for one in store.rounds(tx.conn, 1) if one.id == round_id), None)
        done = found is not None and self._pulse.has_answered(found, who)
        return say("team_pulse_done" if done else "team_pulse_none", locale, self._desk().texts)

    # ── the pulse ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _of_pulse(self, conn: Reader, who: str, locale: str) -> Sheet | str:
        newest = next(iter(store.rounds(conn, 1)), None)
        desk = self._desk()
        if newest is None or not newest.is_open(self._clock()):
            return say("team_pulse_none", locale, desk.texts)
        if self._pulse.has_answered(newest, who):
            return say("team_pulse_done", locale, desk.texts)
        options = tuple((str(score), self._score(score, locale)) for score in pulse.SCORES)
        questions = tuple(
            Question(name, text or say(f"team_pulse_{name}", locale, desk.texts), options)
            for name, text in newest.questions
        )
        comment = Question(COMMENT, say("team_pulse_comment", locale, desk.texts), (), True, pulse.LONGEST_COMMENT)
        return Sheet(
            f"{PULSE}:{newest.id}",
            say("team_pulse_title", locale, desk.texts),
            say("team_pulse_lead", locale, desk.texts, five=pulse.FIVE),
            (*questions, comment),
            say("team_submit", locale, desk.texts),
        )

    # ── what a case told us ────────────────────────────────────────────────────────────────────────────────────────
    def _of_label(self, locale: str) -> Sheet:
        """Complaint, suggestion or praise on a case, and what it was about: by its number."""
        own = self._desk().texts

        def named(of: Iterable[str], prefix: str) -> tuple[tuple[str, str], ...]:
            return tuple((one, say(f"mend_{prefix}_{one}", locale, own)) for one in of)

        of_newest = tuple((one, say(f"team_label_{one}", locale, own)) for one in DONE)
        questions = (
            Question(NUMBER, say("mend_number", locale, own), longest=10),
            Question(KIND, say("mend_kind", locale, own), named(LabelKind, "kind"), optional=True),
            Question(AREA, say("mend_area", locale, own), named(Area, "area"), optional=True),
            Question(COMMENT, say("mend_words", locale, own), optional=True),
            Question(TOPIC, say("mend_topic", locale, own), optional=True, longest=LONGEST_TITLE),
            Question(NEWEST, say("team_label_newest", locale, own), of_newest, optional=True),
        )
        lead = say("team_label_lead", locale, own)
        return Sheet(LABEL, say("team_label_title", locale, own), lead, questions, say("team_submit", locale, own))

    def _labelled(self, tx: Tx, who: str, given: Mapping[str, str], locale: str) -> Mapping[str, str] | Sheet:
        number = given.get(NUMBER, "").strip().lstrip("#")
        is_number = number.isascii() and number.isdigit() and len(number) < 10  # more is none that a database holds
        case_id = records.case_by_number(tx.conn, int(number)) if is_number else None
        if case_id is None:
            return {NUMBER: say("mend_no_case", locale, number=number[:20])}
        kind, topic, done = given.get(KIND, ""), given.get(TOPIC, ""), given.get(NEWEST, "")
        if is_strange(given) or (not kind and not topic.strip() and done != REMOVE) or (not kind and done == CORRECT):
            return {KIND: say("team_choose", locale)}
        if done:
            newest = newest_of(tx, case_id)
            return self._of_newest(newest, given, locale) if newest else {NEWEST: say("team_label_none", locale)}
        try:
            with tx.savepoint():
                if kind:
                    label_case(tx, case_id, LabelKind(kind), area_of(given), given.get(COMMENT, ""), who)
                if topic.strip():
                    give_topic(tx, [case_id], topic, who)
        except (Conflict, NotFound):
            return {NUMBER: say("mend_no_case", locale, number=number[:20])}
        return {}

    def _of_newest(self, newest: Label, given: Mapping[str, str], locale: str) -> Sheet:
        """What the case told last, to be looked at: it is this one that is corrected or taken away."""
        own, done = self._desk().texts, given[NEWEST]
        meant = json.dumps({name: given.get(name, "") for name in OF_LABEL} | {LABELLED: newest.id}, ensure_ascii=False)
        to = _shown(given.get(KIND, ""), given.get(AREA) or newest.area, locale, own)
        return Sheet(
            f"{LABEL}:{meant}",
            say("team_label_title", locale, own),
            say(f"team_label_{done}_sure", locale, own, to=to),
            (),
            say("team_submit", locale, own),
            [(_shown(newest.kind, newest.area, locale, own), newest.text[:LONGEST_SAID] or "–")],
        )

    def _amended(self, tx: Tx, who: str, meant: str, locale: str) -> Mapping[str, str] | Sheet:
        """The label that was shown is corrected, or taken away, as it was asked for. Its area stays where none was given."""
        given = _meant(meant)
        found = records.labels(tx.conn, label_id=given.get(LABELLED, ""), limit=1)
        gone = replace(self._of_label(locale), lead=say("team_label_gone", locale, self._desk().texts))
        if not found or is_strange(given):
            return gone
        (label,) = found
        try:
            with tx.savepoint():
                if given.get(NEWEST) == REMOVE:
                    unlabel(tx, label.id, who)
                else:
                    kind = LabelKind(given.get(KIND) or label.kind)
                    relabel(tx, label.id, kind, area_of(given) or label.area, who, given.get(COMMENT, ""))
                if given.get(TOPIC, "").strip():
                    give_topic(tx, [label.case_id], given[TOPIC], who)
        except (Conflict, NotFound):
            return gone
        return {}

    def _score(self, score: int, locale: str) -> str:
        ends = {pulse.LOW: "low", pulse.HIGH: "high"}
        return f"{score} – {say(f'team_pulse_{ends[score]}', locale)}" if score in ends else str(score)

    # ── reviews ────────────────────────────────────────────────────────────────────────────────────────────────────
    def _of_review(self, conn: Reader, who: str, locale: str) -> Sheet | str:
        for sample in store.samples(conn, 6):
            drawn = store.drawn(conn, sample.id)
            pairs = [(one.case_id, one.agents) for one in drawn]
            for case_id in quality.waits_for(who, pairs, store.reviews(conn, sample.id)):
                return self.of_case(conn, sample, next(one for one in drawn if one.case_id == case_id), locale)
        return say("team_review_none", locale, self._desk().texts)

    def of_case(self, conn: Reader, sample: Sample, one: Drawn, locale: str) -> Sheet:
        """The scorecard of one case, with what was said in it."""
        own = self._desk().texts
        questions = tuple(self._question(criterion, locale) for criterion in sample.rubric.criteria)
        comment = Question(COMMENT, say("team_review_comment", locale, own), (), True, pulse.LONGEST_COMMENT)
        said = [
            (name or say(f"team_by_{kind}", locale, own), text[:LONGEST_SAID])
            for kind, name, text in store.transcript(conn, one.case_id)
        ]
        return Sheet(
            f"{REVIEW}:{sample.id}:{one.case_id}",
            say("team_review_title", locale, own, number=one.number or "–"),
            say("team_review_lead", locale, own),
            (*questions, comment),
            say("team_submit", locale, own),
            said,
        )

    def _question(self, one: Criterion, locale: str) -> Question:
        def mark(value: int) -> str:
            key = f"team_mark_{one.scale.replace('-', '_')}_{value}"
            return say(key, locale) if known(key) else str(value)

        options = [(str(value), mark(value)) for value in one.marks]
        options.append((NOT_APPLICABLE, say("team_mark_na", locale)))
        return Question(one.id, name_of(one, locale), tuple(options))


def is_strange(given: Mapping[str, str]) -> bool:
    """Whether the form of a label never offered that."""
    offered = ((KIND, LabelKind), (AREA, Area), (NEWEST, DONE))
    return any(given.get(name, "") not in {"", *of} for name, of in offered)


def area_of(given: Mapping[str, str]) -> Area | None:
    return Area(given[AREA]) if given.get(AREA) else None


def _meant(text: str) -> Mapping[str, str]:
    """What the id of a sheet says of the label that was shown; nothing where no sheet of ours has that id."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _shown(kind: str, area: str | None, locale: str, own: Texts) -> str:
    """A label in a few words: "Complaint · Service"."""
    named = [f"mend_kind_{kind}"] * bool(kind) + [f"mend_area_{area}"] * bool(area)
    return " · ".join(say(one, locale, own) for one in named)


def name_of(one: Criterion, locale: str) -> str:
    """A criterion in words: the desk's, or the built-in one's."""
    return one.name or say(f"team_criterion_{one.id}", locale)
