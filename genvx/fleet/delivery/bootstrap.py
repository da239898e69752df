"""The command line that starts the agent, written so that all login shells read it alike.

sshd passes a command to the user's login shell: bash, zsh, fish, tcsh, dash. They agree on words,
and on single quotes around text without quotes, backslashes, exclamation marks and newlines;
nothing else is used here.
"""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING

from genvx.errors import AgentError
from genvx.fleet.delivery import pack
from genvx.fleet.delivery.loader import STUB
from genvx.fleet.delivery.pythons import SEARCHED, VERSIONED, WANTED

if TYPE_CHECKING:
    from genvx.fleet.hosts.hostspec import HostSpec

# The likely reasons for a host that is silent after the login.
SILENT = (
    "the login succeeded, but a start-up file of the shell there (~/.bashrc, ~/.zshenv or the "
    "like) may wait for input, or the host hangs"
)
_NAMES = f"python3 /usr/bin/python3 {VERSIONED}"

# Shims of pyenv come last: one takes many times as long as the question itself, and may stand for
# an interpreter that is not installed. `-I -S` keeps out the user's and the site's modules, which
# take time to load and may print.
_FIND = (
    'PATH="$PATH:/usr/local/bin:/usr/bin:/bin:$HOME/.local/bin"; '
    f'for n in {_NAMES}; do p=$(command -v $n) && [ -x "$p" ] || continue; '
    "case $p in */shims/*) continue;; esac; "
    f'exec "$p" -I -S -c "{STUB}" "$@"; done; '
    f'p=$(command -v python3) && exec "$p" -I -S -c "{STUB}" "$@"; '
    "echo GENVX-NO-PYTHON >&2; exit 127"
)


class NotStarted(AgentError):
    """NotStarted: the Python that was found does not start; another may."""


class NotWhole(AgentError):
    """NotWhole: the first part of the agent lacks what a call needs; the whole agent has it."""


@functools.cache
def _loader() -> str:
    return base64.b64encode(pack.loader_text()).decode("ascii")


def agent_command(
    spec: HostSpec, token: str, word: str | None = None, *, first: bool = False
) -> str:
    """Return the command for sshd that starts the agent.

    word: the call as one word, where stdin is a terminal and cannot carry it. first: start the
    first part of the agent.
    """
    words = " ".join([_loader(), pack.digest(first=first), token, *([word] if word else [])])
    # Not all shells know NAME=VALUE before a command.
    runs = "" if spec.runs is None else f"env GENVX_RUNS_DIR='{spec.runs}' "
    if spec.python is not None:
        line = f"exec {runs}'{spec.python}' -I -S -c '{STUB}' {words}"
    else:
        line = f"exec {runs}/bin/sh -c '{_FIND}' genvx {words}"
    return line if spec.step is None else spec.step.line(line, terminal=word is not None)


def agent_parcel(*, first: bool = False) -> bytes:
    """Return the bytes for a host that asks for the agent: a line of sizes, installer, bundle.

    first: of the first part of the agent.
    """
    program, bundle = pack.installer_text(), pack.pack(first=first).bundle
    return f"GENVX-AGENT {len(program)} {len(bundle)}\n".encode() + program + bundle


def never_ran(file: str = "") -> str:
    """Return the likely reason why a host never ran the command that ssh was given.

    file: the start-up file that its shell reads first, if that is known.
    """
    which = file or "~/.bashrc, ~/.zshenv or the like"
    return (
        f"the command of genvx never ran: a start-up file there ({which}) seems to run another "
        "program first; let it do that in interactive shells only"
    )


def not_started(spec: HostSpec, code: int, said: str) -> AgentError | None:
    """Return the error if the far end could not be started, and None if it could.

    code: the exit code. said: what came on stderr, or in place of a reply.
    """
    lines = [line for line in said.splitlines() if line] or [""]
    if spec.python is not None:
        if code in (126, 127) or "Unknown option: -I" in lines[-1]:
            return AgentError(
                f"python={spec.python} cannot be run there, or is not {WANTED}; see the hostfile"
            )
        return None
    if code in (126, 127) or "Fatal Python error" in said:
        return NotStarted(f"the host has no {WANTED}; {SEARCHED}")
    return None
