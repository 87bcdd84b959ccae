"""What the widget shows, in which language, to whom: buttons, scores, files, right to left; and what it never runs."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.browser.stub_server import StubServer
from tests.browser.widget import Widget, eventually

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)
ATTACKS = [
    "<img src=x onerror=window.hacked=1>",
    "<script>window.hacked=1</script>",
    "<svg onload=window.hacked=1><a href='javascript:window.hacked=1'>x</a></svg>",
    "<a href='javascript:window.hacked=1'>click</a>",
    "<a href='data:text/html,<script>1</script>'>click</a>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.hacked=1>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=window.hacked=1>",
    "<noscript><p title='</noscript><img src=x onerror=window.hacked=1>'>",
    "<b onclick=window.hacked=1 style='position:fixed;inset:0'>x</b>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe>",
    "<style>*{display:none}</style>",
]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_attacks_are_inert_wherever_they_stand(page: Page, stub: StubServer, attack: str) -> None:
    stub.csp = "default-src * 'unsafe-inline' 'unsafe-eval' blob: data:"  # the widget's own walk must hold it off
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.write(attack)
    await stub.say(attack, kind="agent", name=attack, html=attack, choices=[{"value": attack, "label": attack}])
    await stub.say("plain", kind="agent", files=[{"id": "f1", "name": attack, "type": "text/html", "size": 1}])
    await stub.case(status="open", agent={"name": attack})
    await expect(widget.bubbles).to_have_count(3)
    await expect(widget.bubbles.first).to_have_text(attack)
    assert await page.evaluate("window.hacked") is None
    tree = "document.querySelector('stafett-widget').shadowRoot"
    assert (
        await page.evaluate(
            f"{tree}.querySelectorAll('script,img,iframe,style,form,math,[onclick],[onerror],[style*=fixed]').length"
        )
        == 0
    )
    links = await page.evaluate(f"[...{tree}.querySelectorAll('.prose a')].map(a => a.getAttribute('href'))")
    assert all(link is None for link in links)
    assert widget.crashes == []


async def test_the_servers_markup_shows_and_its_links_open_elsewhere(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await stub.say(
        "x", html='<p>Your <strong>order</strong>: <a href="https://example.com/t?a=1&amp;b=2">track it</a></p>'
    )
    link = widget.log.get_by_role("link", name="track it")
    await expect(link).to_have_attribute("href", "https://example.com/t?a=1&b=2")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(widget.log.locator("strong")).to_have_text("order")


async def test_where_the_host_page_forbids_our_policy_the_text_shows_plain(page: Page, stub: StubServer) -> None:
    stub.csp = "require-trusted-types-for 'script'; trusted-types 'none'"
    widget = await (await Widget(page, stub).visit()).connected()
    await stub.say("Your order", html="<p>Your <strong>order</strong></p>")
    await widget.shows("Your order")
    assert widget.crashes == []


async def test_choices_are_pressed_once_and_stay_marked(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await stub.say("Did this help?", choices=[{"value": "yes", "label": "Yes"}, {"value": "no", "label": "No"}])
    yes, no = (widget.log.get_by_role("button", name=name) for name in ("Yes", "No"))
    await yes.click()
    await expect(yes).to_have_attribute("aria-pressed", "true")
    await expect(no).to_be_disabled()
    await page.reload()
    await expect(yes).to_have_attribute("aria-pressed", "true")
    await expect(no).to_be_disabled()


async def test_a_score_is_one_press_can_be_changed_and_survives_a_reload(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await stub.survey()
    scale = widget.log.get_by_role("group", name="How easy was it")
    await expect(scale.get_by_role("button")).to_have_count(7)
    await expect(scale.get_by_role("button", name="7, Very easy")).to_be_visible()
    await scale.get_by_role("button", name="5").click()
    await expect(widget.log.get_by_text("You can change this for 24 hours")).to_be_visible()
    await scale.get_by_role("button", name="6").click()
    await eventually(
        lambda: [frame["value"] for frame in stub.visitor.frames if frame["type"] == "choice"] == ["5", "6"]
    )
    await page.reload()
    await expect(scale.get_by_role("button", pressed=True)).to_have_text("6")


async def test_a_refused_press_gives_the_buttons_back(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    stub.refuse = lambda _frame: {"code": "expired", "message": "This question is closed."}
    await stub.say("Sure?", choices=[{"value": "yes", "label": "Yes"}])
    await widget.log.get_by_role("button", name="Yes").click()
    await expect(widget.panel.get_by_role("alert")).to_have_text("This question is closed.")
    await expect(widget.log.locator(".picks button")).to_be_enabled()


async def test_hebrew_is_right_to_left_and_each_message_finds_its_own_way(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit("open=true", "/")).connected()
    await page.goto(f"{stub.url}/?lang=he&open=true")
    await expect(widget.text).to_have_attribute("placeholder", "כתיבת הודעה…")
    await expect(widget.text).to_have_attribute("dir", "rtl")
    await stub.say("ההזמנה AB123456 בדרך")
    await stub.say("English too")
    directions = "nodes => nodes.map(node => getComputedStyle(node).direction)"
    await expect(widget.bubbles).to_have_count(2)
    assert await widget.bubbles.evaluate_all(directions) == ["rtl", "ltr"]
    assert await widget.panel.evaluate("node => getComputedStyle(node).direction") == "rtl"
    box = await widget.panel.bounding_box()
    assert box is not None
    assert box["x"] < 100


async def test_the_language_menu_changes_the_words_and_tells_the_server(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await stub.say("hello")
    await widget.panel.get_by_role("button", name="More").click()
    await page.get_by_role("menuitemradio", name="Nederlands").click()
    await expect(widget.text).to_have_attribute("placeholder", "Schrijf een bericht…")
    await widget.shows("hello")
    await eventually(lambda: stub.sessions[-1].get("locale") == "nl")
    await page.reload()
    await expect(widget.text).to_have_attribute("placeholder", "Schrijf een bericht…")


@pytest.mark.parametrize(
    ("item", "said"), [("Talk to a human", "talk to a human"), ("Continue on Telegram or Slack", "/link")]
)
async def test_the_menu_says_it_for_you(page: Page, stub: StubServer, item: str, said: str) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.panel.get_by_role("button", name="More").click()
    await page.get_by_role("menuitem", name=item).click()
    await widget.shows(said)


async def test_a_picture_goes_up_and_shows_without_leaking_the_token(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.panel.locator("input[type=file]").set_input_files(
        [{"name": "parcel.png", "mimeType": "image/png", "buffer": PNG}]
    )
    await expect(widget.panel.locator(".tray .chip:not(.busy)")).to_have_text("parcel.png")
    await widget.write("like this")
    picture = widget.log.get_by_alt_text("parcel.png")
    await expect(picture).to_have_js_property("naturalWidth", 1)
    assert str(await picture.get_attribute("src")).startswith("blob:")
    sent = next(frame for frame in stub.visitor.frames if frame["type"] == "message")
    assert sent["files"] == ["f1"]
    assert stub.files["f1"] == ("parcel.png", "image/png", PNG)


async def test_other_files_are_downloads_and_a_refused_one_is_told(page: Page, stub: StubServer) -> None:
    stub.csp = "default-src * 'unsafe-inline' blob:"
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.panel.locator("input[type=file]").set_input_files(
        [{"name": "run.exe", "mimeType": "application/x-msdownload", "buffer": b"MZ"}]
    )
    await expect(widget.panel.get_by_role("alert")).to_have_text("run.exe could not be accepted.")
    stub.files["f9"] = ("page.html", "text/html", b"<script>parent.hacked=1</script>")
    await stub.say(
        "here", kind="agent", name="Ann", files=[{"id": "f9", "name": "page.html", "type": "text/html", "size": 32}]
    )
    async with page.expect_download() as download:
        await widget.log.get_by_role("button", name="page.html").click()
    saved = await download.value
    assert saved.suggested_filename == "page.html"
    kind = await page.evaluate("url => fetch(url).then(answer => answer.headers.get('content-type'))", saved.url)
    assert kind == "application/octet-stream"  # as HTML it could run in the host page's name


async def test_the_way_to_a_person_is_told_step_by_step(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await stub.case(status="queued", position=3, wait_s=240)
    strip = widget.panel.locator(".strip:not(.net)")
    await expect(strip).to_have_text("You are number 3 in line · about 4 minutes")
    await stub.case(status="queued", position=3, wait_s=8100)
    await expect(strip).to_have_text("You are number 3 in line · about 2 hours")
    await stub.say("It takes about 2 hours.", kind="system", choices=[{"value": "later", "label": "Contact me later"}])
    later = widget.log.get_by_role("button", name="Contact me later")
    await expect(later).to_be_enabled()
    await stub.case(status="open", agent={"name": "Ann"})
    await expect(strip).to_have_text("Ann has joined")
    await expect(later).to_be_disabled()
    await stub.tell(stub.visitor, {"type": "typing", "author": {"kind": "agent", "name": "Ann"}})
    await expect(widget.log.get_by_text("Ann is typing")).to_be_attached()
    await stub.case(status="resolved")
    await expect(strip).to_contain_text("Resolved")


async def test_edits_deletions_and_other_channels_show(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    first = await stub.say("Tursday", kind="agent", name="Ann")
    second = await stub.say("oops", kind="agent", name="Ann")
    await stub.say("from my phone", kind="customer", channel="telegram")
    await stub.add(stub.visitor, {"type": "edit", "id": first["id"], "text": "Thursday", "html": ""})
    await stub.add(stub.visitor, {"type": "delete", "id": second["id"]})
    await expect(widget.log.locator(".msg").nth(0)).to_contain_text("edited")
    await expect(widget.log.locator(".msg").nth(1)).to_contain_text("This message was deleted")
    await expect(widget.log.locator(".via")).to_have_text("telegram")
    await widget.shows("Thursday", "from my phone")


async def test_what_came_while_it_was_closed_is_counted_until_it_is_read(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.text.press("Escape")
    await expect(widget.panel).to_be_hidden()
    await expect(widget.launcher).to_be_focused()
    await stub.say("one", kind="agent", name="Ann")
    await stub.say("two", kind="agent", name="Ann")
    badge = widget.launcher.locator(".badge")
    await expect(badge).to_have_text("2")
    await widget.launcher.click()
    await expect(badge).to_be_hidden()
    await eventually(lambda: {"type": "read", "seq": 2} in stub.visitor.frames)


async def test_shift_enter_is_a_new_line(page: Page, stub: StubServer) -> None:
    widget = await (await Widget(page, stub).visit()).connected()
    await widget.text.press_sequentially("a")
    await widget.text.press("Shift+Enter")
    await widget.text.press_sequentially("b")
    await widget.text.press("Enter")
    await eventually(lambda: any(frame.get("text") == "a\nb" for frame in stub.visitor.frames))


async def test_on_a_phone_it_fills_the_screen_and_keeps_the_focus(page: Page, stub: StubServer) -> None:
    await page.set_viewport_size({"width": 375, "height": 700})
    await page.emulate_media(reduced_motion="reduce")
    widget = await (await Widget(page, stub).visit()).connected()
    await expect(widget.launcher).to_be_hidden()
    assert await widget.panel.bounding_box() == {"x": 0, "y": 0, "width": 375, "height": 700}
    await widget.text.focus()
    for _ in range(8):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.tagName") == "STAFETT-WIDGET"


@pytest.mark.parametrize("locale", ["en", "nl", "nb", "he"])
async def test_the_demo_page_and_the_widget_hold_under_a_strict_policy(
    page: Page, stub: StubServer, locale: str
) -> None:
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None,
    )
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    widget = await Widget(page, stub).visit(f"locale={locale}", "/demo")
    await page.locator("[data-say=ask]").click()
    await expect(widget.bubbles).to_have_count(1)
    assert await page.evaluate("document.documentElement.lang") == locale
    assert await page.evaluate("Stafett.locale") == locale
    assert complaints == []
    assert all(url.startswith((stub.url, stub.url.replace("http", "ws"))) for url in requests)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_shuts_out_people_with_a_screen_reader_or_weak_eyes(
    page: Page, stub: StubServer, scheme: str
) -> None:
    stub.csp = "default-src * 'unsafe-inline' 'unsafe-eval' blob: data:"  # axe puts itself into the page
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    widget = await (await Widget(page, stub).visit()).connected()
    pdf = {"id": "f1", "name": "label.pdf", "type": "application/pdf", "size": 48_213}
    await stub.say(
        "x", kind="agent", name="Ann", html='<p>See <a href="https://example.com/">this</a></p>', files=[pdf]
    )
    await stub.say("Did this help?", choices=[{"value": "yes", "label": "Yes"}])
    await stub.survey()
    await stub.case(status="queued", position=1, wait_s=60)
    await expect(widget.bubbles).to_have_count(3)
    report = await Axe().run(page, context="stafett-widget")
    assert report.violations_count == 0, report.generate_report()
