"""attach and detach: an environment's devices change while it lives, for all who hold it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import (
    InvalidInput,
    NoCapacity,
    StateError,
    UnknownDevice,
    UnknownEnvironment,
)
from genvx.local.host import LocalHost

ONE = Requirements(1)


@pytest.fixture
def host(state, monkeypatch):
    monkeypatch.setenv("GENVX_SIMULATE", "4xA100-80GB")
    return LocalHost()


def held(host):
    """The indices that each environment holds, by its name."""
    snapshot = host.snapshot()
    indices = {device.uuid: device.index for device in snapshot.devices}
    return {
        env.name: sorted(indices[uuid] for uuid in env.devices) for env in snapshot.environments
    }


def files(state):
    return sorted(path.name for path in (state / "leases" / str(os.getuid())).iterdir())


def test_what_is_attached_is_held_by_the_environment(host):
    with host.acquire(Ask(ONE, name="a")) as hold:
        grant = host.attach(hold.grant.environment_id, Requirements(2))
        assert [device.index for device in grant.devices] == [0, 2, 3]  # 2 and 3 are neighbours
        assert held(host) == {"a": [0, 2, 3]}
        with pytest.raises(NoCapacity):
            host.acquire(Ask(Requirements(2)))


def test_what_was_attached_is_free_when_the_environment_ends(host, state):
    with host.acquire(Ask(ONE)) as hold:
        host.attach(hold.grant.environment_id, ONE)
    assert len(host.snapshot().available) == 4
    assert files(state) == []


def test_what_was_attached_outlives_whoever_attached_it(host):
    with host.acquire(Ask(ONE, name="a")) as hold:
        code = "import sys; from genvx import LocalHost, Requirements as R\n"
        code += "LocalHost().attach(sys.argv[1], R(1))"
        subprocess.run([sys.executable, "-c", code, hold.grant.environment_id], check=True)
        assert held(host) == {"a": [0, 1]}


def test_whoever_joins_has_what_was_attached_and_keeps_it(host):
    first = host.acquire(Ask(ONE, name="a"))
    host.attach(first.grant.environment_id, ONE)
    with host.join(first.grant.environment_id) as second:
        assert [device.index for device in second.grant.devices] == [0, 1]
        first.release()
        assert held(host) == {"a": [0, 1]}


def test_a_detached_device_is_free_at_once(host):
    with host.acquire(Ask(Requirements(2), name="a")) as hold:
        grant = host.detach(hold.grant.environment_id, ["0"])
        assert [device.index for device in grant.devices] == [1]
        with host.acquire(Ask(Requirements(devices=("0",), gpus=1), name="b")):
            assert held(host) == {"a": [1], "b": [0]}


def test_all_can_be_detached_and_the_environment_lives(host):
    with host.acquire(Ask(Requirements(2), name="a")) as hold:
        assert host.detach(hold.grant.environment_id).devices == ()
        assert held(host) == {"a": []}


def test_what_was_detached_can_be_attached_again(host, state):
    with host.acquire(Ask(ONE, name="a")) as hold:
        for _ in range(3):
            host.detach(hold.grant.environment_id, ["0"])
            assert held(host) == {"a": []}
            host.attach(hold.grant.environment_id, Requirements(devices=("0",), gpus=1))
            assert held(host) == {"a": [0]}
        assert len(files(state)) == 3  # the lease, and the last of each


def test_what_is_attached_again_is_held_as_it_was_attached_last(host):
    """A whole device is detached, and a share of it attached: the rest is for others."""
    with host.acquire(Ask(ONE, name="a")) as hold:
        host.detach(hold.grant.environment_id)
        host.attach(hold.grant.environment_id, Requirements(1, 20 << 30, devices=("0",)))
        with host.acquire(Ask(Requirements(1, 60 << 30, devices=("0",)), name="b")):
            assert held(host) == {"a": [0], "b": [0]}


def test_whoever_joined_before_does_not_bring_a_detached_device_back(host):
    with host.acquire(Ask(ONE, name="a")) as hold, host.join(hold.grant.environment_id):
        host.detach(hold.grant.environment_id, ["0"])
        assert held(host) == {"a": []}


def test_a_device_that_is_not_in_it_is_not_detached(host):
    with host.acquire(Ask(Requirements(2), name="a")) as hold:
        with pytest.raises(UnknownDevice, match="not in this environment: 3"):
            host.detach(hold.grant.environment_id, ["0", "3"])
        assert held(host) == {"a": [0, 1]}


def test_what_it_has_already_is_not_attached_to_it_again(host):
    with host.acquire(Ask(ONE)) as hold, pytest.raises(NoCapacity):
        host.attach(hold.grant.environment_id, Requirements(devices=("0",), gpus=1))


def test_nothing_is_not_to_be_attached(host):
    with host.acquire(Ask(ONE)) as hold, pytest.raises(InvalidInput, match="--gpus N"):
        host.attach(hold.grant.environment_id, Requirements())


def test_an_environment_that_has_ended_gets_nothing(host):
    with host.acquire(Ask(ONE)) as hold:
        pass
    with pytest.raises(UnknownEnvironment):
        host.attach(hold.grant.environment_id, ONE)


def test_an_environment_that_ends_just_then_gets_nothing(host, monkeypatch):
    hold = host.acquire(Ask(ONE))
    rename = os.rename

    def publish(*arguments, **named):
        hold.release()
        rename(*arguments, **named)

    monkeypatch.setattr(os, "rename", publish)
    with pytest.raises(UnknownEnvironment):
        host.attach(hold.grant.environment_id, ONE)
    assert host.snapshot().leases == ()


def test_shares_can_be_attached(host):
    with host.acquire(Ask(ONE, name="a")) as hold:
        host.attach(hold.grant.environment_id, Requirements(1, 40 << 30))
        with host.acquire(Ask(Requirements(1, 40 << 30), name="b")):
            assert held(host) == {"a": [0, 1], "b": [1]}


def test_release_ends_what_was_attached_too(host):
    hold = host.acquire(Ask(ONE))
    host.attach(hold.grant.environment_id, ONE)
    host.release(hold.grant.environment_id)
    assert len(host.snapshot().available) == 4


def test_what_another_boot_attached_counts_for_nothing(host, state):
    with host.acquire(Ask(ONE, name="a")) as hold:
        host.attach(hold.grant.environment_id, ONE)
        for path in state.rglob("*.lease"):
            record = json.loads(path.read_bytes())
            if record.get("part") == "attached":
                path.write_text(json.dumps(record | {"boot_id": "another"}))
        assert held(host) == {"a": [0]}


def test_an_environment_for_a_time_can_get_more(host):
    grant = host.reserve(Ask(ONE, lasts=60, name="a"))
    host.attach(grant.environment_id, ONE)
    assert held(host) == {"a": [0, 1]}
    host.release(grant.environment_id)
    assert held(host) == {}


def test_where_the_boot_cannot_be_told_nothing_is_left_to_live_without_a_holder(host, monkeypatch):
    with host.acquire(Ask(Requirements(2), name="a")) as hold:
        monkeypatch.setattr("genvx.local.processes.boot_id", lambda: "")
        for act in (
            lambda: host.attach(hold.grant.environment_id, ONE),
            lambda: host.detach(hold.grant.environment_id),
            lambda: host.reserve(Ask(ONE, lasts=60)),
        ):
            with pytest.raises(StateError, match="this boot has no known id"):
                act()
        assert held(host) == {"a": [0, 1]}
