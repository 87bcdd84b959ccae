"""`stafett serve` as a process: started, killed, started again on the same file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

from tests.fakes.telegram import TelegramServer
from tests.support.house import Visitor, free_port

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

    def __init__(self, nursery: Nursery, folder: Path, telegram: TelegramServer | None = None, **settings: str) -> None:
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
        self.pid = 0

    def runs(self, *command: str, failpoint: str = "") -> None:
        """Start `stafett …`, and don't wait."""
        order = {
            "start": list(command),
            "folder": str(self.folder),
            "log": str(self.log),
            "environment": {**self.environment, "STAFETT_FAILPOINT": failpoint},
        }
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

    def signals(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            os.kill(self.pid, number)

    def logged(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def http(self, **headers: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, headers=headers, trust_env=False)

    async def visitor(self, token: str | None = None) -> Visitor:
        visitor = Visitor(self)  # type: ignore[arg-type]  # it asks for `url`, `http` and `settle` only
        await visitor.begins("en", token)
        return visitor

    async def settle(self) -> None:
        """A process settles by itself; who waits for something waits for just that."""
