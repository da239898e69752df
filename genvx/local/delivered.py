"""How this genvx was delivered, where it is an agent: its file, and the loader that runs it."""

from __future__ import annotations

import binascii
import sys
from typing import Optional

from genvx.core.value import value

# The loader's text ends with the call that starts it; without that it only defines functions.
START = b"\nstart("


@value
class Delivered:
    """An agent's file, as its loader found it on this host.

    argument: the text of the loader in base64: the first argument of every call.
    """

    path: str
    argument: str

    @property
    def functions(self) -> str:
        """The text of the loader without what starts it."""
        return binascii.a2b_base64(self.argument).rpartition(START)[0].decode("ascii")


def is_installed() -> bool:
    """Whether genvx is installed here: we come from its files, not from what a client has sent."""
    return _finder() is None


def delivered() -> Optional[Delivered]:
    """Return the file that we run from; None where genvx is installed, or we are in memory only."""
    path = getattr(_finder(), "path", "")
    if not path or len(sys.argv) < 2:
        return None
    found = Delivered(path, sys.argv[1])
    try:
        return found if found.functions else None
    except ValueError:
        return None


def _finder() -> object:
    return next((each for each in sys.meta_path if hasattr(each, "listed")), None)
