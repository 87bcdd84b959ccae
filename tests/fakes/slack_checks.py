"""What Slack refuses in blocks and views, by the limits of its Block Kit reference (slack_sdk/models has the same)."""

from __future__ import annotations

from typing import Any

from tests.fakes.slack_shapes import flat

MAX_TEXT = 40_000  # then truncated, with a warning
MAX_BLOCKS_TEXT = 13_200  # all blocks of a message together; undocumented, bolt-js#2509
BLOCKS = frozenset(
    ["actions", "context", "divider", "file", "header", "image", "input", "markdown", "rich_text", "section", "video"]
)
SELECTS = frozenset(
    f"{many}{source}_select"
    for many in ("", "multi_")
    for source in ("static", "external", "users", "conversations", "channels")
)
ELEMENTS = SELECTS | {
    "button",
    "overflow",
    "checkboxes",
    "radio_buttons",
    "datepicker",
    "timepicker",
    "workflow_button",
}
INPUTS = (ELEMENTS | {"plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input", "file_input"}) - {
    "button", "overflow", "workflow_button"
}  # fmt: skip


class SlackRefused(Exception):
    """A call that Slack answers with ok:false; `more` stands beside the error."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error, self.more = error, more


class Faults:
    """Collects what is wrong, each with the JSON pointer that Slack gives."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def need(self, true: Any, what: str, where: str) -> None:
        if not true:
            self.found.append(f"[ERROR] {what} [json-pointer:{where}]")

    def text(self, value: Any, limit: int, where: str, *, plain: bool = False) -> None:
        """A text object of 1 to `limit` characters."""
        if not isinstance(value, dict) or value.get("type") not in ("plain_text", "mrkdwn"):
            self.need(False, "must be a text object", where)
            return
        self.need(not plain or value["type"] == "plain_text", "must be plain_text", where)
        self.short(value.get("text"), limit, f"{where}/text")

    def short(self, value: Any, limit: int, where: str) -> None:
        self.need(isinstance(value, str) and value, "must be more than 0 characters", where)
        self.need(len(str(value or "")) <= limit, f"must be less than {limit + 1} characters", where)


def check_blocks(
    blocks: Any, *, most: int = 50, surface: str = "message", root: str = "/blocks"
) -> list[dict[str, Any]]:
    """The blocks with a block_id each. Raises SlackRefused `invalid_blocks` or `msg_blocks_too_long`."""
    faults = Faults()
    if not isinstance(blocks, list):
        raise SlackRefused("invalid_blocks_format")
    faults.need(len(blocks) <= most, f"no more than {most} items allowed", root)
    named = [
        block if not isinstance(block, dict) or block.get("block_id") else {**block, "block_id": f"b{number:03d}"}
        for number, block in enumerate(blocks)
    ]
    for number, block in enumerate(named):
        _check_block(faults, block, f"{root}/{number}", surface)
    ids = [block.get("block_id") for block in named if isinstance(block, dict)]
    faults.need(len(set(ids)) == len(ids), "block_id already exists", root)
    if faults.found:
        raise SlackRefused("invalid_blocks", errors=faults.found, response_metadata={"messages": faults.found})
    if surface == "message" and len(flat(named)) > MAX_BLOCKS_TEXT:
        raise SlackRefused("msg_blocks_too_long")
    return named


def _check_block(faults: Faults, block: Any, where: str, surface: str) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in BLOCKS:
        faults.need(False, f"unsupported type: {kind}", f"{where}/type")
        return
    faults.need(len(str(block["block_id"])) <= 255, "must be less than 256 characters", f"{where}/block_id")
    if kind == "section":
        fields = block.get("fields") or []
        faults.need(block.get("text") or fields, "missing required field: text", where)
        if block.get("text"):
            faults.text(block["text"], 3000, f"{where}/text")
        faults.need(len(fields) <= 10, "no more than 10 items allowed", f"{where}/fields")
        for number, text in enumerate(fields):
            faults.text(text, 2000, f"{where}/fields/{number}")
        if block.get("accessory"):
            _check_element(faults, block["accessory"], f"{where}/accessory", ELEMENTS | {"image"})
    elif kind == "header":
        faults.text(block.get("text"), 150, f"{where}/text", plain=True)
    elif kind == "markdown":
        faults.short(block.get("text"), 12_000, f"{where}/text")
    elif kind in ("actions", "context"):
        elements = block.get("elements") or []
        most = 25 if kind == "actions" else 10
        faults.need(1 <= len(elements) <= most, f"must have 1 to {most} items", f"{where}/elements")
        for number, element in enumerate(elements):
            if kind == "actions":
                _check_element(faults, element, f"{where}/elements/{number}", ELEMENTS)
            elif element.get("type") != "image":
                faults.text(element, 3000, f"{where}/elements/{number}")
        ids = [element.get("action_id") for element in elements if kind == "actions" and element.get("action_id")]
        faults.need(len(set(ids)) == len(ids), "action_id already exists", f"{where}/elements")
    elif kind == "input":
        faults.need(surface != "message" or (block.get("element") or {}).get("type") != "plain_text_input",
                    "unsupported type: input", where)  # fmt: skip
        faults.text(block.get("label"), 2000, f"{where}/label", plain=True)
        _check_element(faults, block.get("element") or {}, f"{where}/element", INPUTS)


def _check_element(faults: Faults, element: dict[str, Any], where: str, allowed: frozenset[str] | set[str]) -> None:
    kind = element.get("type")
    faults.need(kind in allowed, f"unsupported type: {kind}", f"{where}/type")
    faults.need(len(str(element.get("action_id", ""))) <= 255, "must be less than 256 characters", f"{where}/action_id")
    if kind == "button":
        faults.text(element.get("text"), 75, f"{where}/text", plain=True)
        faults.need(len(str(element.get("value", ""))) <= 2000, "must be less than 2001 characters", f"{where}/value")
        faults.need(len(str(element.get("url", ""))) <= 3000, "must be less than 3001 characters", f"{where}/url")
        faults.need(element.get("style") in (None, "primary", "danger"), "must be primary or danger", f"{where}/style")
    options = [*(element.get("options") or ()), *(o for g in element.get("option_groups") or () for o in g["options"])]
    most = {"overflow": 5, "radio_buttons": 10, "checkboxes": 10}.get(str(kind), 100)
    faults.need(len(options) <= most, f"no more than {most} items allowed", f"{where}/options")
    if kind in ("static_select", "multi_static_select", "overflow", "radio_buttons", "checkboxes"):
        faults.need(options, "must have at least 1 option", f"{where}/options")
    for number, option in enumerate(options):
        faults.text(option.get("text"), 75, f"{where}/options/{number}/text")
        faults.short(option.get("value"), 150, f"{where}/options/{number}/value")
    if element.get("placeholder"):
        faults.text(element["placeholder"], 150, f"{where}/placeholder", plain=True)


def check_view(view: Any) -> dict[str, Any]:
    """A modal or a home tab as an app sends it. Raises SlackRefused `invalid_arguments`."""
    faults = Faults()
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        raise SlackRefused("invalid_arguments", response_metadata={"messages": ["[ERROR] unsupported type: view"]})
    for part in ("title", "submit", "close"):
        if view.get(part) or (part == "title" and view["type"] == "modal"):
            faults.text(view.get(part), 24, f"/view/{part}", plain=True)
    faults.need(
        len(view.get("private_metadata") or "") <= 3000, "must be less than 3001 characters", "/view/private_metadata"
    )
    faults.need(len(view.get("callback_id") or "") <= 255, "must be less than 256 characters", "/view/callback_id")
    try:
        blocks = check_blocks(view.get("blocks"), most=100, surface=view["type"], root="/view/blocks")
    except SlackRefused as refused:
        faults.found.extend(refused.more.get("errors", [f"[ERROR] {refused.error}"]))
        blocks = []
    asks = any(block["type"] == "input" for block in blocks)
    faults.need(
        not asks or view["type"] == "home" or view.get("submit"), "must have submit with input blocks", "/view/submit"
    )
    if faults.found:
        raise SlackRefused("invalid_arguments", response_metadata={"messages": faults.found})
    return {**view, "blocks": blocks}
