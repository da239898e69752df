"""A waiting run is withdrawn, to start on another host: once, or not at all."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from genvx.core.notifying.notifier import Way, made
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.runstate import name_of, was_moved
from genvx.core.value import replace
from genvx.errors import GenvxError, InvalidInput, NoCapacity
from genvx.local.runs import lock
from genvx.local.runs.withdrawal import withdraw
from tests.helpers import until
from tests.local.runs.test_notify import heralds
from tests.local.runs.test_runs import asked, ends_as, shell, state_of


@pytest.fixture
def waiting(start, catalog):
    """A run that waits for another one that has all GPUs."""
    first = start(asked("sleep", "1000", gpus=2))
    run = start(asked("true"), patience=1000.0, tags=("x",))
    assert name_of(run.state) == "waiting"
    yield run
    catalog.stop(first.id)


def test_a_waiting_run_is_withdrawn_and_never_starts(host, waiting, catalog):
    assert was_moved(withdraw(host, waiting.id).state)
    assert host.snapshot().tickets == ()
    found = catalog.find(waiting.id)
    assert (was_moved(found.state), found.spec.patience, found.tags) == (True, 1000.0, ("x",))
    until(lambda: lock.supervision_of(host.state, os.getuid(), waiting.id) is None)
    with pytest.raises(
        InvalidInput, match=f"withdrawn already; genvx remote runs restart {waiting.id}"
    ):
        withdraw(host, waiting.id)


def test_nobody_is_told_that_a_run_that_moves_has_ended(host, start, short_tmp):
    start(asked("sleep", "1000", gpus=2))
    told, program = short_tmp / "told", short_tmp / "tell"
    program.write_text(f"#!/bin/sh\ntouch {told}\n")
    program.chmod(0o755)
    notifier = made(Way.COMMAND, (str(program),))
    run = start(asked("true", notifiers=(notifier,)), patience=1000.0)
    withdraw(host, run.id)
    until(lambda: not heralds(run.directory))
    assert not told.exists()


def test_of_many_who_withdraw_a_run_one_is_told_yes(host, waiting):
    def attempt(_):
        try:
            return was_moved(withdraw(host, waiting.id).state)
        except GenvxError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_a_run_that_has_begun_is_not_withdrawn_and_goes_on(host, start, catalog):
    run = start(asked("sleep", "1000"))
    with pytest.raises(InvalidInput, match="is running; only a waiting run can move"):
        withdraw(host, run.id)
    # Also when the question came so late that the request was written.
    from genvx.core.runs.runstate import StopReason
    from genvx.local.runs.record import StopRequest

    with catalog.open(run) as directory:
        directory.request_stop(StopRequest(StopReason.MOVED, os.getuid(), 0.0))
    supervisor = lock.supervision_of(host.state, os.getuid(), run.id)
    os.kill(supervisor.pid, signal.SIGCHLD)
    time.sleep(0.3)
    assert state_of(catalog, run) == "running"
    # A plain SIGTERM still ends it.
    os.kill(supervisor.pid, signal.SIGTERM)
    assert ends_as(catalog, run, "stopped").state.why is StopReason.ASKED


def _race(host, start, catalog, place, chance, gpu):
    """Withdraw a run in the moment in which its turn on a GPU comes; whether it was withdrawn, and
    how often it has started.
    """
    its = Requirements(1, devices=(str(gpu),))
    first = start(replace(asked("sleep", "1000"), requirements=its))
    started = place / os.urandom(4).hex()
    line = f"echo x >> {started}; exec sleep 1000"
    run = start(replace(shell(line), requirements=its), patience=1000.0)
    catalog.stop(first.id, force=True)
    # The supervisor looks once a second whether its turn has come.
    threading.Event().wait(chance.uniform(0.0, 1.3))
    try:
        withdrawn = was_moved(withdraw(host, run.id).state)
    except InvalidInput:
        withdrawn = False
        until(started.exists)
    catalog.stop(run.id, force=True)
    until(lambda: lock.supervision_of(host.state, os.getuid(), run.id) is None)
    return withdrawn, started.read_text().count("x") if started.exists() else 0


@pytest.mark.parametrize(
    ("tries", "at_once"), [(6, 3), pytest.param(30, 10, marks=pytest.mark.slow)]
)
@pytest.mark.timeout(900)
def test_a_run_whose_turn_comes_just_then_is_withdrawn_or_starts(
    host,
    start,
    catalog,
    short_tmp,
    monkeypatch,
    tries,
    at_once,
):
    monkeypatch.setenv("GENVX_SIMULATE", f"{at_once}xA100-80GB")

    def races(gpu):
        chance = random.Random(gpu)
        return [
            _race(host, start, catalog, short_tmp, chance, gpu) for _ in range(tries // at_once)
        ]

    # Most of each is waiting.
    with ThreadPoolExecutor(at_once) as pool:
        seen = [each for found in pool.map(races, range(at_once)) for each in found]
    assert len(seen) == tries
    assert set(seen) <= {(True, 0), (False, 1)}


def test_a_run_that_comes_back_takes_the_place_of_what_it_has_left(
    host,
    waiting,
    catalog,
    start,
    short_tmp,
):
    """Back to its first host, or to one whose home is the same."""
    withdraw(host, waiting.id)
    # One that is refused leaves what was there: the run is nowhere else.
    with pytest.raises(NoCapacity):
        start(replace(waiting.spec, machine=""))
    assert was_moved(catalog.find(waiting.id).state)
    again = start(replace(waiting.spec, machine=""), patience=1000.0)
    assert state_of(catalog, again) == "waiting"
    assert not [name for name in os.listdir(short_tmp / "runs") if name.startswith(".")]
    catalog.stop(again.id)
