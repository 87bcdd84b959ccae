"""The composition root: the only place that knows everyone.

`App(settings)` makes one running Stafett: the database, the two doors, the rooms behind them, the channels, the desks. Who
takes a turn, who hears which event, and what rings is said in three small tables below. Tests build the same App.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from bot import absence, alerts, figures, replays
from bot.answers.searcher import Searcher
from bot.api.feed import Feed
from bot.api.local import route as local_door
from bot.cli_writes import WRITES
from bot.console.following import Following
from bot.console.routes import Console
from bot.console.writing import finish as finish_publication
from bot.desk_folder import Desk
from bot.desk_folder.desk import Connector, Webhook
from bot.desk_folder.watch import DeskInForce
from bot.dialogue import Dialogue
from bot.errors import StafettError
from bot.events import (
    AlertChanged,
    CaseChanged,
    CaseReopened,
    CaseResolved,
    CustomerErased,
    CustomersMerged,
    DeskRefused,
    DigestMade,
    FollowUpAsked,
    GoalTold,
    SendSettled,
    StepsTaken,
    TalkLogged,
    TimelineGrew,
)
from bot.flows import is_request, versions
from bot.inbox import Inbox
from bot.linking import Linking
from bot.model import Clock, Occurred, system_clock
from bot.outreach import telling as outreach
from bot.outreach.consent import Consent
from bot.replays import Reader, Replays
from bot.settings import Settings, kept_secret
from bot.staffing.people import hours_of
from bot.storage import (
    counts,
    flow_rows,
    inbox_rows,
    kept,
    merging,
    outbox_rows,
    recording_rows,
    schema,
    timer_rows,
    wish_titles,
)
from bot.storage.engine import Storage
from bot.storage.notices import Notices
from bot.storage.tx import Subscriber, Tx, Wiring
from bot.tally import Tally
from bot.timers import Ringer, Timers
from bot.turn import Taker, Turn
from bot.webhooks import telling
from bot.worker import Worker
from channels.connectors import Connectors
from channels.delivery import DeliveryLoop
from channels.media import Media
from channels.model import ModelClient, Models
from channels.port import Channel, Sender
from channels.preview import PREVIEWS
from channels.web.channel import WebChannel
from channels.webhooks import Webhooks
from handoff import follow_up, watchdog
from handoff import store as cases
from handoff import taker as people
from handoff import watch as handoff
from handoff.desk import AgentDesk
from handoff.for_api import CasesForApi
from handoff.for_bot import CasesForBot
from handoff.frame import case_frame
from handoff.hints.finder import Finder
from handoff.queue import store as queue
from handoff.waiting_room import stir_all
from handoff.web.desk import WebDesk
from handoff.web.routes import WebDeskRoutes
from surveys import closing, relationship
from surveys.answers import Answers
from surveys.console import figures as figure_pages
from surveys.digest.teller import Teller
from surveys.figures.shape import Question
from surveys.for_api import SurveysForApi
from surveys.for_api import make as make_report
from surveys.invitations import ASK, EXPIRE, Invitations, Setup
from surveys.mending import Mending
from surveys.outside import talks
from surveys.rollups.keeping import Rollups, on_merged
from surveys.timing import rules_from

log = structlog.get_logger()
PRESSES_GONE = "buttons pressed meanwhile are gone; what was typed comes, and what is typed now counts as an answer"
DAY = timedelta(days=1)
SETTLE_ROUNDS = 100


class App:
    """One running Stafett. `start` returns when the web can be served; slower channels follow in the background."""

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.storage = Storage(settings.database_url, clock)
        self.clock = clock = self.storage.clock
        if settings.desk is not None and settings.desk.is_dir():
            finish_publication(settings.desk)
        self.desk = DeskInForce(
            settings.desk, accepted=self._keep_flows, refused=self._desk_refused, replaced=self._look_again
        )
        self.secret = kept_secret(settings)  # only now: a start refused for its database or desk leaves no file behind
        self.searcher = Searcher(lambda: self.rules.articles)
        self.inbox = Inbox(self.storage, (), self.rules.locales[0])
        self.web = WebChannel(
            settings,
            self.secret,
            self.storage,
            self.inbox,
            case_of=self._case_of,
            join=merging.merge,
            locales=lambda: self.rules.locales,
            own_name=lambda: None if self.rules.is_builtin else self.rules.name,
        )
        self.invitations = Invitations(self._survey_setup)
        self.answers = Answers(self.invitations, self._starts_something)
        self.campaigns = relationship.Campaigns(self.invitations)
        key = settings.llm_key.get_secret_value() if settings.llm_key else None
        self.model = ModelClient(settings.llm_url, settings.llm_model, key)
        self.dialogue = Dialogue(
            lambda: self.rules, CasesForBot(lambda: self.rules), self.searcher, self._release, model=self.model.on
        )
        self.outreach = outreach.Notices(lambda: self.rules)
        self.web_desk = WebDesk()
        self.desk_pages = WebDeskRoutes(
            *(self.storage, settings, self.secret, self.web_desk, lambda: self.rules, self.web.hub),
            forms=lambda: self.mending.sheets,
        )
        self.feed = Feed(self.storage)
        self.following = Following(self.storage, self.desk)
        self.tally = Tally(self.storage)
        self.rollups = Rollups(
            self.storage, lambda team: hours_of(self.rules, team), asking=lambda: self.rules.questions
        )
        self.mending = Mending(self.storage, lambda: self.rules, self.outreach, self.secret)
        wings = [figure_pages.wing(self.storage, self.rollups.ask), self.mending.wing()]
        self.console = Console(
            settings, self.secret, self.storage, self.desk, self._overview, PREVIEWS, self.desk_pages.admin, wings
        )
        self.channels: list[Channel] = [self.web]
        self.desks: list[AgentDesk] = [self.web_desk]
        self.senders: list[Sender] = []
        self._told_of_alerts: list[Subscriber] = [self.web_desk.alert_changed]
        self.connectors = Connectors(self._connector, self.inbox.receive_answer)
        self.models = Models(self.model, self.inbox.receive_answer)
        self.media = Media(self.storage, self.inbox.receive_answer)
        self.webhooks = Webhooks(self._webhook, lambda host: host in self.rules.allow_hosts, self._wish, clock)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._errands: set[asyncio.Task[Any]] = set()
        self.hints = Finder(self.storage, lambda: self.rules, lambda: self.searcher.knowledge, self._errand, self.model)
        if settings.telegram_on:
            self._add_telegram()
        if settings.slack_on:
            self._add_slack()
        self.delivery = DeliveryLoop(self.storage, {sender.via: sender for sender in self._all_senders()})
        self.inbox.takers = self._takers()
        self.timers = Timers(self.storage, self._ringers())
        self.workers = self._workers()
        self.delivery.wake = self.workers["outbox"].wake
        watched = {"web": self.web.hub, "desk": self.web_desk.hub}
        self.notices = Notices(self.storage, watched, lambda worker: self.workers[worker].wake())
        self.delivery.overloaded = lambda: self.notices.work("outbox")
        self.storage.wiring = Wiring(
            subscribers=self._subscribers(),
            outlets={channel.name: channel.outlet for channel in self.channels},
            wake=lambda worker: self.workers[worker].wake(),
            desk=lambda: self.rules,
            public_url=settings.url,
            courier=self.delivery.courier,
        )

    @property
    def rules(self) -> Desk:
        """The desk in force."""
        return self.desk.desk

    # ── the three tables ───────────────────────────────────────────────────────────────────────────────────────────
    def _takers(self) -> Sequence[Taker]:
        """Who takes a turn: the first that wants it. A pressed score counts at any time, so surveys come early."""
        return (
            Linking(self._deep_links).take,
            Consent(lambda: self.rules).take,
            self.answers.take,
            self.dialogue.while_queued,
            people.take,
            self.dialogue.take,
        )

    def _subscribers(self) -> dict[type, list[Subscriber]]:
        """Who hears what, in this order."""
        heard: dict[type, list[Subscriber]] = defaultdict(list)
        for event, listeners in handoff.subscribers(self.desks).items():
            heard[event] += listeners
        heard[CaseResolved].append(self.invitations.on_case_resolved)
        heard[CaseReopened].append(self.invitations.on_case_reopened)
        heard[SendSettled].append(self.invitations.on_send_settled)
        heard[FollowUpAsked].append(follow_up.on_follow_up)
        heard[GoalTold].append(follow_up.on_goal)
        heard[TalkLogged].append(talks.on_talk)
        heard[AlertChanged] += self._told_of_alerts
        heard[SendSettled].append(self.outreach.on_send_settled)
        heard[StepsTaken].append(self.tally.heard)
        for event, listeners in self.mending.subscribers().items():
            heard[event] += listeners
        heard[TimelineGrew].append(self.web.timeline_grew)
        heard[CaseChanged].append(self.web.case_changed)
        heard[CustomersMerged].append(self.web.merged)
        heard[CustomersMerged].append(on_merged)
        heard[CustomerErased].append(self.web.erased)
        heard[CustomerErased].append(self.outreach.on_erased)
        heard[CaseChanged].append(self.hints.heard)
        heard[CustomerErased].append(self.hints.erased)
        if self.settings.api_token is not None:
            for event, listener in self.feed.subscribers().items():
                heard[event].append(listener)
        for event, listener in telling.subscribers().items():
            heard[event].append(listener)
        for desk in self.desks:
            settled = getattr(desk, "on_settled", None)
            if settled is not None:
                heard[SendSettled].append(settled)
            refused = getattr(desk, "on_desk_refused", None)
            if refused is not None:
                heard[DeskRefused].append(refused)
            digest = getattr(desk, "on_digest", None)
            if digest is not None:
                heard[DigestMade].append(digest)
        return heard

    def _ringers(self) -> dict[str, Ringer]:
        """What rings when a timer is due."""
        return {
            "album": self.inbox.album_complete,
            replays.KIND: Replays(self.storage, self._readers(), self._errand).due,
            "flow": self.dialogue.timed_out,
            ASK: self.invitations.ask_due,
            EXPIRE: self.invitations.expire_due,
            closing.FOLLOW: lambda tx, timer: closing.follow_due(tx, timer, self._survey_setup()),
            relationship.SWEEP: self.campaigns.sweep,
            relationship.ASK: self.campaigns.ask_due,
            alerts.KIND: alerts.due,
            absence.SWEEP: absence.sweep,
            absence.ASK: absence.ask,
            outreach.LIST: self.outreach.list_due,
            outreach.ONE: self.outreach.one_due,
            **self.mending.ringers(),
            **handoff.ringers(),
        }

    def _workers(self) -> dict[str, Worker]:
        """The loops, by name. Where nodes share the database, what others may have left is looked for by itself."""
        clock, poll = self.clock, self.storage.poll
        workers = {
            "inbox": Worker("inbox", self.inbox.run, clock, poll),
            "outbox": Worker("outbox", self.delivery.run, clock, poll),
            "timers": Worker("timers", self.timers.run, clock, poll),
            "housekeeping": Worker("housekeeping", self._keep_house, clock),
            "tally": Worker("tally", self.tally.run, clock),
            "figures": Worker("figures", self.rollups.run, clock),
            "mending": Worker("mending", self.mending.run, clock),
            "digest": Worker("digest", Teller(self.storage, lambda: self.rules, self.rollups.ask).run, clock),
        }
        if poll is not None:
            workers["desk"] = Worker("desk", self.following.run, clock, poll)
        return workers

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────────────
    async def start(self) -> None:
        """Open the database, take up what was left, start the channels. Raises StafettError in one line."""
        try:
            await self.storage.open()
            if self.storage.is_sqlite:
                await schema.upgrade(self.settings.database_url, locked=True)
            await self.storage.read(schema.check)
            await self.desk.keep()
            await self.delivery.recover()
            away = await self.storage.write(watchdog.begin)
            await self._look_again()
            kept_in = self.console.password_file
        except BaseException:
            await self.storage.close()
            raise
        if away >= absence.PRESSES_KEPT:
            log.warning("nobody was here", at_least_s=int(away.total_seconds()), told=PRESSES_GONE)
        if kept_in is not None and not sys.stdout.isatty():
            log.info("the password of /admin is in a file", file=str(kept_in))
        for channel in self.channels:
            await channel.start()
        for worker in self.workers.values():
            worker.start()
        self.notices.start()
        self._background(self.inbox.wake_parked("words:"))
        self._background(self.desk.reload_when_changed())
        for desk in self.desks:
            catch_up = getattr(desk, "catch_up", None)  # a desk that lives elsewhere reads what it may have missed
            if catch_up is not None:
                self._background(catch_up())

    async def stop(self) -> None:
        """Begin nothing more, let what is on its way arrive, close. What is left is taken up at the next start."""
        for worker in self.workers.values():
            if worker is not self.workers["outbox"]:
                await worker.stop()
        await self.delivery.stop()
        await self.workers["outbox"].stop()
        for channel in self.channels:  # only now: a send whose connection is closed under it may be said twice
            await channel.stop()
        await self.tally.stop()
        await self.notices.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks or self._errands:
            await asyncio.wait(self._tasks | self._errands, timeout=2)
        await self.connectors.close()
        await self.model.close()
        await self.media.close()
        await self.webhooks.close()
        await self.storage.close()

    async def settle(self) -> None:
        """Until nothing is due any more: for tests, instead of sleeping."""
        for _ in range(SETTLE_ROUNDS):
            await asyncio.gather(self.inbox.run(), self.timers.run(), self.delivery.run())
            await self.delivery.idle()
            await self.tally.flush()
            await self.web.idle()
            await self.searcher.idle()
            while self._errands:
                await asyncio.wait(set(self._errands))
            if not await self.storage.read(self._is_anything_due):
                return
        msg = "the house does not come to rest"
        raise AssertionError(msg)

    async def tokens_accepted(self) -> None:
        """Return when each platform has taken its token. Raises SettingsFault when one refuses it."""
        waits = [ready() for channel in self.channels if (ready := getattr(channel, "ready", None)) is not None]
        async with asyncio.TaskGroup() as group:
            for wait in waits:
                group.create_task(wait)

    async def hang_up(self) -> None:
        """End the open sockets and streams, so that the server need not wait for them."""
        self.feed.close()
        await self.web.stop()
        await self.desk_pages.stop()

    async def unready(self) -> list[str]:
        """Why this process should get no work just now; empty: it should."""
        try:
            await self.storage.read(schema.check)
        except StafettError as error:
            return [str(error)]
        return [worker.fault for worker in self.workers.values() if worker.fault]

    async def figures(self) -> bytes:
        """The figures for Prometheus."""
        process = {
            **figures.of_delivery(self.delivery.counters),
            **figures.by_channel("rate_limited_total", self.delivery.counters.rate_limited_by, self._vias()),
            "inbox_duplicates_total": float(self.inbox.duplicates),
            "inbox_dropped_total": float(self.inbox.dropped),
            "web_bad_frames_total": float(self.web.bad_frames),
            "web_sockets": float(len(self.web.sockets)),
            "db_retries_total": float(self.storage.db_retries),
            "faults": float(len(self.faults())),
            **(await self.storage.read(lambda conn: queue.figures(conn, self.clock()))).by_name(),
        }
        return figures.render(await self.storage.read(counts.read), self.clock(), process, await self.rollups.lately())

    def routes(self) -> list[Any]:
        """Everything that is served besides health and the API. The page at `/` is the web channel's."""
        channels = [route for channel in self.channels for route in channel.routes()]
        door = local_door(self.storage, self.secret, WRITES)
        return [*channels, door, *self.desk_pages.routes(), *self.console.routes()]  # the busiest first

    def api(self) -> Any:
        """The REST API, or None where no token turns it on."""
        token = self.settings.api_token
        if token is None:
            return None
        from bot.api import create_api
        from bot.api.rooms import Rooms

        rooms = Rooms(
            storage=self.storage,
            cases=CasesForApi(lambda: self.rules, self.clock),
            surveys=SurveysForApi(lambda: self.rules, self.clock),
            feed=self.feed,
            occurred=self._occurred,
            reports=self.mending.reports(),
            notices=self.outreach,
        )
        return create_api(rooms, token.get_secret_value())

    async def _overview(self) -> dict[str, Any]:
        """What the console shows."""
        found = await self.storage.read(counts.read)
        desk = self.rules
        with_people = sum(found.cases.get(one, 0) for one in ("queued", "open", "pending", "snoozed"))
        return {
            "faults": self.faults(),
            "warnings": [str(one) for one in desk.warnings],
            "figures": [
                ("console_fig_customers", found.customers),
                ("console_fig_bot", found.cases.get("bot", 0)),
                ("console_fig_people", with_people),
                ("console_fig_resolved", found.cases.get("resolved", 0) + found.cases.get("closed", 0)),
                ("console_fig_responses", found.responses),
            ],
            "unsent": found.dead_letters + found.inbox_dead,
            "report": await self.storage.read_apart(self._report),
            "flows": list(desk.flows.values()),
            "articles": len(desk.articles),
            "locales_of_desk": desk.locales,
            "folder": "" if desk.is_builtin else str(desk.folder or ""),
        }

    def _report(self, conn: Any) -> dict[str, Any]:
        """The figures of the last 30 days."""
        desk, now = self.rules, self.clock()
        asked = Question(zone=ZoneInfo(desk.time_zone), since=now - 30 * DAY, asking=desk.questions)
        return make_report(conn, asked, partial(hours_of, desk), now)

    def greeting(self) -> list[str]:
        """What a person at the terminal is told once the web is up."""
        url = self.settings.url
        lines = [f"Stafett is running at {url}", f"  customers  {url}/       (a page with the widget)"]
        lines += [f"  agents     {url}/desk", f"  admins     {url}/admin{self._password_hint()}"]
        return [*lines, "Stop with Ctrl-C; nothing is lost."]

    def _password_hint(self) -> str:
        """The password that we made: shown to a person, else only where it is kept."""
        file = self.console.password_file
        if file is None:
            return ""
        return f"  (password: {self.console.password})" if sys.stdout.isatty() else f"  (password in {file})"

    def faults(self) -> list[str]:
        """What keeps this process from doing its whole job, one line each; empty: ready."""
        found = [line for channel in self.channels for line in channel.faults()]
        found += [worker.fault for worker in self.workers.values() if worker.fault]
        return found + [f"desk: {fault}" for fault in (*self.desk.faults, *self.following.faults)]

    def _is_anything_due(self, conn: Any) -> bool:
        now = self.clock()
        return bool(
            timer_rows.due(conn, now, 1)
            or inbox_rows.due(conn, now, 1)
            or outbox_rows.is_due(conn, now, self.delivery.senders)
        )

    async def _keep_house(self) -> datetime:
        await self.inbox.forget_old()
        await self.delivery.forget_old()
        await self.storage.write(lambda tx: recording_rows.forget_before(tx, tx.now - recording_rows.KEEP))
        return self.clock() + DAY

    async def _keep_flows(self, desk: Desk) -> None:
        """So that who runs in a version of a flow finds it after a restart, and on every node; and the agents' names."""
        rows = [versions.to_row(flow, desk.names) for flow in desk.flows.values()]
        await self.storage.write(lambda tx: flow_rows.keep(tx, rows))
        await self.storage.write(lambda tx: cases.keep_names(tx, desk.agents))
        if (desk.surveys or {}).get("nps"):
            await self.storage.write(relationship.begin)

    async def _look_again(self) -> None:
        """Who waits is looked at under the desk in force: it may open earlier than they were told, or have other people."""
        await self.storage.write(stir_all)

    async def _desk_refused(self, faults: Sequence[object]) -> None:
        """Told once, by whichever node sees it first; `()` when the folder is whole again."""
        lines = [str(one) for one in faults if getattr(one, "severity", "fault") == "fault"]

        def tell(tx: Tx) -> None:
            if kept.swap(tx, "desk_refused", lines) != lines and lines:
                tx.emit(DeskRefused(lines))

        await self.storage.write(tell)

    def _errand(self, work: Coroutine[Any, Any, Any]) -> None:
        """A background task that comes to an end soon: `settle` waits for it."""
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ── what the rooms ask of each other, and of the desk in force ─────────────────────────────────────────────────
    def _case_of(self, conn: Any, customer_id: str) -> dict[str, Any] | None:
        case = cases.live_case(conn, customer_id) or cases.last_case(conn, customer_id)
        return None if case is None else case_frame(conn, case, self.rules)

    def _occurred(self, tx: Tx, customer_id: str, key: str, event: Occurred) -> None:
        """What another system tells of a customer."""
        self.mending.occurred(tx, customer_id, key, event)
        self.inbox.occurred(tx, customer_id, key, event)

    def _survey_setup(self) -> Setup:
        desk = self.rules
        return Setup(rules_from(desk.surveys), ZoneInfo(desk.time_zone), desk.name, desk.texts)

    def _starts_something(self, turn: Turn) -> bool:
        return is_request(self.rules, turn.text)

    def _connector(self, name: str) -> Connector | None:
        found = self.rules.connectors.get(name)
        return found if isinstance(found, Connector) else None

    def _webhook(self, name: str) -> Webhook | None:
        return next((one for one in self.rules.webhooks if one.id == name), None)

    async def _wish(self, wish_id: str) -> str:
        return await self.storage.read(lambda conn: wish_titles.title(conn, wish_id))

    def _release(self, waits_for: str) -> None:
        self._errand(self.inbox.release(waits_for))

    def _deep_links(self, code: str, channel: str) -> Sequence[str]:
        """Addresses that open another channel with this code."""
        links = [getattr(one, "deep_link", None) for one in self.channels if one.name != channel]
        made = [link(code) for link in links if link is not None]
        return [link for link in made if link]

    # ── channels and desks that settings turn on ───────────────────────────────────────────────────────────────────
    def _add_telegram(self) -> None:
        from channels.telegram.channel import TelegramChannel

        self.channels.append(TelegramChannel(self.settings, self.storage, self.inbox))

    def _add_slack(self) -> None:
        from channels.slack.channel import SlackChannel
        from channels.slack.connection import SlackConnection
        from handoff.slack import alerts as alert_cards
        from handoff.slack.desk import SlackDesk
        from handoff.slack.sheets import SlackSheets

        connection = SlackConnection(self.settings, self.storage)
        desk = SlackDesk(connection, self.storage, self.settings, lambda: self.rules)
        self.desks.append(desk)
        self.senders.append(desk.sender)
        pressed = alert_cards.AlertPresses(connection, self.storage, lambda: self.rules, desk.channels)
        connection.add_listener(pressed.listen)
        sheets = SlackSheets(
            connection, self.storage, lambda: self.rules, self.mending.sheets, desk.channels, desk.channel_of
        )
        connection.add_listener(sheets.listen)
        self.senders.append(sheets)
        self.mending.tellers.append(sheets.on_team_told)
        self._told_of_alerts.append(lambda tx, event: alert_cards.on_alert(tx, event, desk.channel_of))
        connection.add_listener(desk.listen)  # the agents' channel first: it is never a customers' channel
        self.channels.append(SlackChannel(connection, self.storage, self.inbox, agent_channels=desk.channels))

    def _vias(self) -> Sequence[str]:
        return [sender.via for sender in self._all_senders()]

    def _readers(self) -> Mapping[str, Reader]:
        """Who reads dead letters again, by their source."""
        places = {**{one.name: one for one in self.channels}, **{one.via: one for one in self.senders}}
        desks = {sender.via: desk for desk in self.desks if (sender := getattr(desk, "sender", None)) is not None}
        found = {source: getattr(one, "read_again", None) for source, one in {**places, **desks}.items()}
        return {source: reader for source, reader in found.items() if reader is not None}

    def _all_senders(self) -> Sequence[Sender]:
        told = [channel.sender for channel in self.channels if channel.name != "web"]
        return [*told, *self.senders, self.connectors, self.models, self.media, self.webhooks]
