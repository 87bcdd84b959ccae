"""Slack's signature: what is ours gets in, everything else is a quiet 401."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.testclient import TestClient

from bot.settings import Settings
from bot.storage.engine import Storage
from channels.slack.connection import SlackConnection
from channels.slack.payloads import Reply, SlackPayload
from channels.slack.signature import WINDOW, is_signed, sign

SECRET = b"local-signing-secret"
NOW = 1_700_000_000
BODY = b'{"type":"event_callback"}'


def signed(body: bytes = BODY, at: int = NOW) -> tuple[bytes, bytes]:
    stamp = str(at).encode()
    return stamp, sign(SECRET, stamp, body)


def test_the_signature_is_slacks_own() -> None:
    """The worked example of Slack's page "Verifying requests from Slack"."""
    secret = b"8f742231b10e8888abcd99yyyzzz85a5"
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d1"
        b"0d2c447fce8b6703c"
    )
    expected = b"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert sign(secret, b"1531420618", body) == expected


@pytest.mark.parametrize("age", [-WINDOW, 0, WINDOW])
def test_fresh_and_signed_is_taken(age: int) -> None:
    stamp, signature = signed(at=NOW - age)
    assert is_signed(SECRET, stamp, signature, BODY, NOW)


@pytest.mark.parametrize(
    ("stamp", "signature", "body", "secret"),
    [
        (str(NOW).encode(), b"", BODY, SECRET),
        (str(NOW).encode(), b"v0=" + b"0" * 64, BODY, SECRET),
        (str(NOW).encode(), signed()[1][:-1], BODY, SECRET),
        (str(NOW).encode(), "v0=påske".encode(), BODY, SECRET),
        (str(NOW).encode(), b"\xff\xfe", BODY, SECRET),
        (str(NOW).encode(), signed()[1], BODY + b" ", SECRET),
        (str(NOW).encode(), signed()[1], b"\xff", SECRET),
        (*signed(at=NOW - WINDOW - 1), BODY, SECRET),
        (*signed(at=NOW + WINDOW + 1), BODY, SECRET),
        (b"", signed()[1], BODY, SECRET),
        (b"soon", signed()[1], BODY, SECRET),
        (b"-1", signed()[1], BODY, SECRET),
        (b"1e9", signed()[1], BODY, SECRET),
        (b"9" * 5000, signed()[1], BODY, SECRET),
        ("١٧٠٠٠٠٠٠٠٠".encode(), signed()[1], BODY, SECRET),
        (*signed(), BODY, b"another secret"),
        (str(NOW).encode(), sign(b"", str(NOW).encode(), BODY), BODY, b""),
    ],
)
def test_everything_else_is_refused(stamp: bytes, signature: bytes, body: bytes, secret: bytes) -> None:
    assert not is_signed(secret, stamp, signature, body, NOW)


@given(stamp=st.binary(max_size=30), signature=st.binary(max_size=80), body=st.binary(max_size=80))
def test_junk_never_raises(stamp: bytes, signature: bytes, body: bytes) -> None:
    assert not is_signed(SECRET, stamp, signature, body, NOW)


class Door:
    """The webhook in front of a connection that knows who it is."""

    def __init__(self, tmp_path: Any, caplog: Any = None) -> None:
        settings = Settings(
            _env_file=None,
            slack_bot_token=SecretStr("xoxb"),
            slack_signing_secret=SecretStr(SECRET.decode()),
            slack_api_url="http://127.0.0.1:9/api/",
        )
        self.connection = SlackConnection(settings, Storage(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"))
        self.connection.team_id, self.connection.bot_user_id, self.connection.app_id = "T1", "UBOT", "A1"
        self.connection._known.set()
        self.heard: list[SlackPayload] = []
        self.reply: Reply | None = Reply()
        self.connection.add_listener(self.listen)
        self.client = TestClient(Starlette(routes=list(self.connection.routes())), raise_server_exceptions=False)

    async def listen(self, payload: SlackPayload) -> Reply | None:
        self.heard.append(payload)
        if payload.body.get("fail"):
            raise OSError("the disk is full")
        return self.reply

    def post(self, body: bytes, *, signature: bytes | None = None, stamp: bytes | None = None, **headers: str) -> Any:
        stamp = stamp or str(int(time.time())).encode()
        found = sign(SECRET, stamp, body) if signature is None else signature
        given: dict[str, Any] = {"x-slack-request-timestamp": stamp, "x-slack-signature": found}
        return self.client.post(
            "/slack/events", content=body, headers={"content-type": "application/json", **given, **headers}
        )


@pytest.fixture
def door(tmp_path: Any) -> Any:
    door = Door(tmp_path)
    with door.client:
        yield door
        door.client.portal.call(door.connection.stop)  # type: ignore[union-attr]


def event(**more: Any) -> bytes:
    inner = {"type": "message", "channel": "D1", "channel_type": "im", "user": "U1", "text": "hi", "ts": "1.2"}
    return json.dumps(
        {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": "Ev1", "event": inner, **more}
    ).encode()


def test_the_door_opens_for_slack(door: Door) -> None:
    assert door.post(event(), **{"x-slack-retry-num": "2", "x-slack-retry-reason": "http_timeout"}).status_code == 200
    [payload] = door.heard
    assert (payload.kind, payload.event["text"], payload.retry_num, payload.retry_reason) == (
        "event",
        "hi",
        2,
        "http_timeout",
    )


@pytest.mark.parametrize("signature", [b"", b"v0=" + b"0" * 64, "v0=é".encode("latin-1")])
def test_a_forgery_is_401_and_counted(door: Door, signature: bytes, capsys: Any) -> None:
    assert door.post(event(secret_word="xyzzy"), signature=signature).status_code == 401
    assert door.connection.counters.forged == 1
    assert door.heard == []
    assert "xyzzy" not in "".join(capsys.readouterr())


def test_an_old_request_is_401_even_with_its_right_signature(door: Door) -> None:
    assert door.post(event(), stamp=str(int(time.time()) - 301).encode()).status_code == 401


def test_the_challenge_is_answered(door: Door) -> None:
    answer = door.post(b'{"type":"url_verification","challenge":"abc"}')
    assert answer.json() == {"challenge": "abc"}


@pytest.mark.parametrize(
    "body",
    [
        event(team_id="T2"),
        event(api_app_id="A2"),
        b'{"type":"something_new"}',
        b"[]",
        b"nonsense",
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_not_for_us_is_200_and_counted(door: Door, body: bytes) -> None:
    """Errors would count against the app: Slack switches the events of all workspaces off."""
    assert door.post(body).status_code == 200
    assert door.heard == []
    assert door.connection.counters.foreign == 1


def test_what_was_not_stored_is_500(door: Door) -> None:
    assert door.post(event(fail=True)).status_code == 500
    assert door.connection.counters.failed == 1


def test_a_body_that_is_too_long_is_413(door: Door) -> None:
    assert door.post(b" " * (1024 * 1024 + 1)).status_code == 413


def test_interactions_and_commands_come_as_forms_and_get_their_answer(door: Door) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    view = {
        "type": "view_submission",
        "team": {"id": "T1"},
        "api_app_id": "A1",
        "user": {"id": "U1"},
        "view": {"id": "V1"},
    }
    door.reply = Reply({"response_action": "errors", "errors": {"topic": "is missing"}})
    answer = door.post(urlencode({"payload": json.dumps(view)}).encode(), **form)
    assert answer.json() == {"response_action": "errors", "errors": {"topic": "is missing"}}
    command = {
        "command": "/stafett",
        "text": "queue",
        "team_id": "T1",
        "api_app_id": "A1",
        "user_id": "U1",
        "channel_id": "C1",
    }
    door.post(urlencode(command).encode(), **form)
    assert [payload.kind for payload in door.heard] == ["view", "command"]
    assert door.heard[1].body["text"] == "queue"


def test_the_first_listener_that_answers_has_it(door: Door) -> None:
    later: list[SlackPayload] = []

    async def second(payload: SlackPayload) -> Reply | None:
        later.append(payload)
        return None

    door.connection.add_listener(second)
    door.post(event())
    assert later == []
    door.reply = None
    door.post(event())
    assert len(later) == 1
    assert door.connection.counters.unclaimed == 1


def test_our_own_posts_come_back_as_echoes_and_go_no_further(door: Door) -> None:
    heard = []
    door.connection.add_echo_hook(heard.append)
    own = {
        "type": "message",
        "channel": "C1",
        "user": "UBOT",
        "bot_id": "B1",
        "text": "hi",
        "ts": "1.2",
        "thread_ts": "1.1",
    }
    door.post(event(event={**own, "metadata": {"event_type": "stafett", "event_payload": {"outbox_id": "o1"}}}))
    assert door.heard == []
    assert [(echo.outbox_id, echo.channel, echo.ts, echo.thread_ts) for echo in heard] == [("o1", "C1", "1.2", "1.1")]
    assert door.connection.echo("o1") == heard[0]


async def test_one_channel_has_its_turns_in_order() -> None:
    """Also where the first takes longer; other channels do not wait for it."""
    connection = SlackConnection(Settings(_env_file=None), Storage("sqlite+aiosqlite:///never-opened.db"))
    connection.team_id, connection.bot_user_id = "T1", "UBOT"
    connection._known.set()
    done: list[str] = []
    gate = asyncio.Event()

    async def listen(payload: SlackPayload) -> Reply | None:
        if payload.event["text"] == "first":
            await gate.wait()
        done.append(str(payload.event["text"]))
        return Reply()

    connection.add_listener(listen)

    def take(text: str, channel: str) -> asyncio.Task[Reply]:
        inner = {"type": "message", "channel": channel, "user": "U1", "text": text}
        return asyncio.create_task(connection.take(SlackPayload("event", {"team_id": "T1", "event": inner})))

    tasks = [take("first", "D1"), take("second", "D1"), take("elsewhere", "D2")]
    await tasks[2]
    assert done == ["elsewhere"]
    gate.set()
    await asyncio.gather(*tasks)
    assert done == ["elsewhere", "first", "second"]
    assert connection._turns == {}


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://files.slack.com/files-pri/T1-F1/a.png", True),
        ("https://files.slack.com:443/a", True),
        ("http://127.0.0.1:9/a", True),
        ("http://files.slack.com/a", False),
        ("https://files.slack.com.evil.example/a", False),
        ("https://evil.example/files.slack.com", False),
        ("https://files.slack.com@evil.example/a", False),
        ("https://user@files.slack.com/a", False),
        ("https://files.slack.com:8443/a", False),
        ("http://127.0.0.1:10/a", False),
        ("https://[/a", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_the_token_goes_only_to_slack(door: Door, url: str, ours: bool) -> None:
    assert door.connection.is_slack_url(url) is ours
