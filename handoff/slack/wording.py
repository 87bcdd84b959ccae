"""The house's sentences in the agents' language. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bot.texts import Texts, known, moment, say
from channels.text import plain_to_mrkdwn
from handoff import terms

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


@dataclass(frozen=True, slots=True)
class Wording:
    """`wording("card_who")` is that sentence as this desk says it."""

    desk: Desk | None

    @property
    def locale(self) -> str:
        return terms.agents_locale(self.desk)

    def __call__(self, key: str, /, **values: object) -> str:
        own: Texts | None = terms.texts(self.desk)
        return say(key, self.locale, own, **values)

    def either(self, key: str, otherwise: str) -> str:
        """The sentence of a key that may not exist: a channel's name, an outcome."""
        return self(key) if known(key) else otherwise

    def date(self, at: datetime) -> str:
        """A moment in mrkdwn: each agent reads it in their own time zone, notifications in the desk's."""
        plain = plain_to_mrkdwn(moment(at, self.locale, terms.zone(self.desk))).replace("|", " ")
        return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{plain}>"

    def moment(self, at: datetime) -> str:
        """A moment in plain words, in the desk's time zone: where Slack takes no mrkdwn."""
        return moment(at, self.locale, terms.zone(self.desk))

    def clock(self, at: datetime) -> str:
        """The time of day of a moment soon to come, with seconds: for each reader in their own time zone."""
        there = at.astimezone(terms.zone(self.desk))
        return f"<!date^{int(at.timestamp())}^{{time_secs}}|{there:%H:%M:%S}>"

    def channel(self, name: str) -> str:
        return self.either(f"channel_{name}", name)
