"""The JSON Schema that editors get says what the loader says: about keys, kinds and closed lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from bot.desk_folder import DEMO_DESK
from bot.desk_folder.json_schema import schema
from bot.desk_folder.reference import missing, reference
from bot.desk_folder.settings import _SECTIONS
from bot.flows import load as flow_files
from bot.flows.source import Faults, read
from bot.flows.verbs import VERBS
from tests.unit.test_desk_mistakes import FILES, HERE, MISTAKES
from tests.unit.test_docs_desk import FILES as OF_PAGE

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "desk.schema.json"
REFERENCE = PUBLISHED.with_name("reference.md")
JUDGE = jsonschema_rs.validator_for(schema())


def content(text: str) -> Any:
    root = read("file", text, Faults())
    assert root is not None
    return root.content()


def faults(text: str) -> list[str]:
    return [one.message for one in JUDGE.iter_errors(content(text))]


def test_the_published_schema_is_the_one_that_is_made() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == schema(), (
        "stafett check --schema > docs/desk.schema.json"
    )
    jsonschema_rs.meta.validate(schema())


def test_the_published_reference_is_the_one_that_is_made() -> None:
    assert missing() == [], "bot/desk_folder/meanings.py says what each key means"
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "stafett check --reference > docs/reference.md"


@pytest.mark.parametrize("file", sorted(DEMO_DESK.rglob("*.yaml")), ids=lambda file: file.name)
def test_the_demo_desk_is_right_by_the_schema(file: Path) -> None:
    assert faults(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("name", "text"), [one for one in OF_PAGE if one[0].endswith(".yaml")])
def test_the_pages_desk_is_right_by_the_schema(name: str, text: str) -> None:
    assert faults(text) == []


def test_the_schema_has_every_key_of_the_loader_and_no_other() -> None:
    made = schema()["$defs"]
    assert set(made["desk"]["properties"]) == {"schema", *_SECTIONS}
    assert set(made["flow"]["properties"]) == set(flow_files._FLOW_KEYS)
    by_verb = {one["required"][0]: set(one["properties"]) for one in made["step"]["anyOf"]}
    assert by_verb == {verb: {verb, *flow_files._COMMON_KEYS, *keys} for verb, (keys, _) in VERBS.items()}


WRONG_KEYS = [
    one
    for one in MISTAKES
    if one[0] in {"unknown verb", "unknown key of a step", "unknown instrument", "unknown outcome", "a type that is none", "two verbs"}
    or one[0] in {"an unknown priority", "a span that is none", "a key of the desk", "the schema's number", "a test without a script"}
]  # fmt: skip


@pytest.mark.parametrize(("what", "file", "old", "new", "message"), WRONG_KEYS, ids=[one[0] for one in WRONG_KEYS])
def test_what_the_loader_refuses_in_keys_and_lists_the_schema_refuses_too(
    what: str, file: str, old: str, new: str, message: str
) -> None:
    text = FILES[file].replace(old, new.replace(HERE, ""), 1)
    assert faults(FILES[file]) == []
    assert faults(text) != []
