"""Agents at both desks behind the same verbs: the web desk over its own HTTP, Slack with the real SDK and a stand-in.

Two agents, Ann and Bob, each with an account in Slack and a seat at the web desk. `DESKS` says who works where.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import bot
from handoff import store as cases
from handoff.case import Case
from handoff.errands import store as errands
from handoff.slack import store as threads
from handoff.web import sign_in
from tests.contracts.customers import Platform, standing
from tests.support.house import House

ROOM = "C1"
API_TOKEN = "an API token for tests"
DESKS = {"web": ("web", "web"), "slack": ("slack", "slack"), "both": ("slack", "web")}
"""Where Ann works, and where Bob does."""

AGENTS = """
agents:
  - {id: ann, name: Ann, team: support, role: agent, locales: [en, nl], slack: {team: T0001, user: UANN}}
  - {id: bob, name: Bob, team: support, role: agent, locales: [en], slack: {team: T0001, user: UBOB}}
"""
MARKS = {
    "hourglass_flowing_sand": "waiting",
    "white_check_mark": "sent",
    "lock": "note",
    "warning": "failed",
    "leftwards_arrow_with_hook": "taken_back",
}


@dataclass(frozen=True)
class View:
    """A case as its agent sees it. `card` is all words about it, `talk` its timeline in order, `notes` what stays inside."""

    card: str
    talk: tuple[str, ...]
    actions: frozenset[str]
    files: tuple[tuple[str, bytes], ...] = ()

    @property
    def words(self) -> str:
        return "\n".join([self.card, *self.talk])


@dataclass(frozen=True)
class Written:
    """What an agent wrote: the desk's own name of it."""

    case_id: str
    ref: Any
    text: str


class Seat:
    """One agent at one desk. A verb that is refused returns the words that the agent was told, else None."""

    def __init__(self, office: Office, name: str) -> None:
        self.office, self.house, self.name = office, office.house, name

    async def begins(self) -> None: ...

    async def sees(self, case_id: str) -> View | None:
        raise NotImplementedError

    async def claims(self, case_id: str) -> str | None:
        raise NotImplementedError

    async def writes(self, case_id: str, text: str) -> Written:
        """Plain words where answers are written, whoever it is."""
        raise NotImplementedError

    async def notes(self, case_id: str, text: str) -> None:
        raise NotImplementedError

    async def takes_back(self, written: Written) -> None:
        raise NotImplementedError

    async def asks_billing(self, case_id: str, text: str) -> None:
        """A question to another team, beside the case."""
        raise NotImplementedError

    async def answers_beside(self, case_id: str, text: str) -> None:
        """… and its answer, by this agent."""
        raise NotImplementedError

    async def resolves(self, case_id: str, outcome: str, topic: str = "", reason: str = "") -> str | None:
        raise NotImplementedError

    async def snoozes(self, case_id: str) -> str | None:
        """For an hour."""
        raise NotImplementedError

    async def passes_on(self, case_id: str, agent: str) -> str | None:
        raise NotImplementedError

    async def leaves_to_customer(self, case_id: str) -> str | None:
        raise NotImplementedError

    async def keeps_out(self, case_id: str, *, out: bool = True) -> str | None:
        """Blocks the customer, or lets them in again."""
        raise NotImplementedError

    async def sends_file(self, case_id: str, name: str, data: bytes) -> None:
        raise NotImplementedError

    async def mark(self, written: Written) -> str:
        """waiting | sent | failed | taken_back | note"""
        raise NotImplementedError


class WebSeat(Seat):
    async def begins(self) -> None:
        self.http = self.house.http(Origin=self.house.url)
        token = await self.house.app.storage.write(lambda tx: sign_in.invite(tx, self.name.lower()))
        answer = await self.http.post("/desk/join", data={"token": token})
        assert answer.status_code == 303, answer.text
        me = (await self.http.get("/desk/api/me")).json()
        assert me["agent"]["name"] == self.name
        self.http.headers["X-Stafett-CSRF"] = me["csrf"]

    async def _case(self, case_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/desk/api/cases/{case_id}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def sees(self, case_id: str) -> View | None:
        listed = [
            one["id"]
            for view in ("queue", "mine", "all", "resolved")
            for one in ((await self.http.get(f"/desk/api/cases?view={view}")).json().get("items") or ())
        ]
        if case_id not in listed:
            return None
        found = await self._case(case_id)
        row, brief = found["case"], found["brief"]
        card = [
            row["customer"]["name"],
            row["channel"],
            row["locale"],
            row["reason"],
            str(row["outcome"]),
            row["topic"],
        ]
        card += [
            f"waiting since {brief['since']}",
            str(row["agent"] and row["agent"]["name"]),
            brief["reason_code"],
            brief["reason"],
        ]
        card += [f"{name}: {value}" for name, value in brief["asked"]] + brief["tried"] + brief["summary"]
        talk = [
            f"{'🔒 ' if one['note'] else ''}{'(deleted)' if one['deleted'] else one['text']}"
            for one in found["messages"]
        ]
        actions = {"claim"} if row["status"] == "queued" and row["may_act"] else set()
        actions |= {"resolve"} if row["may_act"] else set()
        files = [
            (file["name"], (await self.http.get(f"/desk/files/{file['id']}?case={case_id}")).content)
            for one in found["messages"]
            for file in one["files"]
        ]
        return View("\n".join(map(str, card)), tuple(talk), frozenset(actions), tuple(files))

    async def _does(self, case_id: str, verb: str, **body: Any) -> Any:
        answer = await self.http.post(f"/desk/api/cases/{case_id}/{verb}", json=body)
        await self.office.rest()
        return answer

    async def claims(self, case_id: str) -> str | None:
        answer = await self._does(case_id, "claim")
        return None if answer.status_code == 200 else answer.text

    async def writes(self, case_id: str, text: str) -> Written:
        ref = str(uuid.uuid4())
        await self._does(case_id, "reply", text=text, ref=ref)
        return Written(case_id, ref, text)

    async def notes(self, case_id: str, text: str) -> None:
        (await self._does(case_id, "note", text=text, ref=str(uuid.uuid4()))).raise_for_status()

    async def takes_back(self, written: Written) -> None:
        (await self._does(written.case_id, "take-back", ref=written.ref)).raise_for_status()

    async def asks_billing(self, case_id: str, text: str) -> None:
        (await self._does(case_id, "consult", team="billing", text=text, ref=str(uuid.uuid4()))).raise_for_status()

    async def answers_beside(self, case_id: str, text: str) -> None:
        [errand] = (await self._case(case_id))["errands"]
        body = {"errand": errand["id"], "do": "answer", "text": text, "ref": str(uuid.uuid4())}
        (await self._does(case_id, "errand", **body)).raise_for_status()

    async def resolves(self, case_id: str, outcome: str, topic: str = "", reason: str = "") -> str | None:
        body = {"outcome": outcome, **({"topic": topic} if topic else {}), **({"reason": reason} if reason else {})}
        answer = await self._does(case_id, "resolve", **body)
        return None if answer.status_code == 200 else answer.text

    async def _told(self, case_id: str, verb: str, **body: Any) -> str | None:
        answer = await self._does(case_id, verb, **body)
        return None if answer.status_code == 200 else answer.text

    async def snoozes(self, case_id: str) -> str | None:
        until = self.house.app.clock() + timedelta(hours=1)
        return await self._told(case_id, "snooze", until=until.isoformat())

    async def passes_on(self, case_id: str, agent: str) -> str | None:
        return await self._told(case_id, "assign", agent=agent)

    async def leaves_to_customer(self, case_id: str) -> str | None:
        return await self._told(case_id, "await-customer")

    async def keeps_out(self, case_id: str, *, out: bool = True) -> str | None:
        return await self._told(case_id, "block" if out else "unblock")

    async def sends_file(self, case_id: str, name: str, data: bytes) -> None:
        answer = await self.http.post("/desk/files", files={"file": (name, data)})
        answer.raise_for_status()
        await self._does(case_id, "reply", text="", ref=str(uuid.uuid4()), files=[answer.json()["id"]])

    async def mark(self, written: Written) -> str:
        found = await self._case(written.case_id)
        relay = next((one for one in found["relays"] if written.ref in one["ref"]), None)
        if relay is not None:
            return str(relay["state"])
        said = next((one for one in found["messages"] if one["text"] == written.text), None)
        if said is None:
            return "nothing"
        return "note" if said["note"] else str((said["delivery"] or {}).get("state"))


class SlackSeat(Seat):
    async def begins(self) -> None:
        self.slack = self.office.platform.slack
        self.person = self.slack.person(f"U{self.name.upper()}", self.name)
        self.room = self.slack.channel(ROOM, members=[self.person])

    async def _root(self, case_id: str) -> str | None:
        known = await self.house.app.storage.read(lambda conn: threads.thread(conn, case_id))
        return known.root if known else None

    async def sees(self, case_id: str) -> View | None:
        root = await self._root(case_id)
        if root is None:
            return None
        card, *thread = self.room.thread(root)
        files = self.slack.space.files
        talk = tuple(f"{'🔒 ' if 'lock' in post.reactions else ''}{post.says}" for post in thread)
        named = {"Claim": "claim", "Resolve…": "resolve"}
        found = [(file["name"], files[file["id"]][1]) for post in thread for file in post.files]
        return View(card.says, talk, frozenset(named[one] for one in card.labels if one in named), tuple(found))

    async def claims(self, case_id: str) -> str | None:
        before = len(self.person.ephemerals)
        root = await self._root(case_id)
        assert root is not None
        await self.person.presses(ROOM, root, "Claim")
        await self.office.rest()
        told = self.person.ephemerals[before:]
        return told[-1].says if told else None

    async def writes(self, case_id: str, text: str) -> Written:
        post = await self.person.posts(ROOM, text, thread_ts=await self._root(case_id))
        await self.office.rest()
        return Written(case_id, post, text)

    async def notes(self, case_id: str, text: str) -> None:
        await self.writes(case_id, f"note: {text}")

    async def takes_back(self, written: Written) -> None:
        await self.person.reacts(ROOM, written.ref.ts, "leftwards_arrow_with_hook")
        await self.office.rest()

    async def asks_billing(self, case_id: str, text: str) -> None:
        root = await self._root(case_id)
        assert root is not None
        await self.person.presses(ROOM, root, "More…")
        await self.person.acts(await self.person.is_shown("More"), "Consult…")
        await self.person.submits(await self.person.is_shown("Ask a team"), {"to": "Billing", "text": text})
        await self.office.rest()

    async def answers_beside(self, case_id: str, text: str) -> None:
        """Below the card of the question: it stands in the room of all, for billing has none of its own here."""
        [errand] = await self.house.app.storage.read(lambda conn: errands.of_case(conn, case_id))
        assert errand.root is not None
        await self.person.posts(ROOM, text, thread_ts=errand.root)
        await self.office.rest()

    async def resolves(self, case_id: str, outcome: str, topic: str = "", reason: str = "") -> str | None:
        root = await self._root(case_id)
        assert root is not None
        await self.person.presses(ROOM, root, "Resolve…")
        view = await self.person.is_shown("Resolve")
        reply = await self.person.submits(view, {"outcome": outcome, "topic": topic, "reason": reason})
        await self.office.rest()
        errors = (reply or {}).get("errors")
        if errors:
            await self.person.closes(view)
        return str(errors) if errors else None

    async def _pressed(self, case_id: str, name: str) -> str | None:
        """A button of the card, which may open a form."""
        before, root = len(self.person.ephemerals), await self._root(case_id)
        assert root is not None
        await self.person.presses(ROOM, root, name)
        await self.office.rest()
        told = self.person.ephemerals[before:]
        return told[-1].says if told else None

    async def _filled(self, title: str, values: dict[str, Any]) -> str | None:
        reply = await self.person.submits(await self.person.is_shown(title), values)
        await self.office.rest()
        return str((reply or {}).get("errors") or "") or None

    async def snoozes(self, case_id: str) -> str | None:
        return await self._pressed(case_id, "Snooze…") or await self._filled("Put the case aside", {})

    async def passes_on(self, case_id: str, agent: str) -> str | None:
        return await self._pressed(case_id, "Transfer…") or await self._filled(
            "Pass the case on", {"to": f"agent:{agent}"}
        )

    async def leaves_to_customer(self, case_id: str) -> str | None:
        return await self._pressed(case_id, "Customer's turn")

    async def keeps_out(self, case_id: str, *, out: bool = True) -> str | None:
        await self._pressed(case_id, "More…")
        await self.person.acts(await self.person.is_shown("More"), "Block customer…" if out else "Let in again")
        await self.office.rest()
        if out:
            return await self._filled("Block the customer", {})
        view = self.person.view
        if view is not None:
            await self.person.closes(view)
        return None

    async def sends_file(self, case_id: str, name: str, data: bytes) -> None:
        await self.person.posts(ROOM, "", thread_ts=await self._root(case_id), files=[(name, "image/png", data)])
        await self.office.rest()

    async def mark(self, written: Written) -> str:
        given = self.room.post(written.ref.ts).reactions
        ours = [MARKS[name] for name, users in given.items() if name in MARKS and self.slack.bot_user in users]
        return " ".join(ours) or "nothing"


SEATS: dict[str, type[Seat]] = {"web": WebSeat, "slack": SlackSeat}


@dataclass
class Office:
    """The house, its customers' channels (web and Slack), and two agents."""

    key: str
    platform: Platform
    ann: Any = None
    bob: Any = None

    @property
    def house(self) -> House:
        return self.platform.house

    async def rest(self) -> None:
        """Until Slack has told everything and the house has done all that is due."""
        slack = self.platform.slack
        for _ in range(20):
            before = len(slack.log)
            await slack.settled()
            await self.house.settle()
            await slack.settled()
            if len(slack.log) == before:
                return
        raise AssertionError("no end")

    async def passes(self, seconds: float) -> None:
        await self.rest()
        await self.house.passes(seconds=seconds)
        await self.rest()

    async def queued(self, channel: str = "web") -> tuple[Any, str]:
        """A customer who asked where their order is, and then for a human; and their case."""
        kari = await self.platform.customer(channel)
        await kari.writes("where is my order?")
        await kari.writes("AB123456")
        await kari.writes("talk to a human")
        await self.rest()
        return kari, (await self.case_of(kari)).id

    async def taken(self, channel: str = "web") -> tuple[Any, str]:
        kari, case_id = await self.queued(channel)
        assert await self.ann.claims(case_id) is None
        return kari, case_id

    async def case_of(self, kari: Any) -> Case:
        who = await kari.id()
        found = await self.house.app.storage.read(lambda conn: cases.last_case(conn, who))
        assert found is not None
        return found

    async def case(self, case_id: str) -> Case:
        found = await self.house.app.storage.read(lambda conn: cases.case(conn, case_id))
        assert found is not None
        return found


@contextlib.asynccontextmanager
async def staffed(key: str, folder: Path) -> AsyncIterator[Office]:
    """An office with its desks: `DESKS[key]`. Customers may come by the web and by Slack."""
    desk = folder / "desk"
    shutil.copytree(Path(bot.__file__).parent / "demo_desk", desk)
    page = desk / "desk.yaml"
    page.write_text(re.sub(r"\nagents:\n(?:  - .*\n)+", AGENTS, page.read_text("utf-8")), "utf-8")
    more = {"slack_agent_channel": ROOM} if "slack" in DESKS[key] else {}
    async with standing(
        "web", folder, with_bot=True, with_slack=True, desk=desk, api_token=API_TOKEN, **more
    ) as platform:
        office = Office(key, platform)
        office.ann, office.bob = (
            SEATS[where](office, name) for where, name in zip(DESKS[key], ("Ann", "Bob"), strict=True)
        )
        for seat in (office.ann, office.bob):
            await seat.begins()
        yield office
        await asyncio.gather(*(one.http.aclose() for one in (office.ann, office.bob) if isinstance(one, WebSeat)))
