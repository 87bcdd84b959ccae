"""desk.yaml, section by section: strictly read, each fault at its place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import time, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.answers.decide import Thresholds
from bot.desk_folder import asking, inward, outward, staff
from bot.desk_folder.desk import (
    REACTIONS,
    Agent,
    Connector,
    Escalation,
    Interrupt,
    ModelLimits,
    Privacy,
    Rollout,
    Routing,
    Sla,
    SlackAccount,
    Table,
    Team,
    Versions,
    Webhook,
)
from bot.desk_folder.files import Folder
from bot.desk_folder.tables import table
from bot.flows.load import phrases
from bot.flows.schema import OUTCOMES
from bot.flows.source import Node, Reader, nearest
from bot.staffing.holidays import DaysOff
from bot.staffing.hours import DAYS, Week
from bot.texts import canonical, known

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ESCALATION_KEYS = ("team", "queue_updates", "silence", "idle", "nudge", "give_up", "rules")
TEAM_KEYS = (
    "id",
    "name",
    "slack_channel",
    "slack_group",
    "opening_hours",
    "holidays",
    "timezone",
    "locales",
    "skills",
    "capacity",
    "overflow",
)
AGENT_KEYS = ("id", "name", "team", "role", "locales", "skills", "slack", "capacity")
ANSWERS_KEYS = ("sure", "unsure")
DIGEST_KEYS = ("day", "at", "slack_channel")
NOTICE_KEYS = ("quiet_hours", "per_minute", "campaign_every")
VERSION_KEYS = ("pin_days", "kill", "rollout")
ROLLOUT_KEYS = ("share", "before")
_HASH = re.compile(r"[0-9a-f]{16}\Z")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)\s*%\Z")
MODEL_KEYS = ("tokens_per_day", "tokens_per_customer", "timeout", "summaries")
DOES = ("escalate", "restart", "cancel", "back", "language")
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}\Z")
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*\Z")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])\Z")
_SPAN = re.compile(r"\s*([0-9:]+)\s*[-–]\s*([0-9:]+)\s*\Z")
_PLACE = re.compile(r"\{\{\s*([A-Za-z_][\w.]*)\s*\}\}")
_SECRET = re.compile(r"\$\{([^}]*)\}")
_SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]*\Z")
REACTING = ("claim", "resolve", "release", "await")
"""What a reaction in Slack can do: that which needs no form."""

_EMOJI = re.compile(r"[a-z0-9_+'\-]{1,100}\Z")
_IN_PERCENT = (1.0, 100.0, ", in percent")
_TARGETS: Mapping[str, tuple[float, float, str]] = {
    "ces": (1, 7, ""),
    "nps": (-100, 100, ""),
    **dict.fromkeys(("csat", "fcr", "containment"), _IN_PERCENT),
}
"""Target → lowest, highest, and its unit."""
_DORMANT = ("privacy",)
"""Sections that are read and kept, but on which this version does not act."""

Built = dict[str, Any]


class Settings:
    """Reads desk.yaml's root into the fields of `Desk`."""

    def __init__(self, reader: Reader, folder: Folder) -> None:
        self.reader = reader
        self.folder = folder
        self.locales: tuple[str, ...] = ("en",)
        self.teams: tuple[str, ...] = ()

    def read(self, root: Node) -> Built:
        found = self.reader.entries(root, ("schema", *_SECTIONS), "desk.yaml", ("schema",))
        if "schema" in found and found["schema"].value != 1:
            self.reader.wrong(found["schema"], "schema must be 1")
        built: Built = {}
        for key, (field, read) in _SECTIONS.items():
            if key in found:
                value = read(self, found[key])
                if value is not None:
                    built[field] = value
            if key in _DORMANT and key in found:
                self.reader.warn(
                    root.keys[key], f'"{key}" is read and kept, but this version does not act on it yet', "not-yet"
                )
        self.check_references(found)
        return built

    # ── who and where ──
    def name(self, node: Node) -> str | None:
        return self.reader.text(node, "name")

    def languages(self, node: Node) -> tuple[str, ...]:
        locales: list[str] = []
        for one in self.reader.items(node, "locales"):
            raw = self.reader.text(one, "a locale")
            if raw is not None and not _LOCALE.match(raw):
                self.reader.fault(one, f'"{raw}" is no language; write en, nl, nb, he …', "locale")
            elif raw is not None and canonical(raw) in locales:
                self.reader.fault(one, f'the language "{canonical(raw)}" stands here twice', "duplicate")
            elif raw is not None:
                locales.append(canonical(raw))
        if node.kind == "list" and not node.items:
            self.reader.fault(node, "locales are empty; name at least one", "value")
        self.locales = tuple(locales) or ("en",)
        return self.locales

    def zone(self, node: Node) -> str | None:
        raw = self.reader.text(node, "timezone")
        if raw is None:
            return None
        try:
            ZoneInfo(raw)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            from zoneinfo import available_timezones

            hint = nearest(raw, available_timezones()) or "; write a place such as Europe/Amsterdam"
            self.reader.fault(node, f'timezone: unknown "{raw}"{hint}', "value")
            return None
        return raw

    def week(self, node: Node, what: str = "opening_hours") -> Week | None:
        """`always` (None), or spans by day: `mon: "09:00-17:00"`, `mon-fri: ["9:00-12:00", "13:00-17:00"]`, `sat: closed`."""
        if node.kind == "scalar" and node.raw == "always":
            return None
        if node.kind != "map":
            self.reader.wrong(node, f'{what} must be "always", or hours by day')
            return None
        week: dict[str, tuple[tuple[time, time], ...]] = {}
        for key, body in node.entries.items():
            days = self._days(key)
            if not days:
                self.reader.fault(node.keys[key], f'{what}: unknown day "{key}"{nearest(key, DAYS)}', "value")
            spans = self._spans(body, what)
            week.update(dict.fromkeys(days, spans))
        return week

    def _days(self, key: str) -> tuple[str, ...]:
        first, dash, last = (part.strip()[:3].lower() for part in key.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            return ()
        if not dash:
            return (first,)
        begin, end = DAYS.index(first), DAYS.index(last)
        return DAYS[begin : end + 1] if begin <= end else (*DAYS[begin:], *DAYS[: end + 1])

    def _spans(self, node: Node, what: str) -> tuple[tuple[time, time], ...]:
        if node.kind == "scalar" and node.raw == "closed":
            return ()
        spans = []
        for one in node.items if node.kind == "list" else [node]:
            span = self.hours(one)
            if span is None:
                self.reader.wrong(one, f'{what}: write a span such as "09:00-17:00", or closed')
            else:
                spans.append(span)
        return tuple(spans)

    def hours(self, node: Node) -> tuple[time, time] | None:
        match = _SPAN.match(node.raw) if node.kind == "scalar" else None
        clocks = [_CLOCK.match(one) for one in match.groups()] if match else []
        if not clocks or not all(clocks):
            return None
        begin, end = ((int(one[1]), int(one[2])) for one in clocks if one)
        if begin > (23, 59) or end > (24, 0):
            return None
        return time(*begin), time(end[0] % 24, end[1])

    def holidays(self, node: Node) -> DaysOff:
        return staff.days_off(node, self.reader)

    # ── people ──
    def read_teams(self, node: Node) -> tuple[Team, ...]:
        teams = []
        for one, found, team_id in self._listed(node, "team", TEAM_KEYS):
            name = self.reader.text(found["name"], "name") if "name" in found else None
            channel = self._channel(found["slack_channel"]) if "slack_channel" in found else None
            hours = self.week(found["opening_hours"]) if "opening_hours" in found else None
            holidays = self.holidays(found["holidays"]) if "holidays" in found else None
            zone = self.zone(found["timezone"]) if "timezone" in found else None
            locales = self.reader.texts(found["locales"], "locales") if "locales" in found else ()
            if name is None:
                self.reader.fault(
                    one, f'the team "{team_id}" has no name', "missing-key"
                ) if "name" not in found else None
                continue
            teams.append(
                Team(
                    team_id,
                    name,
                    channel,
                    hours,
                    holidays,
                    zone,
                    tuple(canonical(locale) for locale in locales),
                    self.reader.texts(found["skills"], "skills") if "skills" in found else (),
                    staff.capacity(found["capacity"], self.reader) if "capacity" in found else None,
                    self.reader.text(found["overflow"], "overflow") if "overflow" in found else None,
                    self._group(found["slack_group"]) if "slack_group" in found else None,
                )
            )
        self.teams = tuple(team.id for team in teams)
        return tuple(teams)

    def read_agents(self, node: Node) -> tuple[Agent, ...]:
        agents = []
        for one, found, agent_id in self._listed(node, "agent", AGENT_KEYS):
            if "name" not in found:
                self.reader.fault(one, f'the agent "{agent_id}" has no name', "missing-key")
            locales = self.reader.texts(found["locales"], "locales") if "locales" in found else ()
            agents.append(
                Agent(
                    agent_id,
                    (self.reader.text(found["name"], "name") if "name" in found else None) or agent_id,
                    self.reader.text(found["team"], "team") if "team" in found else None,
                    (self.reader.one_of(found["role"], ("agent", "lead", "admin"), "role") if "role" in found else None)
                    or "agent",
                    tuple(canonical(locale) for locale in locales),
                    self.reader.texts(found["skills"], "skills") if "skills" in found else (),
                    self._slack(found["slack"]) if "slack" in found else None,
                    staff.capacity(found["capacity"], self.reader) if "capacity" in found else None,
                )
            )
        return tuple(agents)

    def _slack(self, node: Node) -> SlackAccount | None:
        found = self.reader.entries(node, ("team", "user"), "slack", ("team", "user"))
        team = self.reader.text(found["team"], "slack: team") if "team" in found else None
        user = self.reader.text(found["user"], "slack: user") if "user" in found else None
        return SlackAccount(team, user) if team and user else None

    def _listed(self, node: Node, what: str, keys: tuple[str, ...]) -> list[tuple[Node, dict[str, Node], str]]:
        """The entries of a list whose members have an id of their own."""
        listed, ids = [], set()
        for one in self.reader.items(node, f"{what}s"):
            found = self.reader.entries(one, keys, what, ("id",))
            member = self.reader.text(found["id"], "id") if "id" in found else None
            if member is None:
                continue
            if not _ID.match(member):
                self.reader.fault(
                    found["id"], f'"{member}" is no id: a letter, then letters, digits, _ . or -', "value"
                )
            if member in ids:
                self.reader.fault(found["id"], f'the {what} "{member}" stands here twice', "duplicate")
                continue
            ids.add(member)
            listed.append((one, found, member))
        return listed

    # ── connectors ──
    def read_connectors(self, node: Node) -> dict[str, Connector | Table]:
        connectors: dict[str, Connector | Table] = {}
        for name, body in self.reader.entries(node, None, "connectors").items():
            if body.kind == "map" and "table" in body.entries:
                one: Connector | Table | None = table(name, body, self.reader, self.folder)
            else:
                one = self._connector(name, body)
            if one is not None:
                connectors[name] = one
        return connectors

    def _connector(self, name: str, node: Node) -> Connector | None:
        what = f'connector "{name}"'
        found = self.reader.entries(node, ("method", "url", "headers", "body"), what, ("url",))
        method = self.reader.one_of(found["method"], METHODS, f"{what}: method") if "method" in found else "GET"
        url = self.reader.text(found["url"], f"{what}: url") if "url" in found else None
        if url is not None and not self._is_address(found["url"], url):
            url = None
        headers = {}
        named = self.reader.entries(found["headers"], None, f"{what}: headers") if "headers" in found else {}
        for header, value in named.items():
            headers[header] = self.reader.text(value, f"{what}: {header}") or ""
        for part in ("url", "headers", "body"):
            if part in found:
                self._secrets(found[part])
        body = found["body"].content() if "body" in found else None
        return Connector(name, method, url, headers, body) if method and url else None

    def _is_address(self, node: Node, url: str) -> bool:
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            host, parts = "", urlsplit("")
        if parts.scheme not in {"http", "https"} or not host:
            self.reader.wrong(node, "a connector's url must begin with https:// (or http://) and a host")
            return False
        if any(mark in parts.netloc for mark in "{}$"):
            self.reader.fault(
                node, "the host of a connector must be written out: customers' words never choose it", "value"
            )
            return False
        return True

    def _secrets(self, node: Node) -> None:
        for one in (*node.items, *node.entries.values()):
            self._secrets(one)
        for secret in _SECRET.findall(node.raw) if node.kind == "scalar" else ():
            if not _SECRET_NAME.match(secret):
                self.reader.fault(node, f'"${{{secret}}}" is no secret\'s name: capitals, digits and _', "value")

    # ── the bot and its people ──
    def read_interrupts(self, node: Node) -> tuple[Interrupt, ...]:
        interrupts = []
        for one, found, name in self._listed(node, "interrupt", ("id", "run", "do", "phrases")):
            run = self.reader.text(found["run"], "run") if "run" in found else None
            do = self.reader.one_of(found["do"], DOES, "do") if "do" in found else None
            if "run" in found and "do" in found:
                self.reader.fault(one, f'the interrupt "{name}" has run and do; write one', "value")
            if "phrases" not in found:
                self.reader.fault(one, f'the interrupt "{name}" has no phrases', "missing-key")
            if name == "human" and "run" not in found:
                self.reader.fault(
                    one, 'the interrupt "human" has no flow: no path leads to a human; add run: handoff', "no-human"
                )
            elif "run" not in found and "do" not in found:
                self.reader.fault(
                    one,
                    f'the interrupt "{name}" does nothing; add run: a flow, or do: one of {", ".join(DOES)}',
                    "missing-key",
                )
            said = (
                phrases(
                    found["phrases"],
                    self.reader,
                    self.locales,
                    f'interrupt "{name}"',
                    must=not known(f"words_{name}"),  # a language that is missing there has the words of that list
                )
                if "phrases" in found
                else {}
            )
            interrupts.append(Interrupt(name, said, run, do))
        return tuple(interrupts)

    def read_escalation(self, node: Node) -> Escalation:
        found = self.reader.entries(node, ESCALATION_KEYS, "escalation")
        team = self.reader.text(found["team"], "team") if "team" in found else None
        spans: Built = {
            key: self.reader.span(found[key], key) for key in ("queue_updates", "silence", "idle") if key in found
        }
        ends: Built = {
            key: staff.span_or_off(found[key], self.reader, key) for key in ("nudge", "give_up") if key in found
        }
        return replace(Escalation(team), **spans, **ends)

    def read_routing(self, node: Node) -> Routing:
        return staff.routing(node, self.reader)

    def read_sla(self, node: Node) -> tuple[Sla, ...]:
        return staff.sla(node, self.reader)

    def read_privacy(self, node: Node) -> Privacy:
        keys = ("keep_messages", "keep_files", "keep_visitors")
        found = self.reader.entries(node, keys, "privacy")
        return Privacy(**{key: self.reader.span(one, key) for key, one in found.items()})

    def read_versions(self, node: Node) -> Versions:
        found = self.reader.entries(node, VERSION_KEYS, "versions")
        days = self.reader.whole(found["pin_days"], "versions: pin_days", 0, 3650) if "pin_days" in found else 30
        kill = self.reader.texts(found["kill"], "versions: kill") if "kill" in found else ()
        for one in kill:
            if not _HASH.match(one):
                self.reader.fault(found["kill"], f'versions: kill: "{one}" is no version\'s hash', "value")
        rollout = self._rollouts(found["rollout"]) if "rollout" in found else {}
        return Versions(30 if days is None else days, kill, rollout)

    def _rollouts(self, node: Node) -> dict[str, Rollout]:
        """`{order_status: {share: 10%, before: HASH}}`."""
        read: dict[str, Rollout] = {}
        for flow_id, body in self.reader.entries(node, None, "versions: rollout").items():
            found = self.reader.entries(body, ROLLOUT_KEYS, f"rollout of {flow_id}", ROLLOUT_KEYS)
            if len(found) < len(ROLLOUT_KEYS):
                continue
            share = _PERCENT.match(found["share"].raw)
            if share is None or not 0 <= float(share[1]) <= 100:
                self.reader.wrong(found["share"], "share must be a part of the customers such as 10%")
            elif not _HASH.match(found["before"].raw):
                self.reader.fault(found["before"], f'before: "{found["before"].raw}" is no version\'s hash', "value")
            else:
                read[flow_id] = Rollout(float(share[1]) / 100, found["before"].raw)
        return read

    def read_model(self, node: Node) -> ModelLimits:
        found = self.reader.entries(node, MODEL_KEYS, "model")
        limits: dict[str, Any] = {
            key: self.reader.whole(found[key], f"model: {key}", 0, 10**9)
            for key in ("tokens_per_day", "tokens_per_customer")
            if key in found
        }
        if "timeout" in found:
            limits["timeout"] = self.reader.span(found["timeout"], "model: timeout", timedelta(seconds=60))
        if "summaries" in found:
            limits["summaries"] = self.reader.flag(found["summaries"], "model: summaries")
        return ModelLimits(**{key: value for key, value in limits.items() if value is not None})

    def read_answers(self, node: Node) -> Thresholds:
        """How sure an article's answer must be; `stafett kb calibrate` finds and writes both."""
        usual = Thresholds()
        found = self.reader.entries(node, ANSWERS_KEYS, "answers")
        read = {key: self.reader.number(one, f"answers: {key}") for key, one in found.items()}
        sure, unsure = (given if (given := read.get(key)) is not None else getattr(usual, key) for key in ANSWERS_KEYS)
        if not 0 <= unsure <= sure <= 1:
            self.reader.fault(node, f"answers: 0 ≤ unsure ≤ sure ≤ 1, not unsure {unsure}, sure {sure}", "value")
            return usual
        return Thresholds(sure, unsure)

    def read_targets(self, node: Node) -> dict[str, float]:
        metrics = ("csat", "ces", "nps", "frt", "ttr", "fcr", "containment")
        found = self.reader.entries(node, metrics, "targets")
        read: dict[str, float] = {}
        for key, one in found.items():
            span = self.reader.span(one, key) if key in {"frt", "ttr"} else None
            value = (
                span.total_seconds() if span else self.reader.number(one, key) if key not in {"frt", "ttr"} else None
            )
            if value is None:
                continue
            low, high, unit = _TARGETS.get(key, (0, math.inf, ""))
            if not low <= value <= high:
                self.reader.fault(one, f"{key} must be {low:g} to {high:g}{unit}", "value")
            else:
                read[key] = value
        return read

    def read_surveys(self, node: Node) -> dict[str, Any]:
        """In the words of `surveys.timing.rules_from`; `throttle` and `sampling` are read as its `throttle_days` and `sample`."""
        if node.kind == "map":
            for ours, theirs in (("sampling", "sample"), ("throttle", "throttle_days")):
                if ours in node.entries and theirs in node.entries:
                    self.reader.fault(node.keys[ours], f'"{ours}" and "{theirs}" are the same; write one', "duplicate")
        keys: dict[str, Callable[[Node], Any]] = {
            "instrument": self._instrument,
            "delay": self._delay,
            "quiet_hours": self._quiet,
            "throttle": self._throttle,
            "throttle_days": lambda one: self.reader.whole(one, "throttle_days", 0, 3650),
            "fatigue_after": lambda one: self.reader.whole(one, "fatigue_after", 0, 1000),
            "sample": self._share,
            "sampling": self._share,
            "outcomes": self._outcomes,
            "flows": lambda one: asking.flows(one, self.reader),
            "goal": lambda one: self.reader.flag(one, "goal"),
            "review_url": lambda one: asking.review_url(one, self.reader),
            "nps": lambda one: asking.nps(one, self.reader),
        }
        found = self.reader.entries(node, tuple(keys), "surveys")
        names = {"throttle": "throttle_days", "sampling": "sample"}
        read = {names.get(key, key): keys[key](one) for key, one in found.items()}
        return {key: value for key, value in read.items() if value is not None}

    def read_notices(self, node: Node) -> dict[str, Any]:
        """In the words of `bot.outreach.notice.rules_from`."""
        found = self.reader.entries(node, NOTICE_KEYS, "notices")
        every = (
            staff.span_or_off(found["campaign_every"], self.reader, "campaign_every")
            if "campaign_every" in found
            else None
        )
        read = {
            "quiet_hours": self._quiet(found["quiet_hours"]) if "quiet_hours" in found else None,
            "per_minute": self.reader.whole(found["per_minute"], "per_minute", 1, 6000)
            if "per_minute" in found
            else None,
            "campaign_every": None if every is None else int(every.total_seconds()),
        }
        return {key: value for key, value in read.items() if value is not None}

    def read_digest(self, node: Node) -> dict[str, Any]:
        """In the words of `surveys.digest.week.plan_from`; `off` for none."""
        if node.raw in {"off", "false"}:
            return {"off": True}
        found = self.reader.entries(node, DIGEST_KEYS, "digest")
        if "at" in found and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", found["at"].raw):
            self.reader.wrong(found["at"], 'at must be a time of day such as "09:00"')
        read = {
            "day": self.reader.one_of(found["day"], DAYS, "day") if "day" in found else None,
            "at": found["at"].raw if "at" in found else None,
            "slack_channel": self._channel(found["slack_channel"]) if "slack_channel" in found else None,
        }
        return {key: value for key, value in read.items() if value is not None}

    def _group(self, node: Node) -> str | None:
        group = self.reader.text(node, "slack_group")
        if group is not None and not re.match(r"S[A-Z0-9]{6,}\Z", group):
            self.reader.wrong(node, "slack_group must be a user group's id such as S0123456789")
        return group

    def _channel(self, node: Node) -> str | None:
        channel = self.reader.text(node, "slack_channel")
        if channel is not None and not re.match(r"[CG][A-Z0-9]{6,}\Z", channel):
            self.reader.wrong(node, "slack_channel must be a channel's id such as C0123456789")
        return channel

    def _instrument(self, node: Node) -> str | None:
        return asking.instrument(node, self.reader)

    def _delay(self, node: Node) -> int | None:
        span = self.reader.span(node, "delay")
        return None if span is None else int(span.total_seconds())

    def _quiet(self, node: Node) -> str | None:
        if node.raw in {"off", "false"}:
            return "off"
        span = self.hours(node)
        if span is None:
            self.reader.wrong(node, 'quiet_hours must be a span such as "21:00-08:00", or off')
            return None
        return f"{span[0]:%H:%M}-{span[1]:%H:%M}"

    def _throttle(self, node: Node) -> int | None:
        span = timedelta(0) if node.raw in {"off", "false"} else self.reader.span(node, "throttle")
        if span is not None and span % timedelta(days=1):
            self.reader.wrong(node, "throttle must be whole days such as 30d, or off")
            return None
        return None if span is None else span.days

    def _share(self, node: Node) -> float | None:
        share = self.reader.number(node, "sample")
        if share is not None and not 0 <= share <= 1:
            self.reader.wrong(node, "sample must be a share from 0 to 1")
            return None
        return share

    def _outcomes(self, node: Node) -> dict[str, bool]:
        found = self.reader.entries(node, OUTCOMES, "outcomes")
        return {key: self.reader.flag(one, f"outcomes: {key}") for key, one in found.items()}

    def read_replies(self, node: Node) -> str | None:
        return self.reader.one_of(node, ("thread", "explicit"), "replies")

    def read_reactions(self, node: Node) -> dict[str, str]:
        """As emoji → verb: what is not named keeps its own emoji, `off` takes it away."""
        found = self.reader.entries(node, REACTING, "reactions")
        own = {verb: emoji for emoji, verb in REACTIONS.items()}
        for verb, one in found.items():
            emoji = (self.reader.text(one, f"reactions: {verb}") or "").strip(":")
            if not _EMOJI.match(emoji):
                self.reader.wrong(one, f"reactions: {verb} must be an emoji's name in Slack such as eyes, or off")
            own[verb] = "" if one.raw in {"off", "false"} else emoji
        twice = [verb for verb, emoji in own.items() if emoji and list(own.values()).count(emoji) > 1]
        if twice:
            self.reader.fault(node, f"reactions: {' and '.join(twice)} have the same emoji", "value")
        return {emoji: verb for verb, emoji in own.items() if emoji}

    def read_undo(self, node: Node) -> timedelta | None:
        return self.reader.span(node, "undo", timedelta(minutes=10))

    def read_window(self, node: Node) -> timedelta | None:
        return self.reader.span(node, "reopen_window")

    def read_hosts(self, node: Node) -> tuple[str, ...]:
        return self.reader.texts(node, "allow_hosts")

    def read_webhooks(self, node: Node) -> tuple[Webhook, ...]:
        return outward.webhooks(node, self.reader)

    # ── what refers to what ──
    def check_references(self, found: Mapping[str, Node]) -> None:
        named = [(one.entries.get("team"), "agent") for one in found["agents"].items] if "agents" in found else []
        named += [(found["escalation"].entries.get("team"), "escalation")] if "escalation" in found else []
        named += [(one.entries.get("overflow"), "overflow") for one in found["teams"].items] if "teams" in found else []
        for node, what in named:
            if node is not None and node.raw and node.raw not in self.teams:
                self.reader.fault(
                    node, f'{what}: unknown team "{node.raw}"{nearest(node.raw, self.teams)}', "unknown-team"
                )


_SECTIONS: Mapping[str, tuple[str, Callable[[Settings, Node], Any]]] = {
    "name": ("name", Settings.name),
    "locales": ("locales", Settings.languages),
    "timezone": ("time_zone", Settings.zone),
    "opening_hours": ("hours", Settings.week),
    "holidays": ("holidays", Settings.holidays),
    "teams": ("teams", Settings.read_teams),
    "agents": ("agents", Settings.read_agents),
    "connectors": ("connectors", Settings.read_connectors),
    "interrupts": ("interrupts", Settings.read_interrupts),
    "escalation": ("escalation", Settings.read_escalation),
    "routing": ("routing", Settings.read_routing),
    "sla": ("sla", Settings.read_sla),
    "surveys": ("surveys", Settings.read_surveys),
    "notices": ("notices", Settings.read_notices),
    "digest": ("digest", Settings.read_digest),
    "quality": ("quality", lambda settings, node: inward.quality(node, settings.reader)),
    "pulse": ("pulse", lambda settings, node: inward.pulse(node, settings.reader)),
    "replies": ("replies", Settings.read_replies),
    "reactions": ("reactions", Settings.read_reactions),
    "undo": ("undo", Settings.read_undo),
    "reopen_window": ("reopen_window", Settings.read_window),
    "privacy": ("privacy", Settings.read_privacy),
    "targets": ("targets", Settings.read_targets),
    "model": ("model", Settings.read_model),
    "versions": ("versions", Settings.read_versions),
    "answers": ("answers", Settings.read_answers),
    "allow_hosts": ("allow_hosts", Settings.read_hosts),
    "webhooks": ("webhooks", Settings.read_webhooks),
}
"""key of desk.yaml → the desk's field, and its reader; in the order in which they are read."""


def asked_for(connector: Connector | Table) -> frozenset[str]:
    """The names that a call must give this connector."""
    if isinstance(connector, Table):
        return frozenset({connector.key})
    return frozenset(_places((connector.url, *connector.headers.values(), connector.body)))


def _places(value: Any) -> list[str]:
    if isinstance(value, str):
        return _PLACE.findall(value)
    if isinstance(value, Mapping):
        value = tuple(value.values())
    return [name for one in value for name in _places(one)] if isinstance(value, list | tuple) else []
