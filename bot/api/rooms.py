"""What the API asks of rooms that it must not import. `handoff/for_api.py` and `surveys/for_api.py` answer; `bot/app.py`
puts them together.

Cases, agents and responses come as plain dicts, with the keys of `shapes.py`; messages as `bot.model.Message`. Refusals are
the house's own (`bot/errors.py`); what names something that is not there is a LookupError, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bot.api.feed import Feed
from bot.api.store import Reader
from bot.model import Message, Occurred
from bot.outreach.telling import Notices
from bot.storage.engine import Storage
from bot.storage.tx import Tx

Shape = Mapping[str, Any]


class CaseRoom(Protocol):
    """Cases and agents. `agent` None leaves it to the holder, or to the auto-assign rule of `reply`."""

    def listed(self, conn: Reader, *, after: str | None, limit: int, **filters: str | None) -> list[Shape]: ...

    def one(self, conn: Reader, case_id: str) -> Shape | None: ...

    def live(self, conn: Reader, customer_id: str) -> str | None:
        """The id of the customer's live case."""

    def agents(self, conn: Reader) -> list[Shape]: ...

    def assign(self, tx: Tx, case_id: str, agent: str) -> Shape: ...

    def reply(self, tx: Tx, case_id: str, text: str, agent: str | None) -> Message: ...

    def note(self, tx: Tx, case_id: str, text: str, agent: str | None) -> Message: ...

    def errands(self, conn: Reader, case_id: str) -> list[Shape]:
        """What colleagues were asked for a case: open ones first."""

    def ask(self, tx: Tx, case_id: str, asked: Mapping[str, Any]) -> Shape:
        """Ask a team, or give a task: `asked` has `text`, `team` or `agent` and `due_at`, and `by`."""

    def answer(self, tx: Tx, case_id: str, errand_id: str, text: str, agent: str) -> Shape: ...

    def resolve(
        self, tx: Tx, case_id: str, outcome: str, topic: str | None, reason: str | None, agent: str | None
    ) -> Shape: ...


Occur = Callable[[Tx, str, str, Occurred], None]
"""(tx, customer id, the event's own id, event): `Inbox.occurred`."""


class SurveyRoom(Protocol):
    def responses(self, conn: Reader, *, after: str | None, limit: int) -> list[Shape]: ...

    def refusals(self, csv: str) -> list[tuple[int, str]]:
        """The rows of a file that can't be taken, as (line, why); empty: it can be imported."""

    def take_in(self, tx: Tx, csv: str) -> Shape:
        """Import a file without refusals, whole: `{"rows", "new"}`."""

    def as_csv(self, conn: Reader) -> str:
        """All answers, and what was said elsewhere."""

    def report(self, conn: Reader, since: str | None, until: str | None, by: str | None, where: Sequence[str]) -> Shape:
        """The whole report. Raises ValueError `name: what is wrong` for a time or dimension that is none."""


MadeReport = Callable[[Reader, str | None, str | None], Shape]
"""(conn, from, to), as people wrote them. Raises ValueError as `SurveyRoom.report` does."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything behind the API."""

    storage: Storage
    cases: CaseRoom
    surveys: SurveyRoom
    feed: Feed
    notices: Notices
    occurred: Occur = lambda *_: None
    reports: Mapping[str, MadeReport] = field(default_factory=dict)
    """By name, beside the surveys' own; what is to be mended, and the team."""
