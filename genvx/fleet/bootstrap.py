"""The command line that starts the far end, as every login shell reads it alike.

sshd hands a command to the user's login shell: bash, zsh, fish, tcsh, dash. They agree on words and
on single quotes around text without quotes, backslashes, exclamation marks and newlines; nothing
else is used here.
"""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.fleet import pack
from genvx.fleet.loader import NEWEST, OLDEST, STUB

if TYPE_CHECKING:
    from genvx.fleet.hostspec import HostSpec

# What may be the matter with a host that logs us in and then is silent.
SILENT = (
    "it logged us in, but a start-up file of the shell there (~/.bashrc, ~/.zshenv or the like) "
    "may wait for something, or the host hangs"
)

_VERSIONED = " ".join(f"python3.{minor}" for minor in range(NEWEST, OLDEST - 1, -1))
_NAMES = f"python3 /usr/bin/python3 {_VERSIONED}"

# An interpreter is better than pyenv's shim of one, which costs many times the question itself and
# may be the shim of one that is not there.
_FIND = (
    'PATH="$PATH:/usr/local/bin:/usr/bin:/bin:$HOME/.local/bin"; '
    f'for n in {_NAMES}; do p=$(command -v $n) && [ -x "$p" ] || continue; '
    "case $p in */shims/*) continue;; esac; "
    f'exec "$p" -I -S -c "{STUB}" "$@"; done; '
    f'p=$(command -v python3) && exec "$p" -I -S -c "{STUB}" "$@"; '
    "echo GENVX-NO-PYTHON >&2; exit 127"
)


@functools.cache
def _loader() -> str:
    return base64.b64encode(pack.loader_text()).decode("ascii")


def agent_command(spec: HostSpec, token: str, word: str | None = None) -> str:
    """The command for sshd.

    `word`: a call in one word, where stdin is a terminal and cannot carry it.
    """
    words = " ".join([_loader(), pack.digest(), token, *([word] if word else [])])
    if spec.python is not None:
        return f"exec '{spec.python}' -I -S -c '{STUB}' {words}"
    return f"exec /bin/sh -c '{_FIND}' genvx {words}"


def agent_parcel() -> bytes:
    """What a host is sent that asks for the agent."""
    program, bundle = pack.installer_text(), pack.pack().bundle
    return f"GENVX-AGENT {len(program)} {len(bundle)}\n".encode() + program + bundle


def never_ran(file: str = "") -> str:
    """What is likely where a host logs us in and never runs what ssh was told to.

    file: the start-up file that its shell reads first, where that is known.
    """
    which = file or "~/.bashrc, ~/.zshenv or the like"
    return (
        f"what ssh was told to run was never run: a start-up file there ({which}) seems to run "
        "another program first; let it do that in interactive shells only"
    )


def not_started(spec: HostSpec, code: int, said: str) -> str | None:
    """What to do when the far end could not be started; None if that is not what happened.

    code: the exit code; said: the last line of stderr.
    """
    oldest = f"Python 3.{OLDEST} or newer"
    if spec.python is not None:
        if code in (126, 127) or "Unknown option: -I" in said:
            return f"python={spec.python} cannot be run there, or is not {oldest}; see the hostfile"
        return None
    searched = (
        f"looked for python3 and python3.{OLDEST} to python3.{NEWEST} on the PATH of a "
        "non-interactive shell, in /usr/local/bin, /usr/bin, /bin and ~/.local/bin; "
        "name one with python= in the hostfile"
    )
    if said.startswith("GENVX-OLD-PYTHON "):
        found = printable(said.removeprefix("GENVX-OLD-PYTHON "), 200)
        return f"the host has no {oldest}, only {found}; {searched}"
    if code == 127:
        return f"the host has no {oldest}; {searched}"
    return None
