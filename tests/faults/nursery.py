"""A process that has imported the whole product once, and forks a server whenever a test wants one.

aiogram's import costs seconds; a dozen servers that die and start again would pay it each time. Each child runs the real
`stafett serve` with its own environment and log. Orders come as JSON lines on stdin, answers leave on stdout.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn


def main() -> None:
    import channels.slack.connection
    import channels.telegram.calls  # the expensive one
    import handoff.slack.desk
    from bot import app, cli, cli_data, cli_serve, server

    assert all([app, server, cli, cli_data, cli_serve, channels.telegram.calls])
    assert all([channels.slack.connection, handoff.slack.desk])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    answers.write("ready\n")
    children: set[int] = set()
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        if "start" in order:
            child = os.fork()
            if child == 0:
                answers.close()
                be(order)
            children.add(child)
            answers.write(f"{child}\n")
        else:
            ended = state(order["ask"])
            children -= {order["ask"]} if ended is not None else set()
            answers.write(json.dumps(ended) + "\n")
    for child in children:  # whom a failed test left behind
        os.kill(child, signal.SIGKILL)


def be(order: dict[str, Any]) -> NoReturn:
    """The child: from here on it is `stafett …`."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    from bot import failpoints

    failpoints.arm(os.environ.get("STAFETT_FAILPOINT", ""))
    if "clock" in order:
        set_clock(Path(order["clock"]))
    from bot.cli import app

    try:
        app(order["start"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - whatever it is, the log shows it, and the fork ends here
        sys.stderr.write(f"a bare {type(error).__name__}: {error}\n")
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def set_clock(ahead: Path) -> None:
    """The wall clock, with what the file says (seconds) added to it: `bot/app.py` takes a clock, as every test's App does."""
    from bot import app
    from bot.model import system_clock

    def clock() -> datetime:
        return system_clock() + timedelta(seconds=float(ahead.read_text()))

    app.App = partial(app.App, clock=clock)  # type: ignore[misc,assignment]


def state(child: int) -> int | None:
    """None while it runs; then its exit status, or minus the signal that killed it."""
    done, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


if __name__ == "__main__":
    main()
