"""The script `enter` in the directory of a run, with which other programs enter the run.

    ssh -t HOST RUNS/<id>/enter            a login shell inside of the run
    ssh HOST RUNS/<id>/enter CMD WORDS     a command inside of it
    ForceCommand RUNS/<id>/enter --session what sshd would do for a session, inside of it

No genvx is needed on that host: the script starts the file of the agent that has started the run,
as every call does, and the supervisor keeps that file from being deleted while the run lives. Where
genvx is installed, the script starts that.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.local import fresh
from genvx.local.delivered import START, delivered, is_installed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.runs.run import RunSpec
    from genvx.local.delivered import Delivered
    from genvx.local.runs.record import RunDirectory

# Variables that say where leases and runs are, and how devices are found. A session over ssh may
# have none of them.
_PLACES = ("GENVX_STATE_DIR", "GENVX_RUNS_DIR", "GENVX_SIMULATE", "GENVX_NVML_TIMEOUT")
# How often the agent's file is marked as in use. One that nobody has used for a month is deleted.
_LOOK = 86400.0
# For two interpreters, as that of agent/program.py: to sh the second line executes Python, to
# Python it is a string.
_TEXT = """\
#!/bin/sh
''''[ -x {python} ] && exec {python} {flags} "$0" "$@"; echo {gone} >&2; exit 6 # '''
# Opens a login shell inside of run {run}; with a command, runs that: {path} [CMD WORDS...]
import os, sys
def gone():
    sys.stderr.write({gone} + chr(10))
    sys.exit(6)
if os.stat(sys.argv[0]).st_uid != os.geteuid():
    sys.stderr.write("genvx: run {run} is another user's" + chr(10))
    sys.exit(5)
for name, value in {places!r}.items():
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
"""
_INSTALLED = """\
sys.path[:] = {libraries!r}
try:
    from genvx.agent.session import main
except ImportError:
    gone()
sys.exit(main({directory!r}, sys.argv[1:]))
"""
_DELIVERED = """\
import binascii
sys.argv[1:1] = [{argument!r}, {directory!r}]
exec(binascii.a2b_base64(sys.argv[1]).rpartition({start!r})[0])
data = look({place!r}, {name!r})
if not data:
    gone()
run(data, {file!r}, "enter")
"""
_NONE = """\
#!/bin/sh
echo 'genvx: genvx could not be kept on this host; genvx remote ssh {run} enters the run' >&2
exit 6
"""


class Entrance:
    """The script of one run, and what it needs while the run lives."""

    def __init__(self, spec: RunSpec, directory: RunDirectory, environ: Mapping[str, str]) -> None:
        self._spec = spec
        self._directory = directory
        self._environ = environ
        self._delivered = delivered()
        self._due = time.monotonic() + _LOOK

    def open(self) -> None:
        """Write the script, if that is possible; the run goes on without it."""
        with suppress(OSError):
            self._directory.write_enter(self._script())

    def tend(self) -> None:
        """Mark the file that the script starts as in use, once a day."""
        if self._delivered is not None and time.monotonic() >= self._due:
            self._due = time.monotonic() + _LOOK
            with suppress(OSError):
                os.utime(self._delivered.path)

    def _script(self) -> bytes:
        python = shlex.quote(sys.executable)
        in_memory = self._delivered is None and not is_installed()
        # Both interpreters must read the second line alike.
        if in_memory or "'''" in python or "\\" in python or not sys.executable.isprintable():
            return _NONE.format(run=self._spec.id).encode("ascii")
        if self._delivered is None:
            flags, rest = "-S -E", self._start_installed()
        else:
            flags, rest = "-I -S", self._start_delivered(self._delivered)
        head = _TEXT.format(
            python=python,
            flags=flags,
            gone=f"'{self._gone()}'",
            run=self._spec.id,
            path=printable(self._path, 4096),
            places={name: self._environ.get(name) for name in _PLACES},
        )
        return (head + rest).encode("utf-8")

    def _gone(self) -> str:
        """The message of the script when the file that it starts is gone; it has no quotes."""
        run = self._spec.id
        if self._delivered is None:
            lost, typed = "genvx", f"genvx ssh {run}"
        else:
            lost, typed = "agent", f"genvx remote ssh {run}"
        return f"genvx: the {lost} that started run {run} is gone from this host; type: {typed}"

    def _start_installed(self) -> str:
        return _INSTALLED.format(libraries=fresh.path(), directory=self._directory.path)

    def _start_delivered(self, found: Delivered) -> str:
        place, name = os.path.split(found.path)
        return _DELIVERED.format(
            argument=found.argument,
            start=START,
            directory=self._directory.path,
            place=place,
            name=name,
            file=found.path,
        )

    @property
    def _path(self) -> str:
        return os.path.join(self._directory.path, "enter")
