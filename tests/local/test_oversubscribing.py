"""-o: shares that add up to more than a device has, only where policy allows it."""

from __future__ import annotations

import json

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import InvalidQuantity, NoCapacity, Unsatisfiable
from genvx.local.host import LocalHost
from tests.conftest import run_genvx

PLAIN = Requirements(1, 60 << 30, devices=("0",))
OVER = Requirements(1, 60 << 30, devices=("0",), over=True)


@pytest.fixture
def host(state, monkeypatch):
    """A machine whose policy allows it on GPU 0."""
    monkeypatch.setenv("GENVX_SIMULATE", "2xA100-80GB")
    state.mkdir(mode=0o700, exist_ok=True)
    (state / "policy.toml").write_text("[devices]\noversubscribed = [0]\n")
    return LocalHost()


def test_shares_add_up_to_more_where_that_is_asked_for_and_allowed(host):
    with host.acquire(Ask(PLAIN)), host.acquire(Ask(OVER)), host.acquire(Ask(OVER)):
        snapshot = host.snapshot()
        assert [snapshot.oversubscribed(device) for device in snapshot.devices] == [True, False]


def test_whoever_does_not_ask_for_it_gets_only_what_there_is(host):
    with host.acquire(Ask(OVER)), pytest.raises(NoCapacity):
        host.acquire(Ask(PLAIN))


def test_nobody_is_put_beside_a_holder_of_the_whole(host):
    with host.acquire(Ask(Requirements(1, devices=("0",)))), pytest.raises(NoCapacity):
        host.acquire(Ask(OVER))
    with host.acquire(Ask(OVER)), pytest.raises(NoCapacity):
        host.acquire(Ask(Requirements(1, devices=("0",))))


def test_where_policy_does_not_allow_it_that_is_said(host):
    with pytest.raises(Unsatisfiable, match="may not be over-subscribed"):
        host.acquire(Ask(Requirements(1, 60 << 30, devices=("1",), over=True)))


def test_without_a_policy_it_is_not_allowed(host, state):
    (state / "policy.toml").unlink()
    with pytest.raises(Unsatisfiable, match="may not be over-subscribed"):
        host.acquire(Ask(OVER))


def test_more_than_a_device_has_is_never_had(host):
    with pytest.raises(Unsatisfiable):
        host.acquire(Ask(Requirements(1, 90 << 30, over=True)))


def test_it_is_for_shares():
    with pytest.raises(InvalidQuantity, match="--gpu-memory"):
        Requirements(1, over=True)


def test_it_can_be_attached_and_joined(host):
    with host.acquire(Ask(PLAIN)), host.acquire(Ask(Requirements())) as hold:
        host.attach(hold.grant.environment_id, OVER)
        with host.join(hold.grant.environment_id):
            assert len(host.snapshot().environments) == 2
    with (
        host.acquire(Ask(PLAIN)),
        host.acquire(Ask(OVER)) as hold,
        host.join(hold.grant.environment_id),
    ):
        assert len(host.snapshot().leases) == 3


def test_it_is_shown(host):
    with host.acquire(Ask(PLAIN)), host.acquire(Ask(OVER)):
        shown = run_genvx("devices", "--csv", "--no-header", "--fields", "state").stdout
        assert shown == '"shared, over-subscribed"\nfree\n'
        (answer,) = json.loads(run_genvx("devices", "--json").stdout)["hosts"]
        assert [device["oversubscribed"] for device in answer["devices"]] == [True, False]
    assert "Can be over-subscribed (-o): GPU 0" in run_genvx("policy").stdout


def test_the_option_asks_for_it(host):
    with host.acquire(Ask(PLAIN)):
        line = ("run", "--device", "0", "--gpu-memory", "60G")
        assert run_genvx(*line, "--", "true").returncode == 3
        assert run_genvx(*line, "-o", "--", "true").returncode == 0
