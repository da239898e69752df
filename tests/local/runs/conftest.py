"""A machine with two simulated GPUs, whose runs end with the test."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from genvx.local import processes
from genvx.local.host import LocalHost
from genvx.local.runs import lock
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.launch import submit
from tests.helpers import ROOT


@pytest.fixture
def host(state, short_tmp, monkeypatch):
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    host = LocalHost()
    yield host
    for each in lock.living(host.state):
        os.kill(each.pid, signal.SIGKILL)
    ours = f"GENVX_RUNS_DIR={short_tmp}/runs".encode()
    for each in processes.pids():
        if ours in _environ(each) and each != os.getpid():
            os.kill(each, signal.SIGKILL)


def _environ(pid):
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def start(host):
    return lambda spec, **options: submit(host, spec, **options)


@pytest.fixture
def catalog(host):
    return RunCatalog(host)
