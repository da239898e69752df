"""Looks for a Python that starts, where the first one did not."""

from __future__ import annotations

import re

from genvx.core.text import printable
from genvx.errors import AgentError
from genvx.fleet.delivery.loader import OLDEST
from genvx.fleet.delivery.pythons import NAME_ONE, SEARCHED, VERSIONED, WANTED
from genvx.fleet.hosts.hostfile import PYTHON_PATH

# Tries each candidate. That takes longer, so it is used only if the Python of _FIND does not start.
_ENOUGH = f"import binascii,sys;sys.version_info<(3,{OLDEST})and sys.exit(sys.version.split()[0])"
_TRY = (
    'PATH="$PATH:/usr/local/bin:/usr/bin:/bin:$HOME/.local/bin"; IFS=:; '
    f"for s in no yes; do for n in python3 {VERSIONED} python; do for d in $PATH; do p=$d/$n; "
    '[ -f "$p" ] && [ -x "$p" ] || continue; '
    "case $p in */shims/*) [ $s = yes ] || continue;; /*) [ $s = no ] || continue;; "
    "*) continue;; esac; "
    f'w=$("$p" -I -S -c "{_ENOUGH}" 2>&1 </dev/null); c=$?; '
    'if [ $c = 0 ]; then echo "GENVX-PYTHON $1 $p"; exit 0; fi; '
    'echo "GENVX-TRIED $1 $c $p: $w"; done; done; done'
)
_MOST_SHOWN = 4


def probe_command(token: str) -> str:
    """Return the command that tries each Python of a host; `probed` reads its output."""
    return f"exec /bin/sh -c '{_TRY}' genvx {token}"


def probed(said: bytes, token: str) -> str:
    """Return the path of a Python that starts and is new enough, from the output of the probe.

    Raises:
        AgentError: there is none; the message says why for each.
    """
    tried: dict[str, str] = {}
    for line in said.decode("utf-8", "replace").splitlines():
        if line.startswith(f"GENVX-PYTHON {token} "):
            path = line.split(" ", 2)[2]
            # The path comes from the host and goes into the next command line.
            if PYTHON_PATH.fullmatch(path):
                return path
        elif line.startswith(f"GENVX-TRIED {token} "):
            code, _, rest = line.split(" ", 2)[2].partition(" ")
            path, _, why = rest.partition(": ")
            tried[path] = _reason(path, code, why)
    if not tried:
        raise AgentError(f"the host has no {WANTED}; {SEARCHED}")
    reasons = [f"{path}: {why}" for path, why in tried.items()]
    more = len(reasons) - _MOST_SHOWN
    shown = "; ".join(reasons[:_MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    raise AgentError(f"the host has no {WANTED} that starts: {printable(shown, 1000)}; {NAME_ONE}")


def _reason(path: str, code: str, said: str) -> str:
    why = said.strip().removeprefix(f"{path}: ")
    if re.fullmatch(r"[23]\.[0-9.]+\S*", why):
        return f"it is {why}"
    return why or f"exit code {code}"
