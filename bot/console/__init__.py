"""The admin's pages at `/admin`: flows with their graph, drafts, publication, history, roles, the audit.

routes.py     the door: who comes in, what they may; every page behind it
page.py       Page, Visit, Rooms, Shell: what a page is made of
pages/        one module a page, listed in `pages/__init__.py`; templates/ beside it, escaped by default
sign_in.py    the password, cookies, CSRF, the brake on guessing · people.py   roles
draft.py      changed files over the folder: texts, differences, faults (no database, no HTTP)
wording.py    the grid of texts · reworded.py   one of them changed
leaves.py     articles and saved replies · material.py   the draft's files and their check
sketch.py     what the simulator plays · stage.py   what comes of it · saved_test.py   the same as a conversation test
played.py     the last results of the conversation tests · live.py   where conversations are just now
drafting.py   the verbs: save, discard, publish, roll back · writing.py   several files as one change · store.py   queries

**To add a page**: a module in pages/ with `PAGES = (Page("/macros", show, save, menu="console_macros", group=…),)`, a line
in `pages/__init__.py`, a template that extends `frame.html` (blocks: heading, acts, content, width, head), and its words
in a file of bot/texts (`console_…`, en nl nb he). A handler is `async def show(visit: Visit) -> Response`:

    visit.page("macros.html", **values)            a whole page; the template has t(key), person, may("editor"), csrf, drafts …
    visit.go("/macros", "console_saved", name=…)   after a change: on to a page that says this text once
    visit.t(key) · param("path") · query("q") · form.one("text") · person · locale · is_part (htmx asks for a part)
    visit.drafting.now() -> Draft                  .paths("macros") · .text(path) · .changes · .check() -> Checked(desk, faults)
    visit.drafting.save(path, text, visit.person, seen=hash_of(old))   a draft, never the folder; None deletes
    visit.drafting.check(draft, {path: text})      the desk as it would be, in a thread: for previews, simulators, tests
    visit.rooms.rules · rooms.storage · rooms.settings                 the desk in force, the database

`Page.role` is needed to see it, `Page.role_to_do` (editor unless it says more) to POST to it; the door checks both, the session
and the CSRF token (a field `csrf`, by the macro `token(csrf)` of parts.html, or a header, which htmx sends by itself). A
StafettError that a handler raises is shown in one line. Texts: `draft.shown(text)` for an editor, for the draft
`draft.as_kept(written, before)`.

Strict content security policy: no inline script or style, nothing from elsewhere. htmx 4 (static/htmx.min.js, 0BSD) is on every
page, without filters in `hx-trigger` and without `hx-on` (they need eval).

The folder on disk is the truth, the draft lies over it (decided 2026: a database that held the desk would hide it from git).
So a publication is refused where the file was changed in the folder meanwhile, and the demo desk, a part of the program, is
never written. What `bot/app.py` hands in is all that this room knows of the house.
"""
