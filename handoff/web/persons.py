"""What agents do in the page about who the customer is, and whose turn: the same verbs as in Slack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.errors import Conflict, NotFound, StafettError
from bot.storage.tx import Tx
from handoff import cases, persons
from handoff.case import Case
from handoff.web.desk import NAME

LARGEST = 2**31 - 1


class NotThatOne(StafettError):
    """Of what was given, not of what the page shows: `code` is how the page says it in its agent's language."""

    def __init__(self, error: StafettError, code: str) -> None:
        super().__init__(str(error))
        self.code = code


def await_customer(case_id: str, agent_id: str, _body: Mapping[str, Any]) -> Callable[[Tx], dict[str, Any]]:
    return lambda tx: _moved(cases.await_customer(tx, case_id, agent_id, desk=NAME))


def block(case_id: str, agent_id: str, _body: Mapping[str, Any]) -> Callable[[Tx], dict[str, Any]]:
    return lambda tx: _moved(persons.block(tx, case_id, agent_id, desk=NAME))


def unblock(case_id: str, agent_id: str, _body: Mapping[str, Any]) -> Callable[[Tx], dict[str, Any]]:
    return lambda tx: _moved(persons.unblock(tx, case_id, agent_id, desk=NAME))


def merge(case_id: str, agent_id: str, body: Mapping[str, Any]) -> Callable[[Tx], dict[str, Any]]:
    """`number` is that of the other customer's case."""
    number = body.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= LARGEST:
        raise StafettError("number is that of the other case")

    def unit(tx: Tx) -> dict[str, Any]:
        try:
            return _moved(persons.merge(tx, case_id, agent_id, number, desk=NAME))
        except (Conflict, NotFound) as error:
            raise NotThatOne(error, "no_case" if isinstance(error, NotFound) else "same_customer") from error

    return unit


def part(case_id: str, agent_id: str, _body: Mapping[str, Any]) -> Callable[[Tx], dict[str, Any]]:
    def unit(tx: Tx) -> dict[str, Any]:
        try:
            return _moved(persons.part(tx, case_id, agent_id, desk=NAME))
        except NotFound as error:
            raise NotThatOne(error, "too_late_to_part") from error

    return unit


VERBS = {"await-customer": await_customer, "block": block, "unblock": unblock, "merge": merge, "part": part}


def _moved(case: Case) -> dict[str, Any]:
    return {"id": case.id, "status": str(case.status)}
