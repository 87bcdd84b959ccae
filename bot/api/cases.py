"""Cases and agents: looking at them, and acting as an agent does. Nothing here waits for an undo window."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from bot.api import store
from bot.api.customers import cut, message_shape
from bot.api.once import write
from bot.api.rooms import Rooms, Shape
from bot.api.shapes import (
    Agents,
    AgentSaid,
    AgentShape,
    Assignment,
    CasePage,
    Cases,
    CaseShape,
    ErrandAnswer,
    ErrandAsked,
    Errands,
    ErrandShape,
    MessageShape,
    Nothing,
    Page,
    Resolution,
)
from bot.api.store import Reader
from bot.errors import NotFound
from bot.storage import customers
from bot.storage.tx import Tx


def router(rooms: Rooms) -> APIRouter:
    made = APIRouter(tags=["cases"])
    storage, cases = rooms.storage, rooms.cases

    @made.get("/cases")
    async def list_cases(page: Annotated[CasePage, Query()]) -> Cases:
        """Cases, oldest first."""

        def query(conn: Reader) -> list[CaseShape]:
            filters = page.model_dump(exclude={"after", "limit"})
            if page.customer is not None:  # an id from before a merge finds the customer that they are now
                who = customers.customer(conn, page.customer)
                filters["customer"] = who.id if who else page.customer
            return shapes(conn, cases.listed(conn, after=page.after, limit=page.limit + 1, **filters))

        found, more = cut(await storage.read(query), page.limit)
        return Cases(items=found, next=found[-1].id if more else None)

    @made.get("/cases/{case_id}")
    async def get_case(case_id: str, _: Annotated[Nothing, Query()]) -> CaseShape:
        """One case."""
        return await storage.read(lambda conn: known(conn, rooms, case_id))

    @made.post("/cases/{case_id}/assign", response_model=CaseShape)
    async def assign_case(case_id: str, to: Assignment, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """Give a case to an agent, whoever holds it now. The customer hears who it is."""

        def unit(tx: Tx) -> CaseShape:
            known(tx.conn, rooms, case_id)
            return shapes(tx.conn, [cases.assign(tx, case_id, to.agent)])[0]

        return await write(storage, request, 200, unit)

    @made.post("/cases/{case_id}/messages", status_code=201, response_model=MessageShape)
    async def reply(case_id: str, said: AgentSaid, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """The agent's answer to the customer, at once.

        Without `agent` it is the holder's; where nobody holds the case, that of the team's first available agent in the
        order of desk.yaml, to whom the case is given.
        """

        def unit(tx: Tx) -> MessageShape:
            known(tx.conn, rooms, case_id)
            return message_shape(cases.reply(tx, case_id, said.text, said.agent))

        return await write(storage, request, 201, unit)

    @made.post("/cases/{case_id}/notes", status_code=201, response_model=MessageShape)
    async def note(case_id: str, said: AgentSaid, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """A note in the case; the customer never sees it."""

        def unit(tx: Tx) -> MessageShape:
            known(tx.conn, rooms, case_id)
            return message_shape(cases.note(tx, case_id, said.text, said.agent))

        return await write(storage, request, 201, unit)

    @made.get("/cases/{case_id}/errands")
    async def list_errands(case_id: str, _: Annotated[Nothing, Query()]) -> Errands:
        """What colleagues were asked for a case: open ones first."""

        def query(conn: Reader) -> list[ErrandShape]:
            known(conn, rooms, case_id)
            return [ErrandShape(**one) for one in cases.errands(conn, case_id)]

        return Errands(items=await storage.read(query), next=None)

    @made.post("/cases/{case_id}/errands", status_code=201, response_model=ErrandShape)
    async def ask_errand(
        case_id: str, asked: ErrandAsked, _: Annotated[Nothing, Query()], request: Request
    ) -> Response:
        """Ask another team, or give an agent a task. What comes of it stands in the case as a note."""

        def unit(tx: Tx) -> ErrandShape:
            known(tx.conn, rooms, case_id)
            return ErrandShape(**cases.ask(tx, case_id, asked.model_dump()))

        return await write(storage, request, 201, unit)

    @made.post("/cases/{case_id}/errands/{errand_id}/answer", response_model=ErrandShape)
    async def answer_errand(
        case_id: str, errand_id: str, said: ErrandAnswer, _: Annotated[Nothing, Query()], request: Request
    ) -> Response:
        """An agent's answer, or what came of a task."""

        def unit(tx: Tx) -> ErrandShape:
            known(tx.conn, rooms, case_id)
            return ErrandShape(**cases.answer(tx, case_id, errand_id, said.text, said.agent))

        return await write(storage, request, 200, unit)

    @made.post("/cases/{case_id}/resolve", response_model=CaseShape)
    async def resolve(case_id: str, end: Resolution, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """End a case. The customer hears so, and is asked the one question as the desk says."""

        def unit(tx: Tx) -> CaseShape:
            known(tx.conn, rooms, case_id)
            ended = cases.resolve(tx, case_id, end.outcome, end.topic, end.reason, end.agent)
            return shapes(tx.conn, [ended])[0]

        return await write(storage, request, 200, unit)

    @made.get("/agents")
    async def list_agents(page: Annotated[Page, Query()]) -> Agents:
        """Agents, in the order of desk.yaml."""
        listed = [AgentShape(**one) for one in await storage.read(cases.agents)]
        ids = [one.id for one in listed]
        start = ids.index(page.after) + 1 if page.after in ids else (len(ids) if page.after else 0)
        found, more = cut(listed[start:], page.limit)
        return Agents(items=found, next=found[-1].id if more else None)

    return made


def known(conn: Reader, rooms: Rooms, case_id: str) -> CaseShape:
    """Raises NotFound."""
    found = rooms.cases.one(conn, case_id)
    if found is None:
        raise NotFound("there is no such case")
    return shapes(conn, [found])[0]


def shapes(conn: Reader, found: list[Shape]) -> list[CaseShape]:
    """Cases with the score that each was given."""
    scores = store.scores(conn, [one["id"] for one in found])
    return [CaseShape(**one, survey=scores.get(one["id"])) for one in found]
