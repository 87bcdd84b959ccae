"""Slack's signature over a request: HMAC-SHA256 of `v0:{timestamp}:{raw body}` with the signing secret.

On bytes from end to end: the SDK's verifier raises on junk (a timestamp of 5,000 digits, a signature that is not
ASCII, a body that is not UTF-8), and a forgery that ends in an exception is answered with 500 instead of 401.
"""

from __future__ import annotations

import hashlib
import hmac

WINDOW = 300  # seconds that a request may be old, or from the future (Slack, "Verifying requests")


def is_signed(secret: bytes, timestamp: bytes, signature: bytes, body: bytes, now: float) -> bool:
    """Whether this is from Slack, and fresh. `now` in Unix seconds. Never raises."""
    if not secret or not timestamp.isdigit() or len(timestamp) > 12 or abs(now - int(timestamp)) > WINDOW:
        return False
    return hmac.compare_digest(signature, sign(secret, timestamp, body))


def sign(secret: bytes, timestamp: bytes, body: bytes) -> bytes:
    return b"v0=" + hmac.new(secret, b"v0:" + timestamp + b":" + body, hashlib.sha256).hexdigest().encode()
