"""A remote that is written out where its name would be: ssh:user@host:port."""

from __future__ import annotations

from genvx.core.text import printable
from genvx.errors import GenvxError, InvalidInput
from genvx.fleet.hosts.hostnames import parse_names
from genvx.fleet.remotes import keys
from genvx.fleet.remotes.files import Source
from genvx.fleet.remotes.remote import Remote, Written
from genvx.fleet.remotes.yamltext import Place, Text


def inline(text: str) -> Remote:
    """Return the remote that a text such as ssh:user@host:22 writes out.

    Raises:
        InvalidInput: the type is none, or has no such form; or the hosts cannot be read.
    """
    kind, _, hosts = text.partition(":")
    if kind in (*keys.SHELVES, *keys.NEVER):
        raise InvalidInput(f"a remote of type {kind} cannot be written out; ssh:HOST can")
    if kind != "ssh":
        raise InvalidInput(
            f"no remote {printable(text, 60)!r}; write a name, or ssh:[USER@]HOST[:PORT]"
        )
    try:
        parse_names(hosts, f"--remote {text}")
    except GenvxError as error:
        raise InvalidInput(str(error)) from None
    place = Place("--remote", 1, 1)
    source = Source("--remote", text, ".", found=False)
    written = {
        "type": Written("type", Text(place, "ssh"), source),
        "hosts": Written("hosts", Text(place, hosts), source),
    }
    return Remote(text, "ssh", place, written)
