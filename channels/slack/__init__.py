"""Slack as a way for customers in, and the one connection to Slack that the agents' desk shares.

| module | what |
| --- | --- |
| `connection` | one per process: takes payloads, calls the Web API, maps its errors; the only user of the SDKs |
| `sockets`, `webhook`, `signature` | the two ways in: WebSockets that Slack holds open with us; signed requests |
| `payloads`, `outcomes` | pure: what came, and what became of a call |
| `inbound`, `outbound` | pure: Slack's payloads → `bot.model.Inbound`; our messages → Slack's blocks |
| `channel`, `store` | the customers' channel: direct messages to the app, threads where it is mentioned |
| `manifest` | what the Slack app must be allowed |

Decisions. Bolt dispatches, but our middleware stands before all of its own: Bolt acknowledges an event before its
listener runs, so everything happens in that middleware, and the answer leaves only after our commit. The SDK's
SocketModeClient starts a free task per envelope and closes the old socket before it opens the new one; ours
(`sockets`) keeps two open, in order. The SDK's retry handlers are off: they re-send after a reset, unseen; the outbox
is the only one that tries again.
"""
