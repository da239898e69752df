"""Clusters on hosts over SSH."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from genvx.engines.onhost.place import free_ports
from tests.capabilities import USER_A, world_python
from tests.conftest import run_genvx

# Listens on a port, as a user does who wants what comes there.
LISTEN = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hosts(make_sandbox):
    """Two hosts with two GPUs each; no cluster lives on behind the test."""
    yield make_sandbox("2", "2")
    run_genvx("remote", "runs", "stop", "--force", "--all")


@pytest.fixture
def python():
    """The virtual environment of the tests, as --python takes it."""
    return str(Path(sys.executable).parent.parent)


@pytest.fixture
def token():
    """The value of a variable of all processes of a test's cluster."""
    return secrets.token_hex(8)


@pytest.fixture
def taken(request):
    """A port that another user has taken, on the address of the test's parameter or loopback."""
    (port,) = free_ports(1)
    with subprocess.Popen(
        [world_python(), "-c", LISTEN, getattr(request, "param", "127.0.0.1"), str(port)],
        user=USER_A,
        group=USER_A,
        extra_groups=[],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as listening:
        try:
            assert listening.stdout.readline()
            yield port
        finally:
            listening.kill()
