"""Which Pythons a host may have, and how people are told that it has none."""

from __future__ import annotations

from genvx.fleet.delivery.loader import NEWEST, OLDEST

VERSIONED = " ".join(f"python3.{minor}" for minor in range(NEWEST, OLDEST - 1, -1))
NAME_ONE = "name one with python= in the hostfile"
WANTED = f"Python 3.{OLDEST} or newer"
SEARCHED = (
    f"looked for python3 and python3.{OLDEST} to python3.{NEWEST} on the PATH of a non-interactive "
    f"shell, in /usr/local/bin, /usr/bin, /bin and ~/.local/bin; {NAME_ONE}"
)
