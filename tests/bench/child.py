"""A process under test: started, asked what it has used so far, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
START_WITHIN = 120.0  # seconds; aiogram's import alone may take ten on a busy machine


@dataclass(frozen=True, slots=True)
class Used:
    """`cpu` seconds of all threads; `commits` of the database; `rss` in bytes."""

    cpu: float
    commits: int
    rss: int


class Child:
    """`async with Child("stafett", settings) as bot`."""

    def __init__(self, kind: str, environment: dict[str, str]) -> None:
        self._kind = kind
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("STAFETT_")}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.bots", self._kind,
            env={**kept, "PYTHONPATH": str(ROOT), **self._environment}, cwd=ROOT,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(START_WITHIN):
            await self._ask("ready")
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def used(self) -> Used:
        return Used(**await self._ask("used"))

    async def _ask(self, what: str) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{what}\n".encode())
        await process.stdin.drain()
        while line := await process.stdout.readline():
            if line.startswith(b"{"):
                return json.loads(line)
        raise RuntimeError(f"the process under test ({self._kind}) ended; what it said stands above")
