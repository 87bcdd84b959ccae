"""Who is an agent in Slack: asked anew at every act, and nobody where Slack can't say (S37).

Listed in desk.yaml by (team id, user id), or a member of a user group that desk.yaml names for a team; where it does neither,
the full members of our workspace who are in the team's channel. Guests, bots, people of other workspaces and deactivated accounts
never are, listed or not.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
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
NO_GROUPS: Mapping[str, Collection[str]] = {}


@dataclass(frozen=True, slots=True)
class Who:
    """An agent who acts. `listed`: by desk.yaml; else known by a user group or the channel alone.

    `team` is the one whose user group they are in. `tz` is an IANA name, or empty.
    """

    agent_id: str
    name: str
    user: str
    account: str  # "{team}:{user}"
    listed: bool
    tz: str = ""
    team: str | None = None


def authorised(
    person: SlackUser,
    listed: Sequence[Agent],
    members: Collection[str],
    groups: Mapping[str, Collection[str]] = NO_GROUPS,
) -> Who | None:
    """The agent that this person is, or None. `members` are ids of who is in the channel, `groups` of whom each team's user
    group has. Where anybody is listed, or a team has a group, the channel makes nobody an agent.
    """
    if not person.is_member:
        return None
    account = f"{person.team}:{person.id}"
    by_name = [one for one in listed if one.slack is not None]
    mine = (one for one in by_name if one.slack and (one.slack.team, one.slack.user) == (person.team, person.id))
    agent = next(mine, None)
    if agent is not None:
        return Who(agent.id, agent.name, person.id, account, listed=True, tz=person.tz)
    team = next((one for one, theirs in groups.items() if person.id in theirs), None)
    if team is None and (by_name or groups or person.id not in members):
        return None
    name = one_line(person.name, 60) or person.id
    return Who(f"slack:{account}", name, person.id, account, listed=False, tz=person.tz, team=team)


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
    """Whoever is an agent only by their group or channel becomes one that the house knows. Where they act in no team's channel
    (their Home, a direct message) they stay in the team that they were in.
    """
    if not who.listed:
        here = (one.id for one in terms.teams(desk) if one.slack_channel == channel)
        team = who.team or next(here, None)
        store.remember_agent(tx, who.agent_id, name=who.name, team=team, slack_user=who.account)


class Agents:
    def __init__(self, connection: SlackConnection, desk: Callable[[], Desk]) -> None:
        self._connection = connection
        self._desk = desk
        self._members: dict[str, tuple[float, frozenset[str]]] = {}

    async def who(self, team: str, user: str, channel: str) -> Who | None:
        """The agent behind a Slack account; None: not one. Raises NotSent … where Slack can't be asked."""
        person = await self._connection.user(team, user)
        desk = self._desk()
        listed = terms.listed_agents(desk)
        groups = {one.id: one.slack_group for one in terms.teams(desk) if one.slack_group}
        known = authorised(person, listed, ())
        if known is not None or not person.is_member:
            return known
        if groups:
            return authorised(
                person, listed, (), {team: await self._in_group(one, user) for team, one in groups.items()}
            )
        if any(one.slack for one in listed):
            return None
        return authorised(person, listed, await self._in_channel(channel, user))

    async def anywhere(self, team: str, user: str, channels: Collection[str]) -> Who | None:
        """The agent behind a Slack account, by whichever of these channels makes them one. Raises as `who` does."""
        for channel in channels:
            found = await self.who(team, user, channel)
            if found is not None:
                return found
        return None

    async def _in_channel(self, channel: str, user: str) -> frozenset[str]:
        return await self._members_of(channel, user, self._ask_channel)

    async def _in_group(self, group: str, user: str) -> frozenset[str]:
        return await self._members_of(group, user, self._ask_group)

    async def _members_of(
        self, place: str, user: str, ask: Callable[[str], Awaitable[frozenset[str]]]
    ) -> frozenset[str]:
        at, known = self._members.get(place, (float("-inf"), frozenset()))
        age = time.monotonic() - at
        if age > FRESH or (user not in known and age > AGAIN):
            known = await ask(place)
            self._members[place] = (time.monotonic(), known)
        return known

    async def _ask_group(self, group: str) -> frozenset[str]:
        found = await self._connection.call("usergroups.users.list", usergroup=group)
        return frozenset(str(one) for one in found.get("users") or ())

    async def _ask_channel(self, channel: str) -> frozenset[str]:
        found: list[str] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self._connection.call("conversations.members", channel=channel, limit=1000, cursor=cursor)
            found += [str(one) for one in page.get("members") or ()]
            cursor = str(mapping(page.get("response_metadata")).get("next_cursor") or "") or None
            if cursor is None:
                break
        return frozenset(found)
