"""Runs as values: which state may follow which, and what is shown of a record."""

from __future__ import annotations

import itertools

import pytest

from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import (
    End,
    Moment,
    RunSpec,
    require_tags,
)
from genvx.core.runs.runstate import (
    STATES,
    Completed,
    Failed,
    Held,
    LossReason,
    Lost,
    Preparing,
    Running,
    Signs,
    Step,
    Stopped,
    StopReason,
    Waiting,
    is_over,
    may_follow,
    name_of,
    settled,
    shown,
)
from genvx.errors import InvalidInput

THEN = Moment(1_000_000, 5 * 10**9)
NOW = Moment(2_000_000, 8 * 10**9)
WELL = End(THEN, NOW, code=0)
BADLY = End(THEN, NOW, code=7)

EACH = {
    "waiting": Waiting(THEN, 1, "GPU 0 is leased"),
    "preparing": Preparing(THEN, Step.CODE),
    "running": Running(THEN, ("GPU-1",), 7, 9),
    "held": Held(THEN, NOW, BADLY),
    "completed": Completed(THEN, WELL),
    "failed": Failed(THEN, BADLY),
    "stopped": Stopped(THEN, StopReason.ASKED, 1000, BADLY),
    "lost": Lost(THEN, LossReason.KILLED),
}

# Row: the state before; columns in the order of EACH; x: may follow.
FOLLOWS = """
                waiting preparing running held completed failed stopped lost
    nothing     x       x         -       -    -         x      -       -
    waiting     x       x         -       -    -         x      x       x
    preparing   -       x         x       -    -         x      x       x
    running     -       x         x       x    x         x      x       x
    held        -       -         -       -    -         x      x       x
    completed   -       -         -       -    -         -      -       -
    failed      -       -         -       -    -         -      -       -
    stopped     -       -         -       -    -         -      -       -
    lost        -       -         -       -    -         -      -       -
"""


def follows():
    head, *rows = [line.split() for line in FOLLOWS.strip().splitlines()]
    for before, *marks in rows:
        for after, mark in zip(head, marks, strict=True):
            yield before, after, mark == "x"


@pytest.mark.parametrize(("before", "after", "allowed"), list(follows()))
def test_only_some_states_follow_others(before, after, allowed):
    assert may_follow(EACH.get(before), EACH[after]) is allowed


def test_there_are_no_other_states():
    assert {name: type(state) for name, state in EACH.items()} == STATES
    assert [name_of(state) for state in EACH.values()] == list(EACH)


def test_a_held_run_keeps_the_end_that_it_had():
    assert may_follow(Held(THEN, NOW, WELL), Completed(NOW, WELL))
    assert not may_follow(Held(THEN, NOW, BADLY), Completed(NOW, WELL))
    assert not may_follow(Held(THEN, NOW, BADLY), Failed(NOW, End(THEN, NOW, signal=9)))


def test_a_command_that_ends_by_itself_has_completed_or_failed():
    assert settled(WELL, NOW) == Completed(NOW, WELL)
    assert settled(BADLY, NOW) == Failed(NOW, BADLY)


def test_the_exit_code_of_a_command_that_a_signal_ended_is_that_of_shells():
    assert End(THEN, NOW, signal=15).exit_code == 143
    assert (BADLY.exit_code, BADLY.seconds) == (7, 3.0)


@pytest.mark.parametrize("how", [{}, {"code": 0, "signal": 9}])
def test_an_end_is_an_exit_code_or_a_signal(how):
    with pytest.raises(InvalidInput):
        End(THEN, NOW, **how)


ALL_SIGNS = [Signs(*each) for each in itertools.product((True, False), repeat=3)]


@pytest.mark.parametrize("signs", ALL_SIGNS)
@pytest.mark.parametrize("name", [name for name, state in EACH.items() if is_over(state)])
def test_an_end_that_was_written_is_shown_whatever_else_is_seen(name, signs):
    assert shown(EACH[name], signs) == (EACH[name], "")


# What is shown of a state that is not over: as written (=), that and a note (!), lost and why, or
# the end that its command had.
LIVING = """
    boot supervised held    waiting preparing running held
    same yes        yes     =       =         =       =
    same yes        no      =       =         =       =
    same no         yes     killed  !         !       !
    same no         no      killed  killed    killed  end
    new  yes        yes     reboot  reboot    reboot  end
    new  yes        no      reboot  reboot    reboot  end
    new  no         yes     reboot  reboot    reboot  end
    new  no         no      reboot  reboot    reboot  end
"""


def living():
    head, *rows = [line.split() for line in LIVING.strip().splitlines()]
    for boot, supervised, held, *marks in rows:
        for name, mark in zip(head[3:], marks, strict=True):
            yield Signs(boot == "same", supervised == "yes", held == "yes"), name, mark


@pytest.mark.parametrize(("signs", "name", "mark"), list(living()))
def test_what_is_shown_of_a_run_that_has_not_ended(signs, name, mark):
    state = EACH[name]
    found, note = shown(state, signs)
    expected = {
        "killed": Lost(state.since, LossReason.KILLED),
        "reboot": Lost(state.since, LossReason.REBOOT),
        "end": Failed(state.since, BADLY),
    }.get(mark, state)
    assert found == expected
    assert bool(note) == (mark == "!")


@pytest.mark.parametrize(("signs", "name", "mark"), list(living()))
def test_an_end_that_was_decided_is_shown_once_nothing_of_the_run_lives(signs, name, mark):
    decided = Stopped(NOW, StopReason.ASKED, 0, BADLY)
    found, _ = shown(EACH[name], signs, decided)
    assert found == (EACH[name] if mark in "=!" else decided)


def test_what_cannot_follow_was_not_decided():
    nobody = Signs(True, False, False)
    assert shown(EACH["waiting"], nobody, Completed(NOW, WELL))[0] == EACH["lost"]
    assert shown(EACH["held"], nobody, Completed(NOW, WELL))[0] == Failed(THEN, BADLY)
    assert shown(EACH["running"], nobody, EACH["running"])[0] == EACH["lost"]


def spec(**changes):
    given = {"id": "abcd1234", "argv": ("true",), "requirements": Requirements(1)}
    return RunSpec(**{**given, "machine": "m", "host": "h", "submitted": THEN, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"argv": ()},
        {"argv": ("",)},
        {"argv": ("a\0b",)},
        {"cwd": "\0"},
        {"name": "a\nb"},
        {"retries": -1},
        {"retries": 10**9},
    ],
)
def test_a_run_that_makes_no_sense_is_refused(changes):
    assert spec().argv == ("true",)
    with pytest.raises(InvalidInput):
        spec(**changes)


@pytest.mark.parametrize("tags", [("",), ("a,b",), ("\x1b[2J",), tuple(map(str, range(99)))])
def test_a_tag_that_cannot_be_shown_or_separated_is_refused(tags):
    assert require_tags(("a", "b c")) == ("a", "b c")
    with pytest.raises(InvalidInput):
        require_tags(tags)
