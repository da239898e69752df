"""Parameters in commands: what is put where, quoted for a shell, and never evaluated."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genvx.core.sweeps.parameters import fill, fill_line, literally, named_in, require_used
from genvx.errors import InvalidInput

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@pytest.mark.parametrize(
    ("word", "filled"),
    [
        ("--lr={lr}", "--lr=0.001"),
        ("{lr}{n}", "0.0013"),
        ("{{lr}}", "{lr}"),
        ("{{{lr}}}", "{0.001}"),
        ("{on}{none}", "truenull"),
        ("{list}", '[1,"a b"]'),
        ("{text}", "$(x) {lr}"),
        ("no braces", "no braces"),
    ],
)
def test_a_word_gets_the_values_as_text(word, filled):
    parameters = {"lr": 1e-3, "n": 3, "on": True, "none": None, "list": [1, "a b"]}
    assert fill(["run", word], {**parameters, "text": "$(x) {lr}"}) == ["run", filled]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("{rl}", "did you mean {lr}?"),
        ("{zzz}", "parameters are lr, n; write {{ and }} for literal braces"),
        ("{}", "{} in the command is no parameter"),
        ("{", "a brace has no partner in '{'; write {{"),
        ("x}", "write }} for a literal one"),
        ("{lr!r}", "is no parameter"),
        ("{lr.__class__}", "is no parameter"),
        ("{0}", "is no parameter"),
    ],
)
def test_a_name_that_there_is_not_is_refused(word, words):
    with pytest.raises(InvalidInput) as caught:
        fill([word], {"lr": 1, "n": 2})
    assert words in str(caught.value)


def test_all_parameters_are_used_or_none():
    require_used(["train", "{lr}", "{n}"], ("lr", "n"))
    require_used(["train"], ("lr", "n"))
    with pytest.raises(InvalidInput, match=r"does not use n; write \{n\}"):
        require_used(["train", "{lr}"], ("lr", "n"))
    with pytest.raises(InvalidInput, match=r"\{rate\} in the command is no parameter"):
        require_used(["train", "{rate}"], ("lr",))
    assert named_in(["{a}{b}", "{a}"]) == ("a", "b")


@given(TEXTS)
def test_a_line_of_literal_text_stays_as_it_is(text):
    assert fill_line(literally(text), {}) == text


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, TEXTS)
def test_a_shell_gets_the_values_themselves(one, other):
    """Whatever they are, they are one word each."""
    command = ["sh", "-c", "printf '%s\\0' {one} x{other}x && printf {{}}"]
    filled = fill(command, {"one": one, "other": other})
    done = subprocess.run(filled, capture_output=True, check=True)
    assert done.stdout == f"{one}\0x{other}x\0{{}}".encode()


@pytest.mark.parametrize(
    "command",
    [
        ["bash", "-lc", "run {x}"],
        ["/bin/sh", "-c", "run {x}"],
        ["bash", "-o", "pipefail", "-ec", "run {x}"],
        ["env", "A=1", "timeout", "9", "sh", "-c", "run {x}"],
    ],
)
def test_the_script_of_a_shell_is_found(command):
    assert fill(command, {"x": "a;b"})[-1] == "run 'a;b'"


@pytest.mark.parametrize(
    "line",
    [
        'echo "{x}"',
        "echo '{x}'",
        "echo `date` {x}",
        "echo $(cat {x})",
        "cat <<END\n{x}\nEND",
        "echo ok # it's\necho '{x}'",
        "echo $'\\'' '{x}'",
    ],
)
def test_where_a_value_cannot_be_quoted_it_is_refused(line):
    with pytest.raises(InvalidInput, match="genvx does itself"):
        fill_line(line.replace("$(cat {x})", "$(cat {x})"), {"x": "a; id"})
    # A value that no shell reads as more than itself can stand anywhere.
    assert fill_line(line, {"x": 1e-05}) == line.replace("{x}", "1e-05")
