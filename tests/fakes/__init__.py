"""Stand-ins for Telegram and Slack: local servers that the real SDKs talk to, and people who use them.

What lives here: `telegram.TelegramServer`, `slack.SlackServer`, and in `faults` what can go wrong on the
way. What they must not know: anything of the product. They answer like the platforms' documentation says,
refuse what the platforms refuse, and never import an SDK.

    async with TelegramServer() as tg:                     # 127.0.0.1, a free port
        kari = tg.person(id=42, name="Kari", language_code="nb")
        ...start the product with tg.api_url and tg.token, in this process or another...
        await kari.start()
        menu = await kari.hears("Hva kan jeg hjelpe")      # wakes by event, fails with what was seen
        await kari.presses(menu, "Ordrestatus")
        assert kari.sees[-1].text == "Hva er ordrenummeret?"

    async with SlackServer() as slack:
        ann = slack.person("U1", name="Ann")
        desk = slack.channel("C1", members=[ann])
        ...start the product with slack.api_url, slack.bot_token and slack.app_token (Socket Mode),
        or with slack.signing_secret and slack.events_url = "http://…/slack/events" (HTTP)...
        card = await desk.hears("Kari is waiting")
        await ann.presses("C1", card.ts, "Claim")
        await ann.posts("C1", "Hello!", thread_ts=card.ts)

Faults, each used up by one call, in order:

    tg.script("sendMessage", Fault.status(429, retry_after=1), Fault.accept_then_reset())
    slack.script("chat.postMessage", Fault.slow(gate), when=lambda params: params["channel"] == "C1")
    await tg.down(); await tg.up()                         # connection refused, then back on the same port
    tg.hold(); ...; tg.release(shuffle=Random(7), copies=2)            # late, out of order, twice

`server.log` holds every call (`method`, `params`, `at`, `fault`, `reply`); `await server.called(method)` waits for one.
"""
