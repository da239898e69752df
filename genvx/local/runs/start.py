"""Starting the command of a run."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import termios
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.local.runs.places import place_of
from genvx.local.runs.variables import argv_of, variables_of

if TYPE_CHECKING:
    from genvx.core.runs.run import RunSpec
    from genvx.local.running.hold import LocalHold
    from genvx.local.runs.output import Output
    from genvx.local.runs.preparing import Preparation
    from genvx.local.runs.record import RunDirectory

# Added to the command's badness: memory pressure takes it rather than its bookkeeper. Raising needs
# no privilege.
_OOM_SCORE = "300"
# The kind of terminal where the variables say none.
_TERM = "xterm-256color"
# What a supervisor ignores, and what Python changes.
_RESET = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)


def start(
    spec: RunSpec,
    hold: LocalHold,
    directory: RunDirectory,
    output: Output,
    preparation: Preparation,
) -> int:
    """Start a run's command in a session of its own, and in its terminal if it has one; return its
    pid.

    Without a terminal its stdout and stderr are the log itself, opened to append, so nothing is
    copied and nothing is lost when its supervisor dies.

    Raises:
        OSError: there is no such command or directory, or it cannot be executed.
    """
    directory.make_work()
    if spec.trial is not None:
        from genvx.local.runs.reports import write_modules

        write_modules(directory, spec.trial)
    around, port = hold.variables(), preparation.port
    place = place_of(spec, directory.path, around)
    variables = {
        "PYTHONUNBUFFERED": "1",  # a log that comes an hour late helps nobody
        **around,
        **variables_of(spec, directory.path, around, port),
    }
    variables.update(preparation.variables(variables.get("PATH", os.defpath)))
    log, terminal = output.log, output.terminal
    if terminal is not None:
        variables.setdefault("TERM", _TERM)
    argv = list(argv_of(spec, directory.path, port))
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            os.setsid()
            if terminal is None:
                streams = (os.open(os.devnull, os.O_RDONLY), log, log)
            else:
                streams = (terminal.command_end,) * 3
                fcntl.ioctl(terminal.command_end, termios.TIOCSCTTY, 0)
            for number, each in enumerate(streams):
                os.dup2(each, number)
            os.set_inheritable(hold.descriptor, True)
            with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
                file.write(_OOM_SCORE)
            for each in _RESET:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.chdir(place)
            os.execvpe(argv[0], argv, variables)
        except OSError as error:
            os.write(write, str(error.errno or errno.EINVAL).encode())
        finally:
            os._exit(127)
    os.close(write)
    # Closed by exec, or by the child's end after it has said why.
    with open(read, "rb") as pipe:
        why = pipe.read()
    if why:
        os.waitpid(pid, 0)
        code = int(why)
        raise OSError(code, os.strerror(code))
    return pid
