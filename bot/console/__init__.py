"""The admin's pages at `/admin`: sign-in, what runs and what does not, the figures, the desk's faults.

routes.py    the pages, and who may see them
sign_in.py   the password, the session cookie, the brake on guessing; pure but for the clock
pages/       Jinja templates, escaped by default; no inline script or style

What is shown is handed in by `bot/app.py`; this room knows no other.
"""
