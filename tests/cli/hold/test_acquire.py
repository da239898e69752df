"""Holding without a shell, and joining what is held."""

from __future__ import annotations

import re

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import NoCapacity
from genvx.local.host import LocalHost
from tests.conftest import run_genvx
from tests.helpers import until


@pytest.fixture
def host(state):
    found = LocalHost()
    yield found
    found.close()


def acquire(*arguments, remote=()):
    answer = run_genvx(*remote, "acquire", *arguments)
    assert answer.returncode == 0, answer.stderr
    return re.match(r"environment  ([0-9a-f]+)", answer.stdout)[1]


def test_devices_stay_held_when_nobody_is_there(host):
    environment = acquire("-g", "2", "--for", "1h", "--name", "kept")
    (found,) = host.snapshot().environments
    assert (found.id, found.name, len(found.devices)) == (environment, "kept", 2)
    with pytest.raises(NoCapacity):
        host.acquire(Ask(Requirements(1)))


def test_they_are_free_when_the_time_is_over(host):
    acquire("-g", "2", "--for", "0.3s")
    until(lambda: not host.snapshot().leases, "all is free")


def test_its_owner_gives_them_back_before(host):
    environment = acquire("-g", "2", "--for", "1h")
    assert run_genvx("release", environment).returncode == 0
    host.acquire(Ask(Requirements(2))).release()


def test_a_command_joins_and_the_rest_goes_on(host):
    environment = acquire("-g", "1", "--for", "1h")
    answer = run_genvx("run", "--id", environment, "--", "printenv", "GENVX_DEVICES")
    assert (answer.stdout, answer.returncode) == ("0\n", 0)
    assert [found.id for found in host.snapshot().environments] == [environment]


def test_reaping_leaves_it(host):
    environment = acquire("-g", "1", "--for", "1h")
    host.acquire(Ask(Requirements(1))).release()
    assert [found.id for found in host.snapshot().environments] == [environment]


def test_an_environment_can_be_joined_while_another_terminal_has_it(host):
    with host.acquire(Ask(Requirements(1), name="mine")) as hold:
        environment = hold.grant.environment_id
        answer = run_genvx("run", "--id", environment, "--", "printenv", "GENVX_ENVIRONMENT_NAME")
    assert answer.stdout == "mine\n"


def test_an_environment_can_be_joined_by_its_name_if_that_is_its_own(host):
    line = ("run", "--id", "beef", "--", "printenv", "GENVX_ENVIRONMENT_ID")
    with host.acquire(Ask(Requirements(), name="beef")) as hold:
        assert run_genvx(*line).stdout == f"{hold.grant.environment_id}\n"
        with host.acquire(Ask(Requirements(), name="beef")):
            answer = run_genvx(*line)
    assert answer.returncode == 2
    assert "several environments are named 'beef'; give the id: " in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["run", "--id", "abcd1234", "--", "true"],
            "environment 'abcd1234' of yours here",
        ),
        (["run", "--id", "$(x)", "--", "true"], "no active environment '$(x)' of yours here"),
        (["run", "--id", "", "--", "true"], "--id needs the id or name"),
        (["run", "--id", "abcd1234", "-g", "1", "--", "true"], "leave out the options"),
        (["acquire", "-g", "1", "--for", "ever"], "not a duration: 'ever'"),
        (["acquire", "-g", "1"], "Missing option '--for'"),
    ],
)
def test_what_makes_no_sense_is_refused(state, arguments, words):
    answer = run_genvx(*arguments)
    assert answer.returncode == 2
    assert words in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.needs("openssh")
def test_the_same_over_ssh(sandbox):
    environment = acquire("-g", "2", "--for", "1h", "--name", "far one", remote=("remote",))
    shown = run_genvx("remote", "envs", "--csv", "--no-header").stdout
    assert shown.startswith(f"gpu-server-2,{environment},")
    answer = run_genvx("remote", "run", "--id", environment, "--", "printenv", "GENVX_DEVICES")
    assert (answer.stdout, answer.returncode) == ("0,1\n", 0)
    answer = run_genvx("remote", "run", "--id", "far one", "--", "printenv", "GENVX_DEVICES")
    assert (answer.stdout, answer.returncode) == ("0,1\n", 0)
    assert run_genvx("remote", "release", environment).returncode == 0
    answer = run_genvx("remote", "run", "--id", environment, "--", "true")
    assert answer.returncode == 2
    assert "no active environment" in answer.stderr
