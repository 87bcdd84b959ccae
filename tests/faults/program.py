"""`stafett serve` as a process: started, killed, started again on the same file."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2

from tests.fakes.slack import SlackServer
from tests.fakes.telegram import TelegramServer
from tests.support.house import Agent, Visitor, free_port

PATIENCE = 20.0  # seconds, on a machine that has other things to do
LOOK_AGAIN = 0.01
ROOT = Path(__file__).parents[2]


class Nursery:
    """Forks servers from one process that has imported everything (tests/faults/nursery.py)."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.faults.nursery"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._is_ready = False
        self._ended: dict[int, int] = {}

    def start(self, order: dict[str, Any]) -> int:
        return int(self._ask(order))

    def exit_code(self, child: int) -> int | None:
        if child not in self._ended:
            code = self._ask({"ask": child})
            if code is None:
                return None
            self._ended[child] = int(code)
        return self._ended[child]

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if not self._is_ready:
            assert self._process.stdout.readline() == "ready\n", "the product can't be imported"
            self._is_ready = True
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Program:
    """One installation: a folder with its database, a port, and the process that serves it just now.

    It stands where a `House` stands for a `Visitor`.
    """

    def __init__(
        self,
        nursery: Nursery,
        folder: Path,
        telegram: TelegramServer | None = None,
        slack: SlackServer | None = None,
        **settings: str,
    ) -> None:
        self.nursery = nursery
        self.folder = folder
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.database = folder / "stafett.db"
        self.log = folder / "log"
        self.environment = {
            "STAFETT_DATABASE_URL": f"sqlite+aiosqlite:///{self.database}",
            "STAFETT_ADMIN_PASSWORD": "open sesame",
            "STAFETT_SECRET": "a secret for tests, long enough",
            "STAFETT_LOG": "json",
            **settings,
        }
        if telegram is not None:
            self.environment["STAFETT_TELEGRAM_TOKEN"] = telegram.token
            self.environment["STAFETT_TELEGRAM_API_URL"] = telegram.api_url
        if slack is not None:
            self.environment["STAFETT_SLACK_BOT_TOKEN"] = slack.bot_token
            self.environment["STAFETT_SLACK_SIGNING_SECRET"] = slack.signing_secret
            self.environment["STAFETT_SLACK_API_URL"] = slack.api_url
            slack.events_url = f"{self.url}/slack/events"
        self.pid = 0
        self._ahead: Path | None = None  # holds by how many seconds its clock is ahead

    def sets_clock(self, **ahead: float) -> None:
        """From now on (at the first call: from its next start) its wall clock is ahead by this: `days`, `hours`, `seconds`."""
        self._ahead = self._ahead or self.folder / "ahead"
        made = self._ahead.with_suffix(".new")
        made.write_text(str(timedelta(**ahead).total_seconds()))
        made.replace(self._ahead)

    def runs(self, *command: str, failpoint: str = "") -> None:
        """Start `stafett …`, and don't wait."""
        order: dict[str, Any] = {
            "start": list(command),
            "folder": str(self.folder),
            "log": str(self.log),
            "environment": {**self.environment, "STAFETT_FAILPOINT": failpoint},
        }
        if self._ahead is not None:
            order["clock"] = str(self._ahead)
        self.pid = self.nursery.start(order)

    async def starts(self, failpoint: str = "") -> None:
        """Start `stafett serve`, and wait until the web answers."""
        self.runs("serve", "--port", str(self.port), failpoint=failpoint)
        async with asyncio.timeout(PATIENCE), self.http() as http:
            while True:
                assert self.exit_code is None, self.logged()
                try:
                    if (await http.get("/readyz")).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(LOOK_AGAIN)

    async def ends(self) -> int:
        """Wait for the process to end; its exit status, or minus the signal."""
        async with asyncio.timeout(PATIENCE):
            while (code := self.exit_code) is None:  # noqa: ASYNC110 - another process's end sets no event here
                await asyncio.sleep(LOOK_AGAIN)
        return code

    @property
    def exit_code(self) -> int | None:
        return self.nursery.exit_code(self.pid)

    async def dies(self) -> None:
        """As if the power went."""
        self.signals(signal.SIGKILL)
        await self.ends()

    async def stops(self) -> int:
        """SIGTERM, as systemd does it; the exit status."""
        self.signals(signal.SIGTERM)
        return await self.ends()

    async def figure(self, name: str) -> float:
        """One of /metrics, summed over its labels."""
        async with self.http() as http:
            lines = (await http.get("/metrics")).text.splitlines()
        found = [line for line in lines if line.split("{")[0].split(" ")[0] == name]
        assert found, f"there is no figure {name}"
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def may_write(self, to: int | None) -> None:
        """How long its files may become (bytes): what lies behind is a full disk to it. None: as long as they want."""
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (hard if to is None else to, hard))

    def signals(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            os.kill(self.pid, number)

    def logged(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def http(self, **headers: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, headers=headers, trust_env=False)

    async def agent(self) -> Agent:
        """The demo agent at its web desk, signed in; who asks for it closes its `http`."""
        agent = Agent(self)  # type: ignore[arg-type]
        await agent.signs_in()
        return agent

    async def visitor(self, token: str | None = None) -> Visitor:
        visitor = Visitor(self)  # type: ignore[arg-type]  # it asks for `url`, `http` and `settle` only
        await visitor.begins("en", token)
        return visitor

    async def settle(self) -> None:
        """A process settles by itself; who waits for something waits for just that."""
