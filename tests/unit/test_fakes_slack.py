"""The stand-in for Slack keeps the Web API's and the Events API's promises, and the real slack_sdk talks to it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import ClientSession, web
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.faults import Fault
from tests.fakes.slack import SlackServer

CLAIM = {
    "type": "actions",
    "elements": [
        {"type": "button", "text": {"type": "plain_text", "text": "Claim"}, "action_id": "claim", "value": "7"}
    ],
}
FORM = {
    "type": "modal",
    "callback_id": "resolve",
    "title": {"type": "plain_text", "text": "Resolve"},
    "submit": {"type": "plain_text", "text": "Resolve"},
    "blocks": [
        {
            "type": "input",
            "block_id": "outcome",
            "label": {"type": "plain_text", "text": "Outcome"},
            "element": {
                "type": "static_select",
                "action_id": "pick",
                "options": [{"text": {"type": "plain_text", "text": "Solved"}, "value": "resolved"}],
            },
        },
        {
            "type": "input",
            "block_id": "why",
            "optional": True,
            "label": {"type": "plain_text", "text": "Why"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
    ],
}


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as server:
        yield server


@pytest.fixture
def web_api(slack: SlackServer) -> AsyncWebClient:
    return AsyncWebClient(slack.bot_token, base_url=slack.api_url, retry_handlers=[])


@asynccontextmanager
async def app(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """The product's side of the Events API."""
    served = web.Application()
    served.router.add_post("/slack/events", answer)
    runner = web.AppRunner(served, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    finally:
        await runner.cleanup()


async def test_slack_sdk_posts_threads_edits_and_reads_back(slack: SlackServer, web_api: AsyncWebClient) -> None:
    ann = slack.person("U1", name="Ann")
    desk = slack.channel("C1", members=[ann])
    assert (await web_api.auth_test())["bot_id"] == "B0001"
    card = await web_api.chat_postMessage(channel="C1", text="Kari is waiting", blocks=[CLAIM])
    assert (await desk.hears("Kari is waiting")).labels == ["Claim"]
    metadata = {"event_type": "outbox", "event_payload": {"id": "1"}}
    reply = await web_api.chat_postMessage(channel="C1", text="a reply", thread_ts=card["ts"], metadata=metadata)
    assert reply["message"]["thread_ts"] == card["ts"]
    await ann.posts("C1", "1 < 2 & so", thread_ts=card["ts"])
    read = await web_api.conversations_replies(channel="C1", ts=card["ts"], include_all_metadata=True)
    assert [message["text"] for message in read["messages"]] == ["Kari is waiting", "a reply", "1 &lt; 2 &amp; so"]
    assert read["messages"][1]["metadata"] == metadata
    read = await web_api.conversations_replies(channel="C1", ts=card["ts"], oldest=reply["ts"])
    assert "metadata" not in read["messages"][0]
    assert [message["text"] for message in read["messages"]][1:] == ["1 &lt; 2 &amp; so"]
    assert [m["ts"] for m in (await web_api.conversations_history(channel="C1"))["messages"]] == [card["ts"]]

    await web_api.chat_update(channel="C1", ts=card["ts"], text="taken", blocks=[])
    assert (await desk.hears("taken")).edited
    await web_api.reactions_add(channel="C1", timestamp=reply["ts"], name="eyes")
    assert desk.post(reply["ts"]).reactions == {"eyes": ["U0BOT"]}
    await web_api.chat_postEphemeral(channel="C1", user="U1", text="only you")
    await ann.is_told("only you")
    opened = await web_api.conversations_open(users=["U1"])
    await web_api.chat_postMessage(channel=opened["channel"]["id"], text="hello Ann")
    await ann.hears("hello Ann")
    await web_api.chat_delete(channel="C1", ts=reply["ts"])
    assert [post.says for post in desk.thread(card["ts"])] == ["taken", "1 < 2 & so"]


async def test_a_reply_to_a_deleted_root_lands_at_the_top_of_the_channel(
    slack: SlackServer, web_api: AsyncWebClient
) -> None:
    desk = slack.channel("C1")
    card = await web_api.chat_postMessage(channel="C1", text="card")
    await web_api.chat_delete(channel="C1", ts=card["ts"])
    stray = await web_api.chat_postMessage(channel="C1", text="reply", thread_ts=card["ts"])
    assert "thread_ts" not in stray["message"]
    assert [post.text for post in desk.cards] == ["reply"]


async def test_files_go_both_ways_and_need_the_token(slack: SlackServer, web_api: AsyncWebClient) -> None:
    ann = slack.person("U1", name="Ann")
    desk = slack.channel("C1", members=[ann])
    await web_api.files_upload_v2(channel="C1", filename="letter.txt", content="Dear", initial_comment="a letter")
    (sent,) = (await desk.hears("a letter")).files
    post = await ann.posts("C1", "here", files=[("shot.png", "image/png", b"\x89PNG")])
    about = (await web_api.files_info(file=post.files[0]["id"]))["file"]
    async with ClientSession() as http:
        for url, content in ((about["url_private"], b"\x89PNG"), (sent["url_private"], b"Dear")):
            async with http.get(url, headers={"Authorization": f"Bearer {slack.bot_token}"}) as response:
                assert await response.read() == content
            async with http.get(url) as response:
                assert response.content_type == "text/html"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channel": "C9", "text": "x"}, "channel_not_found"),
        ({"channel": "C2", "text": "x"}, "not_in_channel"),
        ({"channel": "C3", "text": "x"}, "is_archived"),
        ({"channel": "C1"}, "no_text"),
        ({"channel": "C1", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        (
            {"channel": "C1", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]},
            "invalid_blocks",
        ),
        ({"channel": "C1", "blocks": [{"type": "actions", "elements": CLAIM["elements"] * 26}]}, "invalid_blocks"),
        (
            {
                "channel": "C1",
                "blocks": [
                    {
                        "type": "actions",
                        "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x" * 76}}],
                    }
                ],
            },
            "invalid_blocks",
        ),
        (
            {"channel": "C1", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}] * 5},
            "msg_blocks_too_long",
        ),
    ],
)
async def test_what_slack_refuses_is_refused_in_its_words(
    slack: SlackServer, web_api: AsyncWebClient, params: dict[str, Any], error: str
) -> None:
    slack.channel("C1")
    slack.channel("C2", bot=False)
    slack.channel("C3").room.archived = True
    with pytest.raises(SlackApiError) as refused:
        await web_api.api_call("chat.postMessage", json=params)
    assert refused.value.response["error"] == error
    assert slack.channel("C1").messages == []


async def test_tokens_are_checked(slack: SlackServer) -> None:
    for token, method, error in (
        ("xoxb-wrong", "auth.test", "invalid_auth"),
        (slack.bot_token, "apps.connections.open", "not_allowed_token_type"),
        (slack.bot_token, "no.such", "unknown_method"),
    ):
        with pytest.raises(SlackApiError) as refused:
            await AsyncWebClient(token, base_url=slack.api_url).api_call(method)
        assert refused.value.response["error"] == error


async def test_faults_reach_slack_sdk_as_the_real_ones_do(slack: SlackServer, web_api: AsyncWebClient) -> None:
    desk = slack.channel("C1")
    slack.script(
        "chat.postMessage", Fault.status(429, retry_after=30), Fault.refusal("fatal_error"), Fault.accept_then_502()
    )
    slack.script("chat.postMessage", Fault.accept_then_reset(), when=lambda params: params["text"] == "kept 2")
    for text, what in (("lost", 429), ("lost", 200)):
        with pytest.raises(SlackApiError) as refused:
            await web_api.chat_postMessage(channel="C1", text=text)
        assert refused.value.response.status_code == what
    assert slack.calls("chat.postMessage")[0].fault == Fault.status(429, retry_after=30)
    for text in ("kept 1", "kept 2"):
        with pytest.raises((SlackApiError, OSError)):
            await web_api.chat_postMessage(channel="C1", text=text)
    assert [post.text for post in desk.messages] == ["kept 1", "kept 2"]
    await slack.down()
    with pytest.raises(OSError):
        await web_api.auth_test()
    await slack.up()
    assert (await web_api.auth_test())["ok"]


async def test_socket_mode_carries_events_presses_and_forms(slack: SlackServer, web_api: AsyncWebClient) -> None:
    ann = slack.person("U1", name="Ann")
    slack.channel("C1", members=[ann])
    got: list[dict[str, Any]] = []
    own = AsyncWebClient(slack.app_token, base_url=slack.api_url)
    client = SocketModeClient(app_token=slack.app_token, web_client=own, ping_interval=60)

    async def listen(socket: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        got.append(request.payload)
        reply = None
        if request.payload["type"] == "block_actions":
            await web_api.views_open(trigger_id=request.payload["trigger_id"], view=FORM)
        if request.payload["type"] == "view_submission" and len(got) < 5:
            reply = {"response_action": "errors", "errors": {"why": "say why"}}
        await socket.send_socket_mode_response(SocketModeResponse(request.envelope_id, reply))

    client.socket_mode_request_listeners.append(listen)
    try:
        await client.connect()
        await slack.connected()
        card = await web_api.chat_postMessage(channel="C1", text="card", blocks=[CLAIM])
        await slack.settled()
        assert got[0]["event"]["bot_id"] == "B0001"
        assert await ann.presses("C1", card["ts"], "Claim") == {}
        assert got[1]["actions"][0]["value"] == "7"
        form = await ann.is_shown("Resolve")
        with pytest.raises(AssertionError, match="required"):
            await ann.submits(form)
        await ann.submits(form, {"Outcome": "Solved"})
        assert form["errors"] == {"why": "say why"}
        await ann.mentions_app("C1", "look")
        await slack.settled()
        assert {payload["event"]["type"] for payload in got[-2:]} == {"message", "app_mention"}
        await ann.submits(form, {"Outcome": "resolved", "why": "it was late"})
        assert ann.view is None
        values = got[-1]["view"]["state"]["values"]
        assert values["outcome"]["pick"]["selected_option"]["value"] == "resolved"
        assert values["why"]["text"] == {"type": "plain_text_input", "value": "it was late"}

        await slack.disconnects()
        await slack.waits_for(lambda: len(slack.calls("apps.connections.open")) == 2)
        await slack.connected()
    finally:
        await client.close()


async def test_events_over_http_are_signed_and_come_again_with_the_same_id(slack: SlackServer) -> None:
    ann = slack.person("U1", name="Ann")
    slack.channel("C1", members=[ann])
    verifier = SignatureVerifier(slack.signing_secret)
    seen: list[tuple[str | None, str | None, str]] = []
    refusals = iter([500, 503])

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        assert verifier.is_valid_request(body, dict(request.headers))
        number, reason = (request.headers.get(f"X-Slack-Retry-{what}") for what in ("Num", "Reason"))
        seen.append((number, reason, json.loads(body)["event_id"]))
        return web.Response(status=next(refusals, 200))

    async with app(answer) as slack.events_url:
        await ann.posts("C1", "hi")
        await slack.settled()
    assert [(number, reason) for number, reason, _ in seen] == [(None, None), ("1", "http_error"), ("2", "http_error")]
    assert len({event_id for *_, event_id in seen}) == 1
    assert slack.delivery.lost == []


async def test_an_event_that_nobody_takes_is_lost_after_three_retries(slack: SlackServer) -> None:
    ann = slack.person("U1")
    gate = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await gate.wait()
        return web.Response()

    slack.delivery.ack_timeout, slack.delivery.retry_delays = 0.01, (0, 0, 0)
    async with app(answer) as slack.events_url:
        await ann.dm("hello?")
        await slack.settled()
        gate.set()
    assert [attempt.failure for attempt in slack.attempts] == ["http_timeout"] * 4
    assert len(slack.delivery.lost) == 1


async def test_presses_and_commands_over_http_and_answers_by_response_url(slack: SlackServer) -> None:
    ann = slack.person("U1")
    desk = slack.channel("C1", members=[ann])
    urls: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        form = {key: value[0] for key, value in parse_qs(await request.text()).items()}
        if "command" in form:
            return web.json_response({"text": f"{form['command']} {form['text']}"})
        if "payload" in form:
            urls.append(json.loads(form["payload"])["response_url"])
        return web.Response()

    async with app(answer) as slack.events_url, ClientSession() as http:
        client = AsyncWebClient(slack.bot_token, base_url=slack.api_url)
        card = await client.chat_postMessage(channel="C1", text="card", blocks=[CLAIM])
        await ann.presses("C1", card["ts"], "claim")
        await ann.uses_shortcut("note", "C1", card["ts"])
        assert await ann.commands("C1", "/stafett", "status") == {"text": "/stafett status"}
        await ann.is_told("/stafett status")
        async with http.post(urls[0], json={"replace_original": True, "text": "taken by Ann"}) as response:
            assert response.status == 200
        assert desk.post(card["ts"]).says == "taken by Ann"
        statuses = []
        for _ in range(5):
            async with http.post(urls[0], json={"text": "psst"}) as response:
                statuses.append(response.status)
        assert statuses == [200, 200, 200, 200, 404]
        await slack.settled()


async def test_held_events_come_late_twice_and_out_of_order(slack: SlackServer) -> None:
    ann = slack.person("U1")
    texts: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        texts.append((await request.json())["event"]["text"])
        return web.Response()

    async with app(answer) as slack.events_url:
        slack.hold()
        for text in "abcd":
            await ann.dm(text)
        await slack.settled()
        assert texts == []
        slack.release(shuffle=Random(3), copies=2)
        await slack.settled()
    assert sorted(texts) == list("aabbccdd")
    assert texts != sorted(texts)


async def test_edits_deletions_reactions_and_strangers_look_as_slack_tells_them(slack: SlackServer) -> None:
    ann = slack.person("U1")
    slack.delivery.retry_delays = (0, 0, 0)
    eve = slack.person("U2", name="Eve", team="T2")
    slack.channel("C1", members=[ann, eve], shared=True)
    post = await ann.posts("C1", "first")
    await ann.edits("C1", post.ts, "second")
    await ann.reacts("C1", post.ts, "eyes")
    await ann.unreacts("C1", post.ts, "eyes")
    await ann.deletes("C1", post.ts)
    await eve.posts("C1", "hi")
    await slack.settled()
    events = sorted((envelope for envelope in slack.delivery.lost), key=lambda envelope: envelope["event_id"])
    kinds = [envelope["event"].get("subtype", envelope["event"]["type"]) for envelope in events]
    assert kinds == ["message", "message_changed", "reaction_added", "reaction_removed", "message_deleted", "message"]
    changed = events[1]["event"]
    assert (changed["previous_message"]["text"], changed["message"]["text"]) == ("first", "second")
    assert events[4]["event"]["deleted_ts"] == post.ts
    assert events[5]["event"]["user_team"] == "T2"
    assert events[5]["is_ext_shared_channel"]


async def test_a_post_that_rings_in_every_pocket_is_noticed(slack: SlackServer, web_api: AsyncWebClient) -> None:
    desk = slack.channel("C1")
    await web_api.chat_postMessage(channel="C1", text="<!channel> hurry")
    await web_api.chat_postMessage(channel="C1", text="&lt;!channel&gt; hurry")
    assert [post.pages_everybody for post in desk.messages] == [True, False]


async def test_sockets_warn_freeze_and_break_and_an_unacknowledged_event_comes_again(slack: SlackServer) -> None:
    ann = slack.person("U1")
    slack.delivery.ack_timeout, slack.delivery.retry_delays = 0.02, (0, 0, 0)
    app_client = AsyncWebClient(slack.app_token, base_url=slack.api_url)
    url = (await app_client.apps_connections_open(app_token=slack.app_token))["url"]
    async with ClientSession() as http, http.ws_connect(url) as one:
        assert (await one.receive_json())["type"] == "hello"
        await slack.disconnects("warning", close=False)
        assert (await one.receive_json())["reason"] == "warning"
        await ann.dm("hello")
        first = await one.receive_json()
        again = await one.receive_json()
        assert (first["retry_attempt"], again["retry_attempt"]) == (0, 1)
        assert first["payload"]["event_id"] == again["payload"]["event_id"]
        await one.send_json({"envelope_id": again["envelope_id"]})
        await slack.waits_for(lambda: slack.attempts[-1].failure == "")
        slack.freezes_sockets()
        await ann.dm("into the void")
        await slack.settled()
        assert len(slack.delivery.lost) == 1
        slack.drops_sockets()
        while not (await one.receive()).type.name.startswith("CLOS"):
            pass
        await slack.waits_for(lambda: not slack.delivery.sockets)


async def test_another_process_reaches_it_by_url(slack: SlackServer) -> None:
    code = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], b'').read().decode())"
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, f"{slack.api_url}auth.test", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await running.communicate()
    assert json.loads(out) == {"ok": False, "error": "not_authed"}
