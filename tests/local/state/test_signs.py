"""Signs that the state has changed: whatever a waiter must not miss."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from genvx.local.state.signs import Signs
from tests.helpers import until

HOLDER = """
import sys
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
hold = LocalHost().acquire(Ask(Requirements(1)))
print(flush=True)
sys.stdin.read()
"""
ONE = Ask(Requirements(1))


@pytest.fixture
def host(state):
    found = LocalHost()
    yield found
    found.close()


@pytest.fixture
def taken(host):
    """Takes the signs of the state; they are closed with the test."""
    made = []

    def take():
        made.append(Signs(host.state))
        return made[-1]

    yield take
    for each in made:
        each.close()


def taken_late(taken):
    """Take signs when the last change is old enough to be told from the next one."""

    def quiet():
        signs = taken()
        return None if signs.have_changed() else signs

    return until(quiet, "a quiet state")


def test_where_nothing_comes_or_goes_there_is_none(host, taken):
    with host.acquire(ONE):
        signs = taken_late(taken)
        host.snapshot()
        assert not signs.have_changed()


def test_a_new_lease_is_one(host, taken):
    with host.acquire(ONE):
        signs = taken()
        with host.acquire(ONE):
            assert signs.have_changed()


def test_the_first_lease_of_all_is_one(host, taken):
    signs = taken()
    with host.acquire(ONE):
        assert signs.have_changed()


def test_a_released_lease_is_one(host, taken):
    with host.acquire(ONE), host.acquire(ONE) as hold:
        signs = taken()
        hold.release()
        assert signs.have_changed()


def test_a_holder_that_was_killed_is_one(host, taken):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        signs = taken_late(taken)
        assert not signs.have_changed()
    finally:
        holder.kill()
        holder.communicate()
    assert signs.have_changed()


def test_more_files_than_can_be_watched_always_count_as_one(host, taken, state):
    with host.acquire(ONE):
        for number in range(200):
            (state / "leases" / str(os.getuid()) / f"{number:016x}.lease").touch()
        assert taken().have_changed()


def test_it_leaves_no_descriptor(host):
    def opened():
        return sorted(os.listdir("/proc/self/fd"))

    with host.acquire(ONE):
        before = opened()
        Signs(host.state).close()
        assert opened() == before
