"""genvx lock: one at a time on devices that several share, in the order in which they came."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from genvx.core.line.turn import LAST, Turn
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import InvalidInput, StateError, UnknownEnvironment, WaitedTooLong
from genvx.local import turnstate
from genvx.local.host import LocalHost
from genvx.local.state.turnkinds import TURN
from genvx.local.turns import take_turn
from tests.helpers import end, start_genvx, until

SHARE = Requirements(1, 20 << 30)


@pytest.fixture
def host(state, monkeypatch):
    monkeypatch.setenv("GENVX_SIMULATE", "2xA100-80GB")
    return LocalHost()


def files(state):
    directory = state / "leases" / str(os.getuid())
    return [path.name for path in directory.iterdir() if path.suffix in (".turn", ".choosing")]


def fellow(hold, number):
    """A turn of somebody who holds the devices of `hold`."""
    devices = tuple(device.uuid for device in hold.grant.devices)
    return Turn("e" * 16, hold.grant.owner, hold.grant.environment_id, devices, number)


def test_one_at_a_time_in_the_order_in_which_they_came(host, state):
    """Ten, of two environments that share a device."""
    log: list[str] = []
    with host.acquire(Ask(SHARE)) as one, host.acquire(Ask(SHARE)) as other:
        first = take_turn(host, one.grant.environment_id)
        threads = []
        for number in range(10):
            environment = (one, other)[number % 2].grant.environment_id
            waits = threading.Event()

            def work(number=number, environment=environment, waits=waits):
                turn = take_turn(LocalHost(), environment, tell=lambda turn: waits.set())
                log.append(f"{number} in")
                log.append(f"{number} out")
                turn.withdraw()

            threads.append(threading.Thread(target=work))
            threads[-1].start()
            assert waits.wait(20)
        first.withdraw()
        for thread in threads:
            thread.join(20)
    assert log == [f"{number} {what}" for number in range(10) for what in ("in", "out")]
    assert files(state) == []


def test_many_at_once_never_meet(host):
    """Without any order: all come at the same moment."""
    inside: list[int] = []
    most: list[int] = []
    with host.acquire(Ask(SHARE)) as hold:

        def work():
            for _ in range(5):
                turn = take_turn(LocalHost(), hold.grant.environment_id)
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                turn.withdraw()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(most) == 40
    assert max(most) == 1


def test_whoever_waits_too_long_is_told_who_has_it(host, state):
    with host.acquire(Ask(SHARE)) as hold:
        turn = take_turn(host, hold.grant.environment_id, command="train")
        with pytest.raises(WaitedTooLong, match=rf"process {os.getpid()} \(train\) has it"):
            take_turn(host, hold.grant.environment_id, patience=0.1)
        assert len(files(state)) == 1
        turn.withdraw()


def test_other_devices_are_not_waited_for(host):
    whole = Requirements(1)
    with host.acquire(Ask(whole)) as one, host.acquire(Ask(whole)) as other:
        first = take_turn(host, one.grant.environment_id)
        second = take_turn(host, other.grant.environment_id, patience=0.0)
        first.withdraw()
        second.withdraw()


def test_whoever_gave_the_device_back_is_not_waited_for(host):
    with host.acquire(Ask(SHARE)) as one, host.acquire(Ask(SHARE)) as other:
        first = take_turn(host, one.grant.environment_id)
        host.detach(one.grant.environment_id)
        take_turn(host, other.grant.environment_id, patience=0.0).withdraw()
        first.withdraw()


def test_more_than_are_seen_by_all_do_not_wait(host, state):
    with host.acquire(Ask(SHARE)) as one, host.acquire(Ask(SHARE)) as other:
        first = take_turn(host, one.grant.environment_id)
        with pytest.raises(WaitedTooLong):
            take_turn(host, other.grant.environment_id, patience=0)
        second = turnstate.publish_turn(host, fellow(other, 2), TURN)
        with pytest.raises(StateError, match="2 commands of yours"):
            take_turn(host, other.grant.environment_id, most=2)
        second.withdraw()
        first.withdraw()
        take_turn(host, other.grant.environment_id, most=2).withdraw()
    assert files(state) == []


def test_a_turn_that_others_do_not_see_is_not_taken(host, state, monkeypatch):
    """Whatever has hidden it just after it was made."""
    directory = state / "leases" / str(os.getuid())
    rename = os.rename

    def publish(old, new, **named):
        rename(old, new, **named)
        if new.endswith(".turn"):
            directory.chmod(0o700)

    with host.acquire(Ask(SHARE)) as one:
        monkeypatch.setattr(os, "rename", publish)
        with pytest.raises(StateError, match=r"no turn was taken: .* not seen by others"):
            take_turn(host, one.grant.environment_id)
        assert files(state) == []


def test_turns_do_not_hide_leases(host, state):
    """As from three hundred jobs that were started to take turns."""
    with host.acquire(Ask(SHARE)) as one:
        for number in range(300):
            (state / "leases" / str(os.getuid()) / f"{number:016x}.turn").touch()
        assert len(host.snapshot().leases) == 1
        host.acquire(Ask(SHARE)).release()
        take_turn(host, one.grant.environment_id).withdraw()
    assert files(state) == []


def test_the_last_number_that_there_is_keeps_others_from_meeting(host):
    """Whoever shares a device can take any number; nobody gets one above it that does not count."""
    with host.acquire(Ask(SHARE)) as one, host.acquire(Ask(SHARE)) as other:
        held = turnstate.publish_turn(host, fellow(one, LAST), TURN)
        with pytest.raises(StateError, match="its number is the last"):
            take_turn(host, other.grant.environment_id)
        held.withdraw()
        take_turn(host, other.grant.environment_id).withdraw()


def test_an_environment_without_devices_has_no_turns(host):
    with host.acquire(Ask(Requirements())) as hold, pytest.raises(InvalidInput, match="no GPUs"):
        take_turn(host, hold.grant.environment_id)


def test_an_environment_that_has_ended_has_no_turns(host):
    with pytest.raises(UnknownEnvironment):
        take_turn(host, "abcd1234")


def start(hold, *line, **more):
    return start_genvx("lock", "--id", hold.grant.environment_id, *line, **more)


def test_a_killed_holder_passes_the_turn_on(host, tmp_path, state):
    with host.acquire(Ask(SHARE)) as hold:
        there = tmp_path / "there"
        holder = start(
            hold, "--", "sh", "-c", f"echo $$ > {there}.new; mv {there}.new {there}; exec sleep 600"
        )
        until(there.exists)
        waiter = start(hold, "--", "echo", "mine")
        assert "waiting for" in waiter.stderr.readline()
        holder.send_signal(signal.SIGKILL)
        os.kill(int(there.read_text()), signal.SIGKILL)
        out, _ = waiter.communicate(timeout=20)
        assert (out, waiter.returncode) == ("mine\n", 0)
        end(holder)


def test_the_commands_exit_code_is_its_own_and_a_long_wait_is_124(host):
    with host.acquire(Ask(SHARE)) as hold:
        seven = start(hold, "--", "sh", "-c", "exit 7")
        seven.communicate(timeout=20)
        assert seven.returncode == 7
        turn = take_turn(host, hold.grant.environment_id)
        late = start(hold, "--timeout", "0.2s", "--", "true")
        _, said = late.communicate(timeout=20)
        assert late.returncode == 124
        assert "no turn on the GPUs within 0.2 s" in said
        turn.withdraw()
