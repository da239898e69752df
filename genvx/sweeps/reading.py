"""How the results of trials are read: from what they report, or from their output."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

from genvx.core.sweeps.report import Report, read_report
from genvx.core.text import printable
from genvx.core.wire.runoperations import WatchRun
from genvx.errors import GenvxError, InvalidInput

if TYPE_CHECKING:
    from genvx.sweeps.trial import Trial

# A line of output is searched this far, and so long.
_LONGEST_LINE = 4096
_SECONDS = 2.0
# Reads lines, and answers each with what the first group has matched, in a line.
_PROGRAM = """\
import re, sys
pattern = re.compile(sys.argv[1])
for line in sys.stdin:
    found = pattern.search(line.rstrip("\\n"))
    text = (found.group(1) or "") if found else ""
    print("".join(c for c in text if c.isprintable())[:100], flush=True)
"""


class Reader(Protocol):
    """Reader reads the results of trials from lines of theirs."""

    def asked(self, run: str, offset: int) -> WatchRun:
        """Return what a host is asked for the lines of a run, from an offset on."""

    def read(self, line: bytes, trial: Trial) -> Report | None:
        """Return what a line says; None if it says nothing."""

    def close(self) -> None:
        """Free what it holds."""


class Reports:
    """Reports reads the lines that trials append to $GENVX_REPORT."""

    def asked(self, run: str, offset: int) -> WatchRun:
        """Ask for the reports."""
        return WatchRun(run, offset=offset, reports=True)

    def read(self, line: bytes, trial: Trial) -> Report | None:
        """Read a line of JSON."""
        return read_report(line)

    def close(self) -> None:
        """Do nothing."""


class Metric:
    """Metric finds numbers in the output of trials by a pattern; each is a report on the way.

    A pattern can take for ever on some lines, and Python cannot interrupt it. So it is matched in a
    process of its own, which is killed then.

    Raises:
        InvalidInput: it is no pattern, or has no group.
    """

    def __init__(self, pattern: str) -> None:
        try:
            groups = re.compile(pattern).groups
        except (re.error, RecursionError, OverflowError) as error:
            raise InvalidInput(
                f"--metric is no regular expression: {printable(str(error), 200)}"
            ) from None
        if not groups:
            raise InvalidInput("--metric has no group; write it like 'val_acc=([0-9.]+)'")
        self._pattern = pattern
        self._process: subprocess.Popen[bytes] | None = None

    def asked(self, run: str, offset: int) -> WatchRun:
        """Ask for the output."""
        return WatchRun(run, offset=offset)

    def read(self, line: bytes, trial: Trial) -> Report | None:
        """Search a line of output.

        Raises:
            GenvxError: the pattern takes too long on this line.
        """
        text = " ".join(line[:_LONGEST_LINE].decode("utf-8", "replace").splitlines())
        answer = self._ask(text)
        try:
            number = float(answer)
        except ValueError:
            return None
        return Report(number, 0 if trial.step is None else trial.step + 1)

    def _ask(self, text: str) -> str:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, self._pattern],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(text.encode("utf-8", "replace") + b"\n")
            process.stdin.flush()
        except OSError:
            raise GenvxError("what searches the output for --metric was killed") from None
        answer = b""
        while not answer.endswith(b"\n"):
            if not select.select([process.stdout], [], [], _SECONDS)[0]:
                self.close()
                raise GenvxError(
                    f"--metric takes more than {_SECONDS:g} s on a line of output; write a simpler "
                    "pattern"
                )
            part = os.read(process.stdout.fileno(), 4096)
            if not part:
                raise GenvxError("what searches the output for --metric was killed")
            answer += part
        return answer.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
