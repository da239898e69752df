"""The tokens (%h) and variables (${HOME}) of ssh_config.

`ssh -G` prints them unexpanded in IdentityFile and ProxyCommand, so they are expanded here.
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
# Both in one pass, as ssh does: a token within the value of a variable is not expanded again.
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
    """Return the value of each token for one host.

    given: the name that ssh is called with. mark: ssh's hash of the connection (%C).
    """
    local = socket.gethostname()
    try:
        # ssh takes these from the password file, not from $USER and $HOME, which sudo may change.
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
    """Replace the tokens in `known`; leave others as they are."""
    return _TOKEN.sub(lambda match: known.get(match[1], match[0]), text)


def expand_path(path: str, known: Mapping[str, str]) -> str:
    """Expand ~, tokens and variables in a path.

    A text with a NUL byte cannot be a path and is returned unchanged; no file has that name.
    """
    if "\0" in path:
        return path

    def value(match: re.Match[str]) -> str:
        if match[1] is not None:
            return known.get(match[1], match[0])
        return os.environ.get(match[2], match[0])

    # ~ first, as ssh does: a ~ that comes from a token, such as a host name, is no home directory.
    return _TOKEN_OR_VARIABLE.sub(value, os.path.expanduser(path))
