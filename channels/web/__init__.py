"""The web widget's side of the house.

sessions.py   who a visitor is: signed tokens, the host site's identity tokens
frames.py     pure: a message, an edit, a deletion as the frames of the public contract, and the client's frames read
hub.py        who is watching which conversation, in this process
socket.py     one widget's WebSocket: hello, resume, push in order
channel.py    the routes, and the `Channel` that app.py is given
files.py      uploads: sniffed, stored, served to their owner
static/       the widget itself, without a framework

Exactly once: a message is known by its client's id, the timeline by its `seq`. What is said on the web needs no send: it
stands in the timeline, and each socket is brought up to the last `seq`. The outbox row is the proof that it was shown.
"""
