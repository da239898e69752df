"""genvx.ray: Ray clusters of a program, and when it refuses to have one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.engines.seen import nothing_is_left
from tests.helpers import genvx_env

# Two clusters one after the other; in the second one it is killed.
PROGRAM = """
import json, os, signal, sys
import genvx, genvx.ray
import ray

@ray.remote(num_gpus=1)
def seen():
    return os.environ["CUDA_VISIBLE_DEVICES"]

with genvx.Fleet.from_hostfile(os.environ["GENVX_HOSTFILE"]) as fleet:
    more = {"python": sys.argv[1], "env": {"GENVX_TEST_TOKEN": sys.argv[2]}}
    for last in (False, True):
        with genvx.ray.Cluster(fleet, nodes=2, **more) as cluster, ray.init(cluster.address):
            print(json.dumps(ray.get([seen.remote() for _ in range(2)])), flush=True)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
"""
CLUSTER = """
import sys, types
{}
import genvx.ray
from genvx.errors import InvalidInput
try:
    genvx.ray.Cluster(None, nodes=0)
except InvalidInput as error:
    print(error)
"""
IMPORTED = "sys.modules['ray'] = types.ModuleType('ray')"


@pytest.mark.needs("openssh", "ray")
@pytest.mark.timeout(300)
def test_a_program_has_one_ray_cluster_after_the_other_and_its_death_ends_the_last(
    hosts, python, token
):
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, python, token],
        env=genvx_env(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert answer.returncode == -signal.SIGKILL, answer.stderr
    seen = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("[")]
    assert len(seen) == 2, answer.stderr
    assert all("SIM-" in each for devices in seen for each in devices), seen
    nothing_is_left(token)


def said(before="", **variables):
    """What a program is told that wants a cluster."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    answer = subprocess.run(
        [sys.executable, "-c", CLUSTER.format(before)],
        env={**ours, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_a_program_that_has_imported_ray_first_is_told_so():
    assert said(IMPORTED) == (
        "ray was imported before genvx.ray: write `import genvx.ray` above `import ray`\n"
    )


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("RAY_AUTH_MODE", "disabled", "RAY_AUTH_MODE is 'disabled'"),
        ("RAY_AUTH_TOKEN", "theirs", "RAY_AUTH_TOKEN has the token of another Ray cluster"),
        ("RAY_AUTH_TOKEN_PATH", "/there", "RAY_AUTH_TOKEN_PATH has the token of another"),
    ],
)
def test_a_program_whose_ray_is_for_another_cluster_is_told_which_variable_says_so(
    name, value, why
):
    line = said(**{name: value})
    assert line.startswith(why)
    assert "theirs" not in line


def test_ray_may_be_imported_first_where_its_variable_was_set():
    assert said(IMPORTED, RAY_AUTH_MODE="token") == "nodes is a number of hosts from 1, not 0\n"


def test_the_token_is_in_no_variable_and_its_file_ends_with_the_program():
    code = (
        "import os, genvx.ray\n"
        "path = os.environ['RAY_AUTH_TOKEN_PATH']\n"
        "print(path, oct(os.stat(path).st_mode & 0o777), os.environ['RAY_AUTH_MODE'])\n"
        "token = open(path).read()\n"
        "assert len(token) == 64 and token not in ''.join(os.environ.values())\n"
    )
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    path, mode, auth = subprocess.run(
        [sys.executable, "-c", code], env=ours, capture_output=True, text=True, check=True
    ).stdout.split()
    assert (mode, auth) == ("0o600", "token")
    assert not os.path.exists(os.path.dirname(path))
