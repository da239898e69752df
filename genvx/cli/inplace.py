"""What the functions that `genvx shell-init` gives to a shell ask genvx behind its user's back.

An answer is lines on stdout, which the shell assigns (`shell/answer.py`). bash and zsh hold the
lease themselves: they ask where, open that, and ask again with the descriptor. For the others a
guardian holds it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.errors import InvalidInput
from genvx.local import inside
from genvx.shell.answer import ENDED, answer, for_tcsh
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.core.grant import Grant
    from genvx.local.host import LocalHost
    from genvx.local.running.hold import LocalHold

HOLDS_ITSELF = ("bash", "zsh")


@dataclass(frozen=True)
class Asking:
    """The shell that asks. descriptor: by which it will hold its lease; None if it does not yet.

    active: it holds one already.
    """

    shell: str
    pid: int
    descriptor: int | None = None
    active: bool = False

    @classmethod
    def parse(cls, text: str) -> Asking:
        """Read "bash:PID:", "bash:PID:DESCRIPTOR" or "bash:PID:active".

        Raises:
            InvalidInput: it is neither.
        """
        shell, _, numbers = text.partition(":")
        pid, _, state = numbers.partition(":")
        if not (shell and pid.isdecimal() and (state.isdecimal() or state in ("", "active"))):
            raise InvalidInput("--in-shell is for the functions of genvx shell-init")
        descriptor = int(state) if state.isdecimal() else None
        return cls(shell, int(pid), descriptor, state == "active")


def place(host: LocalHost) -> None:
    """Say where the shell is to open a file for its lease."""
    _answer([host.store.prepare()])


def enter(
    host: LocalHost, hold: LocalHold, asking: Asking, *, prompted: bool, joined: bool
) -> None:
    """Hand what we hold to the shell, and tell it so. joined: whether others hold it, too."""
    from genvx.local.granting import joining
    from genvx.local.running import guardian, windows

    shell = joining.join(
        host,
        hold.grant.environment_id,
        command=asking.shell,
        pid=asking.pid,
        through=asking.descriptor,
    )
    hold.release()
    if asking.descriptor is None:
        guardian.guard(shell.descriptor, asking.pid)
    shell.keep_time(spare=asking.pid)
    mark = shell.grant.mark() if prompted else ""
    path = os.readlink(f"/proc/self/fd/{shell.descriptor}")
    note = None
    with contextlib.suppress(OSError):  # no reason not to activate the shell
        note = windows.announce(host.state, host.environ, shell.grant, path)
    if note is not None and not joined:
        say(f"genvx: {note}")
    _tell(asking.shell, path, mark, shell.grant)


def refresh(arguments: list[str]) -> int:
    """`genvx shell-refresh FILE`: the answer anew; another exit code if the environment is gone."""
    from genvx.local.host import LocalHost

    shell = "tcsh" if arguments[0] == "--lines" else ""
    path = arguments[-1]
    grant = inside.refreshed(LocalHost(), path)
    if grant is None:
        say("genvx: the environment of this shell has ended")
        return ENDED
    _tell(shell, path, "", grant)
    return 0


def leave(path: str) -> int:
    """`genvx shell-leave FILE`: end a lease of our own that a guardian holds."""
    from genvx.local.host import LocalHost
    from genvx.local.state.removal import remove

    identifier = inside.lease_of(path)
    store = LocalHost().store
    remove(store.state, [lease for lease in store.scan().leases if lease.id == identifier])
    return 0


def _tell(shell: str, path: str, mark: str, grant: Grant) -> None:
    lines = answer(path, mark, grant)
    _answer(for_tcsh(lines) if shell == "tcsh" else lines)


def _answer(lines: list[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
