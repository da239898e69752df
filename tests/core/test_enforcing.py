"""Whom the rules of [enforce] hit: a function of what was seen."""

from __future__ import annotations

import tomllib

import pytest

from genvx.core.enforcing.action import Kind, Rule
from genvx.core.enforcing.decision import decide
from genvx.core.enforcing.history import History
from genvx.core.policies.enforcement import Measure, MemoryRule, ProcessRule
from genvx.core.policies.policytext import parse
from genvx.errors import InvalidInput
from torture.enforced import GIB, RULES, Held, Play, Proc, World, faults

# Worlds that are tried: so many machines for so many rounds.
_MACHINES, _ROUNDS = 100, 20


def played(world: World, *times: float, kinds=True):
    """What is done in rounds at these seconds to a machine that does not change."""
    play = Play(1)
    play.devices, play.world, history, found = 2, world, History(), []
    for now in times:
        verdict = decide(play._sight(), history, RULES, round(now * 1e9))
        history = verdict.history
        found.append([each.kind for each in verdict.actions] if kinds else verdict.actions)
    return found


def squatter(**how) -> Proc:
    return Proc(50, 100, how.pop("uid", 1001), 0, 6 * GIB, 60, **how)


def test_random_machines_hit_nobody_innocent_and_everybody_guilty_in_time():
    found = [each for seed in range(_MACHINES) for each in faults(seed, _ROUNDS)]
    assert found == []


def test_a_squatter_is_told_then_asked_then_killed():
    found = played(World([squatter()]), 0, 15, 16, 25, 26, 33)
    assert found == [[Kind.TELL], [], [Kind.TERM], [], [Kind.KILL], [Kind.KILL]]


def test_one_who_has_a_lease_on_the_device_is_left_alone():
    assert played(World([squatter()], [Held(1001, "aaaa", 0, None, 0)]), 0, 20, 40) == [[], [], []]


@pytest.mark.parametrize("how", [{"uid": 0}, {"uid": 1004}, {"exempt": True}, {"unknown": True}])
def test_root_the_exempt_and_the_unknown_are_left_alone(how):
    assert played(World([squatter(**how)]), 0, 20, 40) == [[], [], []]


def test_a_pid_that_another_process_has_by_now_is_left_alone():
    """The driver names the pid of a process that has ended meanwhile."""
    assert played(World(reused=[squatter()]), 0, 20, 40) == [[], [], []]


def test_a_user_who_runs_it_hits_themselves_only():
    play = Play(1)
    play.devices = 2
    play.world = World([squatter(), Proc(51, 100, 1002, 1, GIB, 0)])
    sight = play._sight()
    (action,) = decide(
        type(sight)(sight.snapshot, sight.facts, only=1002), History(), RULES, 0
    ).actions
    assert (action.pid, action.uid) == (51, 1002)


def test_nothing_a_user_writes_reaches_a_terminal_as_it_is():
    play = Play(1)
    play.devices, play.world = 1, World([squatter()])
    sight = play._sight()
    sight.snapshot.usage["GPU-0"].processes[0].__dict__["command"] = "\x1b[2J\n; rm -rf /"
    (action,) = decide(sight, History(), RULES, 0).actions
    assert action.line.isprintable()


def test_the_largest_process_of_a_share_is_the_one_that_ends():
    procs = [Proc(50, 100, 1001, 0, 3 * GIB, 9), Proc(51, 101, 1001, 0, 8 * GIB, 9)]
    world = World(procs, [Held(1001, "aaaa", 0, 4 * GIB, 0)])
    told, asked, killed = played(world, 0, 16, 26, kinds=False)
    assert [(a.kind, a.rule, a.pid) for (a,) in (told, asked, killed)] == [
        (Kind.TELL, Rule.MEMORY, 51),
        (Kind.TERM, Rule.MEMORY, 51),
        (Kind.KILL, Rule.MEMORY, 51),
    ]
    assert "which use 11 GiB with a share of 4 GiB" in told[0].line


def test_an_idle_environment_is_told_at_half_time_and_released():
    world = World([Proc(50, 100, 1001, 0, GIB, 60, stopped=True)], [Held(1001, "aaaa", 0, None, 0)])
    assert played(world, 0, 14, 15, 29, 30) == [[], [], [Kind.TELL], [], [Kind.RELEASE]]


@pytest.mark.parametrize("busy", [60, None])
def test_an_environment_that_works_or_may_do_so_is_not_idle(busy):
    world = World([Proc(50, 100, 1001, 0, GIB, busy)], [Held(1001, "aaaa", 0, None, 0)])
    assert played(world, 0, 30, 60, 90) == [[], [], [], []]


def test_an_environment_whose_memory_grows_is_not_idle():
    play, history, done = Play(1), History(), []
    proc = Proc(50, 100, 1001, 0, GIB, 0)
    play.devices, play.world = 1, World([proc], [Held(1001, "aaaa", 0, None, 0)])
    for now in range(0, 200, 10):
        proc.memory += 4 << 20
        verdict = decide(play._sight(), history, RULES, now * 10**9)
        history, done = verdict.history, [*done, *verdict.actions]
    assert done == []


def test_the_rules_of_a_policy():
    rules = parse(
        """
[enforce]
hook = ["/bin/hook", "-x"]
[enforce.squatters]
do = "end"
grace = "1m"
[enforce.memory]
margin = "1G"
[enforce.exempt]
users = ["ann", "61003"]
commands = ["/usr/bin/dcgm"]
""",
        tomllib.loads,
    ).enforcement
    assert rules is not None
    assert (rules.squatters, rules.intruders) == (ProcessRule(Measure.END, 60), None)
    assert (rules.memory, rules.hook) == (MemoryRule(margin=GIB), ("/bin/hook", "-x"))
    assert (rules.exempt.users, rules.exempt.commands) == (("ann", "61003"), ("/usr/bin/dcgm",))
    assert parse("", tomllib.loads).enforcement is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[enforce.squaters]", "unknown key 'squaters'"),
        (
            '[enforce.squatters]\ndo = "release"',
            'line 2: enforce.squatters.do: must be "tell" or "end"',
        ),
        ("[enforce.squatters]\ngrace = 5", "must be text"),
        ("[enforce.idle]\nbelow = true", "whole number of percent"),
        ('[enforce]\nhook = ["mail"]', "not the full path of a program"),
        ('[enforce.exempt]\ncommands = ["python"]', "not the full path of a program"),
        ('[enforce.exempt]\nusers = ["a b"]', "not a user"),
    ],
)
def test_a_mistake_in_the_rules_names_the_line(text, message):
    with pytest.raises(InvalidInput) as error:
        parse(text, tomllib.loads)
    assert message in str(error.value)
