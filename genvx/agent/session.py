"""What the script `enter` of a run starts: a shell, a command or a session of sshd in the run.

This process stays as the parent: it holds the lease, and passes signals on.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.agent import program
from genvx.core.runs.entry import entered
from genvx.errors import InvalidInput
from genvx.local import facts, processes, shells
from genvx.local.machine import Machine
from genvx.local.runs.entering import enter
from genvx.local.runs.places import runs_root
from genvx.shell.prepare import with_path
from genvx.shell.startup import kind_of
from genvx.shown.console import say
from genvx.shown.door import answered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.local.runs.entering import Entry

# Where systems have OpenSSH's program for sftp and scp.
_SFTP = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/libexec/ssh/sftp-server",
    "/usr/local/libexec/sftp-server",
)


def main(directory: str, words: Sequence[str]) -> int:
    """Enter the run with this directory; return the exit code of what ran inside.

    words: `--session`, or a command; nothing for a login shell.
    """
    return answered(lambda: _main(directory, list(words)))


def _main(directory: str, words: list[str]) -> int:
    processes.call_ourselves("genvx-enter")
    root, name = os.path.split(directory)
    # The run was found by a variable that this session does not have.
    if runs_root(os.environ) != root:
        os.environ["GENVX_RUNS_DIR"] = root
    command = _command(words)
    shell = shells.user_shell(os.environ)
    # With a dash, as for the agent (commands.py).
    shown = " ".join(command) if command else f"-{os.path.basename(shell)}"
    with enter(Machine(), name.partition(".")[0], command=shown) as entry:
        path = program.leave()
        if command is None:
            return _shell(entry, shell, path)
        terminal = any(map(os.isatty, range(3)))
        variables = with_path(entry.environment(), path)
        # Without a terminal there is no hang-up when the client is gone, so stdout is watched. The
        # background processes of a session go on, as they do with sshd alone: an editor finds its
        # server again when it connects the next time.
        return entry.supervise(
            command,
            watch_client=not terminal,
            variables=variables,
            alone=words == ["--session"],
        )


def _command(words: list[str]) -> list[str] | None:
    """The words to execute; None for the login shell."""
    if words == ["--session"]:
        line = os.environ.pop("SSH_ORIGINAL_COMMAND", "")
        return _of_session(line) if line else None
    if words[:1] == ["--"]:
        words = words[1:]
    elif words and words[0].startswith("-"):
        raise InvalidInput("enter takes a command, or --session for sshd; nothing opens a shell")
    return words or None


def _of_session(line: str) -> list[str]:
    """What sshd would execute for a command, or for its subsystem for files."""
    program, *more = line.split() or [""]  # a line of blanks does nothing
    if program == "internal-sftp" or os.path.basename(program) == "sftp-server":
        found = next((each for each in (program, *_SFTP) if os.access(each, os.X_OK)), None)
        if found is None:
            raise InvalidInput("no sftp-server on this host; install OpenSSH's")
        return [found, *more]
    return [shells.user_shell(os.environ), "-c", line]


def _shell(entry: Entry, shell: str, path: str) -> int:
    if not (os.isatty(0) and os.isatty(1)):
        # As a login shell, which sshd starts without a command; each kind that we know has -l.
        argv = [shell, "-l"] if kind_of(shell) else [shell]
        variables = with_path(entry.environment(), path)
        return entry.supervise(argv, watch_client=True, variables=variables, alone=True)
    say(f"genvx: {entered(entry.run_info, facts.hostname(), entry.hold.grant)}")
    return entry.open_shell(path=path, stays=True)
