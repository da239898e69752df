"""The tokens (%h) and variables (${HOME}) of ssh_config, where `ssh -G` prints them as they stand:
in IdentityFile and ProxyCommand.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = re.compile(r"%(.)", re.DOTALL)
# In one pass, as ssh does: what a variable holds is not expanded again.
_TOKEN_OR_VARIABLE = re.compile(r"%(.)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}", re.DOTALL)


def tokens(
    given: str,
    hostname: str,
    port: int,
    user: str,
    *,
    alias: str | None,
    jump: str | None,
    mark: str,
) -> dict[str, str]:
    """What each token means for one host.

    given: the host's name as ssh was given it. mark: ssh's hash of all that (%C).
    """
    local = socket.gethostname()
    try:
        me = pwd.getpwuid(os.getuid())
        name, home = me.pw_name, me.pw_dir
    except KeyError:
        name, home = str(os.getuid()), os.path.expanduser("~")
    return {
        "%": "%",
        "C": mark,
        "d": home,
        "h": hostname,
        "i": str(os.getuid()),
        "j": jump or "",
        "k": alias or given,
        "L": local.partition(".")[0],
        "l": local,
        "n": given,
        "p": str(port),
        "r": user,
        "u": name,
    }


def expand(text: str, known: Mapping[str, str]) -> str:
    """With the tokens in `known` replaced; others stay."""
    return _TOKEN.sub(lambda match: known.get(match[1], match[0]), text)


def expand_path(path: str, known: Mapping[str, str]) -> str:
    """A path with tokens, variables and a home in place of ~.

    What can be no path stays, and is found nowhere.
    """
    if "\0" in path:
        return path

    def value(match: re.Match[str]) -> str:
        if match[1] is not None:
            return known.get(match[1], match[0])
        return os.environ.get(match[2], match[0])

    # The home first, as ssh does: ~ in the name of a host is not one.
    return _TOKEN_OR_VARIABLE.sub(value, os.path.expanduser(path))
