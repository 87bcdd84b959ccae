"""The JSON Schema of a desk's files, for editors: made of the tables by which the files are read.

It knows keys, kinds and closed lists; names, expressions and languages are `stafett check`'s. One schema for all files,
told apart by their first keys. A key that is added to the loader and not here fails at once (`_KINDS` is asked for it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bot.answers.rules import KINDS
from bot.desk_folder.inward import CRITERION_KEYS, PULSE_KEYS, QUALITY_KEYS, SCALES
from bot.desk_folder.outward import EVENTS, WEBHOOK_KEYS
from bot.desk_folder.rules import RULE_KEYS
from bot.desk_folder.settings import _SECTIONS as SECTIONS
from bot.desk_folder.settings import (
    AGENT_KEYS,
    ANSWERS_KEYS,
    DIGEST_KEYS,
    DOES,
    ESCALATION_KEYS,
    METHODS,
    MODEL_KEYS,
    NOTICE_KEYS,
    REACTING,
    ROLLOUT_KEYS,
    TEAM_KEYS,
    VERSION_KEYS,
)
from bot.desk_folder.staff import ROUTING_KEYS, ROUTING_RULE_KEYS, RUNG_KEYS, SLA_KEYS
from bot.flows.load import _COMMON_KEYS, _FLOW_KEYS, _SLOT_KEYS, _TRIGGER_KEYS, MIGRATE_KEYS
from bot.flows.schema import INSTRUMENTS, OUTCOMES, PRIORITIES, SCOPES, SLOT_TYPES
from bot.flows.transcripts import CHANNELS, EXPECTED
from bot.flows.verbs import ESCALATE_KEYS, RECORD_KINDS, RETRY_KEYS, VERBS, WAIT_KEYS
from bot.staffing.hours import DAYS
from bot.staffing.routing import WAYS
from bot.texts.plural import FORMS

Schema = dict[str, Any]

_TEXT: Schema = {"type": ["string", "number", "boolean"]}
_NAME: Schema = {"type": ["string", "number"]}
_FLAG: Schema = {"type": "boolean"}
_MAP: Schema = {"type": "object"}
_LIST: Schema = {"type": "array"}
_ANY: Schema = {}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SPAN: Schema = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*[0-9]{1,6}\s*[smhdw]?\s*$"}]
}
_FORMS: Schema = {
    "type": "object",
    "properties": dict.fromkeys(FORMS, _TEXT),
    "additionalProperties": False,
    "required": ["other"],
}
_SAID: Schema = {"anyOf": [_TEXT, {"$ref": "#/$defs/forms"}]}
_WORDING: Schema = {"anyOf": [_TEXT, {"type": "object", "additionalProperties": _SAID}]}
_TEXTS: Schema = {"anyOf": [_NAME, {"type": "array", "items": _NAME}]}
_BY_LANGUAGE: Schema = {"type": "object", "additionalProperties": _TEXTS}


def _one_of(names: Iterable[str]) -> Schema:
    return {"enum": list(names)}


def _object(keys: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    found: Schema = {"type": "object", "properties": dict(keys), "additionalProperties": False}
    return found | ({"required": list(required)} if required else {})


def _of(keys: Iterable[str], kinds: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    return _object({key: kinds[key] for key in keys}, required)


_OPTION = _object(
    {"value": _NAME, "label": _WORDING, "synonyms": {"anyOf": [_TEXTS, _BY_LANGUAGE]}}, ("value", "label")
)
_RETRY = _of(RETRY_KEYS, {"max": {"type": "integer", "minimum": 0, "maximum": 20}, "text": _WORDING, "then": _NAME})
_ESCALATE = _of(
    ESCALATE_KEYS,
    {"team": _NAME, "priority": _one_of(PRIORITIES), "reason": _TEXT, "show": _TEXTS, "sla": _SPAN},
)
_WAIT = _of(
    WAIT_KEYS,
    {
        "for": {"anyOf": [_SPAN, {"const": "business_open"}]},
        "event": _NAME,
        "business_open": {"const": True},
        "timeout": _SPAN,
        "then": _NAME,
    },
)
_BRANCH = {
    "type": "array",
    "items": {"anyOf": [_object({"if": _TEXT, "goto": _NAME}, ("if", "goto")), _object({"else": _NAME}, ("else",))]},
}
_VERB_VALUES: Mapping[str, Schema] = {
    "say": _WORDING,
    "ask": _NAME,
    "set": _MAP,
    "branch": _BRANCH,
    "call": _NAME,
    "escalate": _ESCALATE,
    "close": _one_of(OUTCOMES),
    "survey": _one_of(INSTRUMENTS),
    "goto": _NAME,
    "run": _NAME,
    "record": {"type": "object", "required": ["kind"], "properties": {"kind": _one_of(RECORD_KINDS)}},
    "notify": _object({"slack": _NAME, "text": _TEXT}, ("slack", "text")),
    "wait": _WAIT,
    "kb": _WORDING,
    "llm": _TEXT,
}
_KINDS: Mapping[str, Schema] = {
    "id": _NAME,
    "if": _TEXT,
    "note": _TEXT,
    "next": _NAME,
    "media": {"type": "string", "pattern": "^https://"},
    "text": _WORDING,
    "options": {"type": "array", "items": _OPTION, "minItems": 1},
    "check": _TEXT,
    "error": _WORDING,
    "retry": _RETRY,
    "timeout": {"anyOf": [_SPAN, _object({"after": _SPAN, "then": _NAME}, ("after", "then"))]},
    "with": _MAP,
    "once": _TEXT,
    "retries": {"type": "integer", "minimum": 0, "maximum": 5},
    "save": {"anyOf": [_NAME, _MAP]},
    "on": {"type": "object", "additionalProperties": _NAME},
    "topic": _TEXT,
    "reason": _WORDING,
    "confirmed": _TEXT,
    "delay": _SPAN,
    "collections": _TEXTS,
    "confirm": _FLAG,
    "grounded_in": _NAME,
    "max_chars": {"type": "integer", "minimum": 50, "maximum": 2000},
}
_SLOT_VALUES: Mapping[str, Schema] = {
    "type": _one_of(SLOT_TYPES),
    "scope": _one_of(SCOPES),
    "pattern": {"type": "string"},
    "min": {"type": "number"},
    "max": {"type": "number"},
    "default": _ANY,
    "sensitive": _FLAG,
    "ask_again": _FLAG,
}
_TRIGGER_VALUES: Mapping[str, Schema] = {
    "phrases": {"anyOf": [_BY_LANGUAGE, {"type": "string", "pattern": r"^\$\S+$"}]},
    "commands": {"type": "array", "items": {"type": "string", "pattern": "^/[a-z][a-z0-9_]{0,31}$"}},
    "event": {"type": "string"},
    "slots": _TEXTS,
    "when": _TEXT,
    "channels": _TEXTS,
}
_RULE_VALUES: Mapping[str, Schema] = {
    "when": _one_of(KINDS),
    "reason": _TEXT,
    "text": _WORDING,
    "priority": _one_of(PRIORITIES),
    "team": _NAME,
    "words": _BY_LANGUAGE,
    "if": _TEXT,
    "times": {"type": "integer", "minimum": 1, "maximum": 9},
    "within": _SPAN,
}
_QUIET: Schema = {"type": ["string", "boolean"]}
_SPAN_OR_OFF: Schema = {"anyOf": [_SPAN, {"const": "off"}, {"const": False}]}
_WEEK: Schema = {"anyOf": [{"const": "always"}, _MAP]}
_DAYS_OFF: Schema = {"anyOf": [_LIST, _MAP]}
_CASES: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}
_TEAM = _of(
    TEAM_KEYS,
    {
        **dict.fromkeys(("id", "name", "slack_channel", "slack_group", "timezone", "overflow"), _NAME),
        **dict.fromkeys(("locales", "skills"), _TEXTS),
        "opening_hours": _WEEK,
        "holidays": _DAYS_OFF,
        "capacity": _CASES,
    },
    ("id", "name"),
)
_AGENT = _of(
    AGENT_KEYS,
    {
        **dict.fromkeys(("id", "name", "team"), _NAME),
        **dict.fromkeys(("locales", "skills"), _TEXTS),
        "role": _one_of(("agent", "lead", "admin")),
        "slack": _object({"team": _NAME, "user": _NAME}, ("team", "user")),
        "capacity": _CASES,
    },
    ("id", "name"),
)
_ROUTING = _of(
    ROUTING_KEYS,
    {
        "assign": _one_of(WAYS),
        "capacity": _CASES,
        "answer_within": _SPAN,
        "prefer_known": _FLAG,
        "offer_after": _SPAN_OR_OFF,
        "rules": {
            "type": "array",
            "items": _of(
                ROUTING_RULE_KEYS,
                {"if": _TEXT, "team": _NAME, "skills": _TEXTS, "priority": _one_of(PRIORITIES)},
                ("if",),
            ),
        },
        "ladder": {
            "type": "array",
            "items": _of(RUNG_KEYS, {"after": _SPAN, **dict.fromkeys(("team", "group", "person"), _NAME)}, ("after",)),
        },
    },
)
_TARGETS = dict.fromkeys(SLA_KEYS, _SPAN)
_DIGEST = _of(DIGEST_KEYS, {"day": _one_of(DAYS), "at": {"type": "string"}, "slack_channel": _NAME})
_SECTION_VALUES: Mapping[str, Schema] = {
    "name": _TEXT,
    "locales": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "timezone": {"type": "string"},
    "opening_hours": _WEEK,
    "holidays": _DAYS_OFF,
    "teams": {"type": "array", "items": _TEAM},
    "agents": {"type": "array", "items": _AGENT},
    "connectors": {
        "type": "object",
        "additionalProperties": {"type": "object", "properties": {"method": _one_of(METHODS)}},
    },
    "interrupts": {
        "type": "array",
        "items": {"type": "object", "required": ["id"], "properties": {"do": _one_of(DOES), "phrases": _BY_LANGUAGE}},
    },
    "escalation": _of(
        ESCALATION_KEYS,
        {
            **dict.fromkeys(("queue_updates", "silence", "idle"), _SPAN),
            **dict.fromkeys(("nudge", "give_up"), _SPAN_OR_OFF),
            "team": _NAME,
            "rules": {"type": "array", "items": _of(RULE_KEYS, _RULE_VALUES, ("when",))},
        },
    ),
    "routing": _ROUTING,
    "sla": _object(
        {
            **_TARGETS,
            **{priority: _object(_TARGETS) for priority in PRIORITIES},
            "warn": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        }
    ),
    "surveys": _MAP,
    "notices": _of(
        NOTICE_KEYS,
        {"per_minute": _COUNT, "campaign_every": _SPAN_OR_OFF, "quiet_hours": _QUIET},
    ),
    "digest": {"anyOf": [_DIGEST, {"const": False}, {"const": "off"}]},
    "quality": _of(
        QUALITY_KEYS,
        {
            "sample": _COUNT,
            "criteria": {
                "type": "array",
                "items": _of(
                    CRITERION_KEYS,
                    {"id": _NAME, "name": _NAME, "scale": _one_of(SCALES), "weight": {"type": "number"}},
                    ("id", "name"),
                ),
            },
        },
    ),
    "pulse": _of(PULSE_KEYS, {"monthly": _FLAG, "questions": _TEXTS}),
    "replies": _one_of(("thread", "explicit")),
    "reactions": _object(dict.fromkeys(REACTING, _NAME)),
    "undo": _SPAN,
    "reopen_window": _SPAN,
    "privacy": _MAP,
    "targets": _MAP,
    "versions": _of(
        VERSION_KEYS,
        {
            "pin_days": _COUNT,
            "kill": _TEXTS,
            "rollout": {
                "type": "object",
                "additionalProperties": _object({"share": {"type": "string"}, "before": _NAME}, ROLLOUT_KEYS),
            },
        },
    ),
    "model": _of(
        MODEL_KEYS, {"tokens_per_day": _COUNT, "tokens_per_customer": _COUNT, "timeout": _SPAN, "summaries": _FLAG}
    ),
    "answers": _of(ANSWERS_KEYS, {key: {"type": "number", "minimum": 0, "maximum": 1} for key in ANSWERS_KEYS}),
    "allow_hosts": _TEXTS,
    "webhooks": {
        "type": "array",
        "items": _of(
            WEBHOOK_KEYS,
            {
                "id": _NAME,
                "url": _NAME,
                "secret": _NAME,
                "events": {"anyOf": [_one_of(EVENTS), {"type": "array", "items": _one_of(EVENTS)}]},
            },
            ("id", "url", "secret"),
        ),
    },
}


def _step() -> Schema:
    """One of the verbs, each with its own keys."""
    kinds = []
    for verb, (keys, _) in VERBS.items():
        own = {key: _KINDS[key] for key in (*_COMMON_KEYS, *keys)}
        kinds.append(_object({**own, verb: _VERB_VALUES[verb]}, (verb,)))
    return {"anyOf": kinds}


def _flow() -> Schema:
    slots = {"type": "object", "additionalProperties": _of(_SLOT_KEYS, _SLOT_VALUES, ("type",))}
    values: Mapping[str, Schema] = {
        "schema": {"const": 1},
        "flow": {"type": "string"},
        "version": {"type": "integer", "minimum": 1},
        "title": _WORDING,
        "triggers": _of(_TRIGGER_KEYS, _TRIGGER_VALUES),
        "slots": slots,
        "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1},
        "migrate": _of(
            MIGRATE_KEYS,
            {"from": {"type": "array", "items": _COUNT}, **dict.fromkeys(("rename", "drop", "set"), _MAP)},
            ("from",),
        ),
    }
    return _of(_FLOW_KEYS, values, ("schema", "flow", "version", "steps"))


def _tests() -> Schema:
    expected: dict[str, Schema] = dict.fromkeys(EXPECTED, _ANY)
    line = _object(
        {
            "user": {"anyOf": [_TEXT, _object({"choose": _NAME, "file": _NAME, "score": {"type": "integer"}})]},
            "bot": _TEXT,
            "agent": {"anyOf": [_TEXT, _object({"claim": _FLAG, "reply": _TEXT, "note": _TEXT, "resolve": _TEXT})]},
            "after": _SPAN,
            "agents": {"anyOf": [{"type": "integer"}, _MAP]},
            "open": _FLAG,
            "switch_channel": _one_of(CHANNELS),
            "event": _ANY,
            "reload": _NAME,
            "expect": _object(expected | {"priority": _one_of(PRIORITIES)}),
        }
    )
    test = _object(
        {"test": _TEXT, "locale": {"type": "string"}, "given": _MAP, "script": {"type": "array", "items": line}},
        ("test", "script"),
    )
    return {"type": "array", "items": test}


def schema() -> Schema:
    """The whole, as JSON."""
    desk = _object({"schema": {"const": 1}, **{key: _SECTION_VALUES[key] for key in SECTIONS}}, ("schema",))
    texts = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": _SAID}}
    told_apart: Schema = {
        "if": {"type": "array"},
        "then": {"$ref": "#/$defs/tests"},
        "else": {
            "if": {"required": ["flow"]},
            "then": {"$ref": "#/$defs/flow"},
            "else": {
                "if": {"required": ["schema"]},
                "then": {"$ref": "#/$defs/desk"},
                "else": {"$ref": "#/$defs/texts"},
            },
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Stafett desk: desk.yaml, flows/*.yaml, texts/*.yaml, tests/*.yaml",
        **told_apart,
        "$defs": {"desk": desk, "flow": _flow(), "step": _step(), "texts": texts, "tests": _tests(), "forms": _FORMS},
    }
