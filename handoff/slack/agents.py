"""Who is an agent in Slack: asked anew at every act, and nobody where Slack can't say (S37).

Listed in desk.yaml by (team id, user id); where nobody is listed so, the full members of our workspace who are in the
team's channel. Guests, bots, people of other workspaces and deactivated accounts never are, listed or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from bot.storage.tx import Tx
from channels.slack.connection import SlackConnection
from channels.slack.payloads import SlackUser, mapping
from channels.text import one_line
from handoff import store, terms

if TYPE_CHECKING:
    from bot.desk_folder.desk import Agent, Desk

FRESH = 60.0  # seconds that a channel's members are believed
AGAIN = 2.0  # … for somebody who is not among them: they may just have joined
PAGES = 10  # of 1,000 members


@dataclass(frozen=True, slots=True)
class Who:
    """An agent who acts. `listed`: by desk.yaml; else known by the channel alone. `tz` is an IANA name, or empty."""

    agent_id: str
    name: str
    user: str
    account: str  # "{team}:{user}"
    listed: bool
    tz: str = ""


def authorised(person: SlackUser, listed: Sequence[Agent], members: Collection[str]) -> Who | None:
    """The agent that this person is, or None. `members` are ids of who is in the channel."""
    if not person.is_member:
        return None
    account = f"{person.team}:{person.id}"
    by_name = [one for one in listed if one.slack is not None]
    if by_name:
        mine = (one for one in by_name if one.slack and (one.slack.team, one.slack.user) == (person.team, person.id))
        agent = next(mine, None)
        return Who(agent.id, agent.name, person.id, account, listed=True, tz=person.tz) if agent else None
    if person.id not in members:
        return None
    return Who(
        f"slack:{account}", one_line(person.name, 60) or person.id, person.id, account, listed=False, tz=person.tz
    )


def zone_of(who: Who, desk: Desk | None) -> tzinfo:
    """The agent's own time zone, as Slack tells it; else the desk's."""
    try:
        return ZoneInfo(who.tz) if who.tz else terms.zone(desk)
    except (ValueError, LookupError, OSError):
        return terms.zone(desk)


def user_of(agent_id: str, desk: Desk | None) -> str | None:
    """The id of an agent's account in Slack; None where they have none."""
    listed = next((one.slack for one in terms.listed_agents(desk) if one.id == agent_id and one.slack), None)
    if listed is not None:
        return listed.user
    _, _, account = agent_id.partition("slack:")
    return account.partition(":")[2] or None


def remember(tx: Tx, who: Who, desk: Desk | None, channel: str) -> None:
    """Whoever is an agent only by their channel becomes one that the house knows."""
    if not who.listed:
        team = next((one.id for one in terms.teams(desk) if one.slack_channel == channel), terms.default_team(desk))
        store.remember_agent(tx, who.agent_id, name=who.name, team=team, slack_user=who.account)


class Agents:
    def __init__(self, connection: SlackConnection, desk: Callable[[], Desk]) -> None:
        self._connection = connection
        self._desk = desk
        self._members: dict[str, tuple[float, frozenset[str]]] = {}

    async def who(self, team: str, user: str, channel: str) -> Who | None:
        """The agent behind a Slack account; None: not one. Raises NotSent … where Slack can't be asked."""
        person = await self._connection.user(team, user)
        listed = terms.listed_agents(self._desk())
        if not person.is_member or any(one.slack for one in listed):
            return authorised(person, listed, ())
        return authorised(person, listed, await self._in_channel(channel, user))

    async def anywhere(self, team: str, user: str, channels: Collection[str]) -> Who | None:
        """The agent behind a Slack account, by whichever of these channels makes them one. Raises as `who` does."""
        for channel in channels:
            found = await self.who(team, user, channel)
            if found is not None:
                return found
        return None

    async def _in_channel(self, channel: str, user: str) -> frozenset[str]:
        at, known = self._members.get(channel, (float("-inf"), frozenset()))
        age = time.monotonic() - at
        if age > FRESH or (user not in known and age > AGAIN):
            known = await self._ask(channel)
            self._members[channel] = (time.monotonic(), known)
        return known

    async def _ask(self, channel: str) -> frozenset[str]:
        found: list[str] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self._connection.call("conversations.members", channel=channel, limit=1000, cursor=cursor)
            found += [str(one) for one in page.get("members") or ()]
            cursor = str(mapping(page.get("response_metadata")).get("next_cursor") or "") or None
            if cursor is None:
                break
        return frozenset(found)
