"""A directory for the keepers of a test."""

import contextlib
import os
import signal

import pytest

from tests.helpers import ROOT, processes_with, until


@pytest.fixture
def keeps(short_tmp, monkeypatch):
    """Commands may have a keeper, in a directory of this test; it ends with the test."""
    run = short_tmp / "run"
    run.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
    # Where a test spoils the first, no keeper of whoever runs the tests is asked or started.
    monkeypatch.setenv("XDG_CACHE_HOME", str(short_tmp / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("GENVX_KEEP", "5m")
    keeps_in = run / "genvx"
    yield keeps_in
    # Also those that a failed test has left stopped, or without a socket.
    for pid in processes_with(f"genvx.keeping\0{keeps_in}\0"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not processes_with(f"genvx.keeping\0{keeps_in}\0"), "the keepers end")
