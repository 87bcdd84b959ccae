"""Who in the bot does what in a turn: commands and buttons, then rules, then flows, then articles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bot import flows, timers
from bot.answers import dialogue as articles
from bot.answers import polite
from bot.answers.decide import Thresholds
from bot.answers.searcher import Searcher
from bot.desk_folder import Desk
from bot.dialogue import by_articles, by_flow, commands, signals, speaking
from bot.dialogue.talk import Bot, CaseNoun, Cases, Talk, begin, remember
from bot.model import BOT, HELD, Answered, Body, CaseStatus, Occurred
from bot.outbox import say as send
from bot.storage import customers, history
from bot.storage.tx import Tx
from bot.texts import say
from bot.turn import Turn


class Dialogue:
    """`take` is the taker; `timed_out` rings for flows that wait; `release` runs parked turns again (the inbox's).

    `model`: whether a language model is set up.
    """

    def __init__(
        self,
        desk: Callable[[], Desk],
        cases: Cases,
        searcher: Searcher,
        release: Callable[[str], None],
        thresholds: Thresholds | None = None,
        *,
        model: bool = False,
    ) -> None:
        self._bot = Bot(desk, cases, searcher, release, thresholds, model=model)

    def take(self, turn: Turn) -> bool:
        if turn.message is not None and (self._only_polite(turn) or self._is_spent(turn)):
            return True
        if isinstance(turn.happening, Occurred) and not self._is_awaited(turn, turn.happening.name):
            return True
        case = self._case_of(turn)
        if case is None:
            return True
        if turn.message is not None:
            turn.message = history.put_in_case(turn.tx, turn.message, case.id)
        talk = begin(self._bot, turn, case)
        if self._is_behind(talk):
            return True
        if speaking.follow(talk):
            remember(talk)
            return True
        before = commands.take(talk) or commands.press(talk) or signals.hear(talk)
        _ = before or by_flow.take(talk) or by_articles.take(talk)
        signals.offer(talk)
        remember(talk)
        return True

    def while_queued(self, turn: Turn) -> bool:
        """A question of a flow that goes on while the case waits (`on: no_agent`, say "where can we write you?"), a language
        that they name, and all of the bot for who chose to go on with it meanwhile.

        A taker before the people's: it may say the next line, and leaves the message to them all the same.
        """
        case = self._bot.cases.live(turn.tx, turn.customer.id)
        if case is None or case.status is not CaseStatus.QUEUED:
            return False
        if turn.message is None:
            return self._is_for_flow(begin(self._bot, turn, case))
        if turn.pressed is not None and not commands.is_ours(turn.pressed):
            return False
        talk = begin(self._bot, turn, case)
        asked = talk.flow.waiting == "ask"
        if commands.choose_language(talk) or (asked and by_flow.take(talk)) or self._goes_on(talk):
            remember(talk)
        if self._bot.cases.live(turn.tx, turn.customer.id) is None:  # the bot has helped: nobody need come any more
            turn.message = history.put_in_case(turn.tx, turn.message, case.id)
            return True
        return turn.park_for is not None  # run again when the words are there: the people hear it then, once

    def _is_for_flow(self, talk: Talk) -> bool:
        """What a flow that goes on while they wait has waited for: an event, or a connector's answer (until it is heard, what
        they say is parked). No event begins a flow while people are on their way: they are told of it.
        """
        flow, happening = talk.flow, talk.turn.happening
        if isinstance(happening, Occurred):
            heard = flow.waiting == "wait" and by_flow.hear_event(talk, happening)
        else:
            answered = talk.turn.answered
            heard = answered is not None and flow.call_token == answered.token and by_flow.take(talk)
        if heard:
            remember(talk)
        return heard

    def _goes_on(self, talk: Talk) -> bool:
        """Who waits in the queue, and talks with the bot meanwhile: about the waiting itself the people's room answers."""
        if not self._bot.cases.talks_with_bot(talk.tx, talk.customer_id):
            return False
        return commands.press(talk) or by_flow.take(talk) or by_articles.take(talk)

    def timed_out(self, tx: Tx, timer: timers.Timer) -> None:
        """A flow has waited long enough (timer kind "flow"): also one that goes on while they wait for people, or that has
        ended its case. Where a person holds the case nothing is said over them.
        """
        who = customers.customer(tx.conn, timer.customer_id or "")
        where = customers.reply_identity(tx.conn, who.id) if who else None
        case = self._case_of_flow(tx, who.id) if who else None
        if who is None or where is None or case is None or case.status in HELD:
            return
        turn = Turn(tx, who, where, Answered(timer.data["token"], "timeout"), None)
        talk = begin(self._bot, turn, case)
        by_flow.run(talk, flows.TimedOut(timer.data["token"]))
        if talk.missing:  # there is no turn to park: the timer rings again
            again = tx.now + timedelta(seconds=2)
            timers.set_timer(tx, "flow", timer.key, again, customer_id=who.id, case_id=case.id, data=timer.data)
            return
        remember(talk)

    def _case_of(self, turn: Turn) -> CaseNoun | None:
        """The case of this turn. What another system tells late neither opens nor reopens one where a flow waits that has ended
        its case: that hears it in that case. A connector's answer for which nobody waits is nobody's.
        """
        cases, tx, who = self._bot.cases, turn.tx, turn.customer.id
        if turn.message is None and (turn.answered is not None or self._waits_after_close(tx, who)):
            return self._case_of_flow(tx, who)
        return cases.ensure_open(tx, who, turn.identity.channel)

    def _case_of_flow(self, tx: Tx, customer_id: str) -> CaseNoun | None:
        """The case in which the bot talks, or talked last, with them; None where there is a newer one."""
        last = self._bot.cases.last(tx, customer_id)
        state = customers.talk(tx, customer_id).bot_state
        return last if last is not None and state.get("case") == last.id else None

    def _waits_after_close(self, tx: Tx, customer_id: str) -> bool:
        """Whether a flow of theirs that has ended its case waits for something to happen."""
        if self._bot.cases.live(tx, customer_id) is not None or self._case_of_flow(tx, customer_id) is None:
            return False
        state = customers.talk(tx, customer_id).bot_state
        return flows.FlowState.from_json(state.get("flow") or {}).waiting == "wait"

    def _is_awaited(self, turn: Turn, event: str) -> bool:
        """Whether a flow begins with this, or may be waiting for it: what nobody awaits must not open a case."""
        if self._bot.desk().begins_a_flow(event) or self._bot.cases.live(turn.tx, turn.customer.id) is not None:
            return True
        return self._waits_after_close(turn.tx, turn.customer.id)

    def _is_behind(self, talk: Talk) -> bool:
        """An earlier message of theirs waits for its language's words: this one waits behind it, unless for a human."""
        words = talk.words
        there = not words or (self._bot.searcher.ready(words) and talk.can_tell_languages())
        if there or talk.turn.command in {"human", "agent"}:
            return False
        if talk.turn.pressed is None and flows.asks_for_human(talk.desk, talk.turn.text):
            return False
        talk.park_for_words(words)
        return True

    def _is_spent(self, turn: Turn) -> bool:
        """A button of what ended with its case (a second tap on "Yes, thanks"): it neither reopens a case nor opens one."""
        pressed, cases = turn.pressed, self._bot.cases
        if pressed is None or cases.live(turn.tx, turn.customer.id) is not None:
            return False
        could_go_on = cases.recently_resolved(turn.tx, turn.customer.id)
        state = customers.talk(turn.tx, turn.customer.id).bot_state if could_go_on else {}
        if not commands.is_spent(pressed, state, self._bot.desk()):
            return False
        if not articles.event_of(pressed.value):
            text = say("already_answered", turn.customer.locale, self._bot.desk().texts)
            send(turn.tx, turn.customer.id, Body(text=text), author=BOT)
        return True

    def _only_polite(self, turn: Turn) -> bool:
        """A "thanks!" or a thumb up after the end neither reopens a case nor opens one."""
        if turn.pressed or (turn.message and turn.message.body.files):
            return False
        if self._bot.cases.live(turn.tx, turn.customer.id) is not None:
            return False
        kind = polite.kind_of(turn.text, turn.customer.locale, self._bot.desk().texts)
        if kind is None or not self._bot.cases.recently_resolved(turn.tx, turn.customer.id):
            return False
        if kind != "emoji":
            text = say(f"kb_{kind}", turn.customer.locale, self._bot.desk().texts)
            send(turn.tx, turn.customer.id, Body(text=text), author=BOT)
        return True
