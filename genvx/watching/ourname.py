"""Whether a request was meant for this machine, by the name that the client has typed for it."""

from __future__ import annotations

import ipaddress
import socket


def is_of_this_machine(host: str, names: tuple[str, ...] = ()) -> bool:
    """Whether a Host header names this machine: by an address, or by a name that is its own.

    A browser that was led here under the name of somebody else's server sends that name. names:
    further ones that are ours.
    """
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    ours = ("", "localhost", socket.gethostname().lower(), *(each.lower() for each in names))
    if name.lower() in ours:
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
