"""One message text, as each channel wants it: plain, HTML, Telegram's entities, Slack's mrkdwn; and back.

Theory. A text is one of two kinds (`Body.markdown`): Markdown of the light kind, written by the desk, the bot or
an agent; or plain, written by a customer, which is never markup: each channel shows it letter by letter. Markdown
is parsed once into plain text with spans (`flat`), and every channel but HTML is drawn from those. Everything
here is a pure function of strings, knows no SDK, and is safe for any input: what comes out pings nobody, runs
nothing, and links only to http, https and mailto.

| module | what |
| --- | --- |
| `flat` | Markdown → plain text and the spans that have a style |
| `render` | → plain, HTML, Telegram, mrkdwn |
| `slack_markup`, `emoji` | Slack's mrkdwn and rich_text blocks → Markdown |
| `split` | parts that fit a limit, cut where a reader would |
| `clean` | what may be stored; what agents get to see of invisible characters |

Of libraries, markdown-it, nh3 and regex are imported at first need: plain short sentences need none of them.
"""

from __future__ import annotations

from channels.text.clean import TEXT_LIMIT, bare, clean, one_line, shorten, visible
from channels.text.render import plain_to_html, plain_to_mrkdwn, to_html, to_mrkdwn, to_plain, to_telegram
from channels.text.slack_markup import from_mrkdwn, from_slack_blocks
from channels.text.split import TELEGRAM_LIMIT, Unit, length, split, split_entities

__all__ = [
    "TELEGRAM_LIMIT",
    "TEXT_LIMIT",
    "Unit",
    "bare",
    "clean",
    "from_mrkdwn",
    "from_slack_blocks",
    "length",
    "one_line",
    "plain_to_html",
    "plain_to_mrkdwn",
    "shorten",
    "split",
    "split_entities",
    "to_html",
    "to_mrkdwn",
    "to_plain",
    "to_telegram",
    "visible",
]
