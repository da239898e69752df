"""Provisioning of a machine that is in use: what is held in the old place stays held."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import pytest

from genvx.cli.verbs.setup.admin import provision_in
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import InvalidInput, NoCapacity, StateError
from genvx.local.host import LocalHost
from genvx.local.state.directory import StateDirectory
from genvx.local.state.paths import SETTLED, Places
from genvx.local.state.store import LeaseStore
from genvx.local.turns import take_turn
from tests.capabilities import USER_A
from tests.helpers import genvx_argv, genvx_env

ONE, TWO = Requirements(1), Requirements(2)


@pytest.fixture
def machine(short_tmp):
    """A machine with two GPUs that is not provisioned, elsewhere than at the usual paths."""
    (short_tmp / "old").mkdir()
    (short_tmp / "old").chmod(0o1777)
    places = Places(
        provisioned=str(short_tmp / "new"),
        unprovisioned=str(short_tmp / "old"),
        tmpfiles=str(short_tmp / "nowhere" / "genvx.conf"),
    )
    hosts = []

    def host():
        hosts.append(LocalHost(environ={"GENVX_SIMULATE": "2xA100-80GB"}, places=places))
        return hosts[-1]

    host.provision = functools.partial(provision_in, places)
    host.old, host.new = short_tmp / "old", short_tmp / "new"
    yield host
    for each in hosts:
        each.close()


pytestmark = pytest.mark.needs("root")


def names(host):
    return sorted(each.name for each in host.snapshot().environments)


def test_a_machine_whose_gpus_are_held_is_not_provisioned(machine):
    held = machine().acquire(Ask(ONE, name="train"))
    with pytest.raises(StateError, match=r"in use: train \(.*\) of root\(0\); .* or add --force"):
        machine.provision()
    assert not machine.new.exists()
    held.release()
    machine.provision()
    assert sorted(os.listdir(machine.new)) == ["acquire.lock", "leases", "settled"]
    assert os.listdir(machine.new.parent) in (["old", "new"], ["new", "old"])


def test_a_place_in_line_keeps_a_machine_from_being_provisioned_too(machine):
    from genvx.local.joiningline import place_in_line

    host = machine()
    held = host.store.queue(place_in_line(host, Ask(TWO, name="", command=""), "ab12"))
    with pytest.raises(StateError, match="waits in line"):
        machine.provision()
    held.withdraw()


def test_what_is_held_stays_held_when_a_machine_is_provisioned_by_force(machine, capsys):
    before, after = machine(), machine()
    held = before.acquire(Ask(ONE, name="before"))
    machine.provision(force=True)
    assert "stays held: before (" in capsys.readouterr().out
    assert names(after) == ["before"]
    second = after.acquire(Ask(ONE, name="after"))
    assert second.grant.devices[0].uuid != held.grant.devices[0].uuid
    assert names(before) == ["after", "before"]
    for host in (before, after):
        with pytest.raises(NoCapacity):
            host.acquire(Ask(ONE))


def test_an_environment_of_the_old_place_can_be_joined_changed_and_released(machine):
    before, after = machine(), machine()
    held = before.acquire(Ask(ONE, name="before"))
    env = held.grant.environment_id
    machine.provision(force=True)
    assert len(after.attach(env, ONE).devices) == 2
    assert len(after.detach(env).devices) == 0
    assert len(after.attach(env, ONE).devices) == 1
    joined = after.join(env)
    take_turn(after, env, patience=5).withdraw()
    joined.release()
    after.release("before")
    assert names(before) == names(after) == []
    after.acquire(Ask(TWO)).release()


def test_a_shell_of_the_old_place_sees_that_its_environment_has_changed(machine):
    before = machine()
    held = before.acquire(Ask(ONE, name="before"))
    directory = os.path.dirname(os.readlink(f"/proc/self/fd/{held.descriptor}"))
    machine.provision(force=True)
    os.utime(directory, (0, 0))
    machine().attach(held.grant.environment_id, ONE)
    assert os.stat(directory).st_mtime > 0


def test_whoever_publishes_in_the_old_place_while_it_is_left_starts_again_in_the_new(
    machine, monkeypatch
):
    """The look of another may have been there already, for the last time."""
    publish = LeaseStore.publish
    rivals = []

    def late(store, lease, **named):
        monkeypatch.setattr(LeaseStore, "publish", publish)
        machine.provision()
        rivals.append(machine().acquire(Ask(TWO, name="rival")))
        return publish(store, lease, **named)

    monkeypatch.setattr(LeaseStore, "publish", late)
    with pytest.raises(NoCapacity):
        machine().acquire(Ask(ONE, name="late"))
    assert names(machine()) == ["rival"]
    rivals.pop().release()
    held = machine().acquire(Ask(ONE, name="new"))
    assert os.readlink(f"/proc/self/fd/{held.descriptor}").startswith(str(machine.new))


def test_the_old_place_is_looked_at_until_it_is_empty_and_never_again(machine, capsys):
    held = machine().acquire(Ask(ONE, name="before"))
    machine.provision(force=True)
    machine.provision()
    assert not (machine.new / SETTLED).exists()
    held.release()
    capsys.readouterr()
    machine.provision()
    assert "stays held" not in capsys.readouterr().out
    # As of somebody whom --group does not admit.
    forger = LeaseStore(StateDirectory(str(machine.old)))
    host = machine()
    forged = forger.publish(host.blank("abcd", "forged", "", None))
    assert names(host) == []
    forged.withdraw()


def test_the_doctor_says_that_the_old_place_counts_too(machine):
    held = machine().acquire(Ask(ONE))
    machine.provision(force=True)
    found = [f for f in machine().doctor() if f.check == "state"]
    assert any(f"{machine.old}: leases from before" in f.result for f in found)
    held.release()


@pytest.mark.needs("uids")
def test_somebody_outside_the_group_that_is_admitted_learns_that(world, short_tmp):
    import grp

    short_tmp.chmod(0o755)
    places = Places(str(short_tmp / "new"), str(short_tmp), str(short_tmp / "no" / "genvx.conf"))
    group = grp.getgrgid(1).gr_name
    provision_in(places, group)
    code = "from genvx.local.state.directory import StateDirectory as S; S({!r})"
    answer = world.run(USER_A, code.format(places.provisioned))
    assert f"new/leases is for the group {group} only; ask the administrator" in answer.stderr


def test_only_root_provisions_and_is_told_how_to_start_a_program_of_a_users(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["/home/a user/bin/genvx", "admin", "provision"])
    with pytest.raises(InvalidInput, match=r"sudo '/home/a user/bin/genvx' admin provision$"):
        provision_in(Places("/nowhere", "/nowhere", "/nowhere"))


@pytest.mark.needs("namespaces")
def test_a_shell_of_a_person_keeps_its_gpus_while_the_machine_is_provisioned(tmp_path):
    genvx = " ".join(genvx_argv())
    script = f"""
mount -t tmpfs tmpfs /var/lib; mkdir -p /etc/tmpfiles.d; mount -t tmpfs tmpfs /etc/tmpfiles.d
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
unset GENVX_STATE_DIR; export GENVX_SIMULATE=2xA100-80GB
{genvx} run -g 2 --name train -- sh -c '
    {genvx} admin provision; echo refused: $?; {genvx} admin provision --force; echo forced: $?
    {genvx} run -g 1 -- echo GRANTED TWICE; {genvx} envs'
{genvx} run -g 2 -- echo free afterwards
{genvx} admin provision; ls /var/lib/genvx; cat /etc/tmpfiles.d/genvx.conf
"""
    answer = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], env=genvx_env(), capture_output=True, text=True
    )
    assert "refused: 6\n" in answer.stdout
    assert "forced: 0\n" in answer.stdout
    assert "GRANTED TWICE" not in answer.stdout
    assert "train" in answer.stdout
    assert "free afterwards\n" in answer.stdout
    assert "settled\n" in answer.stdout
    assert "f! /var/lib/genvx/settled 0644 root root -\n" in answer.stdout
    assert "stays held: train (" in answer.stdout
