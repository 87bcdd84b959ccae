"""When to fetch a human: an ordered list of rules, each with its text and reason code. Pure.

What lives here: the signals in a customer's words (danger, repeating oneself, anger), what each rule makes of them, and how
a rule dresses an escalation that was decided elsewhere (a flow failed, an article did not help). What it must not know:
cases, desks, the outbox. The memory is a few plain values, for a JSON column.

Decisions
- Anger is counted in points over the last turns, and one weak sign alone does nothing: "!!" or "again" is how people write.
  Five cheap signs together tell as much as a trained classifier (AUROC .77-.87 on four public sets), each alone far less.
- The lexicons are our own and short: what is listed must be rude or desperate in any sentence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

from bot.flows.expressions import Expression, Scope
from bot.flows.heard import Heard
from bot.flows.words import tokens

KINDS = ("asked", "safety", "failure", "not_helped", "unsure", "repeated", "loop", "anger", "vip")
"""What a rule is about (`when:`). `vip` only raises the priority of another's."""
PRIORITIES = ("low", "normal", "high", "urgent")
OF_CODE: Mapping[str, str] = {
    "asked": "asked",
    **dict.fromkeys(("retry", "breaker", "connector", "version"), "failure"),
    "not_helped": "not_helped",
    "not_understood": "unsure",
    "reopened": "repeated",
    "safety": "safety",
    "loop": "loop",
    "anger": "anger",
}
"""reason code → the kind of rule that dresses it."""

ALIKE = 0.8  # of the trigrams of two texts: the same said again
REPEATED = 2  # times that something was said before: a loop
FEWEST_WORDS = 3  # of a text that can be repeated: "yes" and "no" may come as often as they are asked for
REMEMBERED = 6  # texts
TURNS = 4  # over which anger is counted
OFFER, FETCH = 2, 4  # points of anger: one strong turn or two weak ones; twice that

_MARKS = re.compile(r"[!?]{2,}")
_WORD = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Rule:
    """`text` by language, empty for the built-in sentence. `words` replace the built-in ones of `safety` and `anger`."""

    when: str
    reason: str = ""
    text: Mapping[str, str] = field(default_factory=dict)
    priority: str | None = None
    team: str | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    condition: Expression | None = None


DEFAULT: tuple[Rule, ...] = tuple(
    Rule(kind, priority="urgent" if kind == "safety" else None) for kind in KINDS if kind != "vip"
)


@dataclass(frozen=True, slots=True)
class Memory:
    """`said` the last texts, folded · `anger` points of the last turns · `offered` whether a human was offered."""

    said: tuple[str, ...] = ()
    anger: tuple[int, ...] = ()
    offered: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Memory:
        said, anger = stored.get("said") or (), stored.get("anger") or ()
        return cls(tuple(said), tuple(anger), bool(stored.get("offered")))


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fetch` a human now; else offer one, after what else there is to say."""

    rule: Rule
    fetch: bool


@dataclass(frozen=True, slots=True)
class Dress:
    """What a rule adds to an escalation: None and {} where it adds nothing."""

    reason: str
    text: Mapping[str, str]
    priority: str | None
    team: str | None


def hear(rules: Sequence[Rule], memory: Memory, text: str) -> tuple[Memory, Verdict | None]:
    """What the first rule that speaks up says to a customer's words, and what is remembered of them."""
    said = tokens(text)
    folded = " ".join(said)
    again = sum(alike(folded, before) for before in memory.said) if len(said) >= FEWEST_WORDS else 0
    angry = next((rule for rule in rules if rule.when == "anger"), None)
    points = anger(text, said, angry.words) if angry is not None else 0
    after = replace(
        memory,
        said=(*memory.said, folded)[-REMEMBERED:],
        anger=(*memory.anger, points)[-TURNS:],
    )
    for rule in rules:
        fetch = _speaks(rule, after, said, again, points)
        if fetch is not None:
            return replace(after, offered=True), Verdict(rule, fetch)
    return after, None


def _speaks(rule: Rule, memory: Memory, said: tuple[str, ...], again: int, points: int) -> bool | None:
    """True: fetch; False: offer; None: this rule has nothing to say."""
    if rule.when == "safety":
        return True if is_danger(said, rule.words) else None
    if rule.when == "loop":
        strength = OFFER if again == REPEATED else FETCH if again > REPEATED else 0
    elif rule.when == "anger":
        strength = sum(memory.anger) if points else 0
    else:
        return None
    if strength >= FETCH:
        return True
    return False if strength >= OFFER and not memory.offered else None


def dress(rules: Sequence[Rule], code: str, priority: str | None, scope: Scope) -> Dress:
    """How the rules see an escalation for this reason code. `vip` raises the priority by one where its condition holds."""
    kind = OF_CODE.get(code, "")
    rule = next((one for one in rules if one.when == kind), Rule(kind))
    wanted = priority or rule.priority
    if any(one.when == "vip" and one.condition is not None and one.condition.holds(scope) for one in rules):
        wanted = PRIORITIES[min(PRIORITIES.index(wanted or "normal") + 1, len(PRIORITIES) - 1)]
    return Dress(rule.reason or code, rule.text, wanted, rule.team)


def has(rules: Sequence[Rule], kind: str) -> bool:
    return any(rule.when == kind for rule in rules)


# ── signals ──


def is_danger(said: tuple[str, ...], words: Mapping[str, tuple[str, ...]] | None = None) -> bool:
    """Whether safety, law, privacy or fraud is spoken of, in any of the four languages; or the desk's own words are."""
    return bool(_heard(_frozen(words or _SAFETY)).find(said, ""))


def anger(text: str, said: tuple[str, ...], words: Mapping[str, tuple[str, ...]] | None = None) -> int:
    """0 none, 1 a weak sign, 2 a strong one: an insult, or three signs in one text."""
    if _heard(_frozen(words or _INSULTS)).find(said, ""):
        return 2
    signs = [
        bool(_heard(_frozen(_UPSET)).find(said, "")),
        _is_shouted(text),
        _MARKS.search(text) is not None,
        bool(_heard(_frozen(_AGAIN)).find(said, "")) and bool(_heard(_frozen(_NOT)).find(said, "")),
    ]
    return 2 if sum(signs) >= 3 else min(sum(signs), 1)


def _is_shouted(text: str) -> bool:
    """Three words and more, nearly all in capitals: neither an order number nor "OK"."""
    words = [word for word in _WORD.findall(text) if word.lower() != word.upper()]
    return len(words) >= 3 and sum(word.isupper() for word in words) >= 0.7 * len(words)


def alike(one: str, other: str) -> bool:
    """Jaccard of the two folded texts' trigrams."""
    left, right = _trigrams(one), _trigrams(other)
    return bool(left) and len(left & right) >= ALIKE * len(left | right)


@lru_cache(maxsize=1000)
def _trigrams(text: str) -> frozenset[str]:
    padded = f"  {text[:500]} "
    return frozenset(padded[at : at + 3] for at in range(len(padded) - 2)) if text else frozenset()


_Frozen = tuple[tuple[str, tuple[str, ...]], ...]


def _frozen(words: Mapping[str, tuple[str, ...]]) -> _Frozen:
    return tuple((locale, tuple(listed)) for locale, listed in words.items())


@lru_cache(maxsize=50)
def _heard(words: _Frozen) -> Heard:
    return Heard([("words", dict(words))])


# ── words ──

_SAFETY: Mapping[str, tuple[str, ...]] = {
    "en": (
        *("caught fire", "on fire", "burst into flames", "exploded", "electric shock", "electrocuted", "injured"),
        *("got hurt", "hospital", "poisoned", "allergic reaction", "life threatening", "suicide", "kill myself"),
        *("fraud", "scam", "scammed", "identity theft", "stolen card", "my card was stolen", "hacked", "not my order"),
        *("lawyer", "attorney", "sue you", "legal action", "take you to court", "police", "gdpr", "data breach"),
    ),
    "nl": (
        *("vlam gevat", "in brand", "ontploft", "elektrische schok", "gewond", "ziekenhuis", "vergiftigd"),
        *("allergische reactie", "levensgevaarlijk", "zelfmoord", "fraude", "oplichting", "opgelicht", "gehackt"),
        *("identiteitsfraude", "pas gestolen", "advocaat", "rechtszaak", "juridische stappen", "aangifte", "politie"),
        *("datalek", "avg verzoek"),
    ),
    "nb": (
        *("tok fyr", "tatt fyr", "i brann", "eksploderte", "elektrisk støt", "skadet meg", "ble skadet", "sykehus"),
        *("sykehuset", "forgiftet", "allergisk reaksjon", "livsfarlig", "selvmord", "svindel", "svindlet", "hacket"),
        *("identitetstyveri", "stjålet kort", "advokat", "advokaten", "søksmål", "rettssak", "rettslige skritt"),
        *("politiet", "politianmelde", "gdpr", "datainnbrudd"),
    ),
    "he": (
        *("עלה באש", "נשרף", "התפוצץ", "התחשמלתי", "נפצעתי", "נפצע", "בית חולים", "הרעלה", "תגובה אלרגית"),
        *("סכנת חיים", "להתאבד", "התאבדות", "הונאה", "עוקץ", "רימו אותי", "גניבת זהות", "גנבו לי את הכרטיס", "פרצו לי"),
        *("עורך דין", "עורכת דין", "אתבע אתכם", "תביעה", "בית משפט", "משטרה", "דליפת מידע"),
    ),
}
_INSULTS: Mapping[str, tuple[str, ...]] = {
    "en": (
        *("idiot", "idiots", "idiotic", "stupid bot", "you are stupid", "useless", "bullshit", "fuck", "fucking"),
        *("shit", "wtf", "crap", "pathetic", "worst service", "worst company", "go to hell", "screw you"),
    ),
    "nl": (
        *(
            "idioot",
            "idioten",
            "sukkel",
            "sukkels",
            "kut",
            "klote",
            "godverdomme",
            "verdomme",
            "stomme bot",
            "waardeloos",
        ),
        *("waardeloze", "rotzooi", "oprotten", "slechtste service", "belachelijk slecht"),
    ),
    "nb": (
        *("idiot", "idioter", "faen", "jævla", "jævlig", "helvete", "dritt", "drittservice", "elendig", "ubrukelig"),
        *("dum bot", "verste service", "håpløs bot"),
    ),
    "he": (
        *(
            "אידיוט",
            "אידיוטים",
            "מטומטם",
            "מטומטמים",
            "דפוק",
            "דפוקים",
            "חרא",
            "לעזאזל",
            "זבל של שירות",
            "שירות מחורבן",
        ),
        *("בוט מטופש", "חסר תועלת", "השירות הכי גרוע"),
    ),
}
_UPSET: Mapping[str, tuple[str, ...]] = {
    "en": (
        *("ridiculous", "terrible", "awful", "horrible", "unacceptable", "angry", "furious", "fed up", "sick of"),
        *("frustrated", "frustrating", "disgusting", "a joke", "waste of time", "disappointed", "outrageous"),
    ),
    "nl": (
        *("belachelijk", "verschrikkelijk", "vreselijk", "onacceptabel", "boos", "woedend", "zat", "gefrustreerd"),
        *("frustrerend", "schandalig", "tijdverspilling", "teleurgesteld", "teleurstellend", "schande"),
    ),
    "nb": (
        *("latterlig", "forferdelig", "uakseptabelt", "sint", "rasende", "lei av", "drittlei", "frustrert"),
        *("frustrerende", "skandaløst", "skandale", "bortkastet tid", "skuffet", "skuffende"),
    ),
    "he": (
        *("מגוחך", "נורא", "נוראי", "איום", "לא מקובל", "כועס", "כועסת", "עצבני", "עצבנית", "נמאס", "מתסכל"),
        *("מתוסכל", "מתוסכלת", "שערורייה", "בושה", "בזבוז זמן", "מאוכזב", "מאוכזבת"),
    ),
}
_AGAIN: Mapping[str, tuple[str, ...]] = {
    "en": ("again", "still", "already told", "already said", "how many times", "third time", "as i said"),
    "nl": ("weer", "alweer", "nog steeds", "al gezegd", "hoe vaak", "derde keer", "opnieuw"),
    "nb": ("igjen", "fortsatt", "allerede sagt", "hvor mange ganger", "tredje gang", "nok en gang"),
    "he": ("שוב", "עדיין", "כבר אמרתי", "כבר כתבתי", "כמה פעמים", "פעם שלישית"),
}
_NOT: Mapping[str, tuple[str, ...]] = {
    "en": (
        "not",
        "no",
        "never",
        "nothing",
        "nobody",
        "cannot",
        "can't",
        "doesn't",
        "isn't",
        "hasn't",
        "haven't",
        "won't",
    ),
    "nl": ("niet", "geen", "nooit", "niets", "niemand"),
    "nb": ("ikke", "ingen", "aldri", "ingenting"),
    "he": ("לא", "אין", "אף אחד", "שום", "אף פעם"),
}
