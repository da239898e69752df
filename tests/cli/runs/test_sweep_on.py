"""genvx sweep --on: a host runs the sweep, over a real sshd, and this machine may be closed."""

from __future__ import annotations

import os
import signal
import sys
from glob import glob
from pathlib import Path

import pytest

from tests.cli.look.test_json import checked
from tests.conftest import run_genvx
from tests.helpers import start_genvx, until

pytestmark = pytest.mark.needs("openssh")

# Each trial proves that it has the project, and begins once; only the first three end.
_TRIAL = """
cat code.txt && echo "$GENVX_TRIAL" >> "$PLACE/begun"
[ "$GENVX_TRIAL" -lt 3 ] || sleep 1000
echo {lr}
"""


@pytest.fixture(autouse=True)
def own_sweeps(monkeypatch, short_tmp):
    monkeypatch.setenv("XDG_DATA_HOME", str(short_tmp / "data"))


@pytest.fixture
def place(short_tmp, monkeypatch):
    place = short_tmp / "place"
    (place / "project").mkdir(parents=True)
    (place / "project" / "code.txt").write_text("code")
    (place / "project" / "empty").mkdir()
    return place


def on(name, place, *words):
    python = os.path.join(sys.prefix, "bin")
    return (
        *("remote", "sweep", "--on", name, "--on-python", python, "--tuner", "random"),
        *("-P", "lr=0..1", "-g", "1", "--project", str(place / "project"), "--python", "none"),
        *("--env", f"PLACE={place}", *words, "--", "sh", "-c", _TRIAL),
    )


def begun(place):
    path = place / "begun"
    return sorted(map(int, path.read_text().split())) if path.exists() else []


def shown():
    return checked(run_genvx("sweep", "show", "--json"))


def test_a_sweep_on_a_host_survives_what_runs_it_and_is_stopped_from_here(sandbox, place):
    first, second = (host.name for host in sandbox.hosts)
    tell = place / "tell"
    tell.write_text(f'#!/bin/sh\necho "$GENVX_NOTIFY_TEXT" >> {place}/told\n')
    tell.chmod(0o755)
    words = ("--trials", "9", "--metric", "([0-9.]+)", "--notify", f"command:{tell}")
    client = start_genvx(*on(first, place, *words))
    until(lambda: begun(place))
    os.killpg(client.pid, signal.SIGKILL)
    client.communicate()
    until(lambda: len(begun(place)) == 6)
    seen = shown()["sweep"]
    assert seen["state"] == "running"
    # Its process on the host is killed, too, as by somebody who clears up there.
    listed = run_genvx("remote", "runs", "--tag", f"sweep-of={seen['id']}", "--json")
    (run,) = checked(listed)["hosts"][0]["runs"]
    run_genvx("remote", "runs", "stop", run["id"], "--force")
    assert shown()["sweep"]["state"] == "left"
    resumed = run_genvx("sweep", "resume")
    assert resumed.stdout.strip() == seen["id"], resumed.stderr
    assert "it goes on without this machine" in resumed.stderr
    assert "Stopping sweep" in run_genvx("sweep", "stop").stdout
    journals = f"{sandbox.hosts[0].home}/.local/share/genvx/runs/*/work/data/genvx/sweeps/*/journal"
    until(lambda: any("sweep ended" in Path(each).read_text() for each in glob(journals)))
    ended = shown()
    assert ended["sweep"]["state"] == "ended"
    assert ended["sweep"]["counts"] == {"completed": 3, "cancelled": 3}
    assert begun(place) == list(range(6))
    assert {each["host"] for each in ended["trials"]} == {first, second}
    done = [each for each in ended["trials"] if each["state"] == "completed"]
    assert all(each["value"] == each["parameters"]["lr"] for each in done)
    assert len(run_genvx("sweep", "export").stdout.splitlines()) == 7
    assert "has ended already" in run_genvx("sweep", "stop").stdout
    # The host has told of the run that was stopped there, and of the one that went on.
    told = place / "told"
    until(lambda: told.exists() and told.read_text().count("\n") == 2)
    assert all(f"run sweep-{seen['id']} (" in line for line in told.read_text().splitlines())


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--notify", "command:/no/it"], "--notify: command not found: /no/it", 127),
        (["--on-python", "/no/it"], "--on-python: no Python in /no/it", 2),
    ],
)
def test_what_cannot_be_on_the_host_is_refused_as_it_was_typed_and_there_is_no_sweep(
    sandbox, place, words, said, code
):
    host = sandbox.hosts[0].name
    answer = run_genvx(*on(host, place, "--trials", "2", *words))
    assert (answer.returncode, answer.stdout) == (code, "")
    assert f"genvx: {host}: {said}\n" in answer.stderr
    assert "no sweep" in run_genvx("sweep", "show").stderr


def test_passwords_do_not_travel_and_hosts_that_need_one_are_refused(sandbox, place, monkeypatch):
    lines = Path(sandbox.hostfile).read_text().splitlines()
    hostfile = Path(sandbox.directory, "other")
    hostfile.write_text(f"{lines[0]}\n{lines[1]} password_env=GENVX_PASSWORD_B\n")
    monkeypatch.setenv("GENVX_HOSTFILE", str(hostfile))
    answer = run_genvx(*on(sandbox.hosts[0].name, place, "--trials", "2"))
    assert answer.returncode == 2
    assert f"{sandbox.hosts[1].name} needs a password, and passwords do not travel" in answer.stderr
    assert "no sweep" in run_genvx("sweep", "show").stderr
