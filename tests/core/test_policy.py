from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.policies.limit import Limit, excess
from genvx.core.policies.policy import Entitlement, Policy
from genvx.core.policies.policytext import parse
from genvx.core.wire import policycodec
from genvx.errors import InvalidInput

GIB = 1 << 30

FULL = """
administrators = ["ann"]

[limits]
gpus = 4
memory = "320G"
time = "24h"

[limits.groups.students]
gpus = 1
time = "4h"

[limits.groups.staff]
gpus = 6

[limits.users.raz]
gpus = 8

[devices]
hidden = [7, "GPU-1"]
shared = [0, 1]
"""


def read(text):
    return parse(text, tomllib.loads)


def test_a_policy_is_understood():
    assert read(FULL) == Policy(
        everybody=Limit(4, 320 * GIB, 86400.0),
        groups={"students": Limit(1, None, 14400.0), "staff": Limit(6)},
        users={"raz": Limit(8)},
        administrators=("ann",),
        hidden=("7", "GPU-1"),
        shared=("0", "1"),
    )


def test_a_policy_may_forbid_debug_ports():
    assert not read("[runs]\ndebug_ports = false\n").debug_ports
    with pytest.raises(InvalidInput, match=r"line 2: runs.debug_ports: must be true or false"):
        read('[runs]\ndebug_ports = "no"\n')


def test_an_empty_policy_limits_nothing():
    assert read("") == Policy()


@pytest.mark.parametrize(
    ("user", "groups", "limit"),
    [
        ("eve", [], Limit(4, 320 * GIB, 86400.0)),
        ("eve", ["students"], Limit(1, 320 * GIB, 14400.0)),
        ("eve", ["students", "staff"], Limit(6, 320 * GIB, 14400.0)),
        ("raz", ["students"], Limit(8, 320 * GIB, 14400.0)),
        ("ann", ["students"], Limit()),
        ("root", [], Limit()),
    ],
)
def test_ones_own_limit_comes_before_that_of_groups_and_of_everybody(user, groups, limit):
    assert read(FULL).limit(user, groups) == limit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits]\ngpus = -1", "line 2: limits.gpus: must be a whole number"),
        ("[limits]\ngpus = true", "line 2: limits.gpus: must be a whole number"),
        ("[limits]\n\nmemory = 40", 'line 3: limits.memory: must be text, such as "40G" or "24h"'),
        ("[limits]\ntime = 'soon'", "line 2: limits.time: not a duration: 'soon'"),
        ("[limit]\ngpus = 1", "line 1: limit: unknown key 'limit'; known are administrators"),
        ("[limits.users.raz]\ngpu = 1", "line 2: limits.users.raz.gpu: unknown key 'gpu'"),
        ("[limits.users]\nraz = 1", "line 2: limits.users.raz: must be a table"),
        ("[limits.users.'a b']\ngpus = 1", "line 1: limits.users.a b: not the name of a user"),
        ("x = 1\n\nx == 2", "Invalid value (at line 3, column 4)"),
        ("administrators = 'ann'", "line 1: administrators: must be a list"),
        ("[devices]\nhidden = ['$(x)']", "line 2: devices.hidden: not a device: '$(x)'"),
        ("[devices]\nhidden = [true]", "line 2: devices.hidden: not a device: 'True'"),
        ("x = " + "[" * 5000, "maximum recursion depth exceeded"),
        ("limits.gpus = 'x'", "line 1: limits.gpus: must be a whole number"),
    ],
)
def test_a_mistake_is_an_error_that_names_the_line(text, message):
    with pytest.raises(InvalidInput) as caught:
        read(text)
    assert str(caught.value).startswith(f"policy.toml: {message}")


@given(st.text(max_size=200))
def test_whatever_stands_there_is_a_policy_or_one_printable_line(text):
    try:
        read(text)
    except InvalidInput as error:
        assert str(error).isprintable()


def test_a_device_is_named_by_number_label_or_uuid():
    policy = Policy(hidden=("3", "GPU-9"), shared=("2:1",))
    devices = [
        Device("GPU-3", 3, "x", 1),
        Device("MIG-1", 3, "x", 1, instance=0, parent="GPU-3"),
        Device("GPU-9", 0, "x", 1),
        Device("MIG-2", 2, "x", 1, instance=1),
        Device("GPU-2", 2, "x", 1),
    ]
    assert [policy.hides(d) for d in devices] == [True, True, True, False, False]
    assert [policy.shares(d) for d in devices] == [False, False, False, True, False]


def lease(env, *uuids, memory=None, uid=7):
    return Lease(
        uuids, memory, id="00ff", owner=Owner(uid, "me"), environment_id=env, name="", boot_id="b",
        since_ns=0,
    )  # fmt: skip


MEMORY = {"a": 80 * GIB, "b": 80 * GIB}


@pytest.mark.parametrize(
    ("limit", "leases", "words"),
    [
        (Limit(1), [lease("e", "a")], None),
        (Limit(1), [lease("e", "a"), lease("f", "b")], "hold 1 GPU at once here"),
        (Limit(1), [lease("e", "a"), lease("e", "a")], None),
        (Limit(1), [lease("e", "a"), lease("f", "b", uid=8)], None),
        (Limit(memory=80 * GIB), [lease("e", "a")], None),
        (Limit(memory=80 * GIB), [lease("e", "a"), lease("f", "b", memory=1)], "hold 80 GiB"),
        (Limit(memory=80 * GIB), [lease("e", "a", memory=40 * GIB)] * 2, None),
        (Limit(), [lease("e", "a", "b")], None),
    ],
)
def test_what_a_user_holds_is_counted_once_in_each_environment(limit, leases, words):
    found = excess(limit, 7, leases, MEMORY)
    assert found == words or (words and found.startswith(words))


def test_it_travels():
    entitlement = Entitlement("raz", read(FULL), Limit(8))
    assert policycodec.ENTITLEMENT.read(policycodec.ENTITLEMENT.write(entitlement)) == entitlement
