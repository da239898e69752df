"""What the command of a run reports: lines of JSON in a file that the command appends to.

The command may put anything in the place of that file, and anything into it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.core.wire.runcodec import LONGEST_REPORT
from genvx.local.runs.record import PYTHON, REPORT

if TYPE_CHECKING:
    from genvx.core.runs.trial import Trial
    from genvx.local.runs.record import RunDirectory

# Of the end of the file, so much is searched for a line.
_BACK = 64 * 1024


def open_reports(directory: RunDirectory) -> int:
    """A descriptor to read what the command reports, from a file that is made if need be.

    What is no file there reads as an empty one: whoever waits for the end of the run gets that.
    """
    with suppress(OSError):
        descriptor = directory.open_at(REPORT, os.O_RDWR | os.O_CREAT)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def last_report(directory: RunDirectory) -> str:
    """The last whole line that the command has reported; empty where there is none."""
    try:
        descriptor = directory.open_at(REPORT, os.O_RDONLY)
    except OSError:
        return ""  # most commands report nothing
    try:
        size = os.fstat(descriptor).st_size
        if not size or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        begin = max(0, size - _BACK)
        lines = os.pread(descriptor, _BACK, begin).split(b"\n")
    finally:
        os.close(descriptor)
    # Imported here: most commands report nothing.
    from genvx.core.sweeps.report import read_report

    # What follows the last newline is being written; what comes first may be cut.
    for line in reversed(lines[1 if begin else 0 : -1]):
        if len(line) <= LONGEST_REPORT and read_report(line) is not None:
            return line.decode("utf-8")
    return ""


def write_modules(directory: RunDirectory, trial: Trial) -> None:
    """Write what the command of a trial may import. Raises OSError."""
    from genvx.local.runs.trialtexts import read

    directory.make(PYTHON)
    for name in ("genvx_trial.py", "nni.py") if trial.nni else ("genvx_trial.py",):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(directory.open_at(f"{PYTHON}/{name}", flags), "wb") as file:
            file.write(read(name).encode("utf-8"))
