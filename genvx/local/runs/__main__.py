"""The fresh Python in which a run that was submitted on this machine is supervised."""

from __future__ import annotations

import os
import sys

from genvx.local.machine import Machine
from genvx.local.runs.launch import supervise


def main() -> None:
    """Go to the background; the words are the run, where runs are, and how long it may wait.

    Descriptor 1 is the pipe on which the client waits for an answer.
    """
    run, root, patience = sys.argv[1:]
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            supervise(Machine, run, root, float(patience) if patience else None, 1)
