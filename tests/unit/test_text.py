"""One text on every channel: what is written arrives, and nothing in it runs, pings or hides."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.texts import escape_markdown
from channels.text import (
    bare,
    clean,
    from_mrkdwn,
    from_slack_blocks,
    one_line,
    plain_to_html,
    plain_to_mrkdwn,
    shorten,
    to_html,
    to_mrkdwn,
    to_plain,
    to_telegram,
    visible,
)

PIECES = [
    "*", "**", "_", "~~", "`", "```", "\n", "\n\n", "- ", "1. ", "> ", "# ", "[a](https://b.no)", "[x](javascript:alert(1))",
    "![i](data:image/svg+xml;base64,AA)", "<!channel>", "<@U1>", "<script>alert(1)</script>", "<img src=x onerror=y>",
    "<https://a.nl|b>", "&lt;!here&gt;", "&#60;@U1>", "😀", "👩‍👧", "שלום", "word ", " ", "\\", "<", "|", "https://x.no/?a=1&b=<!here>",
    "[<!channel>](https://a.no)", "<svg/onload=1>", "[a](<https://b.no/|c>)", "\u202e", "\t", "e\u0301", "]", "(", ")", "---", "===",
]  # fmt: skip
tangles = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=25).map("".join)

DOCUMENT = """# Your *order*
It is **on its _way_**, see [the parcel](https://x.nl/a?b=1&c=2) or https://bare.no/x_y_z.
Use `code <b>`, ~~not this~~

- one
- two
  1. nested

> quoted 😀 **b**

```python
x = 1 < 2
```"""


def entity_texts(md: str) -> list[tuple[str, str]]:
    text, entities = to_telegram(md)
    raw = text.encode("utf-16-le", "surrogatepass")
    return [(e["type"], raw[e["offset"] * 2 : (e["offset"] + e["length"]) * 2].decode("utf-16-le")) for e in entities]


def test_as_plain_text_it_reads_well_without_marks() -> None:
    assert to_plain(DOCUMENT) == (
        "Your order\n\nIt is on its way, see the parcel (https://x.nl/a?b=1&c=2) or https://bare.no/x_y_z.\n"
        "Use code <b>, not this\n\n• one\n• two\n  1. nested\n\nquoted 😀 b\n\nx = 1 < 2"
    )


def test_as_slacks_mrkdwn() -> None:
    assert to_mrkdwn(DOCUMENT) == (
        "*Your _order_*\n\nIt is *on its _way_*, see <https://x.nl/a?b=1&amp;c=2|the parcel> or https://bare.no/x_y_z.\n"
        "Use `code &lt;b&gt;`, ~not this~\n\n• one\n• two\n  1. nested\n\n> quoted 😀 *b*\n\n```\nx = 1 &lt; 2\n```"
    )


def test_as_telegrams_entities_counted_in_utf16() -> None:
    assert entity_texts(DOCUMENT) == [
        ("bold", "Your order"),
        ("italic", "order"),
        ("bold", "on its way"),
        ("italic", "way"),
        ("text_link", "the parcel"),
        ("code", "code <b>"),
        ("strikethrough", "not this"),
        ("blockquote", "quoted 😀 b"),
        ("bold", "b"),
        ("pre", "x = 1 < 2"),
    ]
    assert entity_texts("😀😀 **x**") == [("bold", "x")]


def test_telegram_forbids_code_inside_other_styles() -> None:
    assert entity_texts("**a `c` b**") == [("bold", "a "), ("bold", " b"), ("code", "c")]
    assert entity_texts("[`c`](https://a.no)") == [("text_link", "c")]


def test_as_html() -> None:
    assert to_html("**a** <b>\nhttps://x.no/a_b_c.") == (
        '<p><strong>a</strong> &lt;b&gt;<br>\n<a href="https://x.no/a_b_c" target="_blank" '
        'rel="noopener nofollow">https://x.no/a_b_c</a>.</p>'
    )
    assert to_html("") == ""
    assert to_html("two words") == "<p>two words</p>"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "JaVaScRiPt:x",
        "file:///etc/passwd",
        "//evil.no",
        "https://",
        "https://bank.no@evil.no/",
        "tg://resolve?domain=x",
        "vbscript:x",
        "https:evil",
    ],
)
def test_only_web_and_mail_addresses_become_links(url: str) -> None:
    for md in (f"[x]({url})", f"[x](<{url}>)", f"<{url}>", f"![x]({url})"):
        assert "<a " not in to_html(md)
        assert not [e for e in to_telegram(md)[1] if e["type"] == "text_link"]
        assert "<" not in to_mrkdwn(md)


def test_a_picture_is_never_fetched_only_linked() -> None:
    assert "<img" not in to_html("![track](https://evil.no/p.png)")
    assert to_plain("![track](https://evil.no/p.png)") == "track (https://evil.no/p.png)"


class Allowed(HTMLParser):
    """Fails on any tag or attribute that our pages should not get."""

    ATTRIBUTES: ClassVar = {"a": {"href", "target", "rel"}, "ol": {"start"}}
    TAGS = frozenset({"p", "br", "strong", "em", "s", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr"})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.TAGS
        assert {name for name, _ in attrs} <= self.ATTRIBUTES.get(tag, set())
        for name, value in attrs:
            assert name != "href" or re.match(r"(https?://|mailto:)", value or "")
            assert name != "rel" or value == "noopener nofollow"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


@settings(max_examples=300, deadline=None)
@given(tangles)
def test_html_never_holds_anything_that_is_not_allowed(text: str) -> None:
    for rendered in (to_html(clean(text)), plain_to_html(text)):
        parser = Allowed()
        parser.feed(rendered)
        parser.close()


@settings(max_examples=300, deadline=None)
@given(tangles)
def test_nothing_that_anybody_writes_pings_people_in_slack(text: str) -> None:
    assert not re.search(r"[<>]", plain_to_mrkdwn(text))
    for opened in re.findall(r"<(.*?)(?:\||$)", to_mrkdwn(text), re.DOTALL):
        assert opened.startswith(("http://", "https://", "mailto:"))


@settings(max_examples=300, deadline=None)
@given(tangles)
def test_telegrams_entities_lie_within_the_text_and_cut_no_character(text: str) -> None:
    flat, entities = to_telegram(clean(text))
    raw = flat.encode("utf-16-le")
    for entity in entities:
        start, end = entity["offset"] * 2, (entity["offset"] + entity["length"]) * 2
        assert 0 <= start < end <= len(raw)
        raw[start:end].decode("utf-16-le")  # half a surrogate pair would raise
    codes = [e for e in entities if e["type"] in {"code", "pre"}]
    for code in codes:
        inside = range(code["offset"], code["offset"] + code["length"])
        assert not [
            e for e in entities if e is not code and set(range(e["offset"], e["offset"] + e["length"])) & set(inside)
        ]


@settings(max_examples=300, deadline=None)
@given(tangles)
def test_an_escaped_value_reads_as_it_was_written(text: str) -> None:
    word = " ".join(clean(text).split())
    assert " ".join(to_plain("x" + escape_markdown(word) + "x").split()) == f"x{word}x"


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab #[]()\\<>&|!+=-_*~.1"), max_size=30))
def test_an_agents_words_without_slack_markup_arrive_as_typed(text: str) -> None:
    text = " ".join(re.sub(r"(?<!\w)[*_~]|[*_~](?!\w)", "", text).split())
    if re.match(r"(-|\d+\.) |>", text):
        text = "a" + text  # the beginnings of lists and quotes mean the same in both
    assert to_plain(from_mrkdwn(plain_to_mrkdwn(text), {})) == text


def test_slacks_mrkdwn_becomes_markdown() -> None:
    written = (
        "Hi <@U1> and <@U2>, *bold* _it_ ~no~ `a&lt;b` <https://x.nl/a_b?x=1&amp;y=2|the site> <https://y.nl> "
        "<!here> <!subteam^S1|@team> <#C1|general> <mailto:a@b.no|a@b.no> 2 * 3 * 4 snake_case_x"
    )
    assert to_plain(from_mrkdwn(written, {"U1": "Ann"})) == (
        "Hi @Ann and @…, bold it no a<b the site (https://x.nl/a_b?x=1&y=2) https://y.nl "
        "@here @team #general a@b.no 2 * 3 * 4 snake_case_x"
    )
    assert [kind for kind, _ in entity_texts(from_mrkdwn(written, {}))] == [
        "bold", "italic", "strikethrough", "code", "text_link",
    ]  # fmt: skip


def test_an_ampersand_is_escaped_only_where_it_begins_an_entity() -> None:
    written = from_mrkdwn("R&amp;D, fish &amp; chips; &amp;amp; and &amp;#38; are words", {})
    assert written == r"R&D, fish & chips; \&amp; and \&#38; are words"
    assert to_plain(written) == "R&D, fish & chips; &amp; and &#38; are words"


def test_what_markdown_reads_as_it_stands_is_not_escaped() -> None:
    typed = "order_no is 4 < 5 <3 a<b x_"
    written = from_mrkdwn(plain_to_mrkdwn(typed), {})
    assert written == r"order_no is 4 < 5 <3 a\<b x\_"
    assert to_plain(written) == typed


def test_slacks_lines_keep_their_meaning() -> None:
    md = from_mrkdwn("&gt; quoted\n\n# no heading\n---\n• one\n• two\n```code *x* &lt;y```\nend", {})
    assert to_plain(md) == "quoted\n\n# no heading\n---\n\n• one\n• two\n\ncode *x* <y\n\nend"


@pytest.mark.parametrize(
    ("shortcode", "shown"),
    [
        (":smile:", "😄"),
        (":+1::skin-tone-3:", "👍🏼"),
        (":octopus:", "🐙"),
        (":flag-nl:", "🇳🇱"),
        (":our_logo:", ":our_logo:"),
        ("10:30:15", "10:30:15"),
        (":man-shrugging:", "🤷\u200d♂️"),
    ],
)
def test_emoji_shortcodes_become_emoji(shortcode: str, shown: str) -> None:
    assert to_plain(from_mrkdwn(f"at {shortcode}", {})) == f"at {shown}"


def test_slacks_rich_text_becomes_markdown() -> None:
    def section(*elements: dict[str, Any]) -> dict[str, Any]:
        return {"type": "rich_text_section", "elements": list(elements)}

    blocks: list[dict[str, Any]] = [
        {"type": "section"},
        {
            "type": "rich_text",
            "elements": [
                section(
                    {"type": "text", "text": "Hi "},
                    {"type": "user", "user_id": "U1"},
                    {"type": "text", "text": " both ", "style": {"bold": True, "italic": True}},
                    {"type": "emoji", "name": "x", "unicode": "1f604"},
                    {"type": "broadcast", "range": "here"},
                    {"type": "text", "text": " *raw*\n# raw "},
                    {"type": "link", "url": "https://a.no/b", "text": "label"},
                    {"type": "link", "url": "javascript:x", "text": "bad"},
                ),
                {"type": "rich_text_list", "style": "ordered", "elements": [section({"type": "text", "text": "one"})]},
                {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [section({"type": "text", "text": "sub"})]},
                {"type": "rich_text_quote", "elements": [{"type": "text", "text": "q1\nq2"}]},
                {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x = `1`\n  y"}]},
            ],
        },
    ]  # fmt: skip
    md = from_slack_blocks(blocks, {"U1": "Ann_B"})
    assert md is not None
    assert to_plain(md) == (
        "Hi @Ann_B both 😄@here *raw*\n# raw label (https://a.no/b)bad\n\n1. one\n  • sub\n\nq1\nq2\n\nx = `1`\n  y"
    )
    assert from_slack_blocks([{"type": "section"}], {}) is None


@settings(max_examples=300, deadline=None)
@given(tangles)
def test_slacks_markup_never_breaks_the_way_back(text: str) -> None:
    to_html(from_mrkdwn(clean(text), {"U1": "Ann"}))
    to_mrkdwn(from_mrkdwn(clean(text), {"U1": "<!channel>"}))


def test_what_databases_refuse_is_dropped_and_all_else_is_kept() -> None:
    assert clean("a\x00b\x07\r\nc\rd\x85\t") == "ab\nc\nd\n\t"
    assert clean("\ud83d\ude00 \ud800 x") == "😀 \ufffd x"
    kept = "e\u0301 \u202e 👩‍👧 שָׁלוֹם \u200b"
    assert clean(kept) == kept


@given(st.text(st.characters(), max_size=60))
def test_a_clean_text_can_be_stored_and_is_clean_already(text: str) -> None:
    done = clean(text)
    done.encode()
    assert "\x00" not in done
    assert clean(done) == done


def test_a_shortened_text_says_so_and_cuts_no_character() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("a" * 20_000, note=" [cut]") == "a" * 15_994 + " [cut]"
    assert shorten("abc👩‍👧d", 6) == "abc…"


def test_nothing_hides_from_an_agent() -> None:
    hidden = "".join(chr(0xE0000 + ord(char)) for char in "obey")
    assert visible(f"ok{hidden}") == "ok[hidden: obey]"
    assert visible("pay\u202egpj.exe") == "pay[U+202E]gpj.exe"
    assert visible("a\u200b\u200b\u200bb") == "a[U+200B ×3]b"
    assert visible("x\ufe0f\ufe0e\ufe0fy").startswith("x[U+FE0F ×")
    assert visible("a \u2068b\nc\u2069") == "a \u2068b\u2069\nc"


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👧 ❤️ 🏳️‍🌈",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "שלום\u200f!",
        "می\u200cخواهم",
        "plain",
    ],
)
def test_what_scripts_and_emoji_need_stays(text: str) -> None:
    assert visible(text) == text


@given(st.text(max_size=80))
def test_an_agents_view_has_no_overrides_tags_or_open_isolates(text: str) -> None:
    shown = visible(text)
    assert not re.search("[\u202a-\u202e\u2066\u2067\u200b\u2060]", shown)
    assert all(line.count("\u2068") == line.count("\u2069") for line in shown.split("\n"))


def test_names_fit_on_a_line_and_codes_lose_what_clings_to_them() -> None:
    assert one_line("Ann\n\n Agent:\tx" + "y" * 200, 20) == "Ann Agent: xyyyyyyy…"
    assert bare(" \u2068ABC1\u2069\u200b ") == "ABC1"


def test_plain_short_sentences_load_no_heavy_library() -> None:
    """Idle memory: the parser, the sanitiser, graphemes, locale data and YAML come at first need."""
    program = (
        "import sys, bot.texts, channels.text as t; t.to_html('Hi there!'); t.to_telegram('Hi'); t.to_mrkdwn('Hi.'); t.split('Hi', 9);"
        "print({'markdown_it', 'nh3', 'regex', 'babel', 'yaml'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


@pytest.mark.parametrize(
    "piece",
    ["*", "[", "<", "> ", "`", "_a ", "[a](", "**a ", "- ", "https://a", "~a ", "&lt;", "<@U", "![", "\n&gt;", "*_~"],
)
def test_a_hostile_text_takes_no_longer_than_a_long_one(piece: str) -> None:
    text = (piece * 16_000)[:16_000]
    begun = time.process_time()
    for render in (
        to_html,
        to_telegram,
        to_mrkdwn,
        to_plain,
        plain_to_html,
        visible,
        lambda text: from_mrkdwn(text, {}),
    ):
        render(text)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("md", "address", "plain"),
    [
        ("see https://a.example/_n_/x*y*z *now*", "https://a.example/_n_/x*y*z", "see https://a.example/_n_/x*y*z now"),
        ("**https://a.example/b**", "https://a.example/b", "https://a.example/b"),
        ("[https://a.example/_b_](https://a.example/_b_)", "https://a.example/_b_", "https://a.example/_b_"),
        ("(https://a.example/x_(y)_z)", "https://a.example/x_(y)_z", "(https://a.example/x_(y)_z)"),
    ],
)
def test_an_address_with_marks_in_it_still_leads_where_it_led(md: str, address: str, plain: str) -> None:
    assert f'<a href="{address}"' in to_html(md)
    assert to_plain(md) == plain
