"""The processes below one."""

from __future__ import annotations

import os
import signal
import subprocess

from genvx.local.runs import tree
from tests.helpers import until


def test_a_child_that_is_spared_is_not_counted_and_gets_no_signal():
    """One that asks a driver that hangs: it cannot be ended, and is none of the run's."""
    line = ["sh", "-c", "sleep 1000 & wait"]
    with subprocess.Popen(line) as spared, subprocess.Popen(line) as other:
        until(lambda: len(tree.descendants(spared.pid)) == len(tree.descendants(other.pid)) == 1)
        below = tree.descendants(spared.pid)
        found = tree.descendants(os.getpid(), frozenset({spared.pid}))
        assert other.pid in found
        assert not {spared.pid, *below} & set(found)
        for each in (*tree.descendants(other.pid), *below, other.pid, spared.pid):
            os.kill(each, signal.SIGKILL)
