"""However the files of a desk are mangled, loading it names faults or gives a desk: it never falls over."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.desk_folder import DEMO_DESK, DeskFaults, Fault, load

SNIPPETS = [
    "", " ", "\n", ":", "- ", "{", "}", "[", "]", '"', "'", "#", "&a", "*a", "!x", "|", ">", "---\n", "\t", "\0", "\u2028",
    "{{", "}}", "{{ order.x | y }}", "${", "$x", "null", "true", "-1", "1e999", "9" * 40, "0x10", ".nan", "2026-99-99", "25:00-26:00",
    "on", "no:", "end", "schema: 2\n", "id: end", "if: 'a ('", "goto: lookup", "steps: 3\n", "flow: handoff\n", "א", "😀", "x" * 5000,
]  # fmt: skip


@cache
def demo() -> dict[str, str]:
    files = (path for path in sorted(DEMO_DESK.rglob("*")) if path.is_file())
    return {
        path.relative_to(DEMO_DESK).as_posix(): path.read_text(encoding="utf-8")
        for path in files
        if path.suffix != ".pyc"
    }


@st.composite
def mangled(draw: st.DrawFn) -> dict[str, str | None]:
    """The files that were changed; None for one that was removed."""
    files: dict[str, str | None] = dict(demo())
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(files)))
        text = files[name] or ""
        lines = text.splitlines(keepends=True)
        at, other = (draw(st.integers(0, max(len(lines) - 1, 0))) for _ in range(2))
        match draw(st.sampled_from(["put", "drop", "twice", "swap", "indent", "cut", "remove"])):
            case "put":
                spot = draw(st.integers(0, len(text)))
                text = text[:spot] + draw(st.sampled_from(SNIPPETS)) + text[spot + draw(st.integers(0, 5)) :]
            case "drop":
                text = "".join(lines[:at] + lines[at + 1 :])
            case "twice":
                text = "".join(lines[: at + 1] + lines[at:])
            case "swap" if lines:
                lines[at], lines[other] = lines[other], lines[at]
                text = "".join(lines)
            case "indent":
                text = "".join(lines[:at] + ["  " + one for one in lines[at : at + 1]] + lines[at + 1 :])
            case "cut":
                text = text[: draw(st.integers(0, len(text)))]
            case "remove":
                files[name] = None
                continue
        files[name] = text
    return {name: text for name, text in files.items() if text != demo()[name]}


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mangled())
def test_a_mangled_desk_is_refused_with_places_or_loads(tmp_path_factory: object, files: dict[str, str | None]) -> None:
    folder = tmp_path_factory.mktemp("desk")  # type: ignore[attr-defined]
    write(folder, {**demo(), **files})
    faults = faults_of(folder)
    assert faults is None or faults
    for fault in faults or ():
        assert fault.line >= 1
        assert fault.column >= 1
        assert "\n" not in str(fault)


def faults_of(folder: Path) -> Sequence[Fault] | None:
    try:
        load(folder)
    except DeskFaults as refused:
        return refused.faults
    return None


def write(folder: Path, files: dict[str, str | None]) -> None:
    for name, text in files.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text.encode("utf-8"))
