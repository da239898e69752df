"""The command as a whole: its help, its verbs, and how one is run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.agent.person import hold, look
from genvx.agent.person.options import parsed
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.local import processes
from genvx.local.host import LocalHost
from genvx.shown import door, streams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable

    from genvx.agent.person.options import Given

    Act = Callable[[LocalHost, Given, list[str]], int]

_HELP = """\
Usage: genvx VERB [OPTIONS]

Nothing of genvx is installed on this host. In this shell it has:

  status                        this environment
  devices                       the GPUs of this host, and who has them
  envs                          the active environments of this host
  smi                           its GPUs, and its processes on them
  attach --gpus N               give it more GPUs; also --gpu-memory SIZE,
                                --min-memory SIZE, --device ID, --over-subscribe
  detach [--device ID]          take GPUs away from it: all, or those named
  lock [--wait=TIME] CMD...     run a command when its turn on the GPUs comes
  deactivate                    leave this shell and give its GPUs back

attach, detach, lock and smi take --id ENV for another environment of yours.
For all else (other verbs, --json, -w) use genvx remote on your own machine.
"""


def main(words: Sequence[str]) -> int:
    """Do what a person typed; return the exit code."""
    # Our command line names a Python and a file that nobody knows.
    processes.call_ourselves("genvx")
    streams.open_streams()
    code = door.answered(lambda: _act(list(words)))
    streams.write_out()
    return code


def _act(words: list[str]) -> int:
    verb, rest = (words[0], words[1:]) if words else ("--help", [])
    # Only as the first word: after `lock`, later words belong to the command.
    if verb in ("--help", "-h", "help") or rest[:1] in (["--help"], ["-h"]):
        sys.stdout.write(_HELP)
        return 0
    if verb in ("--version", "-V", "version"):
        print(f"genvx {__version__}")
        return 0
    if verb not in _VERBS:
        raise InvalidInput(
            f"no {printable(verb, 40)} here, where genvx is not installed; see genvx --help"
        )
    act, options, takes_words = _VERBS[verb]
    given, left = parsed(verb, rest, options)
    if left and not takes_words:
        raise InvalidInput(f"{verb}: one word too many: {printable(left[0], 40)}")
    code = act(LocalHost(), given, left)
    streams.flush()
    return code


# For each verb: its function, its options as getopt writes them, and whether words may follow.
_VERBS: dict[str, tuple[Act, Sequence[str], bool]] = {
    "status": (look.status, (), False),
    "devices": (look.devices, (), False),
    "envs": (look.envs, (), False),
    "smi": (look.smi, ("id=",), False),
    "attach": (
        hold.attach,
        ("id=", "gpus=", "gpu-memory=", "min-memory=", "device=", "over-subscribe"),
        False,
    ),
    "detach": (hold.detach, ("id=", "device="), False),
    "lock": (hold.lock, ("id=", "wait=", "timeout="), True),
    "deactivate": (hold.deactivate, (), False),
    "shell-refresh": (hold.refresh, ("lines",), True),
}
