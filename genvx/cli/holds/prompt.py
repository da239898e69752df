"""What the prompt of an activated shell asks genvx, behind its user's back, and how it is answered.

An answer is lines on stdout, which the shell assigns (`shell/answer.py`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from genvx.local import inside
from genvx.shell.answer import ENDED, answer, for_tcsh
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.core.leases.grant import Grant


def refresh(arguments: list[str]) -> int:
    """`genvx shell-refresh FILE`: the answer anew; another exit code if the environment is gone."""
    from genvx.local.host import LocalHost

    shell = "tcsh" if arguments[0] == "--lines" else ""
    path = arguments[-1]
    grant = inside.refreshed(LocalHost(), path)
    if grant is None:
        say("genvx: the environment of this shell has ended")
        return ENDED
    tell(shell, path, "", grant)
    return 0


def leave(path: str) -> int:
    """`genvx shell-leave FILE`: end a lease of our own that a guardian holds."""
    from genvx.local.host import LocalHost
    from genvx.local.state.removal import remove

    identifier = inside.lease_of(path)
    store = LocalHost().store
    remove(store.state, [lease for lease in store.scan().leases if lease.id == identifier])
    return 0


def tell(shell: str, path: str, mark: str, grant: Grant) -> None:
    """Print what a shell assigns: the file of its lease, its prompt, its variables."""
    lines = answer(path, mark, grant)
    print_lines(for_tcsh(lines) if shell == "tcsh" else lines)


def print_lines(lines: list[str]) -> None:
    """Print an answer, and let the shell have it now."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
