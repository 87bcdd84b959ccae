"""The web desk: the agents' workplace in a browser, at `/desk`.

| module | what |
| --- | --- |
| `desk` | the port: nudges the pages that are open, after the commit |
| `sign_in` | who is an agent here: sessions, one-time links, the demo agent; pure but for the database |
| `routes`, `verbs`, `live` | HTTP: what is shown · what agents do · what happens meanwhile |
| `shown` | cases, messages, relays as the page reads them |
| `store` | its own queries |
| `static/` | the page: plain JavaScript, no framework |

Decisions. The page holds no state of the house: it is told that something changed, reads it anew, and reads every half
minute anyway, so a lost hint costs seconds, not a message. Sessions are signed cookies; of each one its agent is looked
up in desk.yaml at every request, so whoever is taken off the list is out at once. Signing in with Slack is not here
yet: agents come in by `stafett agent invite ID`.
"""
