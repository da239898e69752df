"""The `genvx` of a remote shell on a host without an installed genvx: a few verbs for a person."""

from __future__ import annotations

import getopt
import math
import os
import sys
from typing import TYPE_CHECKING, Optional

from genvx._version import __version__
from genvx.core.ages import format_age
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.local import inside, processes
from genvx.local.host import LocalHost
from genvx.shell.answer import ENDED, answer, for_tcsh
from genvx.shown import door
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Callable

    from genvx.core.snapshot import Snapshot

    # The values of each option, by its name.
    Given = dict[str, list[str]]
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
  lock [--timeout TIME] CMD...  run a command when its turn on the GPUs comes
  deactivate                    leave this shell and give its GPUs back

attach, detach, lock and smi take --id ENV for another environment of yours.
For all else (other verbs, --json, -w) use genvx remote on your own machine.
"""


def main(words: Sequence[str]) -> int:
    """Do what a person typed; return the exit code."""
    # Our command line names a Python and a file that nobody knows.
    processes.call_ourselves("genvx")
    door.open_streams()
    code = door.answered(lambda: _act(list(words)))
    door.write_out()
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
    given, left = _parsed(verb, rest, options)
    if left and not takes_words:
        raise InvalidInput(f"{verb}: one word too many: {printable(left[0], 40)}")
    code = act(LocalHost(), given, left)
    door.flush()
    return code


def _parsed(verb: str, words: list[str], options: Sequence[str]) -> tuple[Given, list[str]]:
    """The options, and the words after them."""
    # getopt, not typer: the hosts have only the standard library.
    short = "g:o" if "gpus=" in options else ""
    try:
        pairs, left = getopt.getopt(words, short, list(options))
    except getopt.GetoptError as error:
        raise InvalidInput(_refused(verb, error)) from None
    given: Given = {}
    for name, value in pairs:
        name = {"-g": "--gpus", "-o": "--over-subscribe"}.get(name, name)
        given.setdefault(name[2:], []).append(value)
    return given, left


def _refused(verb: str, error: getopt.GetoptError) -> str:
    """Why options were refused, and what to type."""
    dashed = f"{'-' if len(error.opt) == 1 else '--'}{error.opt}"
    # The two mistakes that people make from habit get an answer that says what to type.
    if verb == "detach" and dashed in ("-g", "--gpus"):
        return f"detach has no {dashed}; --device 0,3 takes GPUs away, and without it all go"
    if dashed == "--json":
        return f"no --json here; from your own machine: genvx remote {verb} --json"
    return f"{verb}: {printable(error.msg, 100)}; see genvx --help"


def _last(given: Given, name: str) -> Optional[str]:
    return given[name][-1] if name in given else None


def _named(given: Given) -> list[str]:
    return [name.strip() for each in given.get("device", ()) for name in each.split(",")]


def _table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    summary: str = "",
    *,
    yielding: Optional[Mapping[str, int]] = None,
    wrapping: Sequence[str] = (),
) -> None:
    from genvx.shown.columns import safe, table_for

    shown = [[safe(cell, sys.stdout) for cell in row] for row in rows]
    for line in table_for(sys.stdout, columns, shown, yielding=yielding, wrapping=wrapping):
        print(line)
    if summary:
        print(f"\n{summary}")


def _say_drivers(snapshot: Snapshot) -> None:
    for note in (snapshot.driver.error, *snapshot.driver.notes):
        if note is not None:
            say(f"genvx: {note}")


def _status(host: LocalHost, given: Given, words: list[str]) -> int:
    from genvx.shown import status

    rows = status.rows(host.snapshot(holders=True))
    _table(status.COLUMNS, rows, wrapping=status.WRAPPING)
    return 0


def _devices(host: LocalHost, given: Given, words: list[str]) -> int:
    from genvx.shown import devices

    snapshot = host.snapshot()
    rows = [devices.row(device, snapshot, format_age) for device in snapshot.devices]
    total = devices.total_of(len(rows), len(snapshot.available))
    _table(devices.COLUMNS, rows, total, yielding=devices.YIELDING)
    _say_drivers(snapshot)
    return 0


def _envs(host: LocalHost, given: Given, words: list[str]) -> int:
    from genvx.shown import envs

    snapshot = host.snapshot(holders=True)
    rows = [envs.row(env, snapshot, format_age) for env in snapshot.environments]
    _table(envs.COLUMNS, rows, envs.total_of(len(rows)), yielding=envs.YIELDING)
    for note in envs.notes_on([(snapshot, snapshot.environments)]):
        say(f"genvx: {note}")
    return 0


def _environment(host: LocalHost, given: Given) -> str:
    """The id of the environment that the options name; by default this shell's."""
    named = _last(given, "id")
    if named is not None:
        return host.identify(named)
    found = os.environ.get("GENVX_ENVIRONMENT_ID", "")
    if not found:
        raise InvalidInput("no environment is active in this shell; name one with --id")
    return found


def _smi(host: LocalHost, given: Given, words: list[str]) -> int:
    from genvx.local.use import processes_of
    from genvx.shown import smi

    environment = _environment(host, given)
    snapshot, env = host.snapshot(), host.mine(environment)
    devices, running = smi.rows(env, snapshot, processes_of(env, snapshot))
    _table(smi.DEVICES, devices, yielding=smi.YIELDING)
    print()
    _table(smi.PROCESSES, running, yielding=smi.YIELDING)
    return 0


def _attach(host: LocalHost, given: Given, words: list[str]) -> int:
    from genvx.core.requirements import Requirements
    from genvx.shown.mine import has

    wanted = Requirements.parse(
        _last(given, "gpus"),
        _last(given, "gpu-memory"),
        min_memory=_last(given, "min-memory"),
        devices=given.get("device", ()),
        over="over-subscribe" in given,
    )
    grant = host.attach(_environment(host, given), wanted)
    for note in grant.notes:
        say(f"genvx: {note}")
    print(has(grant))
    return 0


def _detach(host: LocalHost, given: Given, words: list[str]) -> int:
    from genvx.shown.mine import has

    print(has(host.detach(_environment(host, given), _named(given))))
    return 0


def _lock(host: LocalHost, given: Given, words: list[str]) -> int:
    from genvx.core.durations import parse_duration
    from genvx.local.turnruns import run_in_turn

    if not words:
        raise InvalidInput("no command to run; write it after --, as in: genvx lock -- make bench")
    timeout = _last(given, "timeout")
    return run_in_turn(
        host,
        _environment(host, given),
        words,
        patience=math.inf if timeout is None else parse_duration(timeout),
        tell=lambda turn: say(f"genvx: waiting for {turn}"),
    )


def _deactivate(host: LocalHost, given: Given, words: list[str]) -> int:
    inside.deactivate(host)
    return 0


def _refresh(host: LocalHost, given: Given, words: list[str]) -> int:
    """Answer the prompt of a shell; see shell/answer.py."""
    if len(words) != 1:
        raise InvalidInput("shell-refresh is for the functions of a shell")
    grant = inside.refreshed(host, words[0])
    if grant is None:
        say("genvx: the environment of this shell has ended")
        return ENDED
    lines = answer(words[0], "", grant)
    lines = for_tcsh(lines) if "lines" in given else lines
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


# For each verb: its function, its options as getopt writes them, and whether words may follow.
_VERBS: dict[str, tuple[Act, Sequence[str], bool]] = {
    "status": (_status, (), False),
    "devices": (_devices, (), False),
    "envs": (_envs, (), False),
    "smi": (_smi, ("id=",), False),
    "attach": (
        _attach,
        ("id=", "gpus=", "gpu-memory=", "min-memory=", "device=", "over-subscribe"),
        False,
    ),
    "detach": (_detach, ("id=", "device="), False),
    "lock": (_lock, ("id=", "timeout="), True),
    "deactivate": (_deactivate, (), False),
    "shell-refresh": (_refresh, ("lines",), True),
}
